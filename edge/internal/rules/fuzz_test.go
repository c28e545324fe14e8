package rules

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// FuzzRedirect looks for a request that leads a redirect to another host than it names, or off its path.
func FuzzRedirect(f *testing.F) {
	f.Add("/new/#{path}", "//evil.com/", "q=1")
	f.Add("https://#{host}:#{port}/#{host}/#{path}?#{query}&a#b", "/a", "")
	f.Add("https://a.b", "/%2f%2fevil.com", "?#")
	f.Fuzz(func(t *testing.T, to, path, query string) {
		normal, err := exchange.NormalPath(path)
		d, bad := newRedirect(to)
		if err != nil || bad != nil || strings.ContainsAny(query, "#\x00") {
			return
		}
		d.status, d.publicPort = 302, 8443
		x, r := exchangetest.New("GET", "/")
		x.RawPath, x.Path, x.RawQuery = path, normal, query
		location := d.location(&x.Request)
		r.Serve(d)
		if r.Status != 302 {
			if r.Status != 500 {
				t.Errorf("%d", r.Status)
			}
			return
		}
		u, err := url.Parse(r.Fields.Get("Location"))
		if err != nil {
			if strings.Contains(path, "%") || strings.Contains(to, "%") {
				return // a percent sign in To or the fragment is the operator's
			}
			t.Fatalf("%q of %q became %q: %v", to, path, r.Fields.Get("Location"), err)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(location.host, "["), "]")
		if u.Hostname() != want || !strings.HasPrefix(u.Path, "/") {
			t.Errorf("%q of %q leads to %q", to, path, u)
		}
	})
}

// FuzzRewrite looks for a rewrite whose result is not in the form that everything behind it relies on.
func FuzzRewrite(f *testing.F) {
	f.Add("^/api/(.*)$", "/$1", "/api/../x", "q")
	f.Add("(a)?", "/x?y=$1&z=$0", "/a&b", "")
	f.Fuzz(func(t *testing.T, regex, to, path, query string) {
		e, err := regexp.Compile(regex)
		normal, bad := exchange.NormalPath(path)
		if err != nil || bad != nil {
			return
		}
		quiet := func(string, string) {}
		w := newRewrite(&config.Rewrite{Regex: e.String(), Path: to}, quiet, func(string, string) string { return "" })
		if w == nil || w.path == nil {
			return
		}
		r := exchange.Request{RawPath: path, Path: normal, RawQuery: query, Hostname: "a.b", Host: "a.b"}
		if w.apply(&r) != nil {
			return
		}
		if again, err := exchange.NormalPath(r.RawPath); err != nil || again != r.Path {
			t.Errorf("%q became %q: %q, %v", path, r.RawPath, again, err)
		}
		if !strings.HasSuffix(r.RawQuery, query) || strings.Contains(r.RawPath, "?") {
			t.Errorf("query %q became %q", query, r.RawQuery)
		}
	})
}

// FuzzQuery compares decoding with net/url where that takes the text.
func FuzzQuery(f *testing.F) {
	f.Add("a%20b+c%zz%")
	f.Fuzz(func(t *testing.T, s string) {
		if want, err := url.QueryUnescape(s); err == nil && string(decodeQuery(nil, s)) != want {
			t.Errorf("%q: %q, want %q", s, decodeQuery(nil, s), want)
		}
	})
}

// FuzzCredentials looks for an Authorization field that makes more of a name or password than it holds.
func FuzzCredentials(f *testing.F) {
	f.Add("Basic YTpi")
	f.Add("basic  ===")
	f.Fuzz(func(t *testing.T, field string) {
		user, password, ok := new(hasher).credentials(field)
		if ok && (strings.Contains(string(user), ":") || len(user)+len(password) > len(field)) {
			t.Errorf("%q: %q %q", field, user, password)
		}
	})
}
