package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// h3 opens a QUIC connection of its own. It ends with the test.
func (r *running) h3(serverName string) (*quic.Conn, *http.Client) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	terms := &tls.Config{ServerName: serverName, RootCAs: r.roots, NextProtos: []string{http3.NextProtoH3}}
	c, err := quic.DialAddr(ctx, r.listeners.QUIC[0].LocalAddr().String(), terms, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	transport := new(http3.Transport)
	r.t.Cleanup(func() {
		c.CloseWithError(0, "")
		transport.Close()
	})
	return c, &http.Client{Transport: transport.NewClientConn(c), Timeout: 20 * time.Second}
}

const twoWays = "hosts:\n  localhost: {aliases: [www.localhost], default: {respond: {body: x}}}\n  plain.localhost: {tls: off, default: {respond: {body: x}}}\n"

// TestAltSvc holds who hears where h3 is: those who came by TLS over TCP, whatever they were answered.
func TestAltSvc(t *testing.T) {
	s := serve(t, twoWays, "public_port: 443", "public_port: 8443")
	const there = `h3=":8443"; ma=86400`
	for _, protocol := range protocols {
		client := s.client(protocol)
		for url, want := range map[string]string{
			"https://localhost/":      there,
			"https://www.localhost/":  there, // a redirect
			"http://localhost/":       "",
			"http://plain.localhost/": "",
		} {
			if protocol == "h3" {
				want = ""
			}
			if got := fetch(t, client, "GET", url, ""); got.Header.Get("Alt-Svc") != want || len(got.Header.Values("Alt-Svc")) > 1 {
				t.Errorf("%s, %s: %q", protocol, url, got.Header.Values("Alt-Svc"))
			}
		}
	}
	_, tcp, _ := net.SplitHostPort(s.listeners.HTTPS[0].Addr().String())
	if _, udp, _ := net.SplitHostPort(s.listeners.QUIC[0].LocalAddr().String()); udp != tcp {
		t.Errorf("https is at port %s, h3 at %s", tcp, udp)
	}
}

// TestH3Off looks for what is left of it: nobody has the port, and nobody is sent there.
func TestH3Off(t *testing.T) {
	s := serve(t, twoWays, "public_port: 443", "h3: off")
	for _, protocol := range []string{"h1", "h2"} {
		if got := fetch(t, s.client(protocol), "GET", "https://localhost/", ""); got.StatusCode != 200 || got.Header.Get("Alt-Svc") != "" {
			t.Errorf("%s: %d, Alt-Svc %q", protocol, got.StatusCode, got.Header.Get("Alt-Svc"))
		}
	}
	pc, err := net.ListenPacket("udp", s.listeners.HTTPS[0].Addr().String())
	if err != nil {
		t.Fatalf("the port of https is in use on UDP: %v", err)
	}
	pc.Close()
	if _, out, _ := command(t, "status", "-c", s.file); strings.Contains(out, "h3   ") {
		t.Errorf("edge status:\n%s", out)
	}
}

// TestUnknownNamesGetNoQUICConnection is TestNoCertificate over QUIC.
func TestUnknownNamesGetNoQUICConnection(t *testing.T) {
	s := serve(t, twoWays)
	for _, sni := range []string{"other.localhost", "plain.localhost", "127.0.0.1"} { // an address is not sent as a name
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		c, err := quic.DialAddr(ctx, s.listeners.QUIC[0].LocalAddr().String(), &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, nil)
		if err == nil {
			c.CloseWithError(0, "")
		}
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", sni, err)
		}
		cancel()
	}
}

// TestH3IsSeen looks for a connection and a request in the access log, the metrics and the status.
func TestH3IsSeen(t *testing.T) {
	s := serve(t, twoWays)
	c, client := s.h3("localhost")
	got := fetch(t, client, "GET", "https://localhost/seen?secret", "")
	line := s.logged(t, `"id":"`+regexp.QuoteMeta(got.Header.Get("X-Request-Id"))+`"`)
	for _, want := range []string{`"host":"localhost"`, `"path":"/seen"`, `"status":200`, `"protocol":"HTTP/3`, `"client":"127.0.0.1"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if metrics := s.scrape(t); !strings.Contains(metrics, "\nedge_connections{protocol=\"h3\"} 1\n") {
		t.Error("no connection in the metrics")
	}
	_, out, _ := command(t, "status", "-c", s.file)
	if !strings.Contains(out, "1 h3") || !regexp.MustCompile(`(?m)^h3 +`+regexp.QuoteMeta(s.listeners.QUIC[0].LocalAddr().String())+`$`).MatchString(out) {
		t.Errorf("edge status:\n%s", out)
	}
	c.CloseWithError(0x100, "") // H3_NO_ERROR
	await(t, "the end of the connection", func() bool { return strings.Contains(s.scrape(t), "\nedge_connections{protocol=\"h3\"} 0\n") })
}

// scrape returns the metrics.
func (r *running) scrape(t *testing.T) string {
	t.Helper()
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return fetch(t, plain, "GET", "http://"+r.listeners.Metrics.Addr().String()+"/metrics", "").text
}

// TestLimitsHoldOverH3 sends more than is allowed: requests, and a body whose length nobody knows.
func TestLimitsHoldOverH3(t *testing.T) {
	reads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	}))
	defer reads.Close()
	s := serve(t, `
target_groups: {app: {targets: ["APP"], health: off}}
hosts:
  localhost:
    rules: [{path: /rate, limits: {rate: 1/h, burst: 2}, respond: {body: x}}]
    default: {forward: app}
    limits: {body: 100KiB}
`, "APP", reads.URL)
	_, client := s.h3("localhost")
	for i, want := range []int{200, 200, 429} {
		if got := fetch(t, client, "GET", "https://localhost/rate", ""); got.StatusCode != want || (want == 429) != (got.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %d, Retry-After %q", i+1, got.StatusCode, got.Header.Get("Retry-After"))
		}
	}
	for size, want := range map[int64]int{100 << 10: 200, 100<<10 + 1: 413, 10 << 20: 413} {
		upload := struct{ io.Reader }{io.LimitReader(zeros{}, size)} // of a type that net/http does not know the length of
		request, err := http.NewRequestWithContext(t.Context(), "POST", "https://localhost/", upload)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want || want == 200 && string(body) != fmt.Sprintln(size, error(nil)) {
			t.Errorf("%d bytes: %s %s", size, answer.Status, body)
		}
	}
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestH3ConnectionsOutliveAReload has one with a request under way and an idle one, from before a reload to the end of the server, which
// answers what it has begun and then says goodbye (RFC 9114, section 5.3).
func TestH3ConnectionsOutliveAReload(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, "answered")
	}))
	defer slow.Close()
	const hosts = "target_groups: {app: {targets: [\"APP\"], health: off}}\nhosts: {localhost: {default: {forward: app, headers: {response: {set: {X-Version: VERSION}}}}}}\n"
	s := serve(t, hosts, "APP", slow.URL, "VERSION", "one")
	busy, client := s.h3("localhost")
	idle, other := s.h3("localhost")
	fetch(t, other, "GET", "https://localhost/", "")
	answer := make(chan fetched, 1)
	go func() {
		defer close(answer) // if that fails
		answer <- fetch(t, client, "GET", "https://localhost/slow", "")
	}()
	<-arrived
	s.reload(hosts, "APP", slow.URL, "VERSION", "two")
	for _, client := range []*http.Client{client, other} {
		if got := fetch(t, client, "GET", "https://localhost/", ""); got.Header.Get("X-Version") != "two" {
			t.Errorf("after a reload: %d, version %q", got.StatusCode, got.Header.Get("X-Version"))
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	select {
	case <-idle.Context().Done():
	case <-time.After(20 * time.Second):
		t.Error("an idle connection stays when the server stops")
	}
	if busy.Context().Err() != nil {
		t.Error("a connection with a request under way is closed")
	}
	close(release)
	if got := <-answer; got.text != "answered" || got.Header.Get("X-Version") != "one" {
		t.Errorf("the request under way: %d %q by version %q", got.StatusCode, got.text, got.Header.Get("X-Version"))
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	<-busy.Context().Done()
	for name, c := range map[string]*quic.Conn{"idle": idle, "busy": busy} {
		var said *quic.ApplicationError
		if err := context.Cause(c.Context()); !errors.As(err, &said) || said.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
			t.Errorf("the %s connection ends with %v", name, err)
		}
	}
}

// TestChromiumSpeaksH3 has a browser open a page that tells by which protocol it came, and what else it fetched from there.
func TestChromiumSpeaksH3(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: no chromium on this machine (apt-get install chromium)")
	}
	page := `<!doctype html><title>h3</title><link rel=stylesheet href=/style.css><pre></pre><script>onload = () => {
		document.querySelector("pre").textContent = ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind)).map(e => new URL(e.name).pathname + " " + e.nextHopProtocol).join("\n")
	}</script>`
	s := serve(t, `
sites: {app: {root: ROOT, csp: off}}
hosts: {localhost: {default: {site: app}}}
`, "ROOT", folder(t, "index.html", page, "style.css", strings.Repeat("p { color: red }\n", 10_000)))
	leaf, err := s.leaf("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	_, port, _ := net.SplitHostPort(s.listeners.QUIC[0].LocalAddr().String())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	browser := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--enable-quic", "--origin-to-force-quic-on=localhost:"+port, "--host-resolver-rules=MAP localhost 127.0.0.1",
		"--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]), "--timeout=20000", "--dump-dom", "https://localhost:"+port+"/")
	browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	browser.Cancel = func() error { return syscall.Kill(-browser.Process.Pid, syscall.SIGKILL) }
	browser.WaitDelay = 5 * time.Second
	var complaints strings.Builder
	browser.Stderr = &complaints
	shown, err := browser.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	if want := "<pre>/ h3\n/style.css h3</pre>"; !strings.Contains(string(shown), want) {
		t.Errorf("the browser shows\n%s\nand complains\n%s", shown, complaints.String())
	}
}
