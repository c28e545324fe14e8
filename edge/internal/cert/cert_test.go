package cert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// serve plans hosts on a new manager in dir and returns it, serving.
func serve(t *testing.T, dir string, hosts map[string]config.Host) *cert.Manager {
	t.Helper()
	m, err := cert.New(dir, cert.Sharing{}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	use(t, m, hosts)
	return m
}

func use(t *testing.T, m *cert.Manager, hosts map[string]config.Host) {
	t.Helper()
	set, err := m.Plan(t.Context(), withLocalCA(hosts))
	if err != nil {
		t.Fatal(err)
	}
	m.Use(set)
}

func withLocalCA(hosts map[string]config.Host) *config.Config {
	return &config.Config{Hosts: hosts, TLS: config.TLS{Issuers: []config.Issuer{{Name: config.Local}}}}
}

// handshake returns the certificate that a client asking for name gets, over real sockets.
func handshake(t *testing.T, m *cert.Manager, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		tls.Server(c, m.TLS()).Handshake()
	}()
	defer func() { <-served }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	client := tls.Client(c, &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil})
	if err := client.Handshake(); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates[0], nil
}

func localRoots(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	root, _, err := cert.ReadLocalCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool
}

func TestLocalCAServesEveryName(t *testing.T) {
	dir := t.TempDir()
	m := serve(t, dir, map[string]config.Host{
		"localhost":         {Aliases: []string{"www.localhost"}},
		"*.apps.localhost":  {},
		"shop.example.org":  {},
		"127.0.0.1":         {},
		"plain.example.org": {TLS: config.HostTLS{Off: true}},
	})
	roots := localRoots(t, dir)
	for _, name := range []string{"localhost", "www.localhost", "LOCALHOST", "a.apps.localhost", "shop.example.org", "127.0.0.1"} {
		if _, err := handshake(t, m, name, roots); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"other.localhost", "a.b.apps.localhost", "apps.localhost", "plain.example.org", "example.org"} {
		_, err := handshake(t, m, name, nil)
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: got %v, want the alert unrecognized_name", name, err)
		}
	}
}

func TestNoServerName(t *testing.T) {
	m := serve(t, t.TempDir(), map[string]config.Host{"localhost": {}})
	if _, err := handshake(t, m, "", nil); err == nil {
		t.Error("a handshake without a name got a certificate, and no IP address is a host")
	}
	use(t, m, map[string]config.Host{"localhost": {}, "127.0.0.1": {}})
	c, err := handshake(t, m, "", nil)
	if err != nil || c.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("got %v, %v; want the certificate of 127.0.0.1", c, err)
	}
}

func TestLocalCertificatesAreKept(t *testing.T) {
	dir := t.TempDir()
	hosts := map[string]config.Host{"localhost": {}}
	first, err := handshake(t, serve(t, dir, hosts), "localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := handshake(t, serve(t, dir, hosts), "localhost", localRoots(t, dir))
	if err != nil || !again.Equal(first) {
		t.Errorf("another certificate after a restart (%v)", err)
	}
}

// TestLocalCAIsConstrained has the CA's own key sign for a name that it was not made for: clients must refuse it.
func TestLocalCAIsConstrained(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, map[string]config.Host{"shop.example.org": {}})
	root, _, err := cert.ReadLocalCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca", "root.crt"), filepath.Join(dir, "ca", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{"shop.example.org": true, "a.localhost": true, "bank.example.com": false, "example.org": false, "8.8.8.8": false, "10.1.2.3": true} {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = []net.IP{ip}
		} else {
			template.DNSNames = []string{name}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), stolen.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: localRoots(t, dir)})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "ca", "root.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the CA's key is readable by others: %v %v", info.Mode(), err)
	}
}

func TestNewHostReplacesLocalCA(t *testing.T) {
	dir := t.TempDir()
	m := serve(t, dir, map[string]config.Host{"localhost": {}})
	old := localRoots(t, dir)
	hosts := map[string]config.Host{"localhost": {}, "shop.example.org": {}}
	problems := cert.Check(&config.Config{DataDir: dir, Hosts: hosts, TLS: withLocalCA(nil).TLS})
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "shop.example.org") {
		t.Errorf("nobody is warned: %+v", problems)
	}
	use(t, m, hosts)
	for _, name := range []string{"localhost", "shop.example.org"} {
		if _, err := handshake(t, m, name, localRoots(t, dir)); err != nil {
			t.Errorf("%s under the new root: %v", name, err)
		}
		if _, err := handshake(t, m, name, old); err == nil {
			t.Errorf("%s still comes from the old root", name)
		}
	}
	aside, _ := filepath.Glob(filepath.Join(dir, "ca", "root-until-*.crt"))
	if len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

func TestBrokenLocalCAIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, map[string]config.Host{"localhost": {}})
	key := filepath.Join(dir, "ca", "root.key")
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := cert.New(dir, cert.Sharing{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = m.Plan(t.Context(), withLocalCA(map[string]config.Host{"localhost": {}}))
	if err == nil || !strings.Contains(err.Error(), "root.key") {
		t.Errorf("got %v", err)
	}
	if data, _ := os.ReadFile(key); string(data) != "nonsense" {
		t.Error("the file was overwritten")
	}
}

// pemFiles writes a self-signed certificate for names.
func pemFiles(t *testing.T, dir, name string, names ...string) config.HostTLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: names, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := config.HostTLS{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	write(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return files
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreServedAndReloaded(t *testing.T) {
	dir := t.TempDir()
	files := pemFiles(t, dir, "a", "a.example.com", "b.example.com")
	m := serve(t, dir, map[string]config.Host{
		"a.example.com": {TLS: files, Aliases: []string{"b.example.com"}},
		"*":             {TLS: pemFiles(t, dir, "rest", "rest.example.net")},
	})
	common := func(name string) string {
		c, err := handshake(t, m, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Subject.CommonName
	}
	if got := common("b.example.com") + " " + common("whatever.example.net"); got != "a rest" {
		t.Errorf("served %s", got)
	}
	covers := func(sni, hostname string) bool { return m.Covers(&tls.ConnectionState{ServerName: sni}, hostname) }
	if !covers("a.example.com", "b.example.com") || covers("a.example.com", "c.example.com") || !covers("x.example.net", "y.example.net") {
		t.Error("Covers does not say what the served certificates say")
	}

	first, _ := handshake(t, m, "a.example.com", nil)
	pemFiles(t, dir, "a", "a.example.com") // as another program would renew it
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	deadline := time.Now().Add(5 * cert.FileCheckInterval)
	for {
		c, err := handshake(t, m, "a.example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Equal(first) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new files are not served")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHalfWrittenFilesChangeNothing(t *testing.T) {
	dir := t.TempDir()
	files := pemFiles(t, dir, "a", "a.example.com")
	hosts := map[string]config.Host{"a.example.com": {TLS: files}}
	m := serve(t, dir, hosts)
	write(t, files.Key, []byte("half a k"))
	if _, err := m.Plan(t.Context(), withLocalCA(hosts)); err == nil || !strings.Contains(err.Error(), files.Key) {
		t.Errorf("plan with a broken key: %v", err)
	}
	if _, err := handshake(t, m, "a.example.com", nil); err != nil {
		t.Errorf("what was served is not any more: %v", err)
	}
	if st := m.Status(); len(st) != 1 || st[0].Error == "" || st[0].Source != files.Cert {
		t.Errorf("status: %+v", st)
	}
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.crt") // nobody will ever write to it
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.crt")
	write(t, large, make([]byte, 2<<20))
	good := pemFiles(t, dir, "a", "a.example.com")
	for file, want := range map[string]string{pipe: "not a regular file", "/dev/zero": "not a regular file", dir: "not a regular file", large: "too large"} {
		checked := make(chan []config.Problem, 1)
		go func() {
			checked <- cert.Check(&config.Config{Hosts: map[string]config.Host{"a.example.com": {TLS: config.HostTLS{Cert: file, Key: good.Key}}}})
		}()
		select {
		case problems := <-checked:
			if len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
				t.Errorf("%s: %+v", file, problems)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s is waited for", file)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	problems := cert.Check(&config.Config{TLS: withLocalCA(nil).TLS, Hosts: map[string]config.Host{
		"missing.example.com": {TLS: config.HostTLS{Cert: filepath.Join(dir, "no.crt"), Key: filepath.Join(dir, "no.key")}},
	}})
	if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "no.crt") {
		t.Errorf("missing file: %+v", problems)
	}
	problems = cert.Check(&config.Config{TLS: withLocalCA(nil).TLS, Hosts: map[string]config.Host{
		"good.example.com":  {TLS: pemFiles(t, dir, "good", "good.example.com")},
		"*.example.com":     {TLS: pemFiles(t, dir, "wild", "*.example.com")},
		"other.example.com": {TLS: pemFiles(t, dir, "other", "another.example.com")},
	}})
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "other.example.com") {
		t.Errorf("certificate for another name: %+v", problems)
	}
}

func TestStatusAndMetrics(t *testing.T) {
	m := serve(t, t.TempDir(), map[string]config.Host{"localhost": {}, "*.localhost": {}})
	st := m.Status()
	if len(st) != 2 || st[1].Host != "localhost" || !strings.HasPrefix(st[1].Issuer, "edge local CA") ||
		!st[1].NextRenewal.After(time.Now()) || !st[1].NextRenewal.Before(st[1].NotAfter) {
		t.Errorf("status: %+v", st)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int64)
	for _, family := range families {
		for _, metric := range family.Metric {
			got[family.GetName()+" "+metric.Label[0].GetValue()] = int64(metric.Gauge.GetValue())
		}
	}
	want := map[string]int64{
		"edge_cert_failing localhost": 0, "edge_cert_failing *.localhost": 0,
		"edge_cert_not_after_seconds localhost": st[1].NotAfter.Unix(), "edge_cert_not_after_seconds *.localhost": st[0].NotAfter.Unix(),
		"edge_cert_next_renewal_seconds localhost": st[1].NextRenewal.Unix(), "edge_cert_next_renewal_seconds *.localhost": st[0].NextRenewal.Unix(),
	}
	if !maps.Equal(got, want) {
		t.Errorf("metrics: %v\nwant %v", got, want)
	}
}
