package cert

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// A kept certificate begins and ends days from now, and was got days ago.
type kept struct {
	issuer                    string // a folder
	begins, ends, got, serial int
}

const (
	caA = "127.0.0.1_1-a"
	caB = "127.0.0.1_1-b"
	caC = "127.0.0.1_1-c" // nobody's issuer any more
)

// put keeps a certificate of www.example.com in dir.
func (k kept) put(t *testing.T, dir string) {
	t.Helper()
	const name = "www.example.com"
	day := func(n int) time.Time { return time.Now().Add(time.Duration(n) * 24 * time.Hour) }
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: newSerial(), DNSNames: []string{name}, NotBefore: day(k.begins), NotAfter: day(k.ends)}
	template.SerialNumber.SetInt64(int64(k.serial))
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "certificates", "certificates", k.issuer, name, name)
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{
		base + ".crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		base + ".key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		base + ".json": []byte("{}"),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, day(-k.got), day(-k.got)); err != nil {
			t.Fatal(err)
		}
	}
}

// fromAAndB has two CAs that are not there issue the certificate of www.example.com.
func fromAAndB() *config.Config {
	return &config.Config{
		Hosts:  map[string]config.Host{"www.example.com": {}},
		TLS:    config.TLS{Issuers: []config.Issuer{{Directory: "https://127.0.0.1:1/a"}, {Directory: "https://127.0.0.1:1/b"}}},
		Listen: config.Listen{HTTP: []string{":80"}, HTTPS: []string{":443"}},
	}
}

func TestTheBestOfWhatIsKeptIsServed(t *testing.T) {
	for what, test := range map[string]struct {
		kept []kept
		want int
	}{
		"the one that is good, though it begins earlier":    {[]kept{{caA, -10, -4, 10, 1}, {caB, -20, 70, 20, 2}}, 2},
		"the one that came last, though it begins earlier":  {[]kept{{caA, -1, 89, 1, 1}, {caB, -2, 88, 0, 2}}, 2},
		"the one that is good for long":                     {[]kept{{caA, -80, 10, 0, 1}, {caB, -30, 60, 30, 2}}, 2},
		"the one that has begun":                            {[]kept{{caA, 100, 190, 0, 1}, {caB, -30, 60, 30, 2}}, 2},
		"that of the issuers that are configured":           {[]kept{{caA, -30, 60, 30, 1}, {caC, -1, 89, 1, 2}}, 1},
		"a good one of a CA that no longer is":              {[]kept{{caA, -95, -5, 95, 1}, {caC, -30, 60, 30, 2}}, 2},
		"a good one of a CA that no longer is, and nothing": {[]kept{{caC, -30, 60, 30, 2}}, 2},
		"one that has ended rather than none":               {[]kept{{caA, -95, -5, 95, 1}}, 1},
		"none of a local CA that was replaced":              {[]kept{{"local-0123456789abcdef", -1, 29, 1, 1}}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			for _, k := range test.kept {
				k.put(t, dir)
			}
			m := newTestManager(t, dir)
			served := func() int {
				set, err := m.Plan(t.Context(), fromAAndB())
				if err != nil {
					t.Fatal(err)
				}
				m.Use(set)
				n := set.names["www.example.com"]
				if n.leaf() == nil {
					return 0
				}
				if err := n.managed.load(t.Context()); err != nil { // a second look finds the same
					t.Error(err)
				}
				return int(n.leaf().SerialNumber.Int64())
			}
			if got := served(); got != test.want {
				t.Errorf("%d is served, want %d", got, test.want)
			}
			if got := served(); got != test.want {
				t.Errorf("%d is served after a reload, want %d", got, test.want)
			}
		})
	}
}

// A thousand reloads, each of which replaces what keeps the certificates, leave neither goroutines nor open files.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	kept{caA, -1, 89, 1, 1}.put(t, dir)
	clients := filepath.Join(dir, "clients.pem")
	if err := os.WriteFile(clients, newAuthority(t, "clients").pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newTestManager(t, dir)
	running := make(chan error, 1)
	go func() { running <- m.Run(t.Context()) }()
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("SKIPPED: ", err)
		}
		return len(files)
	}
	var goroutines, files int
	for i := range 1000 {
		cfg := fromAAndB()
		cfg.TLS.CheckInterval = time.Hour + time.Duration(i%2)
		cfg.Hosts["www.example.com"] = config.Host{TLS: config.HostTLS{ClientCA: clients}}
		set, err := m.Plan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if m.Use(set); i == 10 {
			goroutines, files = runtime.NumGoroutine(), open()
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines+5 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > goroutines+5 {
		t.Errorf("%d goroutines became %d", goroutines, now)
	}
	if now := open(); now > files+5 {
		t.Errorf("%d open files became %d", files, now)
	}
}

// However many hosts have one client_ca, and however often the configuration is read, the file is read once.
func TestAClientCAIsReadOnce(t *testing.T) {
	h := newMutualHouse(t)
	before := h.serving.Load().names["closed.localhost"].clients
	h.use()
	for name, s := range h.serving.Load().names {
		if s.clients != nil && s.clients != before {
			t.Errorf("%s has authorities of its own", name)
		}
	}
}
