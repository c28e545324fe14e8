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

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

// BenchmarkOverTLS is an exchange over one connection, one at a time, visitor included. That of h1 and h2 costs little.
func BenchmarkOverTLS(b *testing.B) {
	for name, asker := range map[string]func(testing.TB, *host) func(){"h1": askerOfH1, "h2": askerOfH2, "h3": askerOfH3} {
		b.Run(name, func(b *testing.B) {
			ask := asker(b, start(b, true, Limits{}, assets(make([]byte, 1024))))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// assets answers as a site does.
func assets(body []byte) exchange.HandlerFunc {
	return func(x *exchange.Exchange) {
		x.Response.Length = int64(len(body))
		x.Response.Fields.Add("Content-Type", "text/javascript")
		x.Response.Fields.Add("Cache-Control", "public, max-age=600")
		x.Response.Fields.Add("Etag", x.Text([]byte(`"0123456789abcdef"`)))
		x.Write(body)
	}
}

// askerOfH1 asks over one connection, without allocating.
func askerOfH1(t testing.TB, h *host) func() {
	conn, err := tls.Dial("tcp", h.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	answer := make([]byte, 4<<10)
	return func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAtLeast(conn, answer, 1024+100); err != nil {
			t.Fatal(err)
		}
	}
}

// askerOfH2 is the same for h2.
func askerOfH2(t testing.TB, h *host) func() {
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	f := startFrames(t, conn, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	f.check(f.WriteWindowUpdate(0, 1<<30))
	f.ReadMetaHeaders = nil
	f.SetReuseFrames()
	stream := uint32(1)
	return func() {
		f.head(stream, true, "user-agent", "test", "accept", "*/*")
		for {
			frame := f.next()
			if frame.Header().Type == http2.FrameData && frame.Header().Flags.Has(http2.FlagDataEndStream) {
				break
			}
		}
		stream += 2
	}
}

func askerOfH3(t testing.TB, h *host) func() {
	client := h.client(exchange.HTTP3)
	return func() {
		r, err := client.Get(h.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}

// BenchmarkH2Adapter is what an exchange costs besides x/net's part.
func BenchmarkH2Adapter(b *testing.B) {
	l := adapter(New(Options{Handler: assets(make([]byte, 1024))}))
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
	return &h2line{streams: streams{s: s, protocol: exchange.HTTP2}, line: new(line)}
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
