package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// answer has the CA say body, whatever was asked.
func answer(status int, contentType, body string, fields ...string) acmetest.Action {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Replay-Nonce", rand.Text())
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
}

// signed is a certificate for a name, of nobody's CA, for a key that edge does not have unless key is given.
func signed(t *testing.T, name string, from, until time.Time) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "\x1b[2J\u009b2J\u202e"}, DNSNames: []string{name}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// What a CA gives takes nothing's place unless it can be served.
func TestACAThatGivesWhatCanNotBeServed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	other, _ := signed(t, "a.test", now.Add(-time.Hour), now.Add(time.Hour))
	for what, chain := range map[string]string{
		"a certificate for another key": string(other),
		"no certificate":                "hello",
		"an endless chain":              strings.Repeat(string(other), 1000),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{Strict: true, NoRenewalInfo: true})
			give := answer(http.StatusOK, "application/pem-certificate-chain", chain)
			ca.FailNext(1, acmetest.KindCertificate, give)
			s := serveACME(t, ca, acmeHead, answering("a.test"))
			s.log.wait(t, 1, "no certificate", "host=a.test")
			socket := "--admin=" + s.server.admin.Addr().String()
			if status, _, errOut := command(t, "certs", "renew", "a.test", socket); status != 0 {
				t.Fatal(errOut)
			}
			before, err := s.leaf("a.test")
			if err != nil {
				t.Fatal(err)
			}
			kept := s.kept(t, "a.test")
			ca.FailNext(1, acmetest.KindCertificate, give)
			if status, out, _ := command(t, "certs", "renew", "a.test", socket); status == 0 {
				t.Errorf("it was taken: %s", out)
			}
			if leaf, err := s.leaf("a.test"); err != nil || !leaf.Equal(before) {
				t.Errorf("what is served has changed: %v", err)
			}
			if !bytes.Equal(s.kept(t, "a.test").Certificate[0], kept.Certificate[0]) {
				t.Error("what is kept has changed")
			}
		})
	}
}

// A CA, or what stands before it, that fails in the middle of orders gets few of them, and one that may have brought a
// certificate does not cost the name's budget in a moment.
func TestATroubledCAGetsFewOrders(t *testing.T) {
	t.Parallel()
	page := answer(http.StatusBadGateway, "text/html", "<html>bad gateway")
	for what, trouble := range map[string]struct {
		kind acmetest.Kind
		acmetest.Action
	}{
		"pages at new-order": {acmetest.KindNewOrder, page},
		"pages at finalize":  {acmetest.KindFinalize, page},
		"cuts at finalize":   {acmetest.KindFinalize, acmetest.Cut},
		"garbage at authz":   {acmetest.KindAuthz, answer(http.StatusOK, "application/json", "{")},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{Strict: true})
			ca.FailNext(1000, trouble.kind, trouble.Action)
			s := serveACME(t, ca, acmeHead, answering("a.test"))
			s.log.wait(t, 2, "no certificate", "host=a.test")
			if wait := time.Until(s.Certificates()[0].NextTry); wait < 8*time.Second {
				t.Errorf("the next order goes out in %v", wait)
			}
		})
	}
}

// Nobody's text moves a terminal's cursor.
func TestTheWordsOfACAAreOnlyWords(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	ca.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind == acmetest.KindNewOrder {
			return acmetest.Problem(http.StatusForbidden, "rejected\u202eIdentifier", "no\u009b2J\u001b]0;owned\a\r\n\u2028here", 0)
		}
		return nil
	})
	certPEM, keyPEM := signed(t, "c.test", time.Now(), time.Now().Add(time.Hour))
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "c.crt"), certPEM, 0o600)
	os.WriteFile(filepath.Join(dir, "c.key"), keyPEM, 0o600)
	s := serveACME(t, ca, acmeHead, answering("a.test")+"  c.test: {tls: {cert: FOLDER/c.crt, key: FOLDER/c.key}, default: {respond: {body: x}}}\n", "FOLDER", dir)
	s.log.wait(t, 1, "no certificate", "host=a.test")
	for _, args := range [][]string{{"certs"}, {"certs", "--json"}, {"status"}, {"certs", "renew", "a.test"}} {
		_, out, errOut := command(t, append(args, "--admin="+s.server.admin.Addr().String())...)
		if i := strings.IndexFunc(strings.ReplaceAll(out+errOut, "\n", ""), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' }); i >= 0 {
			t.Errorf("edge %v prints %q", args, out+errOut)
		}
	}
}

// Reloads have what failed tried again, and are no way to have a CA asked without end.
func TestReloadsInALoopAreNoStormOfOrders(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{})
	ca.FailNext(1000, acmetest.KindNewOrder, acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "no", time.Hour))
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 1, "no certificate", "host=a.test")
	for range 50 {
		if outcome, err := s.Reload(t.Context()); err != nil || !outcome.Applied {
			t.Fatal(outcome, err)
		}
	}
	if n := len(ca.Requests(acmetest.KindNewOrder)); n > 2 {
		t.Errorf("50 reloads led to %d orders", n)
	}
	if wait := time.Until(s.Certificates()[0].NextTry); wait > 12*time.Second {
		t.Errorf("it is tried again in %v", wait)
	}
}

// Whatever is logged, also as debugging, no secret is.
func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	key := []byte("a key of thirty-two bytes or more")
	ca := acmetest.Start(t, acmetest.Options{EAB: map[string][]byte{"kid-1": key}})
	ca.FailNext(1, acmetest.KindNewAccount, acmetest.Problem(http.StatusForbidden, "unauthorized", "no", 0))
	secret := base64.RawURLEncoding.EncodeToString(key)
	head := strings.Replace(acmeHead, `"ROOT"}`, `"ROOT", eab: {kid: kid-1, hmac: `+secret+`}}`, 1) + "log: {level: debug}\n"
	s := serveACME(t, ca, head, answering("a.test"))
	s.log.wait(t, 1, "no certificate", "host=a.test")
	s.log.wait(t, 1, "http request")
	s.log.wait(t, 1, issued, "host=a.test")
	_, out, _ := command(t, "certs", "--json", "--admin="+s.server.admin.Addr().String())
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	all := out + strings.Join(s.log.lines, "\n")
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(s.file), "data", "keys", "*"))
	keys, _ := filepath.Glob(filepath.Join(filepath.Dir(s.file), "data", "certificates", "*", "*", "*", "*.key"))
	for _, file := range append(files, keys...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") && strings.Contains(all, line) {
				t.Errorf("what is in %s was logged", file)
			}
		}
	}
	if strings.Contains(all, secret) || strings.Contains(all, string(key)) {
		t.Error("the key of the account's binding was logged")
	}
	if len(files) == 0 || len(keys) == 0 {
		t.Errorf("nothing was looked for: %q %q", files, keys)
	}
}
