//go:build !race

package rules_test

import (
	"net/netip"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestNoConditionAllocates(t *testing.T) {
	for name, rule := range map[string]config.Rule{
		"path":       {Path: []string{"/nothing/*", "*/{id}/b?.js"}},
		"path_regex": {PathRegex: []string{"^/nothing", `^/assets/([a-z]+)/b\d\.(js|css)$`}},
		"method":     {Method: []string{"POST", "GET"}},
		"header":     {Header: map[string][]string{"User-Agent": {"curl/*", "*appleWEBkit*"}}},
		"host field": {Header: map[string][]string{"Host": {"*.org", "EXAMPLE.*"}}},
		"query":      {Query: map[string][]string{"utm_*": {"a b", "*summer?sale*"}}},
		"source_ip":  {SourceIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}},
		"preflight":  {Method: []string{"GET", "PUT"}, CORS: &config.CORS{Origins: []string{"*"}}},
	} {
		table := build(t, host(config.Host{Rules: []config.Rule{named("this", rule)}}))
		method := "GET"
		if name == "preflight" {
			method = "OPTIONS"
		}
		x, _ := exchangetest.New(method, "https://example.com/assets/x/b1.js?a=b&utm_campaign=the+summer%20sale",
			exchangetest.Field("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
			exchangetest.Field("Origin", "https://a.example"), exchangetest.Field("Access-Control-Request-Method", "PUT"))
		n := testing.AllocsPerRun(100, func() {
			if got := table.Host(x.Hostname).Match(&x.Request); got.Name != "1" {
				t.Fatalf("%s: rule %s", name, got.Name)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// What a rule does on the way to its action. regexp allocates what it found; a path that is new has to be somewhere.
func TestPipelinesAllocate(t *testing.T) {
	password, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		rule config.Rule
		most float64
	}{
		"headers": {config.Rule{Headers: &config.HeaderChanges{
			Request:  config.FieldChanges{Set: map[string]string{"X-Env": "prod"}, Add: map[string]string{"X-More": "1"}, Remove: []string{"Cookie"}},
			Response: config.FieldChanges{Set: map[string]string{"X-Frame-Options": "DENY"}, Remove: []string{"Server"}},
		}}, 0},
		"rewrite":           {config.Rule{Rewrite: &config.Rewrite{Path: "/new"}}, 0},
		"rewrite by regex":  {config.Rule{Rewrite: &config.Rewrite{Regex: "^/api/([^/]+)", Path: "/v2/$1"}}, 2},
		"host by regex":     {config.Rule{Rewrite: &config.Rewrite{Regex: `^([^.]+)\.com$`, Host: "$1.internal"}}, 2},
		"CORS":              {config.Rule{CORS: &config.CORS{Origins: []string{"https://a.example"}, Credentials: true}}, 0},
		"CORS by a pattern": {config.Rule{CORS: &config.CORS{Origins: []string{"https://*.example"}}}, 1},
		"basic auth":        {config.Rule{Auth: &config.Auth{Basic: map[string]string{"a": string(password)}}}, 0},
	} {
		c.rule.Respond = respond(200, "ok")
		table := build(t, host(config.Host{HSTS: 1e9, Default: &c.rule}))
		x, _ := exchangetest.New("GET", "/api/things/7?a=b")
		request := x.Request
		rule := table.Host("example.com").Match(&request)
		n := testing.AllocsPerRun(100, func() {
			x.Reset(withContext{})
			fields := x.Fields
			x.Request = request
			x.Fields = append(fields, exchange.Field{Name: "Origin", Value: "https://a.example"}, exchange.Field{Name: "Authorization", Value: "Basic YTpzZWNyZXQ="})
			rule.Handler.ServeExchange(x)
		})
		if n > c.most || x.Response.Status != 200 || !x.Response.Fields.Has("Strict-Transport-Security") {
			t.Errorf("%s: %v allocations for %v", name, n, x.Response)
		}
	}
}
