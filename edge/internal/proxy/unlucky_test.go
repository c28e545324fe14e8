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
