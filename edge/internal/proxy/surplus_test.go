package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

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
			body, more = strings.Repeat("x", 5000), poison
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

// TestSocket: what came before a request began keeps it from beginning, whether it was read by then or not.
func TestSocket(t *testing.T) {
	for _, tt := range []struct {
		name string
		says func(c net.Conn)
		read bool // before begin
		want error
	}{
		{"nothing", func(net.Conn) {}, false, nil},
		{"bytes, read", func(c net.Conn) { _, _ = io.WriteString(c, poison) }, true, errSurplus},
		{"bytes, unread", func(c net.Conn) { _, _ = io.WriteString(c, poison) }, false, errSurplus},
		{"end, read", func(c net.Conn) { _ = c.Close() }, true, errSurplus},
		{"end, unread", func(c net.Conn) { _ = c.Close() }, false, errSurplus},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			ours, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			s := newSocket(ours)
			defer s.Close()
			ended := make(chan int, 1)
			reader := func() {
				n, _ := s.Read(make([]byte, 100))
				ended <- n
			}
			if tt.read {
				go reader()
				s.claim(t.Context())
				tt.says(theirs)
				if n := <-ended; n != 0 {
					t.Errorf("%d bytes were taken for an answer", n)
				}
			} else {
				s.dry = true // a reader waits, and is slower
				s.claim(t.Context())
				tt.says(theirs)
				for tt.want != nil && !s.isReadable() {
					runtime.Gosched()
				}
			}
			if err := s.begin(); err != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}
