package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(edgeProcess) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// running is a server of this process with its configuration in a folder of its own.
type running struct {
	*server
	t      testing.TB
	file   string // edge.yaml
	roots  *x509.CertPool
	hangup chan os.Signal
	stop   func() error // drains; returns what run returned
	access *safeBuffer  // what goes to stdout
	log    *told
	head   string // what its configurations begin with
}

// head is what the configurations of these tests begin with.
const head = `
data_dir: ./data
listen: {http: 127.0.0.1:0, https: 127.0.0.1:0, metrics: 127.0.0.1:0, public_port: 443}
tls: {issuers: [local]}
shutdown: 5s
`

// serve starts a server with head and body as its configuration. Pairs of strings in them are replaced first.
func serve(t testing.TB, body string, replace ...string) *running {
	t.Helper()
	return serveBelow(t, head, body, replace...)
}

// serveBelow is serve with another head.
func serveBelow(t testing.TB, head, body string, replace ...string) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "edge") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{t: t, file: filepath.Join(dir, "edge.yaml"), head: head}
	r.write(body, replace...)
	return r.start()
}

// again starts a server on the configuration and the data of one that was stopped.
func (r *running) again() *running {
	r.t.Helper()
	next := &running{t: r.t, file: r.file, head: r.head}
	next.start()
	next.roots = r.roots
	return next
}

func (r *running) start() *running {
	t := r.t
	t.Helper()
	r.hangup, r.access = make(chan os.Signal, 1), new(safeBuffer)
	cfg, problems, err := load(r.file)
	if err != nil {
		t.Fatal(err, problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	level := new(slog.LevelVar)
	r.log = &told{Handler: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}), heard: newHeard()}
	log := slog.New(r.log)
	if r.server, err = newServer(ctx, r.file, cfg, r.access, log, level); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, r.hangup) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	r.roots = x509.NewCertPool()
	switch root, _, err := cert.ReadLocalCA(cfg.DataDir); {
	case err == nil:
		r.roots.AddCert(root)
	case !errors.Is(err, fs.ErrNotExist): // there is none where all hosts have files of their own
		t.Fatal(err)
	}
	return r
}

// write writes the configuration.
func (r *running) write(body string, replace ...string) {
	r.t.Helper()
	text := strings.NewReplacer(replace...).Replace(r.head + body)
	if err := os.WriteFile(r.file, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// reload takes a new configuration into service.
func (r *running) reload(body string, replace ...string) {
	r.t.Helper()
	r.write(body, replace...)
	outcome, err := r.Reload(r.t.Context())
	if err != nil || !outcome.Applied {
		r.t.Fatalf("reload: %+v, %v", outcome, err)
	}
}

// protocols are the ways in that tests of behaviour go.
var protocols = []string{"h1", "h2", "h3"}

// client returns a client that finds every host here. It does not follow redirects.
func (r *running) client(protocol string) *http.Client {
	transport := r.overTCP(protocol)
	if protocol == "h3" {
		overQUIC := r.overQUIC()
		transport.RegisterProtocol("https", overQUIC)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
}

// overQUIC returns a transport that speaks HTTP/3.
func (r *running) overQUIC() *http3.Transport {
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots},
		Dial: func(ctx context.Context, _ string, terms *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, r.listeners.QUIC[0].LocalAddr().String(), terms, config)
		},
		DisableCompression: true,
	}
	r.t.Cleanup(func() { transport.Close() })
	return transport
}

func (r *running) overTCP(protocol string) *http.Transport {
	dialer := new(net.Dialer)
	to := func(port string) string {
		if port == "80" {
			return r.listeners.HTTP[0].Addr().String()
		}
		return r.listeners.HTTPS[0].Addr().String()
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots},
		Protocols:       new(http.Protocols),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return dialer.DialContext(ctx, network, to(port))
		},
		DisableCompression: true,
	}
	transport.Protocols.SetHTTP1(true)
	transport.Protocols.SetHTTP2(protocol == "h2")
	r.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// fetched is an answer, read whole.
type fetched struct {
	*http.Response
	text string
}

// fetch asks and reads the answer whole. Fields are given as "Name: value".
func fetch(t *testing.T, c *http.Client, method, url, body string, fields ...string) fetched {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			request.Host = value
		} else {
			request.Header.Add(name, value)
		}
	}
	answer, err := c.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return fetched{answer, string(text)}
}

// told passes on what is logged, and lets tests wait for it.
type told struct {
	slog.Handler
	attrs []slog.Attr
	*heard
}

// heard is what has been logged since the start: each record as one line, "message key=value …".
type heard struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed by the next line
}

func newHeard() *heard { return &heard{more: make(chan struct{})} }

func (h *told) Handle(ctx context.Context, r slog.Record) error {
	line := r.Message
	add := func(a slog.Attr) bool { line += " " + a.String(); return true }
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.mu.Lock()
	h.lines = append(h.lines, line)
	close(h.more)
	h.more = make(chan struct{})
	h.mu.Unlock()
	return h.Handler.Handle(ctx, r)
}

func (h *told) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &told{h.Handler.WithAttrs(attrs), append(slices.Clip(h.attrs), attrs...), h.heard}
}

// wait returns when as many lines as count have all the parts.
func (h *heard) wait(t *testing.T, count int, parts ...string) {
	t.Helper()
	h.waitFor(t, 30*time.Second, count, parts...)
}

// waitFor is wait with a deadline of its own.
func (h *heard) waitFor(t *testing.T, most time.Duration, count int, parts ...string) {
	t.Helper()
	deadline := time.After(most)
	for {
		h.mu.Lock()
		found, more := 0, h.more
		for _, line := range h.lines {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				found++
			}
		}
		h.mu.Unlock()
		if found >= count {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%d of %d lines with %q were logged", found, count, parts)
		}
	}
}

// nobody is the URL of a target that refuses connections: no test is ever given that port.
const nobody = "http://127.0.0.1:1"

// app starts a target that says its name and what it was asked.
func app(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", name)
		fmt.Fprintf(w, "%s %s %s host=%s proto=%s for=%s id=%s", name, r.Method, r.RequestURI, r.Host,
			r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Request-Id"))
	}))
	t.Cleanup(s.Close)
	return s
}

// folder makes a folder of files, given as pairs of name and content.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// safeBuffer is a bytes.Buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const severalHosts = `
sites:
  app: {root: ROOT, spa: true}
target_groups:
  api: {targets: ["APP"], health: {path: /health}}
hosts:
  localhost:
    aliases: [www.localhost]
    hsts: 1d
    health: /healthz
    rules:
      - {path: /old/*, redirect: {to: "https://#{host}/new", status: 301}}
      - {path: /robots.txt, respond: {type: text/plain, body: "User-agent: *\n"}}
      - {path: /private/*, auth: {basic: {ann: secret}}, site: app}
      - {path: /v1/*, rewrite: {regex: "^/v1/(.*)", path: "/v2/$1"}, forward: api}
      - {path: /limited, limits: {rate: 1/h, burst: 2}, respond: {body: fine}}
    default: {site: app}
  api.localhost:
    default: {forward: api, cors: {origins: ["https://localhost"]}, headers: {response: {set: {X-By: edge}}}}
    limits: {body: 1KiB}
  down.localhost:
    maintenance: on
    default: {site: app}
  plain.localhost:
    tls: off
    default: {respond: {body: plain}}
`

func TestServesSeveralHosts(t *testing.T) {
	root := folder(t, "index.html", "<!doctype html><title>home</title>", "assets/app-4f3a9c1b.js", "let x = 1")
	s := serve(t, severalHosts, "ROOT", root, "APP", app(t, "one").URL)
	html := "Accept: text/html"
	tests := []struct {
		name        string
		method, url string
		fields      []string
		body        string
		status      int
		want        map[string]string // fields of the answer, "" for absent
		text        string            // what the answer's body holds
	}{
		{name: "index", url: "https://localhost/", status: 200, text: "home",
			want: map[string]string{"Strict-Transport-Security": "max-age=86400", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}},
		{name: "SPA fallback", url: "https://localhost/goals/7", fields: []string{html}, status: 200, text: "home"},
		{name: "missing asset", url: "https://localhost/assets/gone-11111111.js", fields: []string{html}, status: 404, want: map[string]string{"Cache-Control": "no-store"}},
		{name: "hashed asset", url: "https://localhost/assets/app-4f3a9c1b.js", status: 200, text: "let x",
			want: map[string]string{"Cache-Control": "public, max-age=31536000, immutable"}},
		{name: "redirect", url: "https://localhost/old/thing?a=1", status: 301, want: map[string]string{"Location": "https://localhost/new?a=1"}},
		{name: "respond", url: "https://localhost/robots.txt", status: 200, text: "User-agent", want: map[string]string{"Content-Type": "text/plain"}},
		{name: "health", url: "https://localhost/healthz", status: 200},
		{name: "password wanted", url: "https://localhost/private/x", status: 401},
		{name: "password given", url: "https://localhost/private/", fields: []string{"Authorization: Basic YW5uOnNlY3JldA==", html}, status: 200, text: "home"},
		{name: "encoded path does not go round a rule", url: "https://localhost/%70rivate/x", status: 401},
		{name: "rewrite", url: "https://localhost/v1/a%2Fb?q=1", status: 200, text: "one GET /v2/a%2Fb?q=1 host=localhost"},
		{name: "forward", url: "https://api.localhost/hello", status: 200, text: "one GET /hello host=api.localhost proto=https for=127.0.0.1",
			want: map[string]string{"X-App": "one", "X-By": "edge"}},
		{name: "spoofed forwarding fields", url: "https://api.localhost/", fields: []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: gopher"}, status: 200, text: "proto=https for=127.0.0.1"},
		{name: "preflight", method: "OPTIONS", url: "https://api.localhost/hello", fields: []string{"Origin: https://localhost", "Access-Control-Request-Method: POST"}, status: 204,
			want: map[string]string{"Access-Control-Allow-Origin": "https://localhost"}},
		{name: "body too large", method: "POST", url: "https://api.localhost/", body: strings.Repeat("x", 1025), status: 413},
		{name: "body just fits", method: "POST", url: "https://api.localhost/", body: strings.Repeat("x", 1024), status: 200},
		{name: "alias", url: "https://www.localhost/a?b", status: 301, want: map[string]string{"Location": "https://localhost/a?b"}},
		{name: "maintenance", url: "https://down.localhost/", status: 503},
		{name: "another host on this connection", url: "https://localhost/", fields: []string{"Host: api.localhost"}, status: 421},
		{name: "dots do not climb", url: "https://localhost/..%2f..%2fetc/passwd", status: 400},
		{name: "http goes to https", url: "http://localhost/a?b=c", status: 301, want: map[string]string{"Location": "https://localhost/a?b=c"}},
		{name: "http POST keeps its method", method: "POST", url: "http://api.localhost/", status: 308},
		{name: "unknown host on http", url: "http://other.localhost/", status: 404},
		{name: "plain host", url: "http://plain.localhost/", status: 200, text: "plain"},
	}
	for _, protocol := range protocols {
		client := s.client(protocol)
		for _, test := range tests {
			t.Run(protocol+"/"+test.name, func(t *testing.T) {
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				got := fetch(t, client, method, test.url, test.body, test.fields...)
				if got.StatusCode != test.status {
					t.Errorf("status %d, want %d\n%s", got.StatusCode, test.status, got.text)
				}
				if !strings.Contains(got.text, test.text) {
					t.Errorf("body is %q, want %q in it", got.text, test.text)
				}
				for name, want := range test.want {
					if value := got.Header.Get(name); value != want {
						t.Errorf("%s: %q, want %q", name, value, want)
					}
				}
				if got.Header.Get("X-Request-Id") == "" {
					t.Error("no X-Request-Id")
				}
				if strings.HasPrefix(test.url, "https:") && got.ProtoMajor != int(protocol[1]-'0') {
					t.Errorf("answered by %s", got.Proto)
				}
			})
		}
	}
	if _, err := s.client("h1").Get("https://other.localhost/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unknown host on https: %v", err)
	}
}

func TestRateLimit(t *testing.T) {
	s := serve(t, severalHosts, "ROOT", folder(t, "index.html", ""), "APP", app(t, "one").URL)
	client := s.client("h1")
	for i, want := range []int{200, 200, 429} {
		got := fetch(t, client, "GET", "https://localhost/limited", "")
		if got.StatusCode != want || (want == 429) != (got.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %d, Retry-After %q", i+1, got.StatusCode, got.Header.Get("Retry-After"))
		}
	}
}

func TestMetricsAndHealth(t *testing.T) {
	s := serve(t, severalHosts, "ROOT", folder(t, "index.html", ""), "APP", app(t, "one").URL)
	client := s.client("h1")
	fetch(t, client, "GET", "https://localhost/robots.txt", "")
	fetch(t, client, "GET", "http://invented.example/", "")
	metrics := "http://" + s.listeners.Metrics.Addr().String()
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	text := fetch(t, plain, "GET", metrics+"/metrics", "").text
	for _, line := range []string{
		`edge_requests_total{code="200",host="localhost"} 1`,
		`edge_requests_total{code="404",host="_other"} 1`,
		`edge_request_duration_seconds_count{host="localhost"} 1`,
		`edge_target_healthy{group="api",target="`,
		`edge_cert_not_after_seconds{host="api.localhost"} `,
		`edge_connections{protocol="h1"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(text, "invented") {
		t.Error("a visitor made up a label value")
	}
	if got := fetch(t, plain, "GET", metrics+"/_edge/health", ""); got.StatusCode != 200 {
		t.Errorf("health: %d", got.StatusCode)
	}
}

func TestHangupReloads(t *testing.T) {
	s := serve(t, "hosts: {localhost: {default: {respond: {body: before}}}}\n")
	client := s.client("h1")
	s.write("hosts: {localhost: {default: {respond: {body: after}}}}\n")
	s.hangup <- syscall.SIGHUP
	for deadline := time.Now().Add(10 * time.Second); ; {
		if fetch(t, client, "GET", "https://localhost/", "").text == "after" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new configuration is not served")
		}
	}
}
