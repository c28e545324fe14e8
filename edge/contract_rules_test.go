package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const everyRule = `
target_groups:
  a: {targets: ["A"], health: off, stickiness: {cookie: STUCK, for: 1h}}
  b: {targets: [{url: "B", weight: 3}], health: off, algorithm: weighted_random}
  none: {targets: [], when_all_unhealthy: fail}
hosts:
  localhost:
    hsts: 365d
    rules:
      - {path: /exact, respond: {body: exact}}
      - {path: [/one, "/any/{id}/x"], respond: {body: list}}
      - {path: "/st?r*.txt", respond: {body: stars}}
      - {path_regex: "^/n/[0-9]+$", respond: {body: regex}}
      - {path: /all, method: [PUT, PATCH], header: {X-Beta: ["1", "yes*"]}, query: {v: "2"}, source_ip: [127.0.0.0/8, "::1"], respond: {body: all}}
      - {path: /from, source_ip: 192.0.2.0/24, respond: {body: elsewhere}}
      - {path: /weighted, forward: {a: 0, b: 10}}
      - {path: /empty, forward: none}
      - {path: "/new/*", rewrite: {path: "/v2/$1", regex: "^/new/(.*)"}, forward: a}
      - {path: /host, rewrite: {host: inside.example}, forward: a}
      - {path: "/go/*", redirect: {to: "https://#{host}:#{port}/went/#{path}?from=#{host}&#{query}", status: 307}}
      - {path: /away, redirect: {to: "https://example.org/x"}}
      - {path: /signed, auth: {basic: {ann: "$2a$04$Cs0vmdWaxH6gRujrSZp/q.CcIhfqIDpNq.Rpz9N.GD.1IbYHbCGOa"}}, respond: {body: in}}
      - path: /fields
        headers:
          request: {set: {X-Set: new}, add: {X-Add: more}, remove: [X-Gone]}
          response: {set: {X-Frame-Options: DENY}, remove: [X-App]}
        forward: a
      - path: /cors
        cors: {origins: ["https://*.example.com"], methods: [GET, PUT], headers: [X-Api], credentials: true, expose: [X-Total], max_age: 10m}
        respond: {body: cors}
    default: {respond: {status: 418, type: text/x-tea, body: default}}
  "*.wild.localhost": {default: {respond: {body: wild}}}
  down.localhost: {maintenance: on, health: /up, default: {respond: {body: up}}}
`

// TestRules holds conditions, actions, and what is done on the way to them.
func TestRules(t *testing.T) {
	upstream := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-App", name)
			fmt.Fprintf(w, "%s %s host=%s asked=%s set=%q add=%q gone=%q", name, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-Host"),
				r.Header.Values("X-Set"), r.Header.Values("X-Add"), r.Header.Values("X-Gone"))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	s := serve(t, everyRule, `"A"`, `"`+upstream("a")+`"`, `"B"`, `"`+upstream("b")+`"`)
	type want map[string]string
	tests := []struct {
		request string // method and URL
		fields  []string
		status  int
		text    string
		want    want
	}{
		{"GET https://localhost/", nil, 418, "default", want{"Content-Type": "text/x-tea", "Strict-Transport-Security": "max-age=31536000"}},
		{"GET https://localhost/exact", nil, 200, "exact", nil},
		{"GET https://localhost/exact/", nil, 418, "", nil},
		{"GET https://localhost/%65xact", nil, 200, "exact", nil},
		{"GET https://localhost/a/../exact", nil, 200, "exact", nil},
		{"GET https://localhost/EXACT", nil, 418, "", nil},
		{"GET https://localhost/one", nil, 200, "list", nil},
		{"GET https://localhost/any/7/x", nil, 200, "list", nil},
		{"GET https://localhost/any/7/8/x", nil, 418, "", nil},
		{"GET https://localhost/star-trek.txt", nil, 200, "stars", nil},
		{"GET https://localhost/n/42", nil, 200, "regex", nil},
		{"GET https://localhost/n/x", nil, 418, "", nil},
		{"PUT https://localhost/all?v=2", []string{"X-Beta: yesterday"}, 200, "all", nil},
		{"PATCH https://localhost/all?w=1&v=2", []string{"X-Beta: 1"}, 200, "all", nil},
		{"GET https://localhost/all?v=2", []string{"X-Beta: 1"}, 418, "", nil},
		{"PUT https://localhost/all?v=3", []string{"X-Beta: 1"}, 418, "", nil},
		{"PUT https://localhost/all?v=2", []string{"X-Beta: 2"}, 418, "", nil},
		{"GET https://localhost/from", nil, 418, "", nil},
		{"GET https://localhost/weighted", nil, 200, "b /weighted", nil},
		{"GET https://localhost/empty", nil, 503, "", nil},
		{"GET https://localhost/new/a%2Fb?q=%20", nil, 200, "a /v2/a%2Fb?q=%20 ", nil},
		{"GET https://localhost/host", nil, 200, "host=inside.example asked=localhost", nil},
		{"GET https://localhost/go/a?x=1", nil, 307, "", want{"Location": "https://localhost/went/go/a?from=localhost&x=1"}},
		{"GET https://localhost/away?x=1", nil, 302, "", want{"Location": "https://example.org/x?x=1"}},
		{"GET https://localhost/signed", nil, 401, "", want{"Www-Authenticate": `Basic realm="localhost", charset="UTF-8"`}},
		{"GET https://localhost/signed", []string{"Authorization: Basic YW5uOndyb25n"}, 401, "", nil},
		{"GET https://localhost/fields", []string{"X-Set: old", "X-Add: one", "X-Gone: x"}, 200, `set=["new"] add=["one" "more"] gone=[]`, want{"X-Frame-Options": "DENY", "X-App": ""}},
		{"OPTIONS https://localhost/cors", []string{"Origin: https://app.example.com", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-api"}, 204, "",
			want{"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "X-Api",
				"Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "600"}},
		{"GET https://localhost/cors", []string{"Origin: https://app.example.com"}, 200, "cors", want{"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Expose-Headers": "X-Total", "Vary": "Origin"}},
		{"GET https://localhost/cors", []string{"Origin: https://evil.example"}, 200, "cors", want{"Access-Control-Allow-Origin": "", "Vary": "Origin"}},
		{"GET https://any.wild.localhost/", nil, 200, "wild", want{"Strict-Transport-Security": ""}},
		{"GET https://down.localhost/", []string{"Accept: text/html"}, 503, "aintenance", want{"Retry-After": "120"}},
		{"GET https://down.localhost/up", nil, 200, "ok", nil},
	}
	for _, protocol := range protocols {
		client := s.client(protocol)
		for _, test := range tests {
			t.Run(protocol+" "+test.request, func(t *testing.T) {
				method, url, _ := strings.Cut(test.request, " ")
				got := fetch(t, client, method, url, "", test.fields...)
				if got.StatusCode != test.status || !strings.Contains(got.text, test.text) {
					t.Errorf("%d %s\nwant %d %s", got.StatusCode, got.text, test.status, test.text)
				}
				for name, value := range test.want {
					if got.Header.Get(name) != value {
						t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
					}
				}
			})
		}
	}
	if got := fetch(t, s.client("h1"), "GET", "https://localhost/host", ""); !strings.HasPrefix(got.Header.Get("Set-Cookie"), "STUCK=") {
		t.Errorf("the cookie of a sticky group: %q", got.Header.Get("Set-Cookie"))
	}
}

// TestEveryKindOfTarget forwards to targets by each scheme there is.
func TestEveryKindOfTarget(t *testing.T) {
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, body)
	})
	start := func(prepare func(*httptest.Server)) string {
		upstream := httptest.NewUnstartedServer(handler)
		upstream.Config.Protocols = new(http.Protocols)
		upstream.Config.Protocols.SetHTTP1(true)
		prepare(upstream)
		t.Cleanup(upstream.Close)
		return upstream.URL
	}
	socket := filepath.Join(dir, "app.sock")
	targets := map[string]string{
		"http":  start((*httptest.Server).Start),
		"https": start(func(u *httptest.Server) { u.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}; u.StartTLS() }),
		"h2c": strings.Replace(start(func(u *httptest.Server) {
			u.Config.Protocols.SetUnencryptedHTTP2(true)
			u.Start()
		}), "http:", "h2c:", 1),
		"unix": "unix:" + socket,
	}
	start(func(u *httptest.Server) {
		if u.Listener, err = net.Listen("unix", socket); err != nil {
			t.Fatal(err)
		}
		u.Start()
	})
	for kind, target := range targets {
		s := serve(t, "target_groups: {app: {targets: [\"APP\"], health: {path: /}}}\nhosts: {localhost: {default: {forward: app}}}\n", "APP", target)
		awaitHealthy(t, s, target)
		proto := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[kind == "h2c"]
		for _, protocol := range protocols {
			if got := fetch(t, s.client(protocol), "POST", "https://localhost/", "body"); got.text != proto+" localhost body" {
				t.Errorf("%s over %s: %d %s", kind, protocol, got.StatusCode, got.text)
			}
		}
	}
}

// TestReloadNamesWhatNeedsARestart changes each such key alone: the reload is refused, names it, and changes nothing.
func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	const listen = "listen: {http: 127.0.0.1:0, https: 127.0.0.1:0, metrics: 127.0.0.1:0, public_port: 443}"
	s := serve(t, "hosts: {localhost: {default: {respond: {body: BODY}}}}\n", "BODY", "before")
	for key, change := range map[string][2]string{
		"data_dir":               {"./data", "./elsewhere"},
		"listen.http":            {listen, "listen: {http: [], https: 127.0.0.1:0, metrics: 127.0.0.1:0, public_port: 443}"},
		"listen.https":           {"https: 127.0.0.1:0", "https: [127.0.0.1:0, 127.0.0.2:0]"},
		"listen.metrics":         {"metrics: 127.0.0.1:0, ", ""},
		"listen.public_port":     {"443", "444"},
		"listen.admin":           {"443", "443, admin: unix:./other.sock"},
		"listen.admin_group":     {"443", "443, admin_group: root"},
		"listen.trusted_proxies": {"443", "443, trusted_proxies: [10.0.0.0/8]"},
		"listen.proxy_protocol":  {"443", "443, proxy_protocol: [10.0.0.0/8]"},
	} {
		s.write("hosts: {localhost: {default: {respond: {body: BODY}}}}\n", "BODY", "after", change[0], change[1])
		status, _, errOut := command(t, "reload", "-c", s.file, "--admin", s.admin.Addr().String())
		if status != exitUsage || !strings.Contains(errOut, key+" was ") || !strings.Contains(errOut, "restart edge") || strings.Count(errOut, " was ") != 1 || !strings.Contains(errOut, "^") {
			t.Errorf("%s: %d %s", key, status, errOut)
		}
	}
	if got := fetch(t, s.client("h1"), "GET", "https://localhost/", ""); got.text != "before" {
		t.Errorf("%q is served", got.text)
	}
}
