package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// TestVisitorsWhoLeaveAtAnyMoment: the target hears of it, and nothing is left of them.
func TestVisitorsWhoLeaveAtAnyMoment(t *testing.T) {
	for _, name := range []string{"within the head", "before the body", "within a small body", "within a large body", "while the target thinks", "after hints", "within the answer", "within a large answer"} {
		t.Run(name, func(t *testing.T) {
			request := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
			switch name {
			case "within the head":
				request = "GET / HTTP/1.1\r\nHost: a\r\n"
			case "before the body":
				request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
			case "within a small body":
				request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello"
			case "within a large body":
				request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("5\r\nhello\r\n", 1000)
			}
			asked, left := make(chan bool, 1), make(chan bool, 1)
			url := many(t, nil, func(c net.Conn) {
				defer c.Close()
				r := bufio.NewReader(c)
				readHead(r)
				switch name {
				case "after hints":
					tells(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
				case "within the answer":
					tells(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
				case "within a large answer":
					go tells(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", strings.Repeat("x", 100_000_000))
				}
				asked <- true
				_, _ = io.Copy(io.Discard, r)
				left <- true
			})
			h, pools := pooled(t, url)
			home := open(t, false, h)
			c, err := net.Dial("tcp", strings.TrimPrefix(home.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			tells(c, request)
			reaches := name != "within the head" && name != "within a small body"
			if reaches {
				<-asked
			}
			if strings.Contains(name, "answer") || name == "after hints" {
				_, _ = io.ReadFull(c, make([]byte, 10))
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
			if reaches {
				<-left
			}
			if name != "within the head" {
				if record := <-home.records; record.ErrorReason != "client_gone" {
					t.Errorf("reason %q", record.ErrorReason)
				}
			}
			allIsLeft(t, pools)
		})
	}
}

// TestMoreVisitorsThanATargetTakes: those beyond the limit hear so, all others get their answer once the target gives one.
func TestMoreVisitorsThanATargetTakes(t *testing.T) {
	const beyond = 40
	begin := make(chan struct{})
	var asked atomic.Int32
	h, pools := pooled(t, many(t, nil, func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			line := strings.Fields(readHead(r))
			if len(line) < 2 {
				return
			}
			asked.Add(1)
			<-begin
			tells(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(line[1]), line[1]))
		}
	}))
	var all sync.WaitGroup
	var answered, refused atomic.Int32
	for i := range maxRequests + beyond {
		all.Go(func() {
			path := fmt.Sprint("/", i)
			x, r := exchangetest.New("GET", path)
			x.Client = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
			r.Serve(h)
			switch {
			case r.Status == 200 && r.Body.String() == path:
				answered.Add(1)
			case r.Status == 503 && x.Record.ErrorReason == "target_full" && r.Fields.Get("Retry-After") != "":
				if refused.Add(1) == beyond {
					close(begin)
				}
			default:
				t.Errorf("status %d, reason %q, %.100q", r.Status, x.Record.ErrorReason, &r.Body)
			}
		})
	}
	all.Wait()
	if answered.Load() != maxRequests || refused.Load() != beyond || asked.Load() != maxRequests {
		t.Errorf("%d answered, %d refused, %d asked", answered.Load(), refused.Load(), asked.Load())
	}
	allIsLeft(t, pools)
	way := pools[0].way.(*h1Way)
	way.mu.Lock()
	defer way.mu.Unlock()
	if len(way.idle) > maxIdleConns {
		t.Errorf("%d idle connections", len(way.idle))
	}
}

// switches is a target that switches protocols and then does as it is told.
func switches(t *testing.T, does func(c net.Conn, r *bufio.Reader)) string {
	return many(t, nil, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		readHead(r)
		tells(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
		does(c, r)
	})
}

func TestEndsOfAnUpgradedConnection(t *testing.T) {
	reset := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for name, tt := range map[string]struct {
		target  func(c net.Conn, r *bufio.Reader)
		visitor func(c net.Conn)
	}{
		"the visitor closes":          {func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }, func(c net.Conn) { c.Close() }},
		"the visitor resets":          {func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }, reset},
		"the target closes":           {func(net.Conn, *bufio.Reader) {}, func(c net.Conn) { _, _ = io.Copy(io.Discard, c); c.Close() }},
		"the target resets":           {func(c net.Conn, r *bufio.Reader) { _, _ = r.ReadByte(); reset(c) }, func(c net.Conn) { tells(c, "x"); _, _ = io.Copy(io.Discard, c) }},
		"the visitor does not read":   {func(c net.Conn, _ *bufio.Reader) { tells(c, strings.Repeat("x", 50_000_000)) }, func(net.Conn) {}},
		"the target does not read":    {func(c net.Conn, _ *bufio.Reader) { time.Sleep(time.Second) }, func(c net.Conn) { tells(c, strings.Repeat("x", 50_000_000)) }},
		"both close at once":          {func(net.Conn, *bufio.Reader) {}, func(c net.Conn) { c.Close() }},
		"both say that they are done": {func(c net.Conn, r *bufio.Reader) { _ = c.(*net.TCPConn).CloseWrite(); _, _ = io.Copy(io.Discard, r) }, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite(); _, _ = io.Copy(io.Discard, c) }},
	} {
		t.Run(name, func(t *testing.T) {
			h, pools := pooled(t, switches(t, tt.target))
			home := open(t, false, exchange.HandlerFunc(func(x *exchange.Exchange) {
				x.SetIdle(300 * time.Millisecond)
				h.ServeExchange(x)
			}))
			c, err := net.Dial("tcp", strings.TrimPrefix(home.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			tells(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			r := bufio.NewReader(c)
			if head := readHead(r); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
				t.Fatalf("%q", head)
			}
			first := make([]byte, 5)
			if _, err := io.ReadFull(r, first); string(first) != "first" {
				t.Errorf("%q, %v", first, err)
			}
			tt.visitor(c)
			if record := <-home.records; record.TargetCode != 101 {
				t.Errorf("%+v", record)
			}
			allIsLeft(t, pools)
		})
	}
}

// TestUnixSocketThatComesAndGoes: a target that is started anew is found.
func TestUnixSocketThatComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	h, pools := pooled(t, "unix:"+path)
	for round := range 3 {
		if r := askWith(h, "GET", "/", ""); r.Status != 502 {
			t.Errorf("without a socket: %d", r.Status)
		}
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, round) })}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		for range 3 {
			if r := askWith(h, "POST", "/", "hello"); r.Status != 200 || r.Body.String() != fmt.Sprint(round) {
				t.Errorf("round %d: %d %q", round, r.Status, &r.Body)
			}
		}
		s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		_ = os.Remove(path)
	}
	allIsLeft(t, pools)
}

// TestTLSTargetsThatEndConnections: by goodbye or without one, while nobody asks.
func TestTLSTargetsThatEndConnections(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	for name, end := range map[string]func(c *tls.Conn){
		"goodbye":                         func(c *tls.Conn) { _ = c.CloseWrite() },
		"goodbye and end":                 func(c *tls.Conn) { _ = c.Close() },
		"end":                             func(c *tls.Conn) { _ = c.NetConn().Close() },
		"what is no TLS":                  func(c *tls.Conn) { tells(c.NetConn(), "HTTP/1.1 408 Request Timeout\r\n\r\n") },
		"half a record":                   func(c *tls.Conn) { tells(c.NetConn(), "\x17\x03\x03\x00\x20half") },
		"an answer that nobody asked for": func(c *tls.Conn) { tells(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan bool)
			h, pools := pooled(t, many(t, &tls.Config{Certificates: borrowed.TLS.Certificates}, func(c net.Conn) {
				defer c.Close()
				r := bufio.NewReader(c)
				if head := readHead(r); head == "" {
					return
				}
				tells(c, ok)
				ended <- false
				end(c.(*tls.Conn))
				ended <- true
				_, _ = io.Copy(io.Discard, r)
			}))
			for range 3 {
				r := askWith(h, "POST", "/", "")
				if r.Status != 200 || r.Body.String() != "ok" {
					t.Errorf("status %d, %q", r.Status, &r.Body)
				}
				<-ended
				<-ended
			}
			allIsLeft(t, pools)
		})
	}
	t.Run("it speaks no TLS", func(t *testing.T) {
		url := many(t, nil, func(c net.Conn) {
			defer c.Close()
			tells(c, ok)
			_, _ = io.Copy(io.Discard, c)
		})
		h, _ := pooled(t, strings.Replace(url, "http:", "https:", 1))
		x, r := exchangetest.New("GET", "/")
		r.Serve(h)
		if r.Status != 502 || x.Record.ErrorReason != "target_connect_error" {
			t.Errorf("status %d, reason %q", r.Status, x.Record.ErrorReason)
		}
	})
}
