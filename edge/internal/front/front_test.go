package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestDrain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		working, finish := make(chan bool), make(chan bool)
		h := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			if x.RawPath == "/slow" {
				working <- true
				<-finish
			}
			text("x")(x)
		})
		idle, busy := h.visit(), h.visit()
		idle.send(get())
		idle.expect("GET", 200, "x")
		busy.send(requestLine("GET /slow HTTP/1.1"))
		<-working
		waitFor(t, func() bool { return h.server.Connections().Idle == 1 })
		drained := make(chan error, 1)
		go func() { drained <- h.server.Drain(t.Context()) }()
		idle.expectEnd()
		select {
		case err := <-drained:
			t.Fatalf("Drain did not wait for an answer: %v", err)
		default:
		}
		finish <- true
		if r := busy.expect("GET", 200, "x"); !r.Close {
			t.Error("the last answer does not say that the connection ends")
		}
		busy.expectEnd()
		busy.Close()
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
}

// Whether a handler asks why or only reads, it hears that the server's time was over; and no visitor gets what looks like a
// whole answer.
func TestDrainCutsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		for _, doing := range []string{"waiting", "watching", "reading"} {
			t.Run(fmt.Sprint(protocol, " ", doing), func(t *testing.T) {
				t.Parallel()
				working, ended := make(chan bool), make(chan error, 1)
				h := start(t, true, Limits{}, func(x *exchange.Exchange) {
					x.Flush()
					close(working)
					switch doing {
					case "watching":
						told := make(watcher, 1)
						x.Watch(told)
						ended <- told.wait(t)
						return
					case "reading":
						io.ReadAll(x.Body)
					default:
						<-x.Context().Done()
					}
					ended <- context.Cause(x.Context())
				})
				more, sent := io.Pipe()
				defer sent.Close()
				answer := make(chan seen, 1)
				go func() { answer <- h.ask(t, protocol, "POST", "/", more, nil, nil) }()
				<-working
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				if err := h.server.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connections") {
					t.Errorf("Drain: %v", err)
				}
				if err := <-ended; !errors.Is(err, exchange.ErrShutdown) {
					t.Errorf("the handler hears of %v", err)
				}
				if a := <-answer; !a.Broken {
					t.Errorf("a visitor who was cut off got %+v", a)
				}
			})
		}
	}
}

// A handler that ends because the server's time is over has not finished its answer.
func TestAnswerThatWasCutOffIsNeverWhole(t *testing.T) {
	t.Parallel()
	working := make(chan bool)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		x.Flush()
		working <- true
		<-x.Context().Done()
	})
	answers := make(chan seen, 3)
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		go func() { answers <- h.ask(t, protocol, "GET", "/", nil, nil, nil) }()
		<-working
	}
	h.server.cut(exchange.ErrShutdown)
	for range 3 {
		if a := <-answers; !a.Broken {
			t.Errorf("%+v", a)
		}
	}
}

func TestConnectionAfterDrain(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, echo)
	v := h.visit()
	v.send(get("Connection: close"))
	v.expect("GET", 200, "GET / ")
	v.Close()
	if err := h.server.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(h.visit()); len(b) > 0 || h.server.Connections().Accepted != 1 {
		t.Errorf("served %q", b)
	}
}

// TestFullServer has room for two connections: a third one gets the place of an idle one, but not of a busy one.
func TestFullServer(t *testing.T) {
	t.Parallel()
	working, finish := make(chan bool), make(chan bool)
	h := start(t, false, Limits{Connections: 2}, func(x *exchange.Exchange) {
		if x.RawPath == "/slow" {
			working <- true
			<-finish
		}
		text("x")(x)
	})
	idle, busy := h.visit(), h.visit()
	idle.send(get())
	idle.expect("GET", 200, "x")
	busy.send(requestLine("GET /slow HTTP/1.1"))
	<-working
	waitFor(t, func() bool { return h.server.Connections().Idle == 1 })
	third := h.visit()
	third.send(requestLine("GET /slow HTTP/1.1"))
	<-working
	idle.expectEnd()
	fourth := h.visit()
	fourth.send(get("Connection: close"))
	if n := h.server.Connections().Open; n > 2 {
		t.Errorf("%d connections are open", n)
	}
	finish <- true
	finish <- true
	busy.expect("GET", 200, "x")
	busy.Close()
	third.expect("GET", 200, "x")
	fourth.expect("GET", 200, "x")
}

// TestFullOfIdleH2 has room for two connections, which visitors of HTTP/2 hold: a third gets the place of the one that
// has been without streams for longest, who is told so, and not of one with a stream.
func TestFullOfIdleH2(t *testing.T) {
	t.Parallel()
	working, finish := make(chan bool), make(chan bool)
	h := start(t, true, Limits{Connections: 2}, func(x *exchange.Exchange) {
		if x.RawPath == "/slow" {
			working <- true
			<-finish
		}
		text("x")(x)
	})
	defer close(finish)
	idle, busy := h.frames(), h.frames()
	busy.head(1, true, ":path", "/slow")
	<-working
	waitFor(t, func() bool { return h.server.Connections().Idle == 1 })
	began := time.Now()
	third := h.visit()
	third.send(get())
	third.expect("GET", 200, "x")
	if d := time.Since(began); d >= time.Second { // for which x/net by itself goes on after GOAWAY
		t.Errorf("room was made after %v", d)
	}
	if g := nextOf[*http2.GoAwayFrame](idle); g.ErrCode != http2.ErrCodeNo {
		t.Errorf("told to go with %v", g.ErrCode)
	}
	idle.end()
	if c := h.server.Connections(); c.Open > 2 || c.HTTP2 != 1 {
		t.Errorf("%+v", c)
	}
}

// TestShareOfOneClient has all of a server's visitors come from one address.
func TestShareOfOneClient(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := startOn(t, fromElsewhere{ln}, false, Limits{Connections: 80}, text("x"))
	var share []*visitor
	for range 80 / clientPart {
		v := h.visit()
		v.send(get())
		v.expect("GET", 200, "x")
		share = append(share, v)
	}
	if b, _ := io.ReadAll(h.visit()); len(b) > 0 {
		t.Errorf("one too many was answered %q", b)
	}
	if n := h.server.Connections().OverShare; n != 1 {
		t.Errorf("%d were noted as too many", n)
	}
	share[0].Close()
	waitFor(t, func() bool { return h.server.Connections().Open == len(share)-1 })
	v := h.visit()
	v.send(get())
	v.expect("GET", 200, "x")
	for _, v := range append(share, v) {
		v.Close()
	}
	waitFor(t, func() bool { return h.server.Connections().Open == 0 })
	if n := len(h.server.clients); n > 0 {
		t.Errorf("%d clients are remembered", n)
	}
}

// TestShareOfThisHost has more than a share come from this host: a proxy on it has no other address.
func TestShareOfThisHost(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{Connections: 80}, text("x"))
	for range 80/clientPart + 1 {
		v := h.visit()
		v.send(get())
		v.expect("GET", 200, "x")
	}
	if n := h.server.Connections().OverShare; n != 0 {
		t.Errorf("%d were noted as too many", n)
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, text("x"))
	v := h.visit()
	v.send(get())
	v.expect("GET", 200, "x")
	want := Counts{Open: 1, Idle: 1, HTTP1: 1, Accepted: 1}
	waitFor(t, func() bool { return h.server.Connections() == want })
	v.Close()
	want = Counts{Accepted: 1}
	waitFor(t, func() bool { return h.server.Connections() == want })
}

func TestPlainRequestOnTLS(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, echo)
	h.secure = false
	v := h.visit()
	v.send(get())
	v.expectRefusal(t, h, 400, ReasonPlainOnTLS)
	if n := h.server.Connections().HandshakeErrors; n != 1 {
		t.Errorf("%d handshake errors", n)
	}
	v = h.visit()
	v.send("\x00\x01\x02\x03\x04")
	v.Conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, v.r)
	waitFor(t, func() bool { return h.server.Connections().HandshakeErrors == 2 })
}

func (v *visitor) expectRefusal(t *testing.T, h *host, status int, reason string) {
	t.Helper()
	r, _ := v.answer("GET")
	if got := h.refusals(); r.StatusCode != status || len(got) != 1 || got[0].Reason != reason {
		t.Errorf("answered %d, noted %+v, want %d %s", r.StatusCode, got, status, reason)
	}
	v.expectEnd()
}

// A CA that checks a name by TLS-ALPN-01 has seen all that it wants with the handshake, and nobody may say anything to it.
func TestConnectionOfAnACMEChallenge(t *testing.T) {
	t.Parallel()
	config := testTLS(t).Clone()
	config.NextProtos = append(config.NextProtos, "acme-tls/1")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Handler: exchange.HandlerFunc(echo), TLS: config})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln, true) }()
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("it is told %q, %v", b, err)
	}
	c.Close()
	ln.Close()
	if err := errors.Join(<-served, s.Drain(t.Context())); err != nil {
		t.Error(err)
	}
	if counts := s.Connections(); counts != (Counts{Accepted: 1}) {
		t.Errorf("%+v", counts)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{Handshake: 40 * time.Millisecond}, echo)
	h.secure = false
	v := h.visit()
	v.send("\x16\x03\x01\x02\x00\x01") // the beginning of a ClientHello
	io.Copy(io.Discard, v.r)
	waitFor(t, func() bool { return h.server.Connections() == Counts{Accepted: 1, HandshakeErrors: 1} })
}

func TestRefusalForBrowsers(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, echo)
	for accept, want := range map[string]string{"text/html,*/*": "text/html; charset=utf-8", "*/*": "application/problem+json"} {
		v := h.visit()
		v.send(get("Accept: "+accept, "Cookie: "+repeat("a", 17<<10)))
		if r, body := v.answer("GET"); r.StatusCode != 431 || r.Header.Get("Content-Type") != want || strings.Contains(body, "html") != strings.Contains(want, "html") {
			t.Errorf("Accept %s: %d %s %q", accept, r.StatusCode, r.Header.Get("Content-Type"), body)
		}
	}
}

// A failingListener fails a few times before it is closed.
type failingListener struct {
	net.Listener
	errors []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	err := l.errors[0]
	l.errors = l.errors[1:]
	return nil, err
}
func (*failingListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptErrors(t *testing.T) {
	t.Parallel()
	serve := func(errors ...error) error {
		s := New(Options{Log: slog.New(slog.DiscardHandler)})
		defer s.Drain(t.Context())
		return s.Serve(&failingListener{errors: errors}, false)
	}
	if err := serve(&net.OpError{Err: syscall.EMFILE}, syscall.ECONNABORTED, net.ErrClosed); err != nil {
		t.Errorf("Serve gave up what passes: %v", err)
	}
	if err := serve(io.ErrClosedPipe); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Serve: %v", err)
	}
	if err := New(Options{}).Serve(nil, true); err == nil {
		t.Error("served TLS without a configuration")
	}
}
