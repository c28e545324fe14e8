package rules_test

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		to, target, want string
	}{
		{"https://#{host}/new", "/old?q=1", "https://example.com/new?q=1"},
		{"https://#{host}/new?", "/old?q=1", "https://example.com/new"},
		{"/new/#{path}", "/old/a", "https://example.com/new/old/a"},
		{"/new", "https://example.com:9999/old", "https://example.com/new"}, // the port that a visitor names is not ours
		{"https://other.org", "/a%2Fb?q", "https://other.org/a%2Fb?q"},
		{"https://other.org/", "/a?q", "https://other.org/?q"},
		{"https://other.org/", "//evil.com/", "https://other.org/"},
		{"#{protocol}://www.#{host}:#{port}/#{path}?#{query}", "/a?b", "https://www.example.com/a?b"},
		{"https://#{host}:8443/#{path}", "/a", "https://example.com:8443/a"},
		{"https://other.org/#{host}/#{port}/#{path}?v=1&#{query}", "/a?b=2", "https://other.org/example.com/443/a?v=1&b=2"},
		{"/a#part", "/b?q", "https://example.com/a?q#part"},
		{"HTTPS://Other.org/x", "/", "https://Other.org/x"},
		{"https://[2001:db8::1]:444/x", "/", "https://[2001:db8::1]:444/x"},
		{"/#{path}/new", "//evil.com/x%2f", "https://example.com//evil.com/x%2f/new"},
	} {
		cfg := host(config.Host{Default: &config.Rule{Redirect: &config.Redirect{To: c.to, Status: 302}}, Rules: []config.Rule{named("end", config.Rule{Path: []string{"/new*", "/a", "*/new"}, Method: []string{"PUT"}})}})
		r := serve(t, build(t, cfg), "GET", c.target)
		if r.Status != 302 || r.Fields.Get("Location") != c.want {
			t.Errorf("%s of %s: %d %s, want %s", c.to, c.target, r.Status, r.Fields.Get("Location"), c.want)
		}
	}
}

func TestRedirectPort(t *testing.T) {
	cfg := host(config.Host{TLS: config.HostTLS{Off: true}, Rules: []config.Rule{
		{Path: []string{"/secure"}, Redirect: &config.Redirect{To: "https://#{host}/#{path}", Status: 301}},
		{Path: []string{"/ours"}, Redirect: &config.Redirect{To: "https://www.example.org/x", Status: 301}},
		{Path: []string{"/theirs"}, Redirect: &config.Redirect{To: "https://other.org/x", Status: 301}},
		{Path: []string{"/same"}, Redirect: &config.Redirect{To: "/x", Status: 301}},
	}})
	cfg.Hosts["example.org"] = config.Host{Default: cfg.Hosts["example.com"].Default, Aliases: []string{"www.example.org"}}
	cfg.Listen.PublicPort = 8443
	table := build(t, cfg)
	on8080 := func(x *exchange.Exchange) { x.Local = addrPort("192.0.2.2:8080") }
	for path, want := range map[string]string{
		"/secure": "https://example.com:8443/secure",
		"/ours":   "https://www.example.org:8443/x",
		"/theirs": "https://other.org/x",
		"/same":   "http://example.com:8080/x",
	} {
		if r := serve(t, table, "GET", "http://example.com"+path, on8080); r.Fields.Get("Location") != want {
			t.Errorf("%s: %s, want %s", path, r.Fields.Get("Location"), want)
		}
	}
}

func TestRedirectGuards(t *testing.T) {
	table := build(t, host(config.Host{TLS: config.HostTLS{Off: true},
		Rules:   []config.Rule{{Path: []string{"/a"}, Header: map[string][]string{"X": {"1"}}, Redirect: &config.Redirect{To: "/a", Status: 302}}},
		Default: &config.Rule{Redirect: &config.Redirect{To: "http://other.org/", Status: 302}},
	}))
	x := exchangetest.Field("X", "1")
	for _, c := range []struct{ target, reason string }{
		{"http://example.com/a", "redirect_loop"},
		{"https://example.com/b", "redirect_downgrade"},
		{"http://example.com/b?" + strings.Repeat("q", 9<<10), "redirect_too_long"},
	} {
		e, r := exchangetest.New("GET", c.target, x)
		r.Serve(table.Host("example.com").Match(&e.Request).Handler)
		if r.Status != 500 || e.Record.ErrorReason != c.reason || r.Fields.Has("Location") {
			t.Errorf("%.40s: %d %s %v", c.target, r.Status, e.Record.ErrorReason, r.Fields)
		}
	}
}

func TestRewrite(t *testing.T) {
	for name, c := range map[string]struct {
		rewrite config.Rewrite
		target  string
		want    string // what the action sees: host, raw path, path, query
		status  int
	}{
		"path":                    {config.Rewrite{Path: "/new"}, "/a%2fb?q=1", "example.com /new /new q=1", 200},
		"prefix":                  {config.Rewrite{Regex: `^/api/(.*)$`, Path: "/v1/$1"}, "/api/x/y?q", "example.com /v1/x/y /v1/x/y q", 200},
		"cut":                     {config.Rewrite{Regex: `^/api/`, Path: "/"}, "/api/x%2Fy", "example.com /x%2Fy /x%2Fy ", 200},
		"no match":                {config.Rewrite{Regex: `^/api/`, Path: "/"}, "/%61%2fb", "example.com /%61%2fb /a%2Fb ", 200},
		"an odd spelling matches": {config.Rewrite{Regex: `^/api/`, Path: "/"}, "/%61pi/x", "example.com /x /x ", 200},
		"named, digits, dollar":   {config.Rewrite{Regex: `^/(?P<id>\d+)/(\w)$`, Path: "/${id}/$2x/$$"}, "/12/a", "example.com /12/ax/$ /12/ax/$ ", 200},
		"first match only":        {config.Rewrite{Regex: `a`, Path: "b"}, "/aa", "example.com /ba /ba ", 200},
		"optional group":          {config.Rewrite{Regex: `^/x(/y)?$`, Path: "/z$1"}, "/x", "example.com /z /z ", 200},
		"query":                   {config.Rewrite{Regex: `^/dp/([^/]+)/?$`, Path: "/product.php?id=$1"}, "/dp/B09&admin=1?ref=x", "example.com /product.php /product.php id=B09%26admin=1&ref=x", 200},
		"query alone":             {config.Rewrite{Path: "/p?a=1"}, "/x", "example.com /p /p a=1", 200},
		"result has dots":         {config.Rewrite{Regex: `^/f/(.*)$`, Path: "/$1/../z"}, "/f/a", "example.com /a/../z /z ", 200},
		"result is ambiguous":     {config.Rewrite{Regex: `^/f/(.*)$`, Path: "/$1/../z"}, "/f/a//", "", 500},
		"result is no path":       {config.Rewrite{Regex: `^/f/(.*)$`, Path: "$1"}, "/f/a", "", 500},
		"host":                    {config.Rewrite{Host: "internal.example"}, "/a", "internal.example /a /a ", 200},
		"host by regex":           {config.Rewrite{Regex: `^(\w+)\.com$`, Host: "$1.internal:81"}, "/a", "example.internal:81 /a /a ", 200},
		"host, no match":          {config.Rewrite{Regex: `^x`, Host: "y"}, "https://example.com:444/a", "example.com:444 /a /a ", 200},
		"host is none":            {config.Rewrite{Regex: `.*`, Host: "-$0"}, "/a", "", 500},
	} {
		t.Run(name, func(t *testing.T) {
			table := build(t, host(config.Host{Default: &config.Rule{Site: "app", Rewrite: &c.rewrite}}))
			x, r := exchangetest.New("GET", c.target)
			before := x.Request
			r.Serve(table.Host("example.com").Match(&x.Request).Handler)
			if r.Status != c.status || r.Fields.Get("X-Seen") != c.want {
				t.Errorf("%d %q, want %d %q", r.Status, r.Fields.Get("X-Seen"), c.status, c.want)
			}
			if c.status == 500 && x.Record.ErrorReason != "rewrite" {
				t.Errorf("reason %q", x.Record.ErrorReason)
			}
			if x.RawPath != before.RawPath || x.Path != before.Path || x.Host != before.Host || x.Hostname != before.Hostname || x.RawQuery != before.RawQuery {
				t.Error("the request is not what it was, afterwards")
			}
		})
	}
}

func TestCORS(t *testing.T) {
	listed := &config.CORS{Origins: []string{"https://app.example.com", "https://*.preview.example.com:8443"}, Methods: []string{"GET", "PUT"}, Headers: []string{"Authorization"},
		Credentials: true, Expose: []string{"X-Total"}, MaxAge: 600e9}
	all := &config.CORS{Origins: []string{"*"}, Methods: []string{"GET"}}
	const app = "https://app.example.com"
	for name, c := range map[string]struct {
		cors      *config.CORS
		origin    string
		preflight bool
		want      string // the CORS fields of the answer
	}{
		"listed":                {listed, app, false, "Vary: Origin; Access-Control-Allow-Origin: " + app + "; Access-Control-Allow-Credentials: true; Access-Control-Expose-Headers: X-Total"},
		"listed, preflight":     {listed, app, true, "Vary: Origin; Access-Control-Allow-Origin: " + app + "; Access-Control-Allow-Credentials: true; Access-Control-Allow-Methods: GET, PUT; Access-Control-Allow-Headers: Authorization; Access-Control-Max-Age: 600"},
		"pattern":               {listed, "https://pr-1.preview.example.com:8443", false, "Vary: Origin; Access-Control-Allow-Origin: https://pr-1.preview.example.com:8443; Access-Control-Allow-Credentials: true; Access-Control-Expose-Headers: X-Total"},
		"pattern, two labels":   {listed, "https://a.b.preview.example.com:8443", false, "Vary: Origin"},
		"pattern, no label":     {listed, "https://.preview.example.com:8443", false, "Vary: Origin"},
		"pattern, another host": {listed, "https://evil.com/.preview.example.com:8443", false, "Vary: Origin"},
		"not listed":            {listed, "https://evil.com", false, "Vary: Origin"},
		"not listed, preflight": {listed, "https://evil.com", true, "Vary: Origin"},
		"a prefix of it":        {listed, app + ".evil.com", false, "Vary: Origin"},
		"null":                  {listed, "null", false, "Vary: Origin"},
		"no origin":             {listed, "", false, "Vary: Origin"},
		"all":                   {all, "https://evil.com", false, "Access-Control-Allow-Origin: *"},
		"all, no origin":        {all, "", false, "Access-Control-Allow-Origin: *"},
		"all, preflight":        {all, "https://evil.com", true, "Access-Control-Allow-Origin: *; Access-Control-Allow-Methods: GET"},
	} {
		t.Run(name, func(t *testing.T) {
			// An action that removes Origin from the request must not change the answer.
			table := build(t, host(config.Host{Default: &config.Rule{Site: "app", CORS: c.cors,
				Headers: &config.HeaderChanges{Request: config.FieldChanges{Remove: []string{"Origin"}}}}}))
			method, status, body := "GET", 200, "site app"
			var options []exchangetest.Option
			if c.origin != "" {
				options = append(options, exchangetest.Field("Origin", c.origin))
			}
			if c.preflight {
				method, status, body = "OPTIONS", 204, ""
				options = append(options, exchangetest.Field("Access-Control-Request-Method", "PUT"))
			}
			r := serve(t, table, method, "/", options...)
			var got []string
			for _, f := range r.Fields {
				if strings.HasPrefix(f.Name, "Access-Control-") || f.Name == "Vary" {
					got = append(got, f.Name+": "+f.Value)
				}
			}
			if r.Status != status || r.Body.String() != body || strings.Join(got, "; ") != c.want {
				t.Errorf("%d %q %s", r.Status, &r.Body, strings.Join(got, "; "))
			}
		})
	}
}

func TestRefuseHasTheFieldsOfTheRule(t *testing.T) {
	table := build(t, host(config.Host{HSTS: 1e9, Default: &config.Rule{Site: "app", CORS: &config.CORS{Origins: []string{"https://a.b"}}}}))
	x, r := exchangetest.New("GET", "/", exchangetest.Field("Origin", "https://a.b"))
	r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.Response.Fields.Set("Retry-After", "3")
		table.Host("example.com").Match(&x.Request).Refuse(x, 429, "rate_limited")
	}))
	if r.Status != 429 || x.Record.ErrorReason != "rate_limited" || r.Fields.Get("Retry-After") != "3" ||
		r.Fields.Get("Access-Control-Allow-Origin") != "https://a.b" || !r.Fields.Has("Strict-Transport-Security") {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
}

func TestRewrittenHostIsForwarded(t *testing.T) {
	table := build(t, host(config.Host{Default: &config.Rule{Site: "app", Rewrite: &config.Rewrite{Host: "internal"}}}))
	if r := serve(t, table, "GET", "https://example.com:444/"); r.Fields.Get("Seen-X-Forwarded-Host") != "example.com:444" {
		t.Errorf("%v", r.Fields)
	}
	if r := serve(t, table, "GET", "/", exchangetest.Field("X-Forwarded-Host", "cdn.example")); r.Fields.Get("Seen-X-Forwarded-Host") != "cdn.example" {
		t.Errorf("%v", r.Fields)
	}
}

func TestRedirectWithoutHost(t *testing.T) {
	table := build(t, &config.Config{Hosts: map[string]config.Host{"*": {Default: &config.Rule{Redirect: &config.Redirect{To: "https://#{host}:1/", Status: 302}}}}})
	x, r := exchangetest.New("GET", "/")
	x.Host, x.Hostname = "", ""
	r.Serve(table.Host("").Match(&x.Request).Handler)
	if r.Status != 400 || x.Record.ErrorReason != "no_host" {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
}

func TestCORSIsOnErrorsToo(t *testing.T) {
	table := build(t, host(config.Host{Default: &config.Rule{Site: "app", CORS: &config.CORS{Origins: []string{"https://a.b"}}, Auth: &config.Auth{Basic: map[string]string{"a": "b"}}}}))
	r := serve(t, table, "GET", "/", exchangetest.Field("Origin", "https://a.b"))
	if r.Status != 401 || r.Fields.Get("Access-Control-Allow-Origin") != "https://a.b" {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
	r = serve(t, table, "OPTIONS", "/", exchangetest.Field("Origin", "https://a.b"), exchangetest.Field("Access-Control-Request-Method", "GET"))
	if r.Status != 204 {
		t.Errorf("a preflight, which has no credentials: %d", r.Status)
	}
	if r := serve(t, table, "OPTIONS", "/"); r.Status != 401 {
		t.Errorf("OPTIONS that is no preflight: %d", r.Status)
	}
}
