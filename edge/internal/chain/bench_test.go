package chain

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// nobody is a stream whose visitor doesn't listen.
type nobody struct{}

func (nobody) SendInformational(int, exchange.Fields) error { return nil }
func (nobody) SendHead(*exchange.Response, bool) error      { return nil }
func (nobody) Write(p []byte) (int, error)                  { return len(p), nil }
func (nobody) Flush() error                                 { return nil }
func (nobody) Upgrade() (io.ReadWriteCloser, error)         { return nil, exchange.ErrNoUpgrade }
func (nobody) Context() context.Context                     { return context.Background() }
func (nobody) Watch(exchange.Watcher)                       {}
func (nobody) SetIdle(time.Duration)                        {}
func (nobody) SetReadDeadline(time.Time) error              { return nil }
func (nobody) SetWriteDeadline(time.Time) error             { return nil }

// typical fills x as a front would with a browser's request.
func typical(x *exchange.Exchange, connection *tls.ConnectionState) {
	x.Reset(nobody{})
	x.Request.Protocol, x.Method, x.Scheme, x.TLS = exchange.HTTP11, "GET", "https", connection
	x.Host, x.Hostname, x.RawPath = "example.com", "example.com", "/assets/index-4f2a.js"
	x.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 50000)
	x.Record.Start = time.Now()
	x.Fields = append(x.Fields,
		exchange.Field{Name: "Connection", Value: "keep-alive"},
		exchange.Field{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"},
		exchange.Field{Name: "Accept", Value: "*/*"},
		exchange.Field{Name: "Sec-Fetch-Site", Value: "same-origin"},
		exchange.Field{Name: "Sec-Fetch-Mode", Value: "no-cors"},
		exchange.Field{Name: "Sec-Fetch-Dest", Value: "script"},
		exchange.Field{Name: "Referer", Value: "https://example.com/"},
		exchange.Field{Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
		exchange.Field{Name: "Accept-Language", Value: "en-GB,en;q=0.9"},
		exchange.Field{Name: "Cookie", Value: "session=abcdefghijklmnopqrstuvwxyz"})
}

// busyHouse has everything on that a request can meet.
func busyHouse(t testing.TB) (*house, func()) {
	l := config.Limits{Concurrency: 100, Rate: config.Rate{N: 1 << 30, Per: time.Second}, Burst: 1 << 30, Body: 1 << 20, Idle: time.Minute}
	hosts := hostWith(l, config.Rule{Path: []string{"/assets/*"}, Limits: l})
	hosts["mutual.example"] = hosts["example.com"]
	h := newHouse(t, hosts, func(x *exchange.Exchange) { x.Response.Status = 204 })
	h.access.stdout, h.access.log = io.Discard, slog.Default()
	if err := h.access.Reopen(config.Log{Access: "stdout"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.access.Run(ctx) }()
	return h, func() { cancel(); <-done }
}

func BenchmarkChain(b *testing.B) {
	h, stop := busyHouse(b)
	defer stop()
	x, connection := new(exchange.Exchange), &tls.ConnectionState{ServerName: "example.com"}
	b.ReportAllocs()
	for b.Loop() {
		typical(x, connection)
		h.ServeExchange(x)
	}
}

func BenchmarkChainParallel(b *testing.B) {
	h, stop := busyHouse(b)
	defer stop()
	connection := &tls.ConnectionState{ServerName: "example.com"}
	var visitors atomic.Uint32
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x, n := new(exchange.Exchange), visitors.Add(1)
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), uint16(50000+2*n))
		for pb.Next() {
			typical(x, connection)
			x.Peer = peer
			h.ServeExchange(x)
		}
	})
}

// BenchmarkLine is all that a line costs: its making, its waiting, and its share of a system call.
func BenchmarkLine(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	l, x := NewAccessLog(null, slog.Default()), loggedExchange()
	if err := l.Reopen(config.Log{Access: "stdout"}); err != nil {
		b.Fatal(err)
	}
	w := &logWriter{from: l, to: &sink{Writer: io.Discard, close: func() error { return nil }}}
	b.ReportAllocs()
	for b.Loop() {
		l.exchange(x, 200, time.Second)
		if len(l.batch) > 0 {
			<-l.batch
			if err := w.write(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if l.Dropped() > 0 {
		b.Error(l.Dropped())
	}
}

func BenchmarkFields(b *testing.B) {
	x := new(exchange.Exchange)
	b.ReportAllocs()
	for b.Loop() {
		typical(x, nil)
		cleanFields(x, false)
	}
}

func BenchmarkClientCert(b *testing.B) {
	h, stop := busyHouse(b)
	defer stop()
	h.swap(mutualHost())
	x, c := new(exchange.Exchange), shown(b, name(attr("2.5.4.6", "US"), attr("2.5.4.3", "client")), 1)
	b.ReportAllocs()
	for b.Loop() {
		typical(x, c)
		x.Hostname = "mutual.example"
		h.ServeExchange(x)
	}
}
