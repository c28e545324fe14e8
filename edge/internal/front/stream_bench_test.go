package front

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// BenchmarkH2 is a small exchange over TLS, client included: what is ours of it shows in a comparison.
func BenchmarkH2(b *testing.B) { benchmarkSmall(b, exchange.HTTP2) }

// BenchmarkH3 is the same over QUIC.
func BenchmarkH3(b *testing.B) { benchmarkSmall(b, exchange.HTTP3) }

func benchmarkSmall(b *testing.B, protocol exchange.Protocol) {
	h := start(b, true, Limits{}, text("hello"))
	client := h.client(protocol)
	b.ReportAllocs()
	for b.Loop() {
		r, err := client.Get(h.url("/"))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}

// BenchmarkH2Adapter is what an exchange costs besides x/net's part.
func BenchmarkH2Adapter(b *testing.B) {
	s := New(Options{Handler: text("hello")})
	l := adapter(s)
	w := sink{header: http.Header{}}
	r := &http.Request{Method: "GET", RequestURI: "/a?b", Host: "a.test", TLS: new(tls.ConnectionState), Header: http.Header{
		"Accept": {"*/*"}, "User-Agent": {"test"}, "Cookie": {"a=b"}, "Accept-Encoding": {"gzip"}}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		l.ServeHTTP(w, r)
	}
}

// BenchmarkLargeH2 is an answer of 10 MiB.
func BenchmarkLargeH2(b *testing.B) { benchmarkLarge(b, exchange.HTTP2) }

// BenchmarkLargeH3 is the same over QUIC.
func BenchmarkLargeH3(b *testing.B) { benchmarkLarge(b, exchange.HTTP3) }

func benchmarkLarge(b *testing.B, protocol exchange.Protocol) {
	body := make([]byte, 10<<20)
	h := start(b, true, Limits{}, func(x *exchange.Exchange) { x.Write(body) })
	client := h.client(protocol)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := client.Get(h.url("/"))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}

func adapter(s *Server) *h2line {
	return &h2line{streams: streams{s: s, protocol: exchange.HTTP2, running: make(map[*stream]struct{})}, line: new(line)}
}

// sink is a ResponseWriter that keeps nothing.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(p []byte) (int, error) { return len(p), nil }
func (sink) WriteHeader(int)               {}

// BenchmarkH2Upload is an upload of 10 MiB over a line with 20 ms to the server and 20 ms back.
func BenchmarkH2Upload(b *testing.B) {
	h := start(b, true, Limits{}, func(x *exchange.Exchange) { io.Copy(io.Discard, x.Body) })
	client := h.client(exchange.HTTP2)
	client.Transport.(*http.Transport).DialContext = nil
	client.Transport.(*http.Transport).Dial = func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		return newDistant(conn, 20*time.Millisecond), err
	}
	body := make([]byte, 10<<20)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := client.Post(h.url("/"), "", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Body.Close()
	}
}

// distant is a connection on which bytes take a time each way.
type distant struct {
	net.Conn
	out, in *delay
}

func newDistant(conn net.Conn, d time.Duration) *distant {
	c := &distant{Conn: conn, out: newDelay(d), in: newDelay(d)}
	go io.Copy(conn, c.out)
	go func() {
		io.Copy(c.in, conn)
		c.in.close()
	}()
	return c
}

func (c *distant) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *distant) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *distant) Close() error                { c.out.close(); return c.Conn.Close() }

// A delay is a pipe through which bytes take a time.
type delay struct {
	d      time.Duration
	mu     sync.Mutex
	cond   sync.Cond
	parts  []delayed
	closed bool
}

type delayed struct {
	at time.Time
	b  []byte
}

func newDelay(d time.Duration) *delay {
	q := &delay{d: d}
	q.cond.L = &q.mu
	return q
}

func (q *delay) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.parts = append(q.parts, delayed{time.Now().Add(q.d), bytes.Clone(p)})
	q.cond.Signal()
	return len(p), nil
}

func (q *delay) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.parts) == 0 && !q.closed {
		q.cond.Wait()
	}
	if len(q.parts) == 0 {
		return 0, io.EOF
	}
	first := &q.parts[0]
	if wait := time.Until(first.at); wait > 0 {
		q.mu.Unlock()
		time.Sleep(wait)
		q.mu.Lock()
	}
	n := copy(p, first.b)
	if first.b = first.b[n:]; len(first.b) == 0 {
		q.parts = q.parts[1:]
	}
	return n, nil
}

func (q *delay) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Signal()
}
