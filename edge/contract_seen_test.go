package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const twoRules = `
target_groups:
  echo: {targets: ["ECHO"], health: {path: /}}
  gone: {targets: ["GONE"], health: off}
hosts:
  localhost:
    rules:
      - {path: /fixed, respond: {body: "12345"}}
      - {path: /gone, forward: gone}
    default: {forward: echo}
`

// TestAccessLog holds the keys of the access log's lines, and that a query string is left out unless it is asked for.
func TestAccessLog(t *testing.T) {
	upstream := echo(t)
	s := serve(t, twoRules, "ECHO", upstream, "GONE", nobody)
	const all = "time id host method path status bytes_in bytes_out duration"
	for _, test := range []struct {
		path, keys string
		values     map[string]any
	}{
		{"/fixed?secret=1", all + " rule", map[string]any{"host": "localhost", "method": "POST", "path": "/fixed", "status": 200.0, "bytes_out": 5.0, "target": nil, "error_reason": nil, "query": nil}},
		{"/echo", all + " rule target connect wait transfer", map[string]any{"status": 200.0, "bytes_in": 4.0, "target": upstream, "error_reason": nil}},
		{"/gone", all + " rule target connect wait transfer error_reason", map[string]any{"status": 502.0, "target": nobody}},
	} {
		for _, protocol := range protocols {
			got := fetch(t, s.client(protocol), "POST", "https://localhost"+test.path, "body")
			line := s.logged(t, `"id":"`+regexp.QuoteMeta(got.Header.Get("X-Request-Id"))+`"`)
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			for _, key := range strings.Fields(test.keys) {
				if entry[key] == nil {
					t.Errorf("%s: no %q in %s", test.path, key, line)
				}
			}
			for key, want := range test.values {
				if entry[key] != want {
					t.Errorf("%s: %s is %v, want %v", test.path, key, entry[key], want)
				}
			}
			if _, err := time.Parse(time.RFC3339, entry["time"].(string)); err != nil {
				t.Error(err)
			}
		}
	}
	if strings.Contains(s.access.String(), "secret") {
		t.Error("a query string is logged")
	}
}

// TestAccessLogFile rotates a log file as logrotate would: moved away, then a reload.
func TestAccessLogFile(t *testing.T) {
	const hosts = "hosts: {localhost: {default: {respond: {body: x}}}}\nlog: {access: ./access.log, query: true}\n"
	s := serve(t, hosts)
	file := filepath.Join(filepath.Dir(s.file), "access.log")
	client := s.client("h1")
	await := func(name, want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if text, _ := os.ReadFile(name); strings.Contains(string(text), want) {
				return
			}
		}
		t.Fatalf("%s never says %s", name, want)
	}
	fetch(t, client, "GET", "https://localhost/before?q=1", "")
	await(file, `"path":"/before","query":"q=1"`)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	s.reload(hosts)
	fetch(t, client, "GET", "https://localhost/after", "")
	await(file, `"path":"/after"`)
	if moved, _ := os.ReadFile(file + ".1"); strings.Contains(string(moved), "/after") {
		t.Error("the file that was moved away is still written")
	}
	s.reload(strings.Replace(hosts, "./access.log", "off", 1))
	fetch(t, client, "GET", "https://localhost/unlogged", "")
	s.stop()
	if text, _ := os.ReadFile(file); strings.Contains(string(text), "unlogged") {
		t.Error("access: off is logged")
	}
}

// TestMetricsNames holds the names and labels that dashboards are built on.
func TestMetricsNames(t *testing.T) {
	upstream := echo(t)
	s := serve(t, twoRules, "ECHO", upstream, "GONE", "http://127.0.0.1:1")
	awaitHealthy(t, s, upstream)
	fetch(t, s.client("h2"), "GET", "https://localhost/fixed", "")
	fetch(t, s.client("h1"), "POST", "http://made-up.example/", "")
	text := fetch(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "GET", "http://"+s.listeners.Metrics.Addr().String()+"/metrics", "").text
	for _, want := range []string{
		`edge_requests_total\{code="200",host="localhost"\} 1`,
		`edge_request_duration_seconds_bucket\{host="localhost",le="0.1"\} \d+`,
		`edge_request_duration_seconds_sum\{host="localhost"\} \S+`,
		`edge_target_healthy\{group="echo",target="` + regexp.QuoteMeta(upstream) + `"\} 1`,
		`edge_cert_not_after_seconds\{host="localhost"\} [0-9.e+]+`,
		`go_goroutines \d+`,
		`process_open_fds \d+`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "made-up") {
		t.Error("a visitor made up a label")
	}
}

// TestHealthWhileDraining asks every health check there is before a server is told to stop, and while a request keeps it from stopping:
// a load balancer in front, who comes on a new connection, has to hear of it.
func TestHealthWhileDraining(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "answered")
	}))
	defer slow.Close()
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	s := serve(t, `
target_groups: {app: {targets: ["APP"], health: off}}
hosts: {localhost: {health: /healthz, default: {forward: app}}}
`, "APP", slow.URL)
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) {
		return net.Dial("unix", s.admin.Addr().String())
	}}}
	health := func(status int) {
		t.Helper()
		for where, got := range map[string]fetched{
			"metrics":      fetch(t, plain, "GET", "http://"+s.listeners.Metrics.Addr().String()+"/_edge/health", ""),
			"admin socket": fetch(t, socket, "GET", "http://edge/_edge/health", ""),
			"host, h1":     fetch(t, s.client("h1"), "GET", "https://localhost/healthz", ""),
			"host, h2":     fetch(t, s.client("h2"), "GET", "https://localhost/healthz", ""),
			"host, http":   fetch(t, s.client("h1"), "GET", "http://localhost/healthz", ""),
		} {
			if got.StatusCode != status {
				t.Errorf("%s: %d, want %d", where, got.StatusCode, status)
			}
		}
	}
	health(200)
	answer := make(chan fetched, 1)
	client := s.client("h2")
	go func() {
		defer close(answer) // if that fails
		answer <- fetch(t, client, "GET", "https://localhost/slow", "")
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for s.Serving() {
		time.Sleep(time.Millisecond)
	}
	health(503)
	if _, out, _ := command(t, "status", "-c", s.file); !strings.Contains(out, "draining") {
		t.Errorf("edge status:\n%s", out)
	}
	let()
	if got := <-answer; got.text != "answered" {
		t.Errorf("the request under way: %d %q", got.StatusCode, got.text)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
