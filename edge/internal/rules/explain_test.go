package rules_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/rules"
)

const explained = `
    hsts: 1h
    health: /up
    aliases: [www.example.com]
    limits: {concurrency: 512, rate: 50/s, burst: 100, body: 10MiB}
    rules:
      - {path: /api/*, method: GET, forward: app}
      - {path: /old/*, redirect: {to: "https://other.org/#{path}", status: 301}}
      - {path: /beta/*, header: {X-Beta: "${KEY}"}, forward: {app: 90, next: 10}}
      - path: /beta/*
        forward: {app: 2, next: 1}
        limits: {rate: 10/m, idle: 5s}
        auth: {basic: {a: "${PASSWORD}"}}
        cors: {origins: ["https://a.b"]}
        rewrite: {regex: ^/beta/, path: /}
        headers: {request: {set: {X-Key: "${KEY}"}}}
    default: {respond: {status: 404, body: "no\n"}}
`

func TestExplain(t *testing.T) {
	cfg, problems := load(t, oneHost(explained[1:]))
	if cfg == nil {
		t.Fatal(problems)
	}
	table, err := rules.Build(cfg, rules.Offline{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, url string
		options     []exchangetest.Option
		want        string
	}{
		{"GET", "https://example.com/api/x", nil, `
GET https://example.com/api/x
  host        example.com  (edge.yaml:6)
  rule        1  (edge.yaml:12)
  action      forward app
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: none
              idle: 1m0s
  hsts        max-age=3600
`},
		{"POST", "https://example.com/%61pi/x?q=1", nil, `
POST https://example.com/%61pi/x?q=1
  host        example.com  (edge.yaml:6)
  rule        default  (edge.yaml:22)
  action      respond 404, text/plain; charset=utf-8, 3 bytes
  not 1       method: POST is not GET  (edge.yaml:12)
  not 2       path: /api/x does not match "/old/*"  (edge.yaml:13)
  not 3       path: /api/x does not match "/beta/*"  (edge.yaml:14)
  not 4       path: /api/x does not match "/beta/*"  (edge.yaml:15)
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: none
              idle: 1m0s
  hsts        max-age=3600
`},
		{"GET", "https://example.com/beta/x?q", []exchangetest.Option{exchangetest.Field("X-Beta", "no")}, `
GET https://example.com/beta/x?q
  host        example.com  (edge.yaml:6)
  rule        4  (edge.yaml:15)
  action      forward app 66.7%, next 33.3%
  not 1       path: /beta/x does not match "/api/*"  (edge.yaml:12)
  not 2       path: /beta/x does not match "/old/*"  (edge.yaml:13)
  not 3       header X-Beta: no does not match the value of ${…}  (edge.yaml:14)
  rewrite     path to "/" where it matches "^/beta/"
  rewritten   https://example.com/x?q
  auth        basic, 1 name
  cors        for https://a.b
  headers     request: set X-Key
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: 10/m per client (burst 1)
              idle: 5s
  hsts        max-age=3600
`},
		{"OPTIONS", "https://example.com/beta/x", []exchangetest.Option{exchangetest.Field("Origin", "https://a.b"), exchangetest.Field("Access-Control-Request-Method", "PUT")}, `
OPTIONS https://example.com/beta/x
  host        example.com  (edge.yaml:6)
  rule        4  (edge.yaml:15)
  action      respond 204 to the CORS preflight
  not 1       method: OPTIONS is not GET  (edge.yaml:12)
  not 2       path: /beta/x does not match "/old/*"  (edge.yaml:13)
  not 3       header X-Beta: there is none  (edge.yaml:14)
  rewrite     path to "/" where it matches "^/beta/"
  auth        basic, 1 name
  cors        for https://a.b
  headers     request: set X-Key
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: 10/m per client (burst 1)
              idle: 5s
  hsts        max-age=3600
`},
		{"GET", "http://example.com/old/x", nil, `
GET http://example.com/old/x
  host        example.com  (edge.yaml:6)
  note        http is redirected to https; this is what https gets
  rule        2  (edge.yaml:13)
  action      redirect 301 to "https://other.org/#{path}"
  location    https://other.org/old/x
  not 1       path: /old/x does not match "/api/*"  (edge.yaml:12)
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: none
              idle: 1m0s
  hsts        max-age=3600
`},
		{"GET", "https://www.example.com/x", nil, `
GET https://www.example.com/x
  host        example.com  (edge.yaml:6)
  rule        alias  (edge.yaml:9)
  action      redirect to example.com (301, or 308 unless GET or HEAD)
  location    https://example.com/x
  limits      host: 512 requests at once, 50/s per client (burst 100), body 10 MiB
              rule: none
              idle: 1m0s
  hsts        max-age=3600
`},
		{"GET", "https://example.org/x", nil, `
GET https://example.org/x
  note        no host of that name: 404 on http; on https no certificate, so no connection
`},
	} {
		x, _ := exchangetest.New(c.method, c.url, c.options...)
		x.Path = "" // as of a caller that is not the chain
		e := table.Explain(&x.Request)
		var text strings.Builder
		if _, err := e.WriteTo(&text); err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`\([^ ()]*/edge\.yaml`).ReplaceAllString(text.String(), "(edge.yaml")
		if got != c.want[1:] {
			t.Errorf("got\n%s\nwant%s", got, c.want)
		}
		b, err := json.Marshal(e)
		if err != nil || strings.Contains(string(b)+got, "SECRET") {
			t.Errorf("%s %v", b, err)
		}
		if rule := "default"; table.Host(x.Hostname) != nil && e.Rule == rule && x.RawPath != "/%61pi/x" {
			t.Errorf("%s got %s", c.url, e.Rule)
		}
	}
}

func TestExplainSaysWhichFormTakesIt(t *testing.T) {
	cfg, problems := load(t, oneHost(`
    rules:
      - {path: /forms/*, forms: true}
    default: {function: f}
functions: {f: {command: /bin/true}}
forms:
  contact: {function: f, limits: {rate: 5/m, burst: 10}}
  now: {function: f, sync: true}
  kept: {}
`[1:]))
	if cfg == nil {
		t.Fatal(problems)
	}
	table, err := rules.Build(cfg, rules.Offline{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, action, limits string }{
		{"POST", "/forms/contact", "form contact, kept and delivered to function f", "32 requests at once, 5/m per client (burst 10), body 64 KiB"},
		{"POST", "/forms/a/now", "form now, answered by function f", "32 requests at once, 10/m per client (burst 10), body 64 KiB"},
		{"POST", "/forms/kept", "form kept, which is kept", "32 requests at once, 10/m per client (burst 10), body 64 KiB"},
		{"GET", "/forms/contact", "respond 405: a form takes POST", ""},
		{"GET", "/forms/contact/token", "form contact: a token of the page", ""},
		{"GET", "/forms/contact/thanks", "form contact: its thanks page", ""},
		{"POST", "/forms/none", "respond 404: there is no form of that name", ""},
		{"GET", "/x", "function f", ""},
	} {
		x, _ := exchangetest.New(c.method, "https://example.com"+c.path)
		e := table.Explain(&x.Request)
		limits := ""
		if e.Limits.Form != nil {
			limits = e.Limits.Form.String()
		}
		if e.Action != c.action || limits != c.limits {
			t.Errorf("%s %s: %q, %q", c.method, c.path, e.Action, limits)
		}
	}
}
