package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// closes is a target that reads a head and closes the connection.
func closes(t testing.TB) string { return says(t, "") }

// closesAfterBody is a target that reads a whole request and closes the connection.
func closesAfterBody(t testing.TB) string {
	return raw(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		if request, err := http.ReadRequest(r); err == nil {
			_, _ = io.Copy(io.Discard, request.Body)
		}
	})
}

// silent is a target that never answers.
func silent(t testing.TB) string {
	return raw(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
}

func plainOnTLS(t testing.TB) string {
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		_, _ = r.Peek(1)
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	return strings.Replace(url, "http:", "https:", 1)
}

func h2cToH1(t testing.TB) string {
	return strings.Replace(app(t, func(http.ResponseWriter, *http.Request) {}), "http:", "h2c:", 1)
}

func TestFailuresAreToldApart(t *testing.T) {
	answer := func(s string) func(testing.TB) string {
		return func(t testing.TB) string { return says(t, s) }
	}
	for _, tt := range []struct {
		name   string
		target func(testing.TB) string
		status int
		reason string
	}{
		{"refused", nobody, 502, "target_connect_error"},
		{"no such socket", func(testing.TB) string { return "unix:/nonexistent/socket" }, 502, "target_connect_error"},
		{"no TLS there", plainOnTLS, 502, "target_connect_error"},
		{"closed before an answer", closes, 502, "target_connection_closed"},
		{"closed within the head", answer("HTTP/1.1 200 OK\r\nA: b\r\n"), 502, "target_connection_closed"},
		{"silent", silent, 504, "target_timeout"},
		{"not HTTP", answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502, "target_bad_response"},
		{"h1 where h2c was said", h2cToH1, 502, "target_bad_response"},
		{"bad status", answer("HTTP/1.1 abc\r\n\r\n"), 502, "target_bad_response"},
		{"status 0", answer("HTTP/1.1 000 Zero\r\n\r\n"), 502, "target_bad_response"},
		{"status 999", answer("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), 502, "target_bad_response"},
		{"switch that nobody asked for", answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 502, "target_bad_response"},
		{"two lengths", answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, "target_bad_response"},
		{"bad length", answer("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), 502, "target_bad_response"},
		{"unknown coding", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), 502, "target_bad_response"},
		{"bad field name", answer("HTTP/1.1 200 OK\r\nA B: c\r\nContent-Length: 0\r\n\r\n"), 502, "target_bad_response"},
		{"control byte in a field", answer("HTTP/1.1 200 OK\r\nA: b\x01c\r\nContent-Length: 0\r\n\r\n"), 502, "target_bad_response"},
		{"head too large", answer("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxAnswerHead+8<<10) + "\r\n\r\n"), 502, "target_bad_response"},
		{"too many fields", answer("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxAnswerFields+1) + "\r\n"), 502, "target_bad_response"},
		{"1xx without end", answer(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 1000)+"\r\n\r\n", 200)), 502, "target_bad_response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, r := exchangetest.New("GET", "/")
			x.SetIdle(300 * time.Millisecond)
			if tt.reason != "target_timeout" {
				x.SetIdle(10 * time.Second)
			}
			url := tt.target(t)
			r.Serve(to(t, url))
			if r.Status != tt.status || x.Record.ErrorReason != tt.reason || r.Aborted != nil {
				t.Errorf("status %d, reason %q, aborted %v; want %d, %q", r.Status, x.Record.ErrorReason, r.Aborted, tt.status, tt.reason)
			}
			if x.Record.Target != url {
				t.Errorf("target in the log: %q", x.Record.Target)
			}
			if tt.reason == "target_timeout" && x.Record.Wait < 200*time.Millisecond {
				t.Errorf("it was waited for %v, says the log", x.Record.Wait)
			}
			if strings.Contains(r.Body.String(), "127.0.0.1") || r.Fields.Has("A") {
				t.Errorf("the visitor learns of the target: %v %s", r.Fields, &r.Body)
			}
		})
	}
}

func TestNobodyToForwardTo(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	r.Serve(to(t))
	if r.Status != 503 || x.Record.ErrorReason != "no_healthy_target" {
		t.Errorf("status %d, reason %q", r.Status, x.Record.ErrorReason)
	}
}

func TestAnswersThatEndTooSoonAreBroken(t *testing.T) {
	for name, answer := range map[string]string{
		"of known length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"chunked":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"chunked, junk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nwhat\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			x, r := exchangetest.New("GET", "/")
			r.Serve(to(t, says(t, answer)))
			if r.Aborted == nil || r.Status != 200 || r.Body.String() != "hello" || x.Record.ErrorReason == "" {
				t.Errorf("aborted %v, status %d, body %q, reason %q", r.Aborted, r.Status, &r.Body, x.Record.ErrorReason)
			}
		})
	}
}

func TestDeadBeforeTheFirstBodyByteIsAnError(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	r.Serve(to(t, says(t, "HTTP/1.1 200 OK\r\nWWW-Authenticate: Basic\r\nContent-Length: 10\r\n\r\n")))
	if r.Status != 502 || x.Record.ErrorReason != "target_connection_closed" || r.Fields.Has("WWW-Authenticate") || r.Aborted != nil {
		t.Errorf("status %d, reason %q, fields %v, aborted %v", r.Status, x.Record.ErrorReason, r.Fields, r.Aborted)
	}
}

func TestSilenceWithinTheBody(t *testing.T) {
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
		_, _ = io.Copy(io.Discard, r)
	})
	x, r := exchangetest.New("GET", "/")
	x.SetIdle(200 * time.Millisecond)
	r.Serve(to(t, url))
	if r.Aborted == nil || r.Body.String() != "hello" || x.Record.ErrorReason != "target_timeout" {
		t.Errorf("aborted %v, body %q, reason %q", r.Aborted, &r.Body, x.Record.ErrorReason)
	}
}

func TestVisitorLeaves(t *testing.T) {
	cancelled := make(chan struct{})
	x, r := exchangetest.New("GET", "/")
	url := app(t, func(_ http.ResponseWriter, req *http.Request) {
		r.Cancel(exchange.ErrClientGone)
		<-req.Context().Done()
		close(cancelled)
	})
	r.Serve(to(t, url))
	<-cancelled
	if !errors.Is(r.Aborted, exchange.ErrClientGone) || r.Status != 0 || x.Response.Status != statusClientGone || x.Record.ErrorReason != "client_gone" {
		t.Errorf("aborted %v, status %d, reason %q", r.Aborted, x.Response.Status, x.Record.ErrorReason)
	}
}

// failing is a body that ends with an error.
func failing(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), errReader{err})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestVisitorsBodyFails(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		reason string
	}{
		{exchange.ErrBodyTooLarge, 413, "body_too_large"},
		{exchange.ErrMalformedBody, 400, "malformed_body"},
		{exchange.ErrTooSlow, 408, "client_too_slow"},
		{exchange.ErrClientGone, 460, "client_gone"},
		{io.ErrUnexpectedEOF, 460, "client_gone"},
	} {
		for _, length := range []int64{-1, 100} {
			for _, kind := range []string{"h1", "h2c"} {
				handler := func(_ http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err == nil {
						t.Errorf("%v: the target got a whole body", tt.err)
					}
				}
				url := ""
				if kind == "h1" {
					url = app(t, handler)
				} else {
					url = h2cApp(t, http.HandlerFunc(handler))
				}
				x, r := exchangetest.New("POST", "/", exchangetest.BodyFrom(failing("hello", tt.err), length))
				r.Serve(to(t, url))
				if x.Response.Status != tt.status || x.Record.ErrorReason != tt.reason {
					t.Errorf("%s, %v, length %d: status %d, reason %q", kind, tt.err, length, x.Response.Status, x.Record.ErrorReason)
				}
			}
		}
	}
}

// stall gives x a body that has some bytes and then waits, as a front's does, until a read deadline cuts it.
func stall(x *exchange.Exchange, r *exchangetest.Recorder, text string) *deadlineStream {
	s := &deadlineStream{Recorder: r, text: strings.NewReader(text), interrupted: make(chan struct{}), waiting: make(chan struct{})}
	host, path, fields := x.Host, x.RawPath, x.Request.Fields.Clone()
	x.Reset(s)
	x.Request.Protocol, x.Method, x.Host, x.RawPath, x.Request.Fields = exchange.HTTP11, "POST", host, path, fields
	x.Request.Body, x.Request.Length = s, -1
	return s
}

// deadlineStream is a recorder whose body is cut by a read deadline.
type deadlineStream struct {
	*exchangetest.Recorder
	text                 io.Reader
	waiting, interrupted chan struct{}
}

func (s *deadlineStream) Read(p []byte) (int, error) {
	if n, _ := s.text.Read(p); n > 0 {
		return n, nil
	}
	close(s.waiting)
	<-s.interrupted
	return 0, errors.New("deadline")
}

func (s *deadlineStream) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		close(s.interrupted)
	}
	return nil
}

func TestTargetDiesWhileTheVisitorStalls(t *testing.T) {
	for _, kind := range []string{"h1", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			x, r := exchangetest.New("POST", "/")
			s := stall(x, r, "hello")
			var conn net.Conn
			handler := http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				_, _ = io.ReadFull(req.Body, make([]byte, 5))
				<-s.waiting
				_ = conn.Close()
			})
			server := httptest.NewUnstartedServer(handler)
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(kind == "h2c")
			server.Config.Protocols.SetHTTP1(kind == "h1")
			server.Config.ConnState = func(c net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conn = c
				}
			}
			server.Start()
			defer server.Close()
			r.Serve(to(t, strings.Replace(server.URL, "http", strings.Replace(kind, "h1", "http", 1), 1)))
			if r.Status != 502 || x.Record.ErrorReason != "target_connection_closed" {
				t.Errorf("status %d, reason %q", r.Status, x.Record.ErrorReason)
			}
		})
	}
}

func TestEarlyAnswerWhileTheVisitorStillSends(t *testing.T) {
	for _, kind := range []string{"h1", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			x, r := exchangetest.New("POST", "/")
			s := stall(x, r, "hello")
			handler := func(w http.ResponseWriter, req *http.Request) {
				<-s.waiting
				w.WriteHeader(413)
				_, _ = io.WriteString(w, "too much")
			}
			url := ""
			if kind == "h1" {
				url = raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
					readHead(r)
					<-s.waiting
					_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
					_, _ = io.Copy(io.Discard, r)
				})
			} else {
				url = h2cApp(t, http.HandlerFunc(handler))
			}
			r.Serve(to(t, url))
			if r.Status != 413 || r.Body.String() != "too much" || r.Aborted != nil || x.Record.ErrorReason != "" {
				t.Errorf("status %d, body %q, aborted %v, reason %q", r.Status, &r.Body, r.Aborted, x.Record.ErrorReason)
			}
		})
	}
}

func TestDrainCutsWhatIsLeft(t *testing.T) {
	arrived := make(chan struct{})
	url := raw(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		readHead(r)
		close(arrived)
		_, _ = io.Copy(io.Discard, r)
	})
	h, drain := toGroup(t, config.TargetGroup{Drain: time.Millisecond}, url)
	go func() {
		<-arrived
		drain()
	}()
	x, r := exchangetest.New("GET", "/")
	r.Serve(h)
	if r.Status != 502 || x.Record.ErrorReason != "target_drained" {
		t.Errorf("status %d, reason %q", r.Status, x.Record.ErrorReason)
	}
}
