package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/onehost/edge/core/config"
)

// policy is the Content-Security-Policy of a site's pages: everything from the site itself, nothing from elsewhere but
// what the configuration names.
//
// A Vue or React app built by Vite lives with it as it is. Inline styles are allowed, since component libraries insert them
// at run time; inline scripts are only those that stand in the page as built, each by its hash. WebAssembly may be compiled
// if the site brings some.
type policy struct {
	off        bool
	directives []directive
}

type directive struct {
	name    string
	sources []string
}

func newPolicy(cfg config.CSP, files []*file) policy {
	p := policy{off: cfg.Off, directives: []directive{
		{"default-src", []string{"'self'"}},
		{"script-src", []string{"'self'"}},
		{"style-src", []string{"'self'", "'unsafe-inline'"}},
		{"img-src", []string{"'self'", "data:", "blob:"}},
		{"font-src", []string{"'self'", "data:"}},
		{"media-src", []string{"'self'", "blob:"}},
		{"worker-src", []string{"'self'", "blob:"}},
		{"connect-src", []string{"'self'"}},
		{"frame-src", []string{"'self'"}},
		{"object-src", []string{"'none'"}},
		{"base-uri", []string{"'self'"}},
		{"form-action", []string{"'self'"}},
		{"frame-ancestors", []string{"'self'"}},
	}}
	if slices.ContainsFunc(files, func(f *file) bool { return f.contentType == "application/wasm" }) {
		p.allow("script-src", "'wasm-unsafe-eval'")
	}
	for key, sources := range cfg.Sources {
		p.allow(directiveName(key), sources...)
	}
	return p
}

// directiveName returns the directive that a key of the configuration stands for.
func directiveName(key string) string {
	if key == "form-action" || key == "frame-ancestors" {
		return key
	}
	return key + "-src"
}

// allow adds sources to a directive; 'none' stands alone, so it takes the place of what was there.
func (p *policy) allow(name string, sources ...string) {
	i := slices.IndexFunc(p.directives, func(d directive) bool { return d.name == name })
	if i < 0 {
		return // Check has told
	}
	if slices.Contains(sources, "'none'") {
		p.directives[i].sources = sources
		return
	}
	p.directives[i].sources = append(p.directives[i].sources, sources...)
}

// apply gives every page its policy.
func (p policy) apply(files []*file) {
	if p.off {
		return
	}
	for _, f := range files {
		if isDocument(f.contentType) {
			f.policy = p.of(f)
		}
	}
}

// of writes the policy of one page.
func (p policy) of(f *file) string {
	var b strings.Builder
	for i, d := range p.directives {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(d.name + " " + strings.Join(d.sources, " "))
		if d.name != "script-src" || slices.Contains(d.sources, "'unsafe-inline'") || slices.Contains(d.sources, "'none'") {
			continue // a hash would take 'unsafe-inline' back (CSP Level 3, section 6.7.3.2)
		}
		for _, hash := range inlineScripts(f.data) {
			b.WriteString(" " + hash)
		}
	}
	return b.String()
}

// inlineScripts returns the hash sources of the scripts that stand in a page (CSP Level 3, section 6.7.3.3).
func inlineScripts(page []byte) []string {
	var hashes []string
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return hashes
		}
		if kind != html.StartTagToken {
			continue
		}
		if t := z.Token(); t.Data != "script" || !runsInline(t) || z.Next() != html.TextToken {
			continue
		}
		sum := sha256.Sum256(z.Text()) // with line ends as a browser's parser leaves them
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !slices.Contains(hashes, hash) {
			hashes = append(hashes, hash)
		}
	}
}

// runsInline reports whether a browser asks the policy about the text of this script element: it has no address, and
// is not just data of a type that no browser runs.
func runsInline(script html.Token) bool {
	for _, a := range script.Attr {
		switch a.Key {
		case "src":
			return false
		case "type":
			switch strings.ToLower(strings.TrimSpace(a.Val)) {
			case "", "module", "importmap", "speculationrules", "text/javascript", "application/javascript":
			default:
				return false
			}
		}
	}
	return true
}
