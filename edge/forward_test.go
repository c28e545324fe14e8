package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// forwarding sends all to one group, whose targets nobody checks.
const forwarding = `
target_groups:
  app: {targets: [TARGETS], health: off}
hosts:
  localhost: {default: {forward: app}}
  plain.localhost: {tls: off, default: {forward: app}}
`

// targetKinds are the ways to a target that tests of streaming go.
var targetKinds = []string{"http", "h2c"}

// upstream starts a target of a kind and returns its URL.
func upstream(t *testing.T, kind string, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(kind == "http")
	s.Config.Protocols.SetUnencryptedHTTP2(kind == "h2c")
	s.Start()
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http", kind, 1)
}

// rawUpstream starts a target that reads a request's head and closes the connection after answer.
func rawUpstream(t *testing.T, answer func(c net.Conn, head string)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if head := readHead(bufio.NewReader(c)); head != "" {
					answer(c, head)
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// onEveryWay runs a test over both protocols of visitors and both of targets.
func onEveryWay(t *testing.T, h http.HandlerFunc, test func(t *testing.T, s *running, client *http.Client)) {
	for _, kind := range targetKinds {
		s := serve(t, forwarding, "TARGETS", upstream(t, kind, h))
		for _, protocol := range protocols {
			t.Run(protocol+" to "+kind, func(t *testing.T) { test(t, s, s.client(protocol)) })
		}
	}
}

// TestGRPC calls a gRPC server by h2c from a gRPC client over TLS.
func TestGRPC(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // of the echo
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var m wrapperspb.StringValue
		for {
			if err := stream.RecvMsg(&m); err != nil {
				ended <- err
				return nil //nolint:nilerr // how it ended is looked at, and no error of the echo's
			}
			if err := stream.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	checks := health.NewServer()
	checks.SetServingStatus("app", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	go server.Serve(ln)
	defer server.Stop()
	s := serve(t, forwarding, "TARGETS", "h2c://"+ln.Addr().String())
	conn, err := grpc.NewClient("passthrough:///"+s.listeners.HTTPS[0].Addr().String(),
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(s.roots, "localhost")), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	client := grpc_health_v1.NewHealthClient(conn)
	if got, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "app"}); err != nil || got.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("one answer: %v, %v", got, err)
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("a status without an answer: %v", err)
	}
	watched, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "app"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING} {
		if got, err := watched.Recv(); err != nil || got.Status != want {
			t.Errorf("many answers: %v, %v", got, err)
		}
		checks.SetServingStatus("app", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}

	talking, hangUp := context.WithCancel(ctx)
	stream, err := conn.NewStream(talking, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Echo/Talk")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", strings.Repeat("two", 100_000), "three"} {
		var got wrapperspb.StringValue
		if err := stream.SendMsg(wrapperspb.String(word)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&got); err != nil || got.Value != word {
			t.Errorf("both ways at once: %d bytes, %v", len(got.Value), err)
		}
	}
	hangUp()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("the visitor's leaving ends the target's call with %v", err)
	}
	s.logged(t, `"path":"/test.Echo/Talk".*"error_reason":"client_gone"`)
}

// TestExpectContinue has a visitor wait for 100 before it sends a body: a target that refuses the body spares the visitor sending it.
func TestExpectContinue(t *testing.T) {
	s := serve(t, forwarding, "TARGETS", upstream(t, "http", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		io.Copy(w, r.Body)
	}))
	ask := func(path string) (*bufio.Reader, net.Conn) {
		c := s.connect("localhost")
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		return bufio.NewReader(c), c
	}
	r, c := ask("/yes")
	if head := readHead(r); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Errorf("before the body: %q", head)
	}
	io.WriteString(c, "hello")
	if got, err := http.ReadResponse(r, nil); err != nil || got.StatusCode != 200 {
		t.Errorf("after it: %v, %v", got, err)
	} else if body, _ := io.ReadAll(got.Body); string(body) != "hello" {
		t.Errorf("echoed %q", body)
	}
	r, _ = ask("/no")
	if head := readHead(r); !strings.HasPrefix(head, "HTTP/1.1 413 ") || !strings.Contains(head, "Connection: close\r\n") {
		t.Errorf("a body that is not wanted: %q", head)
	}
}

// TestEventsComeAtOnce has each event sent only when the one before has been seen.
func TestEventsComeAtOnce(t *testing.T) {
	var next atomic.Pointer[chan string]
	onEveryWay(t, func(w http.ResponseWriter, r *http.Request) {
		events := *next.Load()
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			http.NewResponseController(w).Flush()
			select {
			case event := <-events:
				fmt.Fprintf(w, "data: %s\n\n", event)
			case <-r.Context().Done():
				return
			}
		}
	}, func(t *testing.T, _ *running, client *http.Client) {
		events := make(chan string)
		next.Store(&events)
		answer, err := client.Get("https://localhost/events")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		lines := bufio.NewReader(answer.Body)
		for i := range 5 {
			events <- fmt.Sprint(i)
			line, err := lines.ReadString('\n')
			if line != fmt.Sprintf("data: %d\n", i) {
				t.Errorf("%q, %v", line, err)
			}
			lines.ReadString('\n')
		}
	})
}

// overEach runs a test over each protocol to each kind of target.
func overEach(t *testing.T, test func(t *testing.T, protocol, kind string)) {
	for _, protocol := range protocols {
		for _, kind := range targetKinds {
			t.Run(protocol+" to "+kind, func(t *testing.T) { test(t, protocol, kind) })
		}
	}
}

// TestListenerIsNotSilent: on a long stream in both directions, who only listens is cut only when the answer is silent, too.
func TestListenerIsNotSilent(t *testing.T) {
	const events = 13 // in more than twice the limit
	overEach(t, func(t *testing.T, protocol, kind string) {
		t.Parallel()
		s := serve(t, strings.Replace(forwarding, "{default: {forward: app}}", "{default: {forward: app}, limits: {idle: 1s}}", 1),
			"TARGETS", upstream(t, kind, func(w http.ResponseWriter, r *http.Request) {
				answer := http.NewResponseController(w)
				answer.EnableFullDuplex() // fails over HTTP/2, which is so anyway
				r.Body.Read(make([]byte, 5))
				for i := range events {
					fmt.Fprintf(w, "event %d\n", i)
					answer.Flush()
					time.Sleep(200 * time.Millisecond)
				}
			}))
		body, more := io.Pipe()
		defer more.Close()
		go io.WriteString(more, "hello") // and then nothing
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://localhost/listen", body)
		answer, err := s.client(protocol).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		heard := 0
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); heard++ {
		}
		if heard != events {
			t.Errorf("heard %d events of %d", heard, events)
		}
	})
}

// TestVisitorLeaves at three moments, and each time the target's request is cancelled.
func TestVisitorLeaves(t *testing.T) {
	type moment struct{ arrived, cancelled chan struct{} }
	var now atomic.Pointer[moment]
	onEveryWay(t, func(w http.ResponseWriter, r *http.Request) {
		m := now.Load()
		if r.URL.Path == "/download" {
			http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/upload" {
			r.Body.Read(make([]byte, 1))
		}
		close(m.arrived)
		if r.URL.Path == "/upload" {
			io.Copy(io.Discard, r.Body) // or Go's server does not look
		}
		<-r.Context().Done()
		close(m.cancelled)
	}, func(t *testing.T, s *running, client *http.Client) {
		for _, path := range []string{"/wait", "/upload", "/download"} {
			m := &moment{make(chan struct{}), make(chan struct{})}
			now.Store(m)
			ctx, leave := context.WithCancel(t.Context())
			half, more := io.Pipe()
			method, body := http.MethodGet, io.Reader(nil)
			if path == "/upload" {
				go io.WriteString(more, "half of it")
				method, body = http.MethodPost, half
			}
			request, _ := http.NewRequestWithContext(ctx, method, "https://localhost"+path, body)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if answer, err := client.Do(request); err == nil {
					io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}()
			<-m.arrived
			leave()
			<-m.cancelled
			more.CloseWithError(context.Canceled) // for which Go's client waits
			<-ended
			s.logged(t, `"path":"`+path+`".*"error_reason":"client_gone"`)
		}
	})
}

// TestTargetDiesWithinItsAnswer: the visitor must not take what came for the whole.
func TestTargetDiesWithinItsAnswer(t *testing.T) {
	answers := map[string]string{
		"/length":  "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
		"/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
	}
	s := serve(t, forwarding, "TARGETS", rawUpstream(t, func(c net.Conn, head string) {
		io.WriteString(c, answers[strings.Fields(head)[1]]+strings.Repeat("x", 1000)+"\r\n")
	}))
	for path := range answers {
		for _, protocol := range protocols {
			answer, err := s.client(protocol).Get("https://localhost" + path)
			if err == nil {
				_, err = io.ReadAll(answer.Body)
				answer.Body.Close()
			}
			if err == nil {
				t.Errorf("%s over %s: it seems whole", path, protocol)
			}
			s.logged(t, `"path":"`+path+`".*"error_reason":"target_connection_closed"`)
		}
		c := s.plain() // HTTP/1.0 tells a body's end by that of the connection, so only a reset says that it is broken
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: plain.localhost\r\n\r\n", path)
		r := bufio.NewReader(c)
		head := readHead(r)
		if _, err := io.ReadAll(r); err == nil && !strings.Contains(head, "Content-Length: 100000") {
			t.Errorf("%s over HTTP/1.0: it seems whole:\n%s", path, head)
		}
	}
}

// TestRetries has one target that fails each request, beside a good one: what may be sent again is, and nothing else.
func TestRetries(t *testing.T) {
	good := upstream(t, "http", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	closes := func(net.Conn, string) {}
	for _, test := range []struct {
		name, method, body string
		bad                func(t *testing.T) string
		failures           int // of two requests, of which one begins with the bad target
	}{
		{"GET is sent again", "GET", "", func(t *testing.T) string { return rawUpstream(t, closes) }, 0},
		{"DELETE is sent again", "DELETE", "", func(t *testing.T) string { return rawUpstream(t, closes) }, 0},
		{"POST is not", "POST", "", func(t *testing.T) string { return rawUpstream(t, closes) }, 1},
		{"POST with a body is not", "POST", "x", func(t *testing.T) string { return rawUpstream(t, closes) }, 1},
		{"POST that was not sent is", "POST", "x", func(*testing.T) string { return nobody }, 0},
	} {
		for _, protocol := range protocols {
			t.Run(test.name+"/"+protocol, func(t *testing.T) {
				s := serve(t, forwarding, "TARGETS", test.bad(t)+", "+good)
				failures := 0
				for range 2 {
					got := fetch(t, s.client(protocol), test.method, "https://localhost/", test.body)
					switch {
					case got.StatusCode == 502:
						failures++
					case got.StatusCode != 200 || got.text != test.body:
						t.Errorf("%d %q", got.StatusCode, got.text)
					}
				}
				if failures != test.failures {
					t.Errorf("%d requests failed, want %d", failures, test.failures)
				}
			})
		}
	}
}

// TestEjection: a target that can't be connected to is left out before a health check says so, and operators see it.
func TestEjection(t *testing.T) {
	good, bad := upstream(t, "http", func(http.ResponseWriter, *http.Request) {}), nobody
	s := serve(t, forwarding, "TARGETS", bad+", "+good)
	client := s.client("h2")
	for range 20 {
		if got := fetch(t, client, "POST", "https://localhost/", "x"); got.StatusCode != 200 {
			t.Errorf("%d", got.StatusCode)
		}
	}
	for _, tg := range s.Targets()[0].Targets {
		if (tg.EjectedUntil != nil) != (tg.Target == bad) || tg.Target == bad && tg.Requests > 4 {
			t.Errorf("%+v", tg)
		}
	}
}

// TestWebSocketOverTLS counts the bytes of both directions, and both ends see the close.
func TestWebSocketOverTLS(t *testing.T) {
	closed := make(chan error, 1)
	s := serve(t, forwarding, "TARGETS", upstream(t, "http", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				closed <- err
				return
			}
			c.Write(r.Context(), kind, data)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, answer, err := websocket.Dial(ctx, "wss://localhost/ws?room=1", &websocket.DialOptions{HTTPClient: s.client("h1"), Subprotocols: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Subprotocol() != "chat" || answer.Header.Get("X-Request-Id") == "" {
		t.Errorf("%v", answer.Header)
	}
	for _, text := range []string{"a", strings.Repeat("b", 30_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != text {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
	}
	if err := c.Close(4000, "bye"); err != nil {
		t.Error(err)
	}
	if err := <-closed; websocket.CloseStatus(err) != 4000 {
		t.Errorf("the target sees %v", err)
	}
	s.logged(t, `"path":"/ws","status":101,"bytes_in":3\d{4},"bytes_out":3\d{4}`)
}

// TestPathAndQueryAsSent compares the request line that a target gets with the one that was sent.
func TestPathAndQueryAsSent(t *testing.T) {
	lines := make(chan string, 1)
	s := serve(t, forwarding, "TARGETS", rawUpstream(t, func(c net.Conn, head string) {
		line, _, _ := strings.Cut(head, "\r\n")
		lines <- line
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	}))
	h2 := s.client("h2")
	for _, path := range []string{
		"/", "/?", "/a/../b/./c", "/%61%7E~%2e%2E", "/a%2Fb%2fc", "/a//b///", "//host/x", "/;a=b;c?d;e", "/a+b%20c?x=+%20&&=y&z", "/a:b@c!$&'()*,=[]",
		"/%C3%A9", "/?a=?b", "/a|b^c`{}", `/a?"<>\`,
	} {
		want := "GET " + path + " HTTP/1.1"
		answer, _ := says(t, s.connect("localhost"), "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if answer.StatusCode != 204 {
			t.Errorf("%s over h1: %s", path, answer.Status)
			continue
		}
		if line := <-lines; line != want {
			t.Errorf("h1: %q, want %q", line, want)
		}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/", nil)
		request.URL.Opaque = path
		if strings.HasPrefix(path, "//") {
			continue // net/http's client can't
		}
		got, err := h2.Do(request)
		if err != nil {
			t.Errorf("%s over h2: %v", path, err)
			continue
		}
		got.Body.Close()
		if got.StatusCode != 204 {
			t.Errorf("%s over h2: %s", path, got.Status)
		} else if line := <-lines; line != want {
			t.Errorf("h2: %q, want %q", line, want)
		}
	}
}
