package preflight

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"
)

func TestAnAccountKeyThatCannotBeReadIsFound(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w := testWorld(startDNS(t))
	for name, tt := range map[string]struct {
		keep func(file string) error
		want []string
	}{
		"not made yet": {func(string) error { return nil }, nil},
		"good":         {func(file string) error { return os.WriteFile(file, good, 0o600) }, []string{"ok is kept"}},
		"damaged":      {func(file string) error { return os.WriteFile(file, good[:60], 0o600) }, []string{"fail account.key can't be read"}},
		"empty":        {func(file string) error { return os.WriteFile(file, nil, 0o600) }, []string{"fail account.key can't be read"}},
		"a folder":     {func(file string) error { return os.Mkdir(file, 0o700) }, []string{"fail account.key can't be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := oneHost(t, "a.example.com", "")
			address := strings.TrimSuffix(strings.TrimPrefix(cfg.IssuersOf(cfg.Hosts["a.example.com"])[0].Directory, "https://"), "/dir")
			file := filepath.Join(cfg.DataDir, "certificates", "acme", strings.Replace(address, ":", "_", 1)+"-dir", "account.key")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tt.keep(file); err != nil {
				t.Fatal(err)
			}
			expect(t, inspect(t, cfg, w), "account", tt.want...)
		})
	}
}
