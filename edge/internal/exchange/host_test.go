package exchange

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestNormalHostname(t *testing.T) {
	const refused = ""
	for host, want := range map[string]string{
		"example.com": "example.com", "Example.COM": "example.com", "example.com.": "example.com", "EXAMPLE.com.:8443": "example.com",
		"localhost:1": "localhost", "a.b:65535": "a.b", "xn--bcher-kva.example": "xn--bcher-kva.example", "my_app.local": "my_app.local",
		"1.example": "1.example", "a--b.c": "a--b.c",
		"127.0.0.1": "127.0.0.1", "127.0.0.1:80": "127.0.0.1",
		"[::1]": "::1", "[::1]:443": "::1", "[2001:DB8:0::1]": "2001:db8::1", "[::ffff:1.2.3.4]": "::ffff:1.2.3.4",
		strings.Repeat("a", 63) + ".b": strings.Repeat("a", 63) + ".b",

		"": refused, ".": refused, "a..b": refused, ".a": refused, "a..": refused, ":80": refused,
		"a:": refused, "a:0": refused, "a:65536": refused, "a:080000": refused, "a:b": refused, "a:+80": refused, "a:80:80": refused,
		"-a.b": refused, "a-.b": refused, "a.-": refused, strings.Repeat("a", 64) + ".b": refused, strings.Repeat("a.", 127) + "a": refused,
		"a b": refused, "a/b": refused, "a@b": refused, "a%2eb": refused, "bücher.example": refused, "a\x00": refused, "*.a.b": refused,
		"127.1": refused, "1.2.3.04": refused, "256.0.0.1": refused, "1.2.3.4.5": refused, "2130706433": refused, "0x7f.1": refused, "a.0x1F": refused, "a.0x": refused,
		"::1": refused, "[::1": refused, "[::1]a": refused, "[::1]:": refused, "[fe80::1%25eth0]": refused, "[fe80::1%eth0]": refused, "[1.2.3.4]": refused, "[]": refused,
	} {
		got, ok := NormalHostname(host)
		if got != want || ok != (want != refused) {
			t.Errorf("NormalHostname(%q) = %q, %v; want %q", host, got, ok, want)
		}
	}
}

func TestNormalHostnameOfNormalNamesDoesNotAllocate(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		for _, h := range []string{"example.com", "www.example.com.:8443", "127.0.0.1:80", "[2001:db8::1]:443"} {
			if _, ok := NormalHostname(h); !ok {
				t.Fatal(h)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNormalHostname(f *testing.F) {
	for _, s := range []string{"Example.com:443", "[::1]:80", "1.2.3.4", "a.0x1", "a_b.c.", "[::FFFF:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, ok := NormalHostname(host)
		if !ok {
			if name != "" {
				t.Fatalf("%q is refused but returned as %q", host, name)
			}
			return
		}
		if name != strings.ToLower(name) || strings.ContainsAny(name, "[]/@%\\ ") || len(name) > 253 {
			t.Fatalf("%q: %q is not a hostname", host, name)
		}
		again := name
		if a, err := netip.ParseAddr(name); err == nil && a.Is6() {
			again = net.JoinHostPort(name, "443")
		} else if strings.HasSuffix(name, ".") || strings.Contains(name, ":") {
			t.Fatalf("%q: %q keeps a dot or port", host, name)
		}
		if n, ok := NormalHostname(again); n != name || !ok {
			t.Fatalf("%q: %q becomes %q, %v", host, name, n, ok)
		}
	})
}
