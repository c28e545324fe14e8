package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// A tornConn breaks in the middle of a write.
type tornConn struct {
	*net.TCPConn
	after *atomic.Int64 // so many bytes of the next write go out, and then none any more; negative: all
}

func (c *tornConn) Write(p []byte) (int, error) {
	after := c.after.Load()
	if after < 0 {
		return c.TCPConn.Write(p)
	}
	n, _ := c.TCPConn.Write(p[:min(int(after), len(p))])
	_ = c.CloseWrite()
	c.after.Store(-1) // for the connection that comes next
	return n, syscall.EPIPE
}

// TestPostOnAConnectionThatBreaksWhileItIsWritten: it is sent again only if the target can't have read any of it.
func TestPostOnAConnectionThatBreaksWhileItIsWritten(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	secure := &tls.Config{Certificates: borrowed.TLS.Certificates}
	for _, tt := range []struct {
		name   string
		config *tls.Config
		after  int64
		method string
		status int
	}{
		{"before its first byte", nil, 0, "POST", 200},
		{"after some bytes", nil, 10, "POST", 502},
		{"after some bytes, and may be sent twice", nil, 10, "PUT", 200},
		{"before its first byte over TLS", secure, 0, "POST", 200},
		{"within the first record", secure, 50, "POST", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var posts atomic.Int32
			url := many(t, tt.config, func(c net.Conn) {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					head := readHead(r)
					if !strings.HasSuffix(head, "\r\n\r\n") {
						return
					}
					if !strings.HasPrefix(head, "GET") {
						posts.Add(1)
						_, _ = io.ReadFull(r, make([]byte, len("hello")))
					}
					tells(c, ok)
				}
			})
			var after atomic.Int64
			after.Store(-1)
			h, pools := pooledOver(t, func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &tornConn{c.(*net.TCPConn), &after}, nil
			}, url)
			if r := askWith(h, "GET", "/", ""); r.Status != 200 {
				t.Fatalf("status %d", r.Status)
			}
			after.Store(tt.after)
			r := askWith(h, tt.method, "/", "hello")
			if r.Status != tt.status || posts.Load() != map[int]int32{200: 1}[tt.status] {
				t.Errorf("status %d, the target has read %d", r.Status, posts.Load())
			}
			allIsLeft(t, pools)
		})
	}
}

func TestBlackHole(t *testing.T) {
	h, pools := pooledOver(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, nobody(t))
	x, r := exchangetest.New("POST", "/", exchangetest.Body("hello"))
	x.Idle = 50 * time.Millisecond
	r.Serve(h)
	if r.Status != 504 || x.Record.ErrorReason != "target_connect_timeout" {
		t.Errorf("status %d, reason %q", r.Status, x.Record.ErrorReason)
	}
	x, r = exchangetest.New("GET", "/")
	time.AfterFunc(20*time.Millisecond, func() { r.Cancel(exchange.ErrClientGone) })
	r.Serve(h)
	if x.Record.ErrorReason != "client_gone" {
		t.Errorf("reason %q", x.Record.ErrorReason)
	}
	allIsLeft(t, pools)
}

// TestResetBehindAnEarlyAnswer: what the network has left of the answer arrives, and nobody waits for the rest of the upload.
func TestResetBehindAnEarlyAnswer(t *testing.T) {
	h, pools := pooled(t, many(t, nil, func(c net.Conn) {
		defer c.Close()
		readHead(bufio.NewReader(c))
		tells(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nenough")
		_ = c.(*net.TCPConn).SetLinger(0)
	}))
	home := open(t, false, h)
	for range 30 {
		resp, err := home.client.Post(home.url, "", io.LimitReader(endless{}, 1<<20))
		if err != nil {
			continue // the answer came before all was sent, and the connection ended with it
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 502 && (resp.StatusCode != 413 || string(body) != "enough" && err == nil) {
			t.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
		}
	}
	allIsLeft(t, pools)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
