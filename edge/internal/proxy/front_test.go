package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/front"
)

// A house is a front whose every exchange goes to one handler.
type house struct {
	url     string
	client  *http.Client         // over TLS it speaks h2
	records chan exchange.Record // of exchanges that have ended, up to 100
}

// open serves h as the whole program would, less the chain.
func open(t testing.TB, secure bool, h exchange.Handler) *house {
	t.Helper()
	return openWith(t, secure, front.Limits{KeepAlive: 400 * time.Millisecond}, h) // so that it looks every 100 ms who has gone
}

func openWith(t testing.TB, secure bool, limits front.Limits, h exchange.Handler) *house {
	t.Helper()
	home := &house{records: make(chan exchange.Record, 100)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// httptest has a certificate and a client that trusts it.
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.EnableHTTP2 = true
	borrowed.StartTLS()
	home.client = borrowed.Client()
	home.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	home.url = map[bool]string{false: "http://", true: "https://"}[secure] + ln.Addr().String()
	server := front.New(front.Options{
		Log:    slog.New(slog.DiscardHandler),
		Limits: limits,
		TLS:    &tls.Config{Certificates: borrowed.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
		Handler: exchange.HandlerFunc(func(x *exchange.Exchange) {
			x.Path, x.Client, x.ID = x.RawPath, x.Peer.Addr(), "1"
			x.Request.Fields.DelFunc(func(f exchange.Field) bool { return isHop(f.Name) })
			x.LimitBody(1 << 30)
			h.ServeExchange(x)
			record := x.Record
			record.Target = strings.Clone(record.Target)
			select {
			case home.records <- record:
			default:
			}
		}),
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln, secure) }()
	t.Cleanup(func() {
		home.client.CloseIdleConnections()
		borrowed.Close()
		ln.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = server.Drain(ctx)
	})
	return home
}

// echo is a WebSocket target that sends back what it gets.
func echo(t testing.TB) string {
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"edge"}, InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
}

func dial(t *testing.T, home *house) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, home.url, &websocket.DialOptions{Subprotocols: []string{"edge"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func say(t *testing.T, c *websocket.Conn, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, got, err := c.Read(ctx)
	if err != nil || string(got) != message {
		t.Fatalf("%q came back, %v", got, err)
	}
}

func TestWebSocket(t *testing.T) {
	home := open(t, false, to(t, echo(t)))
	c := dial(t, home)
	if c.Subprotocol() != "edge" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	for _, message := range []string{"hello", strings.Repeat("x", 20_000), "bye"} {
		say(t, c, message)
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("closing: %v", err)
	}
	if record := <-home.records; record.TargetCode != 101 || record.BytesIn < 20_000 || record.BytesOut < 20_000 || record.ErrorReason != "" {
		t.Errorf("record %+v", record)
	}
}

func TestWebSocketRefusedByTheTarget(t *testing.T) {
	home := open(t, false, to(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not you", http.StatusForbidden)
	})))
	_, resp, err := websocket.Dial(t.Context(), home.url, nil)
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("%v, %v", resp, err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "not you\n" {
		t.Errorf("%q", body)
	}
}

func TestWebSocketEndsWithItsTarget(t *testing.T) {
	h, drain := toGroup(t, config.TargetGroup{Drain: 20 * time.Millisecond}, echo(t))
	home := open(t, false, h)
	c := dial(t, home)
	say(t, c, "hello")
	drain()
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("still open")
	}
	if record := <-home.records; record.ErrorReason != "target_drained" {
		t.Errorf("reason %q", record.ErrorReason)
	}
}

func TestWebSocketEndsInSilence(t *testing.T) {
	h := to(t, echo(t))
	home := open(t, false, exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.SetIdle(300 * time.Millisecond)
		h.ServeExchange(x)
	}))
	c := dial(t, home)
	say(t, c, "hello")
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("still open")
	}
	<-home.records
}

func TestWebSocketToH2C(t *testing.T) {
	home := open(t, false, to(t, h2cApp(t, http.NotFoundHandler())))
	_, resp, err := websocket.Dial(t.Context(), home.url, nil)
	if err == nil || resp.StatusCode != 502 {
		t.Errorf("%v, %v", resp, err)
	}
	if record := <-home.records; record.ErrorReason != "target_cannot_upgrade" {
		t.Errorf("reason %q", record.ErrorReason)
	}
}

// TestHalfClose: who has nothing more to say may still listen.
func TestHalfClose(t *testing.T) {
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nX-Own: 1\r\n\r\nhello ")
		said, _ := io.ReadAll(r)
		_, _ = c.Write(said)
	})
	home := open(t, false, to(t, url))
	c, err := net.Dial("tcp", strings.TrimPrefix(home.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwor")
	_, _ = io.WriteString(c, "ld")
	_ = c.(*net.TCPConn).CloseWrite()
	r := bufio.NewReader(c)
	head := readHead(r)
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "X-Own: 1") || !strings.Contains(strings.ToLower(head), "connection: upgrade") {
		t.Errorf("%s", head)
	}
	if rest, err := io.ReadAll(r); string(rest) != "hello world" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	<-home.records
}

func TestOtherUpgradesGoNowhere(t *testing.T) {
	got := make(chan http.Header, 1)
	home := open(t, false, to(t, app(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })))
	req, _ := http.NewRequest("GET", home.url, nil)
	req.Header.Set("Connection", "Upgrade, HTTP2-Settings")
	req.Header.Set("Upgrade", "h2c")
	resp, err := home.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if h := <-got; resp.StatusCode != 200 || h.Get("Upgrade") != "" || h.Get("Connection") != "" {
		t.Errorf("status %d, %v", resp.StatusCode, h)
	}
}
