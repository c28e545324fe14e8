package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// counted is a listener that counts what its connections write.
type counted struct {
	net.Listener
	writes atomic.Int64
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l}, err
}

type countedConn struct {
	net.Conn
	of *counted
}

func (c countedConn) Write(p []byte) (int, error) {
	c.of.writes.Add(1)
	return c.Conn.Write(p)
}

func startCounted(t testing.TB, limits Limits, handler exchange.HandlerFunc) (*host, *counted) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Listener: ln}
	return startOn(t, c, true, limits, handler), c
}

// Not beside other tests: with a second processor at leisure, a head may be on its way before its body is there.
func TestASmallH2AnswerIsOneWrite(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	h, wire := startCounted(t, Limits{}, text(repeat("a", 1000)))
	f := h.frames()
	const n = 50
	before := wire.writes.Load()
	for i := range uint32(n) {
		f.head(2*i+1, true)
		if a := f.answer(2*i + 1); len(a.body) != 1000 {
			t.Fatalf("%+v", a)
		}
	}
	if writes := wire.writes.Load() - before; writes > n+n/4 {
		t.Errorf("%d writes for %d answers", writes, n)
	}
}

func TestOfAnIdleH2ConnectionNobodyWaitsToWrite(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{Window: 20 * time.Millisecond}, text("hello"))
	f := h.frames()
	for i := range uint32(2) {
		f.head(2*i+1, true)
		if a := f.answer(2*i + 1); a.body != "hello" {
			t.Fatalf("%+v", a)
		}
		waitFor(t, func() bool {
			h.server.mu.Lock()
			defer h.server.mu.Unlock()
			for l := range h.server.lines {
				o := l.(*line).h2.out
				o.mu.Lock()
				defer o.mu.Unlock()
				return !o.runs
			}
			return false
		})
	}
}

// outOver returns an h2out, and the visitor's end of its connection, which is kept by no buffer.
func outOver(t *testing.T) (*h2out, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	config := testTLS(t).Clone()
	config.SessionTicketsDisabled = true
	visitor := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- visitor.Handshake() }()
	l := newLine(New(Options{Log: slog.New(slog.DiscardHandler)}), ours)
	conn := tls.Server(l, config)
	if err := errors.Join(conn.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return newH2out(conn, l), visitor
}

func TestWhatWaitsIsWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	o, visitor := outOver(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	if n, err := o.Write(sent); n != len(sent) || err != nil {
		t.Fatal(n, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- o.Close() }()
	if got, err := io.ReadAll(visitor); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := o.Write(sent); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

func TestWhoDoesNotReadIsNotWrittenForWithoutEnd(t *testing.T) {
	t.Parallel()
	o, _ := outOver(t)
	result := make(chan error, 1)
	go func() {
		n, err := o.Write(make([]byte, 1<<20))
		if most := 2 * h2outParts * outputSize; n > most {
			t.Errorf("%d bytes wait, want %d at most", n, most)
		}
		result <- err
	}()
	waitFor(t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.isFull() && o.line.writing.Load() != 0
	})
	closed := make(chan struct{})
	go func() { _ = o.Close(); close(closed) }()
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write ended with %v", err)
	}
	select {
	case <-closed:
		t.Error("closed with an answer on its way")
	default:
	}
	o.line.tooSlow()
	<-closed
	if _, err := o.Write([]byte("x")); err == nil {
		t.Error("written")
	}
}

// A large write is few system calls, and none of it stays behind.
func TestRecordsLeaveTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, writes int }{
		"small":           {100, 1},
		"one full record": {outputSize - 512, 1}, // which on a new connection would be five
		"large":           {1 << 20, (1<<20)/writePart + 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := repeat("x", c.size)
			h, wire := startCounted(t, Limits{}, func(x *exchange.Exchange) {
				if x.RawPath == "/" {
					text(body)(x)
				}
			})
			v := h.visit()
			v.send("HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n")
			v.expect("HEAD", 200, "")
			before := wire.writes.Load()
			v.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			v.expect("GET", 200, body)
			if writes := wire.writes.Load() - before; writes > int64(c.writes) {
				t.Errorf("%d writes, want %d", writes, c.writes)
			}
		})
	}
}
