package rules_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/rules"
)

// actions answer with what they were given and what they get to see.
type actions struct{ draining bool }

func (a *actions) Site(name string) (exchange.Handler, error) {
	if name == "broken" {
		return nil, fmt.Errorf("no folder for %s", name)
	}
	return echo("site " + name), nil
}

func (a *actions) Forward(weights map[string]int) (exchange.Handler, error) {
	return echo(fmt.Sprint("forward ", weights)), nil
}

func (a *actions) Forms() (exchange.Handler, error) { return echo("forms"), nil }

func (a *actions) API() (exchange.Handler, error)      { return echo("api"), nil }
func (a *actions) Webhooks() (exchange.Handler, error) { return echo("webhooks"), nil }

// Function answers with what the function would be told of the route.
func (a *actions) Function(name string, route *rules.Route) (exchange.Handler, error) {
	return exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route.Mark(r)
		fmt.Fprintf(w, "%s %s id=%s proxy=%s", name, r.Pattern, r.PathValue("id"), r.PathValue("proxy"))
	})), nil
}

func (a *actions) Draining() bool { return a.draining }

// echo answers with what the action got to see.
func echo(what string) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.Response.Fields.Add("Server", "target")
		x.Response.Fields.Add("Access-Control-Allow-Origin", "https://of.the.target")
		x.Response.Fields.Add("X-Seen", x.Host+" "+x.RawPath+" "+x.Path+" "+x.RawQuery)
		for _, f := range x.Fields {
			x.Response.Fields.Add("Seen-"+f.Name, f.Value)
		}
		_, _ = x.Write([]byte(what))
	})
}

func respond(status int, body string) *config.Respond {
	return &config.Respond{Status: status, Type: "text/plain", Body: body}
}

// named is a rule whose action answers with name.
func named(name string, r config.Rule) config.Rule {
	r.Respond = respond(200, name)
	return r
}

// host is a configuration of the host example.com and nothing else.
func host(h config.Host) *config.Config {
	if h.Default == nil {
		h.Default = &config.Rule{Respond: respond(404, "default")}
	}
	return &config.Config{Listen: config.Listen{PublicPort: 443}, Hosts: map[string]config.Host{"example.com": h}}
}

func build(t testing.TB, cfg *config.Config) *rules.Table {
	t.Helper()
	table, err := rules.Build(cfg, &actions{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// serve serves one request by the table as the chain does.
func serve(t testing.TB, table *rules.Table, method, target string, options ...exchangetest.Option) *exchangetest.Recorder {
	t.Helper()
	x, r := exchangetest.New(method, target, options...)
	h := table.Host(x.Hostname)
	if h == nil {
		t.Fatalf("no host for %s", target)
	}
	r.Serve(h.Match(&x.Request).Handler)
	return r
}

func TestHost(t *testing.T) {
	def := &config.Rule{Respond: respond(200, "")}
	table := build(t, &config.Config{Hosts: map[string]config.Host{
		"example.com":     {Default: def, Aliases: []string{"www.example.com", "b.example.com"}},
		"*.example.com":   {Default: def},
		"a.example.com":   {Default: def},
		"*.x.example.com": {Default: def},
		"::1":             {Default: def},
		"192.0.2.1":       {Default: def},
	}})
	for hostname, want := range map[string]string{
		"example.com": "example.com", "www.example.com": "example.com", "b.example.com": "example.com",
		"a.example.com": "a.example.com", "c.example.com": "*.example.com", "x.example.com": "*.example.com",
		"y.x.example.com": "*.x.example.com", "c.d.example.com": "", "com": "", "example.org": "", ".example.com": "",
		"::1": "::1", "192.0.2.1": "192.0.2.1", "192.0.2.2": "",
	} {
		got := ""
		if h := table.Host(hostname); h != nil {
			got = h.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", hostname, got, want)
		}
	}
	for i, h := range table.Hosts() {
		if h.Index != i {
			t.Errorf("%s has index %d, is at %d", h.Name, h.Index, i)
		}
	}
	other := build(t, &config.Config{Hosts: map[string]config.Host{"*": {Default: def}, "*.example.com": {Default: def}}})
	if other.Host("a.example.com").Name != "*.example.com" || other.Host("localhost").Name != "*" || other.Host("a.b.example.com").Name != "*" {
		t.Error("* takes what a wildcard should, or does not take what it should")
	}
}

func TestConditions(t *testing.T) {
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("203.0.113.0/24")}
	from := func(a string) exchangetest.Option {
		return func(x *exchange.Exchange) { x.Client = netip.MustParseAddr(a) }
	}
	f := exchangetest.Field
	for name, c := range map[string]struct {
		rule    config.Rule
		method  string
		target  string
		options []exchangetest.Option
		want    bool
	}{
		"path":                          {config.Rule{Path: []string{"/a/*"}}, "GET", "/a/b", nil, true},
		"path, any of":                  {config.Rule{Path: []string{"/x", "/a/*"}}, "GET", "/a/b", nil, true},
		"path, case counts":             {config.Rule{Path: []string{"/a/*"}}, "GET", "/A/b", nil, false},
		"path, as normalised":           {config.Rule{Path: []string{"/admin/*"}}, "GET", "/x/../%61dmin/b", nil, true},
		"path, an encoded slash is one": {config.Rule{Path: []string{"/a/b"}}, "GET", "/a%2fb", nil, false},
		"path, not the query":           {config.Rule{Path: []string{"/a"}}, "GET", "/a?/b", nil, true},
		"regex":                         {config.Rule{PathRegex: []string{`^/v[0-9]+/`}}, "GET", "/v12/x", nil, true},
		"regex, not":                    {config.Rule{PathRegex: []string{`^/v[0-9]+/`, `^/w`}}, "GET", "/x/v1/", nil, false},
		"regex, anywhere":               {config.Rule{PathRegex: []string{`\.php`}}, "GET", "/x.php/y", nil, true},
		"path and regex":                {config.Rule{Path: []string{"/a/*"}, PathRegex: []string{`\d`}}, "GET", "/a/b", nil, false},
		"method":                        {config.Rule{Method: []string{"GET", "POST"}}, "POST", "/", nil, true},
		"method, case counts":           {config.Rule{Method: []string{"GET"}}, "get", "/", nil, false},
		"header":                        {config.Rule{Header: map[string][]string{"X-Beta": {"1", "y*"}}}, "GET", "/", []exchangetest.Option{f("x-beta", "YES")}, true},
		"header, second line":           {config.Rule{Header: map[string][]string{"X-Beta": {"1"}}}, "GET", "/", []exchangetest.Option{f("X-Beta", "0"), f("X-Beta", "1")}, true},
		"header, none":                  {config.Rule{Header: map[string][]string{"X-Beta": {"*"}}}, "GET", "/", nil, false},
		"headers, both":                 {config.Rule{Header: map[string][]string{"A": {"1"}, "B": {"2"}}}, "GET", "/", []exchangetest.Option{f("A", "1")}, false},
		"header host":                   {config.Rule{Header: map[string][]string{"Host": {"example.com:*"}}}, "GET", "https://example.com:8443/", nil, true},
		"header upgrade":                {config.Rule{Header: map[string][]string{"Upgrade": {"WebSocket"}}}, "GET", "/", []exchangetest.Option{exchangetest.Upgrade("websocket")}, true},
		"query":                         {config.Rule{Query: map[string][]string{"v": {"2", "3?"}}}, "GET", "/?a=1&V=3x", nil, true},
		"query, decoded":                {config.Rule{Query: map[string][]string{"a b": {"*ö&*"}}}, "GET", "/?%61+b=x%C3%B6%26y", nil, true},
		"query, broken encoding":        {config.Rule{Query: map[string][]string{"v": {"100%"}}}, "GET", "/?v=100%", nil, true},
		"query, key alone":              {config.Rule{Query: map[string][]string{"debug": {""}}}, "GET", "/?debug", nil, true},
		"query, second":                 {config.Rule{Query: map[string][]string{"v": {"2"}}}, "GET", "/?v=1&v=2", nil, true},
		"query, any key":                {config.Rule{Query: map[string][]string{"*": {"x"}}}, "GET", "/?a=1&b=x", nil, true},
		"query, none":                   {config.Rule{Query: map[string][]string{"*": {"*"}}}, "GET", "/?&", nil, false},
		"query, long":                   {config.Rule{Query: map[string][]string{"v": {"*z"}}}, "GET", "/?v=%41" + strings.Repeat("y", 2000) + "z", nil, true},
		"source":                        {config.Rule{SourceIP: prefixes}, "GET", "/", []exchangetest.Option{from("10.1.2.3")}, true},
		"source, mapped":                {config.Rule{SourceIP: prefixes}, "GET", "/", []exchangetest.Option{from("::ffff:10.1.2.3")}, true},
		"source, mapped prefix":         {config.Rule{SourceIP: prefixes}, "GET", "/", []exchangetest.Option{from("203.0.113.9")}, true},
		"source, v6":                    {config.Rule{SourceIP: prefixes}, "GET", "/", []exchangetest.Option{from("2001:db8::1%eth0")}, true},
		"source, not":                   {config.Rule{SourceIP: prefixes}, "GET", "/", []exchangetest.Option{from("11.0.0.1")}, false},
		"all":                           {config.Rule{Path: []string{"/a"}, Method: []string{"GET"}, Query: map[string][]string{"v": {"1"}}}, "GET", "/a?v=1", nil, true},
		"all but one":                   {config.Rule{Path: []string{"/a"}, Method: []string{"GET"}, Query: map[string][]string{"v": {"1"}}}, "GET", "/a?v=2", nil, false},
		"preflight for a method": {config.Rule{Method: []string{"PUT"}, CORS: &config.CORS{Origins: []string{"*"}}}, "OPTIONS", "/",
			[]exchangetest.Option{f("Origin", "https://a.b"), f("Access-Control-Request-Method", "PUT")}, true},
		"preflight without cors": {config.Rule{Method: []string{"PUT"}}, "OPTIONS", "/",
			[]exchangetest.Option{f("Origin", "https://a.b"), f("Access-Control-Request-Method", "PUT")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			table := build(t, host(config.Host{Rules: []config.Rule{named("rule", c.rule)}}))
			x, _ := exchangetest.New(c.method, c.target, c.options...)
			want := "default"
			if c.want {
				want = "1"
			}
			if got := table.Host("example.com").Match(&x.Request).Name; got != want {
				t.Errorf("got rule %s, want %s", got, want)
			}
		})
	}
}

func TestFirstMatchWins(t *testing.T) {
	h := build(t, host(config.Host{Rules: []config.Rule{
		named("one", config.Rule{Path: []string{"/a"}, Method: []string{"POST"}}),
		named("two", config.Rule{Path: []string{"/a*"}}),
		named("three", config.Rule{Path: []string{"/*"}, Method: []string{"GET"}}),
	}})).Host("example.com")
	for target, want := range map[string]string{"POST /a": "1", "GET /a": "2", "GET /b": "3", "POST /b": "default"} {
		method, path, _ := strings.Cut(target, " ")
		x, _ := exchangetest.New(method, path)
		if got := h.Match(&x.Request); got.Name != want {
			t.Errorf("%s: rule %s, want %s", target, got.Name, want)
		}
	}
	for i, r := range h.Rules() {
		if r.Index != i {
			t.Errorf("rule %s has index %d, is at %d", r.Name, r.Index, i)
		}
	}
}

func TestBuiltInRules(t *testing.T) {
	cfg := host(config.Host{Health: "/healthz", Aliases: []string{"www.example.com"}, Maintenance: true, Rules: []config.Rule{named("a", config.Rule{Path: []string{"*"}})}})
	a := &actions{}
	table, err := rules.Build(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, table, "GET", "/healthz")
	if r.Status != 200 || r.Body.String() != "ok" || r.Fields.Get("Cache-Control") != "no-store" {
		t.Errorf("health: %d %s %v", r.Status, &r.Body, r.Fields)
	}
	a.draining = true
	if r := serve(t, table, "HEAD", "https://www.example.com/healthz"); r.Status != 503 || r.Length != int64(len("draining")) {
		t.Errorf("health while draining: %d, %d bytes", r.Status, r.Length)
	}
	if r := serve(t, table, "POST", "/healthz"); r.Status != 503 || r.Fields.Get("Retry-After") == "" {
		t.Errorf("maintenance: %d %v", r.Status, r.Fields)
	}
	if r := serve(t, table, "GET", "https://www.example.com/a%2fb//?q=1"); r.Status != 301 || r.Fields.Get("Location") != "https://example.com/a%2fb//?q=1" {
		t.Errorf("alias: %d %v", r.Status, r.Fields)
	}
	if r := serve(t, table, "POST", "https://www.example.com/x"); r.Status != 308 {
		t.Errorf("alias, POST: %d", r.Status)
	}
	cfg.Listen.PublicPort = 8443
	if r := serve(t, build(t, cfg), "OPTIONS", "https://www.example.com:9/"); r.Fields.Get("Location") != "https://example.com:8443/" {
		t.Errorf("alias with a public port: %v", r.Fields)
	}
}

func TestHSTS(t *testing.T) {
	cfg := host(config.Host{HSTS: 365 * 24 * 3600e9, TLS: config.HostTLS{Off: true}, Default: &config.Rule{Site: "app"}})
	table := build(t, cfg)
	if r := serve(t, table, "GET", "https://example.com/"); r.Fields.Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("https: %v", r.Fields)
	}
	if r := serve(t, table, "GET", "http://example.com/"); r.Fields.Has("Strict-Transport-Security") {
		t.Errorf("http: %v", r.Fields)
	}
}

func TestHeaderChanges(t *testing.T) {
	changes := &config.HeaderChanges{
		Request:  config.FieldChanges{Remove: []string{"Cookie"}, Set: map[string]string{"X-Env": "prod"}, Add: map[string]string{"Via": "edge"}},
		Response: config.FieldChanges{Remove: []string{"server"}, Set: map[string]string{"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=1"}},
	}
	table := build(t, host(config.Host{HSTS: 3600e9, Default: &config.Rule{Site: "app", Headers: changes}}))
	r := serve(t, table, "GET", "/", exchangetest.Field("cookie", "a"), exchangetest.Field("x-env", "x"), exchangetest.Field("x-env", "y"), exchangetest.Field("Via", "a"))
	got := fmt.Sprint(r.Fields)
	for _, want := range []string{"{Seen-x-env prod}", "{Seen-Via a} {Seen-Via edge}", "{X-Frame-Options DENY}", "{Strict-Transport-Security max-age=1}"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	for _, not := range []string{"ookie", "Server", "{Seen-x-env y}", "max-age=3600"} {
		if strings.Contains(got, not) {
			t.Errorf("%s is in %s", not, got)
		}
	}
}

func TestRespond(t *testing.T) {
	table := build(t, host(config.Host{Rules: []config.Rule{
		{Path: []string{"/robots.txt"}, Respond: &config.Respond{Status: 200, Type: "text/plain", Body: "User-agent: *\n"}},
		{Path: []string{"/gone"}, Respond: &config.Respond{Status: 204}},
	}}))
	if r := serve(t, table, "GET", "/robots.txt"); r.Status != 200 || r.Body.String() != "User-agent: *\n" || r.Length != 14 || r.Fields.Get("Content-Type") != "text/plain" {
		t.Errorf("%d %q %v", r.Status, &r.Body, r.Fields)
	}
	if r := serve(t, table, "HEAD", "/robots.txt"); r.Length != 14 || r.Body.Len() != 0 {
		t.Errorf("HEAD: %d declared, %d sent", r.Length, r.Body.Len())
	}
	if r := serve(t, table, "GET", "/gone"); r.Status != 204 || r.Fields.Has("Content-Type") {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
}

func TestBuildSaysWhatActionsRefuse(t *testing.T) {
	_, err := rules.Build(host(config.Host{Default: &config.Rule{Site: "broken"}}), &actions{})
	if err == nil || !strings.Contains(err.Error(), "no folder for broken") {
		t.Error(err)
	}
}

// manyHosts makes a configuration of n hosts with m rules each.
func manyHosts(n, m int) *config.Config {
	cfg := &config.Config{Hosts: map[string]config.Host{}}
	for i := range n {
		h := config.Host{Default: &config.Rule{Respond: respond(404, "")}}
		for j := range m {
			r := config.Rule{Path: []string{fmt.Sprintf("/api/v%d/*", j), fmt.Sprintf("/old/{id}/%d", j)}}
			switch j % 4 {
			case 1:
				r.Method = []string{"GET", "HEAD"}
			case 2:
				r.Header = map[string][]string{"X-Beta": {"1"}}
			case 3:
				r.Query = map[string][]string{"version": {"2*"}}
			}
			h.Rules = append(h.Rules, named("r", r))
		}
		cfg.Hosts[fmt.Sprintf("h%d.example.com", i)] = h
	}
	return cfg
}

func lastRule(t testing.TB, n, m int) (table *rules.Table, r *exchange.Request) {
	table = build(t, manyHosts(n, m))
	x, _ := exchangetest.New("GET", fmt.Sprintf("https://h%d.example.com/api/v%d/things?a=b&version=%%32x", n-1, m-1),
		exchangetest.Field("Accept", "*/*"), exchangetest.Field("User-Agent", "test"), exchangetest.Field("X-Beta", "0"))
	if got := table.Host(x.Hostname).Match(&x.Request).Name; got != fmt.Sprint(m) {
		t.Fatalf("rule %s", got)
	}
	return table, &x.Request
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table, r := lastRule(t, 3, 100)
	if n := testing.AllocsPerRun(100, func() { table.Host(r.Hostname).Match(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A rule with all of these on the way costs no allocation either.
func TestPipelineDoesNotAllocate(t *testing.T) {
	fields := &config.HeaderChanges{Request: config.FieldChanges{Set: map[string]string{"X-Env": "prod"}}, Response: config.FieldChanges{Remove: []string{"Server"}}}
	table := build(t, host(config.Host{HSTS: 1e9, Default: &config.Rule{
		Respond: respond(200, "ok"), Headers: fields, Rewrite: &config.Rewrite{Path: "/new"}, CORS: &config.CORS{Origins: []string{"https://a.example"}},
	}}))
	x, _ := exchangetest.New("GET", "/")
	request := x.Request
	rule := table.Host("example.com").Match(&request)
	if n := testing.AllocsPerRun(100, func() {
		x.Reset(discard{})
		fields := x.Fields
		x.Request = request
		x.Fields = append(fields, exchange.Field{Name: "Origin", Value: "https://a.example"})
		rule.Handler.ServeExchange(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !x.Response.Fields.Has("Access-Control-Allow-Origin") || x.Record.BytesOut == 0 {
		t.Errorf("not answered: %v", x.Response)
	}
}

// discard is a visitor who costs nothing.
type discard struct{ exchange.Stream }

func (discard) SendHead(*exchange.Response, bool) error { return nil }
func (discard) Write(p []byte) (int, error)             { return len(p), nil }

func BenchmarkMatch(b *testing.B) {
	for _, size := range []struct{ hosts, rules int }{{3, 10}, {3, 200}, {1000, 10}, {1000, 200}} {
		b.Run(fmt.Sprintf("%dhosts/%drules", size.hosts, size.rules), func(b *testing.B) {
			table, r := lastRule(b, size.hosts, size.rules)
			b.ReportAllocs()
			for b.Loop() {
				table.Host(r.Hostname).Match(r)
			}
		})
	}
}
