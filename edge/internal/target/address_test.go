package target

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		url  string
		want Address // zero: refused
	}{
		{"http://127.0.0.1:1337", Address{"http", "tcp", "127.0.0.1:1337", "127.0.0.1:1337"}},
		{"http://App.internal/", Address{"http", "tcp", "app.internal:80", "App.internal"}},
		{"https://[::1]", Address{"https", "tcp", "[::1]:443", "[::1]"}},
		{"h2c://localhost:50051", Address{"h2c", "tcp", "localhost:50051", "localhost:50051"}},
		{"unix:/run/app@1.sock", Address{"http", "unix", "/run/app@1.sock", "localhost"}},
		{"unix:///run/app.sock", Address{"http", "unix", "/run/app.sock", "localhost"}},
		{"unix:app.sock", Address{}},
		{"unix:/" + strings.Repeat("x", maxSocketPath), Address{}},
		{"", Address{}},
		{"127.0.0.1:1337", Address{}},
		{"localhost:1337", Address{}},
		{"ftp://a", Address{}},
		{"http://", Address{}},
		{"http://:80", Address{}},
		{"http://a:", Address{}},
		{"http://a:0", Address{}},
		{"http://a:65536", Address{}},
		{"http://a/path", Address{}},
		{"http://a?q", Address{}},
		{"http://a?", Address{}},
		{"http://a#f", Address{}},
		{"http://a b", Address{}},
		{"http://a;b", Address{}},
		{"http://[fe80::1%25eth0]:8080", Address{"http", "tcp", "[fe80::1%eth0]:8080", "[fe80::1%eth0]:8080"}},
	}
	for _, test := range tests {
		got, err := ParseAddress(test.url)
		if (err == nil) != (test.want != Address{}) || got != test.want {
			t.Errorf("%s: %+v, %v", test.url, got, err)
		}
	}
}

func TestAPasswordIsNotRepeated(t *testing.T) {
	for _, url := range []string{"http://user:geheim@a", "http://user:geheim @a"} {
		if _, err := ParseAddress(url); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, url := range []string{a, "https://[::1]:8443", "unix:/run/x", "h2c://A.b:1/", "http://a%20b", "http://[fe80::1%25eth0]"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		first, err := ParseAddress(url)
		if err != nil {
			return
		}
		again, err := ParseAddress(first.String())
		if err != nil || again.String() != first.String() || again.Dial != first.Dial {
			t.Errorf("%q is %+v, but its canonical form %q is %+v, %v", url, first, first.String(), again, err)
		}
		first.TLSConfig()
	})
}

func TestCheck(t *testing.T) {
	cfg := &config.Config{TargetGroups: map[string]config.TargetGroup{
		"good": group(a, b),
		"bad":  weighted(group(a, "nonsense", "http://A:80/", c), 1, 1, 1, -1),
	}}
	var got []string
	for _, p := range Check(cfg) {
		got = append(got, p.Message)
	}
	if len(got) != 3 || !strings.Contains(got[0], "nonsense") || !strings.Contains(got[1], "already (number 1)") || !strings.Contains(got[2], "weight") {
		t.Errorf("%q", got)
	}
}
