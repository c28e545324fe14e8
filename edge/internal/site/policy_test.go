package site

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func policyOf(t *testing.T, csp config.CSP, files map[string]string, path string) string {
	t.Helper()
	return get(open(t, config.Site{Root: plant(t, files), CSP: csp}, Options{}), "GET", path).Fields.Get("Content-Security-Policy")
}

func page(content string) map[string]string { return map[string]string{"index.html": content} }

func TestPolicy(t *testing.T) {
	sha := func(script string) string {
		sum := sha256.Sum256([]byte(script))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	const inline = "\nif (1 < 2 && '&amp;') go()\n"
	csp := func(key string, sources ...string) config.CSP {
		return config.CSP{Sources: map[string][]string{key: sources}}
	}
	for _, c := range []struct {
		name  string
		csp   config.CSP
		files map[string]string
		want  []string // whole directives
	}{
		{"defaults", config.CSP{}, page("x"), []string{"default-src 'self'", "script-src 'self'", "style-src 'self' 'unsafe-inline'",
			"img-src 'self' data: blob:", "connect-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'self'"}},
		{"more sources", csp("connect", "https://api.example.com", "wss://live.example.com"), page("x"),
			[]string{"connect-src 'self' https://api.example.com wss://live.example.com"}},
		{"a directive without -src", csp("frame-ancestors", "https://a.example"), page("x"), []string{"frame-ancestors 'self' https://a.example"}},
		{"none takes the place", csp("frame-ancestors", "'none'"), page("x"), []string{"frame-ancestors 'none'"}},
		{"inline script", config.CSP{}, page("<SCRIPT>" + inline + "</SCRIPT>"), []string{"script-src 'self' " + sha(inline)}},
		{"inline module", config.CSP{}, page("<script type=module>a()</script>"), []string{"script-src 'self' " + sha("a()")}},
		{"the same twice", config.CSP{}, page("<script>a</script><script>a</script><script>b</script>"), []string{"script-src 'self' " + sha("a") + " " + sha("b")}},
		{"line ends as a browser reads them", config.CSP{}, page("<script>a\r\nb\rc</script>"), []string{"script-src 'self' " + sha("a\nb\nc")}},
		{"not scripts", config.CSP{}, page(`<script src="/a.js">x</script><script type="application/ld+json">{}</script><script></script><!-- <script>x</script> -->`),
			[]string{"script-src 'self'"}},
		{"unsafe-inline is not taken back by a hash", csp("script", "'unsafe-inline'"), page("<script>a</script>"), []string{"script-src 'self' 'unsafe-inline'"}},
		{"a site with WebAssembly", config.CSP{}, map[string]string{"index.html": "x", "a.wasm": "w"}, []string{"script-src 'self' 'wasm-unsafe-eval'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Split(policyOf(t, c.csp, c.files, "/"), "; ")
			for _, want := range c.want {
				if !slices.Contains(got, want) {
					t.Errorf("no %q in %q", want, got)
				}
			}
		})
	}
	if got := policyOf(t, config.CSP{Off: true}, page("x"), "/"); got != "" {
		t.Errorf("off: %q", got)
	}
	if got := policyOf(t, config.CSP{}, map[string]string{"a.svg": "<svg/>"}, "/a.svg"); got == "" {
		t.Error("an SVG, which may run scripts, has none")
	}
}

func FuzzInlineScripts(f *testing.F) {
	f.Add([]byte("<script>a</script>"))
	f.Add([]byte("<script><!--<script></script>--></script><script type=x>"))
	f.Fuzz(func(t *testing.T, page []byte) {
		for _, hash := range inlineScripts(page) {
			if strings.ContainsAny(hash, " ;,\r\n") {
				t.Errorf("%q", hash)
			}
		}
	})
}
