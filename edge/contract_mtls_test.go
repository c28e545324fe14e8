package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert"
)

// A clientAuthority issues certificates to those who visit.
type clientAuthority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	own  *x509.Certificate
	file string // its own certificate
}

func newClientAuthority(t *testing.T, name string) *clientAuthority {
	t.Helper()
	a := &clientAuthority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	c := a.issue(func(c *x509.Certificate) {
		*c = x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: c.NotBefore, NotAfter: c.NotAfter, SerialNumber: big.NewInt(1)}
	})
	a.own, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	a.write(a.file)
	return a
}

// write makes file be of this authority alone.
func (a *clientAuthority) write(file string) {
	a.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.own.Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes a certificate for a client, but for what change makes of it.
func (a *clientAuthority) issue(change func(*x509.Certificate)) *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x03A5B1),
		Subject:      pkix.Name{CommonName: "robot", OrganizationalUnit: []string{"client-3"}, Organization: []string{"mTLS, Inc"}, Province: []string{"Washington"}, Country: []string{"US"}},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	parent, signer := a.own, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func asItIs(*x509.Certificate) {}

// showing is a client that shows a certificate to whoever asks for one, known to them or not; nil: none. A name that is not "" is
// the one that every handshake is for, whatever the host.
func (r *running) showing(protocol, serverName string, certificate *tls.Certificate) *http.Client {
	own := func(c *tls.Config) {
		c.ServerName = serverName
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificate == nil {
				return new(tls.Certificate), nil
			}
			return certificate, nil
		}
	}
	var way http.RoundTripper
	if protocol == "h3" {
		overQUIC := r.overQUIC()
		own(overQUIC.TLSClientConfig)
		way = overQUIC
	} else {
		overTCP := r.overTCP(protocol)
		own(overTCP.TLSClientConfig)
		way = overTCP
	}
	return &http.Client{Transport: way, Timeout: 20 * time.Second}
}

// Two of the hosts are served under one certificate: only what they ask of their visitors keeps them apart.
const mutualHosts = `
target_groups: {echo: {targets: ["ECHO"], health: off}}
hosts:
  closed.localhost: {tls: {cert: CERT, key: KEY, client_ca: CLIENTS}, default: {forward: echo}}
  open.localhost: {tls: {cert: CERT, key: KEY}, default: {forward: echo}}
  other.localhost: {tls: {client_ca: OTHERS}, default: {forward: echo}}
  plain.localhost: {tls: off, default: {forward: echo}}
`

type mutual struct {
	*running
	clients, others *clientAuthority
	replace         []string // in mutualHosts
}

func serveMutual(t *testing.T) *mutual {
	t.Helper()
	certFile, keyFile := pemFiles(t, t.TempDir(), "both", "closed.localhost", "open.localhost")
	m := &mutual{clients: newClientAuthority(t, "clients"), others: newClientAuthority(t, "clients")}
	m.replace = []string{"ECHO", echo(t), "CERT", certFile, "KEY", keyFile, "CLIENTS", m.clients.file, "OTHERS", m.others.file, "public_port: 443", "public_port: 443, trusted_proxies: [127.0.0.0/8]"}
	m.running = serve(t, mutualHosts, m.replace...)
	data, err := os.ReadFile(certFile)
	if err != nil || !m.roots.AppendCertsFromPEM(data) {
		t.Fatal(err)
	}
	return m
}

// TestTargetHearsOfTheVisitorsCertificate holds the fields of ALB's verify mode ("HTTP headers and mutual TLS").
func TestTargetHearsOfTheVisitorsCertificate(t *testing.T) {
	m := serveMutual(t)
	robot := m.clients.issue(asItIs)
	spoofed := []string{"X-Amzn-Mtls-Clientcert: spoofed", "X-Amzn-Mtls-Clientcert-Subject: CN=spoofed", "x-amzn-mtls-clientcert-leaf: spoofed", "X-Amzn-Mtls-Invented: spoofed", "X_Amzn_Mtls_Clientcert_Subject: spoofed"}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			got := fetch(t, m.showing(protocol, "", robot), "POST", "https://closed.localhost/", "x", spoofed...)
			iso := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
			for _, want := range []string{
				"X-Amzn-Mtls-Clientcert-Serial-Number: 03A5B1",
				"X-Amzn-Mtls-Clientcert-Issuer: CN=clients",
				`X-Amzn-Mtls-Clientcert-Subject: CN=robot,OU=client-3,O=mTLS\, Inc,ST=Washington,C=US`,
				"X-Amzn-Mtls-Clientcert-Validity: NotBefore=" + iso(robot.Leaf.NotBefore) + ";NotAfter=" + iso(robot.Leaf.NotAfter),
			} {
				if !strings.Contains(got.text, "\n"+want+"\r\n") {
					t.Errorf("no %s in\n%s", want, got.text)
				}
			}
			leaf := regexp.MustCompile(`(?m)^X-Amzn-Mtls-Clientcert-Leaf: (-----BEGIN%20CERTIFICATE-----%0A[A-Za-z0-9+/=%]+%0A-----END%20CERTIFICATE-----%0A)\r$`).FindStringSubmatch(got.text)
			if leaf == nil {
				t.Fatalf("no leaf in\n%s", got.text)
			}
			text, _ := url.PathUnescape(leaf[1])
			if block, _ := pem.Decode([]byte(text)); block == nil || string(block.Bytes) != string(robot.Leaf.Raw) {
				t.Error("the leaf is another one")
			}
			if strings.Contains(got.text, "spoofed") || strings.Count(strings.ToLower(got.text), "mtls") != 5+1 { // and the organisation's name
				t.Errorf("the target hears\n%s", got.text)
			}
			line := m.logged(t, `"id":"`+regexp.QuoteMeta(got.Header.Get("X-Request-Id"))+`"`)
			if !strings.Contains(line, `"client_cert_serial":"03A5B1"`) {
				t.Error(line)
			}
			m.logged(t, `"protocol":"`+map[string]string{"h1": "HTTP/1.1", "h2": "HTTP/2", "h3": "HTTP/3"}[protocol]+`[^\n]*"client_cert_serial"`)

			// Everybody else, here with a certificate that nobody asks for, from an address whose X-Forwarded-* are believed.
			open := fetch(t, m.showing(protocol, "", robot), "GET", "https://open.localhost/", "", spoofed[4])
			if open.StatusCode != 200 || strings.Contains(strings.ToLower(open.text), "mtls") {
				t.Errorf("a host without client_ca: %d\n%s", open.StatusCode, open.text)
			}
		})
	}
}

// TestNobodyIsBelievedToHaveACertificate is of visitors who are no trusted proxies, on hosts with and without TLS.
func TestNobodyIsBelievedToHaveACertificate(t *testing.T) {
	s := serve(t, "target_groups: {echo: {targets: [\"ECHO\"], health: off}}\nhosts:\n  localhost: {default: {forward: echo}}\n  plain.localhost: {tls: off, default: {forward: echo}}\n", "ECHO", echo(t))
	for _, protocol := range protocols {
		for _, url := range []string{"https://localhost/", "http://plain.localhost/"} {
			got := fetch(t, s.client(protocol), "GET", url, "", "X-Amzn-Mtls-Clientcert: a", "X-Amzn-Mtls-Clientcert-Subject: b", "x-amzn-mtls-new: c")
			if got.StatusCode != 200 || strings.Contains(strings.ToLower(got.text), "mtls") {
				t.Errorf("%s %s: %d\n%s", protocol, url, got.StatusCode, got.text)
			}
		}
	}
}

// TestHandshakesWithoutAGoodCertificateFail holds the alert of each (RFC 8446, section 6.2).
func TestHandshakesWithoutAGoodCertificateFail(t *testing.T) {
	m := serveMutual(t)
	for name, test := range map[string]struct {
		shown *tls.Certificate
		alert string
	}{
		"none":                       {nil, "(certificate required|handshake failure)"},
		"of a foreign authority":     {m.others.issue(asItIs), "(unknown certificate authority|bad certificate)"},
		"that has ended":             {m.clients.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "(expired certificate|bad certificate)"},
		"that has not begun":         {m.clients.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "(expired certificate|bad certificate)"},
		"for servers":                {m.clients.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "bad certificate"},
		"whose private key it lacks": {&tls.Certificate{Certificate: m.clients.issue(asItIs).Certificate, PrivateKey: m.others.key}, "error decrypting message"},
	} {
		for way, err := range m.refusals(test.shown) {
			if err == nil || !regexp.MustCompile(test.alert).MatchString(err.Error()) {
				t.Errorf("%s, a certificate %s: %v", way, name, err)
			}
		}
	}
	if strings.Contains(m.access.String(), "closed.localhost") {
		t.Error("a request came through:", m.access)
	}
}

// refusals says for each way in what the server said in the handshake.
func (m *mutual) refusals(shown *tls.Certificate) map[string]error {
	errs := make(map[string]error)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			terms := m.showing("h1", "closed.localhost", shown).Transport.(*http.Transport).TLSClientConfig
			terms.MaxVersion, terms.NextProtos = version, []string{protocol}
			c, err := tls.Dial("tcp", m.listeners.HTTPS[0].Addr().String(), terms)
			if err == nil { // TLS 1.3 judges after the client's last word
				c.SetDeadline(time.Now().Add(20 * time.Second))
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			errs[protocol+", "+tls.VersionName(version)] = err
		}
	}
	answer, err := m.showing("h3", "", shown).Get("https://closed.localhost/")
	if err == nil {
		answer.Body.Close()
	}
	errs["h3"] = err
	return errs
}

// TestThereIsNoWayRoundTheCertificate asks for a host that wants a certificate where it does not have to be shown.
func TestThereIsNoWayRoundTheCertificate(t *testing.T) {
	m := serveMutual(t)
	robot, other := m.clients.issue(asItIs), m.others.issue(asItIs)
	for _, test := range []struct {
		name, serverName, host string
		shown                  *tls.Certificate
	}{
		{"another host's connection", "open.localhost", "closed.localhost", nil},
		{"another host's connection, the same certificate", "open.localhost", "closed.localhost", robot},
		{"another host's connection, spelled in another way", "open.localhost", "CLOSED.localhost.:443", nil},
		{"a certificate for another host", "other.localhost", "closed.localhost", other},
		{"from there to an open host", "closed.localhost", "open.localhost", robot},
		{"from there to a plain host", "closed.localhost", "plain.localhost", robot},
		{"from there to a host that is none", "closed.localhost", "invented.localhost", robot},
	} {
		for _, protocol := range protocols {
			got := fetch(t, m.showing(protocol, test.serverName, test.shown), "GET", "https://"+strings.ToLower(strings.Split(test.host, ".")[0])+".localhost/", "", "Host: "+test.host)
			if got.StatusCode != http.StatusMisdirectedRequest || strings.Contains(got.text, "Host:") {
				t.Errorf("%s, %s: %d %s", protocol, test.name, got.StatusCode, got.text)
			}
		}
	}
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: closed.localhost\r\n\r\n",
		"GET https://closed.localhost/ HTTP/1.1\r\nHost: closed.localhost\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: closed.localhost\r\n\r\n",
	} {
		if answer, body := says(t, m.connect("open.localhost"), request); answer.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%q: %s %s", request, answer.Status, body)
		}
	}
	for said, want := range map[string]int{"http": 301, "https": 421, "HTTPS": 421} {
		got := fetch(t, m.client("h1"), "GET", "http://closed.localhost/", "", "X-Forwarded-Proto: "+said, "X-Amzn-Mtls-Clientcert-Subject: CN=robot")
		if got.StatusCode != want {
			t.Errorf("plain http, said to be %s: %d %s", said, got.StatusCode, got.text)
		}
	}
	for _, sni := range []string{"", "127.0.0.1"} {
		if c, err := m.handshake(sni); err == nil {
			t.Errorf("a handshake for %q gets %s", sni, c.Subject)
		}
	}
}

// TestClientCAComesAndGoesUnderOpenConnections reloads with and without it.
func TestClientCAComesAndGoesUnderOpenConnections(t *testing.T) {
	m := serveMutual(t)
	robot := m.clients.issue(asItIs)
	without := strings.Replace(mutualHosts, ", client_ca: CLIENTS", "", 1)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			m.reload(without, m.replace...)
			early := m.showing(protocol, "", robot)
			if got := fetch(t, early, "GET", "https://closed.localhost/", ""); got.StatusCode != 200 || strings.Contains(got.text, "Mtls") {
				t.Fatalf("before: %d %s", got.StatusCode, got.text)
			}
			m.reload(mutualHosts, m.replace...)
			if got := fetch(t, early, "GET", "https://closed.localhost/", ""); got.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("a connection that never showed one: %d %s", got.StatusCode, got.text)
			}
			shown := early // its connection ends, or it would be refused for as long as it comes
			await(t, "another handshake", func() bool {
				return strings.Contains(fetch(t, shown, "GET", "https://closed.localhost/", "").text, "Clientcert-Subject: CN=robot")
			})
			m.reload(strings.Replace(mutualHosts, "tls: off", "tls: off, limits: {concurrency: 9}", 1), m.replace...)
			if got := fetch(t, shown, "GET", "https://closed.localhost/", ""); got.StatusCode != 200 {
				t.Errorf("a reload of something else: %d %s", got.StatusCode, got.text)
			}
			m.reload(without, m.replace...)
			if got := fetch(t, m.showing(protocol, "", nil), "GET", "https://closed.localhost/", ""); got.StatusCode != 200 || strings.Contains(got.text, "Mtls") {
				t.Errorf("without it again: %d %s", got.StatusCode, got.text)
			}
			if got := fetch(t, shown, "GET", "https://closed.localhost/", ""); strings.Contains(got.text, "Mtls") {
				t.Errorf("a certificate that nobody asks for is passed on:\n%s", got.text)
			}
			await(t, "another handshake", func() bool { return fetch(t, shown, "GET", "https://closed.localhost/", "").StatusCode == 200 })
		})
	}
}

// TestClientCAIsReplacedWhileServing writes another authority over the file: its clients get in and the others out, without a reload.
func TestClientCAIsReplacedWhileServing(t *testing.T) {
	m := serveMutual(t)
	before, after := m.clients.issue(asItIs), m.others.issue(asItIs)
	open := m.showing("h2", "", before)
	if got := fetch(t, open, "GET", "https://closed.localhost/", ""); got.StatusCode != 200 {
		t.Fatal(got.StatusCode)
	}
	letsIn := func(shown *tls.Certificate) bool {
		answer, err := m.showing("h1", "", shown).Get("https://closed.localhost/")
		if err != nil {
			return false
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode == 200
	}
	began := time.Now()
	m.others.write(m.clients.file)
	await(t, "the new authority", func() bool { return letsIn(after) })
	if took := time.Since(began); took > 2*cert.FileCheckInterval {
		t.Errorf("it took %v", took)
	}
	if letsIn(before) {
		t.Error("a client of the authority that is gone gets in")
	}
	if got := fetch(t, open, "GET", "https://closed.localhost/", ""); got.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a connection from before: %d", got.StatusCode)
	}

	os.WriteFile(m.clients.file, []byte("half of it"), 0o600)
	await(t, "the error", func() bool {
		_, out, _ := command(t, "certs", "-c", m.file)
		return strings.Contains(out, m.clients.file)
	})
	if !letsIn(after) {
		t.Error("a broken file locks everybody out")
	}
	outcome, err := m.Reload(t.Context())
	if err != nil || outcome.Applied || len(outcome.Problems) == 0 || !strings.Contains(outcome.Problems[0].Message, m.clients.file) {
		t.Errorf("a reload with a broken file: %+v, %v", outcome, err)
	}
	for _, line := range []string{"check", "reload", "run"} {
		want := map[string]int{"check": exitUsage, "run": exitUsage, "reload": exitUsage}[line]
		if status, _, errOut := command(t, line, "-c", m.file); status != want || !strings.Contains(errOut, "edge.yaml:9:") || !strings.Contains(errOut, m.clients.file) {
			t.Errorf("edge %s: %d %s", line, status, errOut)
		}
	}
	if !letsIn(after) {
		t.Error("a reload that was refused changed something")
	}
}

// TestSessionsOfHostsWithClientCAAreNotResumed lets a client offer what tickets it has been given.
func TestSessionsOfHostsWithClientCAAreNotResumed(t *testing.T) {
	m := serveMutual(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, want := range map[string]bool{"closed.localhost": false, "open.localhost": true} {
			terms := &tls.Config{ServerName: name, RootCAs: m.roots, Certificates: []tls.Certificate{*m.clients.issue(asItIs)}, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			var resumed bool
			for range 2 {
				resumed = m.visit(t, terms).DidResume
			}
			if resumed != want {
				t.Errorf("%s, %s: resumed %v", name, tls.VersionName(version), resumed)
			}
		}
	}
}
