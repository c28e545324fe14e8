package exchange

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestNormalPath(t *testing.T) {
	const refused = ""
	for raw, want := range map[string]string{
		"/": "/", "*": "*", "/a/b": "/a/b", "/a%20b": "/a%20b", "/a/b/": "/a/b/", "/a;v=1/b,c": "/a;v=1/b,c",
		"/...": "/...", "/.well-known/x": "/.well-known/x", "/a..b/..c": "/a..b/..c",

		"/%61dmin": "/admin", "/%7Euser": "/~user", "/a%2fb": "/a%2Fb", "/a%5cb": "/a%5Cb", "/%e2%82%ac": "/%E2%82%AC",
		"/%252e%252e/": "/%252e%252e/", "/é": "/%C3%A9", "/a|b": "/a%7Cb", "/[1]": "/%5B1%5D", "/%5b1%5d": "/%5B1%5D",

		"/.": "/", "/..": "/", "/../a": "/a", "/a/.": "/a/", "/a/..": "/", "/a/./b": "/a/b", "/a/../b": "/b",
		"/a/b/c/./../../g": "/a/g", "/%2e%2E/a": "/a", "/a/%2e/b": "/a/b", "/a/b%2fc/./d": "/a/b%2Fc/d",

		"//": "//", "//a": "//a", "/a//b": "/a//b", "/a/..//b": "//b", "/a//./b": "/a//b", "/a//b/../c": "/a//c",

		"": refused, "a": refused, "**": refused, "http://h/": refused,
		"/%00": refused, "/a\x00": refused, "/a b": refused, "/a\tb": refused, "/a\x7fb": refused, "/a?b": refused, "/a#b": refused,
		"/%": refused, "/%2": refused, "/%2g": refused, "/%g2": refused, "/%%61": refused,
		`/a\b`: refused, `/..\a`: refused,
		"/a%2f..%2fb": refused, "/..%2f": refused, "/..%5c": refused, "/%2e%2e%2fa": refused, "/a%2F.": refused, "/a%5c..": refused,
		"/..%5Ca/b": refused, "/a%2f./b": refused,
		"/..;/a": refused, "/..;v=1": refused, "/.;/a": refused, "/..%3b/a": refused, "/a%2f..;x%2fb": refused,
		"/a//../b": refused, "//..": refused, "/a//b/../../c": refused, "/a/;x/../b": refused, "/a/%3b/../b": refused,
		"/a%2fb/../c": refused, "/a%5cb/../c": refused,
	} {
		got, err := NormalPath(raw)
		if got != want || (err != nil) != (want == refused) {
			t.Errorf("NormalPath(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestNormalPathOfNormalPathsDoesNotAllocate(t *testing.T) {
	paths := []string{"/", "/assets/index-4f3a.js", "/api/articles/%C3%A9t%C3%A9", "/.well-known/acme-challenge/x", "/a..b/c.d", "/.a/%2F.b/c"}
	n := testing.AllocsPerRun(100, func() {
		for _, p := range paths {
			if _, err := NormalPath(p); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, p := range paths {
		if got, err := NormalPath(p); got != p || err != nil {
			t.Errorf("NormalPath(%q) = %q, %v", p, got, err)
		}
	}
}

func FuzzNormalPath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%61%2f..%2f", "/a//b", "/é|", "*", `/\`, "/a;b/..;c", "/%2e%2E/%2E", "/a%2Fb/./c/.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := NormalPath(raw)
		if err != nil {
			if path != "" {
				t.Fatalf("%q is refused but returned as %q", raw, path)
			}
			return
		}
		if path == "*" {
			return
		}
		if again, err := NormalPath(path); again != path || err != nil {
			t.Fatalf("%q: %q becomes %q, %v", raw, path, again, err)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || path[0] != '/' || strings.ContainsAny(path, "?#\\ \x00") {
			t.Fatalf("%q is not a path: %q", raw, path)
		}
		// Whoever decodes whatever first, there is nothing to climb by.
		for _, p := range []string{path, decoded, strings.ReplaceAll(decoded, `\`, "/")} {
			for segment := range strings.SplitSeq(p, "/") {
				if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
					t.Fatalf("%q: %q has a dot segment", raw, p)
				}
			}
		}
		before, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q is accepted but cannot be decoded", raw)
		}
		if segments := strings.Split(before, "/"); !slices.Contains(segments, ".") && !slices.Contains(segments, "..") {
			if decoded != before {
				t.Fatalf("%q means %q but %q means %q", raw, before, path, decoded)
			}
			return
		}
		want, err := url.Parse("http://h")
		if err != nil {
			t.Fatal(err)
		}
		if want = want.ResolveReference(&url.URL{Path: before}); !strings.Contains(before, "//") && want.Path != decoded {
			t.Fatalf("%q leads to %q, net/url says %q", raw, decoded, want.Path)
		}
	})
}
