package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// poison is what a target says beyond its answer.
const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"

// talkative answers "/n" with n, and says too much after the answer to "/surplus".
func talkative(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		line := strings.Fields(readHead(r))
		if len(line) < 2 {
			return
		}
		body, more := line[1][1:], ""
		if line[0] == "POST" {
			_, _ = io.ReadFull(r, make([]byte, len("hello")))
		}
		if body == "surplus" { // as much as no buffer takes in at once
			body, more = strings.Repeat("x", 50_000), poison
		}
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		if line[0] == "HEAD" {
			body = ""
		}
		_, _ = io.WriteString(c, head+body+more)
	}
}

// many starts a target that serves connections side by side.
func many(t *testing.T, config *tls.Config, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http://"
	if config != nil {
		ln, scheme = tls.NewListener(ln, config), "https://"
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	return scheme + ln.Addr().String()
}

func askWith(h exchange.Handler, method, path, body string) *exchangetest.Recorder {
	_, r := exchangetest.New(method, path, exchangetest.Body(body))
	r.Serve(h)
	return r
}

func TestNobodyGetsWhatFollowsAnothersAnswer(t *testing.T) {
	log.SetOutput(io.Discard) // where net/http tells of each such connection
	defer log.SetOutput(os.Stderr)
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": {Certificates: borrowed.TLS.Certificates}} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" over "+name, func(t *testing.T) {
				h := to(t, many(t, config, talkative))
				times := 100
				if config != nil {
					times = 20 // each needs a handshake
				}
				var all sync.WaitGroup
				defer all.Wait()
				for range 2 {
					all.Go(func() {
						for range times {
							if r := askWith(h, method, "/surplus", ""); r.Status != 200 || r.Aborted != nil {
								t.Errorf("the answer before: %d, %v", r.Status, r.Aborted)
							}
						}
					})
					all.Go(func() {
						for i := range times {
							if r := askWith(h, "GET", fmt.Sprint("/", i), ""); r.Status != 200 || r.Body.String() != fmt.Sprint(i) {
								t.Errorf("GET: status %d, %q", r.Status, &r.Body)
							}
							if r := askWith(h, "POST", fmt.Sprint("/", i), "hello"); r.Status != 200 || r.Body.String() != fmt.Sprint(i) {
								t.Errorf("POST: status %d, %q", r.Status, &r.Body)
							}
						}
					})
				}
			})
		}
	}
}

// TestCleanConnectionsAreKept: the care that is taken costs no connections.
func TestCleanConnectionsAreKept(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil)
	defer borrowed.Close()
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": {Certificates: borrowed.TLS.Certificates}} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan bool, 1000)
			h := to(t, many(t, config, func(c net.Conn) {
				opened <- true
				talkative(c)
			}))
			for i := range 300 {
				if r := askWith(h, []string{"GET", "POST", "HEAD"}[i%3], "/x", []string{"", "hello", ""}[i%3]); r.Status != 200 {
					t.Errorf("status %d", r.Status)
				}
			}
			if len(opened) != 1 {
				t.Errorf("%d connections", len(opened))
			}
		})
	}
}

// TestWhichConnectionsAreClean: what was said since the last answer keeps a request from being sent, wherever it waits.
func TestWhichConnectionsAreClean(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil)
	defer borrowed.Close()
	client := borrowed.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "example.com"
	for kind, config := range map[string]*tls.Config{"plain": nil, "TLS": {Certificates: borrowed.TLS.Certificates}} {
		for name, tt := range map[string]struct {
			says func(c net.Conn)
			read int // bytes, before it is kept
			want bool
		}{
			"nothing":              {func(net.Conn) {}, 0, true},
			"all of the answer":    {func(c net.Conn) { _, _ = io.WriteString(c, "hello") }, 5, true},
			"more than the answer": {func(c net.Conn) { _, _ = io.WriteString(c, "hello, you") }, 5, false},
			"something after it":   {func(c net.Conn) { _, _ = io.WriteString(c, "hello"); _, _ = io.WriteString(c, poison) }, 5, false},
			"its end":              {func(c net.Conn) { _, _ = io.WriteString(c, "hello"); _ = c.Close() }, 5, false},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				url := many(t, config, func(c net.Conn) {
					if secure, ok := c.(*tls.Conn); ok && secure.Handshake() != nil {
						return
					}
					tt.says(c)
					_, _ = io.Copy(io.Discard, c)
				})
				d := &dialer{connect: func(ctx context.Context) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", url[strings.LastIndex(url, "/")+1:])
				}}
				if config != nil {
					d.tls = client
				}
				conn, socket, err := d.dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c := newH1Conn(conn, socket)
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, tt.read)); err != nil {
					t.Fatal(err)
				}
				for deadline := time.Now().Add(10 * time.Second); c.isClean() != tt.want; runtime.Gosched() { // it is on its way
					if time.Now().After(deadline) {
						t.Fatalf("clean: %t", !tt.want)
					}
				}
				if tt.want && !c.isClean() {
					t.Error("not clean when looked at again")
				}
			})
		}
	}
}
