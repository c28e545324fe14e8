package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// echo starts a target that answers with the request line and the fields that it got, one a line.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
		r.Header.Write(w)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const echoed = `
target_groups: {echo: {targets: ["ECHO"], health: off}}
hosts:
  localhost: {default: {forward: echo}}
`

// says makes one request on a connection of its own, byte by byte as given, and returns the answer and its body.
func says(t *testing.T, c net.Conn, request string) (*http.Response, string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// connect opens a TLS connection for raw HTTP/1.1. It ends with the test.
func (r *running) connect(serverName string) *tls.Conn {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.listeners.HTTPS[0].Addr().String(), &tls.Config{ServerName: serverName, RootCAs: r.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// plain opens a connection without TLS to the http listener. It ends with the test.
func (r *running) plain() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.listeners.HTTP[0].Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// TestHTTP10OverTLS holds that a visitor who offers nothing but HTTP/1.0 (`curl --http1.0`, old monitors) is served.
func TestHTTP10OverTLS(t *testing.T) {
	s := serve(t, echoed, "ECHO", echo(t))
	c, err := tls.Dial("tcp", s.listeners.HTTPS[0].Addr().String(), &tls.Config{ServerName: "localhost", RootCAs: s.roots, NextProtos: []string{"http/1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if answer, body := says(t, c, "GET /old HTTP/1.0\r\nHost: localhost\r\n\r\n"); answer.StatusCode != 200 || !strings.HasPrefix(body, "GET /old\n") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
}

// TestTargetHears holds what a target is told of a visitor, by whom that is believed.
func TestTargetHears(t *testing.T) {
	const trusting = "public_port: 443, trusted_proxies: [127.0.0.0/8]"
	spoofed := []string{
		"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: spoofed.example", "X-Forwarded-Port: 99", "X-Forwarded-Server: x",
		"X-Real-IP: 192.0.2.8", "Forwarded: for=192.0.2.9", "X-Amzn-Mtls-Clientcert: pem", "X-Request-Id: visitors-own-id",
		"X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8", "X_Forwarded_For: 192.0.2.10", "X-Kept: yes",
	}
	tests := []struct {
		name, listen string
		want         []string // regular expressions, each of a whole line
		not          []string
	}{
		{
			"an untrusted visitor", "public_port: 443",
			[]string{`GET /a//b%2Fc;d=%41\?q=%20&&x`, `Host: localhost`, `X-Forwarded-For: 127\.0\.0\.1`, `X-Forwarded-Proto: https`, `X-Forwarded-Host: localhost`, `X-Forwarded-Port: 443`,
				`X-Amzn-Trace-Id: Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8`, `X-Kept: yes`},
			[]string{"192.0.2.", "spoofed", "X-Real-Ip", "\nForwarded", "Mtls", "visitors-own-id", "X_Forwarded_For", "X-Forwarded-Server"},
		},
		{
			"a trusted proxy", trusting,
			[]string{`X-Forwarded-For: 192\.0\.2\.7, 127\.0\.0\.1`, `X-Forwarded-Proto: http`, `X-Forwarded-Host: spoofed\.example`, `X-Forwarded-Port: 99`, `X-Real-Ip: 192\.0\.2\.8`, `X-Request-Id: visitors-own-id`},
			[]string{"X_Forwarded_For"},
		},
	}
	for _, test := range tests {
		s := serve(t, echoed, "ECHO", echo(t), "public_port: 443", test.listen)
		for _, protocol := range protocols {
			t.Run(test.name+"/"+protocol, func(t *testing.T) {
				got := fetch(t, s.client(protocol), "GET", "https://localhost/a//b%2Fc;d=%41?q=%20&&x", "", spoofed...)
				for _, want := range test.want {
					if !regexp.MustCompile(`(?m)^` + want + `\r?$`).MatchString(got.text) {
						t.Errorf("no line %s in\n%s", want, got.text)
					}
				}
				for _, not := range test.not {
					if strings.Contains(got.text, not) {
						t.Errorf("%q in\n%s", not, got.text)
					}
				}
				if id := got.Header.Get("X-Request-Id"); id == "" || !strings.Contains(got.text, "X-Request-Id: "+id) {
					t.Errorf("the visitor hears of id %q, the target of another:\n%s", id, got.text)
				}
			})
		}
	}
}

// TestHopByHop speaks HTTP/1.1 by hand: what concerns the connection alone goes no further, and Host goes on as it came.
func TestHopByHop(t *testing.T) {
	s := serve(t, echoed, "ECHO", echo(t))
	_, got := says(t, s.connect("localhost"), "GET /x HTTP/1.1\r\nHost: LocalHost:8443\r\nConnection: close, X-Mine, Host, X-Forwarded-For\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n"+
		"Upgrade: h2c\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nUnder_Score: 1\r\nX-Kept: yes\r\n\r\n")
	for _, want := range []string{"GET /x\n", "Host: LocalHost:8443\n", "X-Kept: yes", "X-Forwarded-For: 127.0.0.1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, not := range []string{"X-Mine", "Keep-Alive", "Upgrade", "Proxy-Auth", "Te:", "Under_Score"} {
		if strings.Contains(got, not) {
			t.Errorf("%q in\n%s", not, got)
		}
	}
}

// TestRefusedBeforeARule sends what no host takes. Every refusal has an id, and says nothing of the inside.
func TestRefusedBeforeARule(t *testing.T) {
	s := serve(t, echoed, "ECHO", echo(t))
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"CONNECT", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", 405},
		{"two lengths", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400},
		{"length and chunks", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx", 400},
		{"an underscore in Transfer-Encoding", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer_Encoding: chunked\r\n\r\n", 400},
		{"an underscore in Content-Length", "POST / HTTP/1.1\r\nHost: localhost\r\nContent_Length: 5\r\n\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"a zero byte in the path", "GET /a%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a bare line feed", "GET / HTTP/1.1\nHost: localhost\n\n", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, body := says(t, s.connect("localhost"), test.request)
			if answer.StatusCode != test.status || answer.Header.Get("X-Request-Id") == "" || strings.Contains(body, "127.0.0.1") {
				t.Errorf("%s, id %q, %s", answer.Status, answer.Header.Get("X-Request-Id"), body)
			}
		})
	}
	for _, method := range []string{"TRACE"} {
		if got := fetch(t, s.client("h2"), method, "https://localhost/", ""); got.StatusCode != 405 {
			t.Errorf("%s over h2: %d", method, got.StatusCode)
		}
	}
}

// TestErrorsAreForWhoAsked holds the two forms of edge's own errors.
func TestErrorsAreForWhoAsked(t *testing.T) {
	s := serve(t, echoed, "ECHO", nobody)
	for _, protocol := range protocols {
		for accept, media := range map[string]string{
			"text/html,application/xhtml+xml,*/*;q=0.8": "text/html; charset=utf-8", "*/*": "application/problem+json", "application/json": "application/problem+json",
		} {
			got := fetch(t, s.client(protocol), "GET", "https://localhost/", "", "Accept: "+accept)
			if got.StatusCode != 502 || got.Header.Get("Content-Type") != media || strings.Contains(got.text, "127.0.0.1") || strings.Contains(got.text, "refused") {
				t.Errorf("%s, Accept %s: %d %s\n%s", protocol, accept, got.StatusCode, got.Header.Get("Content-Type"), got.text)
			}
		}
	}
}

// TestTrailersAndInformation holds that trailers and 1xx pass both ways, over h1 and h2.
func TestTrailersAndInformation(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s and %s", body, r.Trailer.Get("X-Signed"))
		w.Header().Set("X-Sum", "42")
	}))
	defer upstream.Close()
	s := serve(t, echoed, "ECHO", upstream.URL)
	for _, protocol := range protocols {
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, f textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, f.Get("Link")))
			return nil
		}})
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost/", io.NopCloser(strings.NewReader("body")))
		request.Trailer = http.Header{"X-Signed": {"trailer"}}
		answer, err := s.client(protocol).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != "body and trailer" || answer.Trailer.Get("X-Sum") != "42" || fmt.Sprint(hints) != "[103</style.css>; rel=preload]" {
			t.Errorf("%s: %q, trailers %v, hints %v", protocol, body, answer.Trailer, hints)
		}
	}
}

// TestRedirectToHTTPSKeepsEveryByte holds that path and query go on as sent, and which port a visitor is told.
func TestRedirectToHTTPSKeepsEveryByte(t *testing.T) {
	s := serve(t, "hosts: {localhost: {aliases: [www.localhost], health: /healthz, default: {respond: {body: x}}}}\n", "public_port: 443", "public_port: 8443")
	for _, test := range []struct {
		head     string
		status   int
		location string
	}{
		{"GET /a//b/../%2f%41;x?q=%20&&y=? HTTP/1.1\r\nHost: localhost:8080", 301, "https://localhost:8443/a//b/../%2f%41;x?q=%20&&y=?"},
		{"GET /? HTTP/1.1\r\nHost: localhost", 301, "https://localhost:8443/?"},
		{"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0", 308, "https://localhost:8443/form"},
		{"GET //evil.example/ HTTP/1.1\r\nHost: localhost", 301, "https://localhost:8443//evil.example/"},
		{"GET /healthz HTTP/1.1\r\nHost: localhost", 200, ""},
		{"GET / HTTP/1.1\r\nHost: evil.example", 404, ""},
	} {
		answer, _ := says(t, s.plain(), test.head+"\r\nConnection: close\r\n\r\n")
		if answer.StatusCode != test.status || answer.Header.Get("Location") != test.location {
			t.Errorf("%s: %d %s", test.head, answer.StatusCode, answer.Header.Get("Location"))
		}
	}
	got := fetch(t, s.client("h2"), "GET", "https://www.localhost/a%2fb?c", "")
	if location := got.Header.Get("Location"); location != "https://localhost:8443/a%2fb?c" {
		t.Errorf("the alias leads to %s", location)
	}
}

// TestProxyProtocol sends what a network load balancer sends in front of TLS, and expects the visitor's address everywhere.
func TestProxyProtocol(t *testing.T) {
	s := serve(t, echoed, "ECHO", echo(t), "public_port: 443", "public_port: 443, proxy_protocol: [127.0.0.1]")
	header := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.44:5555")), net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:443")))
	for _, protocol := range []string{"h1", "h2"} { // there is none for QUIC
		client := s.client(protocol)
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", s.listeners.HTTPS[0].Addr().String())
			if err == nil {
				_, err = header.WriteTo(c)
			}
			return c, err
		}
		got := fetch(t, client, "GET", "https://localhost/"+protocol, "")
		if !strings.Contains(got.text, "X-Forwarded-For: 192.0.2.44") {
			t.Errorf("%s: the target hears\n%s", protocol, got.text)
		}
		s.logged(t, `"path":"/`+protocol+`".*"client":"192.0.2.44"`)
	}
	if _, err := s.client("h1").Get("https://localhost/"); err == nil {
		t.Error("answered without a header")
	}
}

// logged waits for a line of the access log that a regular expression matches, and returns it.
func (r *running) logged(t *testing.T, pattern string) string {
	t.Helper()
	wanted := regexp.MustCompile(`(?m)^.*` + pattern + `.*$`)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if line := wanted.FindString(r.access.String()); line != "" {
			return line
		}
	}
	t.Fatalf("no line matches %s in\n%s", pattern, r.access.String())
	return ""
}
