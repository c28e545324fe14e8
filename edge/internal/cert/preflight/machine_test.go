package preflight

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhoseAnAddressIs(t *testing.T) {
	addrs := func(texts ...string) (list []netip.Addr) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	for _, tt := range []struct {
		name string
		own  addresses
		addr string
		want owner
	}{
		{"of an interface", addresses{local: addrs("9.9.9.1")}, "9.9.9.1", ours},
		{"of the instance, which EC2 translates", addresses{local: addrs("10.0.0.1"), public: addrs("9.9.9.1")}, "9.9.9.1", ours},
		{"not that of the instance", addresses{local: addrs("10.0.0.1"), public: addrs("9.9.9.1")}, "9.9.9.2", elsewhere},
		{"not that of the interface", addresses{local: addrs("9.9.9.1")}, "9.9.9.2", elsewhere},
		{"behind a router", addresses{local: addrs("10.0.0.1", "127.0.0.1")}, "9.9.9.2", unclear},
		{"behind a carrier's router", addresses{local: addrs("100.64.1.1")}, "9.9.9.2", unclear},
		{"private, and not ours", addresses{local: addrs("10.0.0.1")}, "10.0.0.2", elsewhere},
		{"IPv6 without having any", addresses{local: addrs("9.9.9.1", "fe80::1")}, "2001:db8::1", elsewhere},
		{"another IPv6", addresses{local: addrs("2001:db8::2")}, "2001:db8::1", elsewhere},
		{"nothing known", addresses{err: errors.New("x")}, "9.9.9.1", unclear},
	} {
		if got := tt.own.whose(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

func TestAnEC2InstanceKnowsItsPublicAddress(t *testing.T) {
	answers := map[string]string{"PUT /latest/api/token ": "the-token\n", "GET /latest/meta-data/public-ipv4 the-token": "192.0.2.7"}
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, ok := answers[r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Aws-Ec2-Metadata-Token")]; ok {
			fmt.Fprint(w, text)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer metadata.Close()
	w := world{metadata: metadata.URL}
	if addr, ok := w.elastic(t.Context()); !ok || addr.String() != "192.0.2.7" {
		t.Errorf("%v %t", addr, ok)
	}
	answers["GET /latest/meta-data/public-ipv4 the-token"] = "<html>"
	if addr, ok := w.elastic(t.Context()); ok {
		t.Errorf("%v", addr)
	}
	w.metadata = "http://127.0.0.1:1"
	if addr, ok := w.elastic(t.Context()); ok {
		t.Errorf("%v", addr)
	}
}

func TestPublicCAsCannotComeToAPrivateAddress(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com A 127.0.0.1"))
	cfg := configure(t, "tls: {email: ops@example.com}\nhosts: {a.example.com: {default: {respond: {}}}}\n")
	in := newInspection(Options{Config: cfg}, w)
	addr := netip.MustParseAddr("127.0.0.1")
	f, found := in.strange(in.ownAddresses(t.Context()), in.subjects[0], addr, true)
	if !found || f.Result != Fail || !strings.Contains(f.Seen, "private") {
		t.Errorf("%+v", f)
	}
	serve(t, &in.world, edgeLike)
	if findings, open := in.knocks(t.Context(), in.subjects[0]); open {
		t.Errorf("a way that only this host can take is open: %+v", findings)
	}
}

func TestCAsThatCannotBeAsked(t *testing.T) {
	w := testWorld(startDNS(t))
	url, root := startCA(t, `"externalAccountRequired": true, "termsOfService": "https://ca/\u001b[31mterms"`)
	status := httptest.NewTLSServer(http.NotFoundHandler())
	defer status.Close()
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer page.Close()
	rootOfTests := writePEM(t, page.Certificate().Raw)
	for name, tt := range map[string]struct{ issuer, want, do string }{
		"unknown customer": {fmt.Sprintf("{directory: %q, ca: %q}", url, root), "fail only accounts that it knows", "eab"},
		"known customer":   {fmt.Sprintf("{directory: %q, ca: %q, eab: {kid: a, hmac: c2VjcmV0}}", url, root), "ok https://ca/[31mterms", ""},
		"root not given":   {fmt.Sprintf("{directory: %q}", url), "fail certificate", "ca: FILE"},
		"root is gone":     {fmt.Sprintf("{directory: %q, ca: gone.pem}", url), "fail gone.pem: no such file", ""},
		"refuses":          {"{directory: 'https://127.0.0.1:1/'}", "fail refused", "URL"},
		"says 404":         {fmt.Sprintf("{directory: %q, ca: %q}", status.URL, rootOfTests), "fail answers 404", "URL"},
		"is a page":        {fmt.Sprintf("{directory: %q, ca: %q}", page.URL, rootOfTests), "fail no ACME directory", "URL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configure(t, "tls: {issuers: ["+tt.issuer+"]}\nhosts: {a.example.com: {default: {respond: {}}}}\n")
			findings := inspect(t, cfg, w)
			expect(t, findings, "ca", tt.want)
			for _, f := range findings {
				if f.Check == "ca" && !strings.Contains(f.Do, tt.do) {
					t.Errorf("to do: %q, want %q", f.Do, tt.do)
				}
			}
		})
	}
}

func TestTheClock(t *testing.T) {
	ns := startDNS(t)
	cfg := oneHost(t, "a.example.com", "")
	for _, tt := range []struct {
		off  time.Duration
		kept bool
		err  error
		want string
	}{
		{0, true, nil, "ok kept by NTP; right now it agrees with https://"},
		{0, false, nil, "warn not kept by NTP; right now it agrees with https://"},
		{0, false, errors.New("forbidden"), "ok not known: forbidden; right now it agrees with"},
		{10 * time.Minute, true, nil, "warn 10m0s ahead of that of"},
		{-10 * time.Minute, true, nil, "warn 10m0s behind that of"},
		{-2 * time.Hour, true, nil, "fail 2h0m0s behind that of"},
	} {
		w := testWorld(ns)
		w.now = func() time.Time { return time.Now().Add(tt.off).Truncate(time.Second) }
		w.ntp = func() (bool, error) { return tt.kept, tt.err }
		var got Finding
		for _, f := range inspect(t, cfg, w) {
			if f.Check == "clock" {
				got = f
			}
		}
		got.Seen = strings.NewReplacer("9m59s", "10m0s", "10m1s", "10m0s", "1h59m59s", "2h0m0s", "2h0m1s", "2h0m0s").Replace(got.Seen)
		expect(t, []Finding{got}, "clock", tt.want)
	}
}

func TestTheStorage(t *testing.T) {
	ns := startDNS(t)
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string, w *world)
		want    string
	}{
		"is well":      {func(*testing.T, string, *world) {}, "ok MiB left"},
		"is not there": {func(_ *testing.T, dir string, _ *world) { os.Remove(dir) }, "warn does not exist yet"},
		"is a file":    {func(_ *testing.T, dir string, _ *world) { os.Remove(dir); os.WriteFile(dir, nil, 0o600) }, "fail is no folder"},
		"is full": {func(_ *testing.T, _ string, w *world) {
			w.room = func(string) (uint64, uint64, error) { return 1000, 1e6, nil }
		}, "fail has 0 MiB left"},
		"is nearly full": {func(_ *testing.T, _ string, w *world) {
			w.room = func(string) (uint64, uint64, error) { return 50 << 20, 1e6, nil }
		}, "warn has 50 MiB left"},
		"has no inodes": {func(_ *testing.T, _ string, w *world) {
			w.room = func(string) (uint64, uint64, error) { return 1 << 40, 3, nil }
		}, "fail 3 inodes"},
		"is another user's": {func(t *testing.T, dir string, _ *world) {
			file := filepath.Join(dir, "certificates", "acme", "account.key")
			os.MkdirAll(filepath.Dir(file), 0o700)
			os.WriteFile(file, nil, 0o600)
			if os.Getuid() != 0 {
				t.Skip("SKIPPED: only root can give files away")
			}
			os.Chown(file, 12345, 12345)
		}, "fail account.key belongs to another user"},
		"is closed to us": {func(t *testing.T, dir string, _ *world) {
			if os.Getuid() == 0 {
				t.Skip("SKIPPED: nothing is closed to root")
			}
			os.Chmod(dir, 0o500)
		}, "fail can't be written to"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configure(t, "tls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {}}}}\n")
			w := testWorld(ns)
			tt.prepare(t, cfg.DataDir, &w)
			expect(t, inspect(t, cfg, w), "storage", tt.want)
			if files, _ := filepath.Glob(cfg.DataDir + "/*"); len(files) > 1 {
				t.Errorf("it left %v", files)
			}
		})
	}
}

// certify makes a certificate for a name.
func certify(t *testing.T, name string, from, to time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Some CA"}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertificatesThatThereAre(t *testing.T) {
	ns := startDNS(t)
	now := time.Now()
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		file        []byte // PEM
		want, file2 string // want of a kept one, and of a host's file
	}{
		"fresh":            {certPEM(t, certify(t, "*.localhost", now, now.Add(90*day))), "ok one by Some CA ends on", "ok one by"},
		"due":              {certPEM(t, certify(t, "*.localhost", now.Add(-80*day), now.Add(10*day))), "warn ends on", "warn ends on"},
		"over":             {certPEM(t, certify(t, "*.localhost", now.Add(-90*day), now.Add(-day))), "warn ends on", "fail ends on"},
		"for another name": {certPEM(t, certify(t, "b.example", now, now.Add(90*day))), "warn not any.localhost", "fail not any.localhost"},
		"damaged":          {[]byte("x"), "warn holds no PEM certificate", "fail holds no PEM certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configure(t, "tls: {issuers: [local]}\nhosts: {'*.localhost': {default: {respond: {}}}}\n")
			file := filepath.Join(cfg.DataDir, "certificates/certificates/local/wildcard_.localhost/wildcard_.localhost.crt")
			os.MkdirAll(filepath.Dir(file), 0o700)
			os.WriteFile(file, tt.file, 0o600)
			expect(t, inspect(t, cfg, testWorld(ns)), "certificate", tt.want)
			cfg = configure(t, fmt.Sprintf("hosts: {'*.localhost': {tls: {cert: %q, key: none}, default: {respond: {}}}}\n", file))
			findings := inspect(t, cfg, testWorld(ns))
			expect(t, findings, "configuration", "ok from "+file)
			expect(t, findings, "certificate", tt.file2)
		})
	}
}

func certPEM(t *testing.T, der []byte) []byte {
	t.Helper()
	text, err := os.ReadFile(writePEM(t, der))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
