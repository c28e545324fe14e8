package cert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestClientCAFilesThatAreRefused(t *testing.T) {
	a := newAuthority(t, "a")
	many := strings.Repeat(string(newAuthority(t, strings.Repeat("long", 1000)).pem()), 10)
	for name, tt := range map[string]struct{ content, want string }{
		"empty":            {"", "no certificate"},
		"text":             {"hello", "no certificate"},
		"a key":            {string(a.pem()) + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE KEY"},
		"cut off":          {string(a.pem()) + string(a.pem()[:200]), "1 are whole"},
		"broken in middle": {string(a.pem()[:200]) + "\n" + string(a.pem()), "1 are whole"},
		"no authority":     {string(pemOf(a.clientCertificate("robot").Leaf)), "not one of a certificate authority"},
		"no certificate":   {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1"},
		"too many":         {many, "too many"},
	} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		os.WriteFile(file, []byte(tt.content), 0o600)
		cfg := &config.Config{Hosts: map[string]config.Host{"a.example": {TLS: config.HostTLS{ClientCA: file}}}}
		if got := checkClientCA(cfg, "a.example"); len(got) != 1 || !strings.Contains(got[0].Message, tt.want) || !strings.Contains(got[0].Message, file) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, err := readClientCA(filepath.Join(t.TempDir(), "missing.pem")); err == nil {
		t.Error("missing")
	}
	if got, err := parseClientCA([]byte("# the root\n" + string(a.pem()) + "\n# another\n" + string(a.pem()))); err != nil || len(got) != 2 {
		t.Error("comments between certificates:", err)
	}
}

func FuzzClientCA(f *testing.F) {
	a := newAuthority(f, "a")
	f.Add(a.pem())
	f.Add(append(a.pem(), a.pem()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		authorities, err := parseClientCA(data)
		if (err == nil) != (len(authorities) > 0) {
			t.Error(len(authorities), err)
		}
	})
}
