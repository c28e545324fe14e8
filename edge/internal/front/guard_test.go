package front

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A pipeListener gives a server connections in memory, on which time can be faked.
type pipeListener struct {
	conns chan net.Conn
	close sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *pipeListener) Close() error   { l.close.Do(func() { close(l.conns) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
func (l *pipeListener) dial() net.Conn { ours, theirs := net.Pipe(); l.conns <- theirs; return ours }

// inFakeTime runs f, in which an hour passes in no time. serve starts a server and connects to it.
func inFakeTime(t *testing.T, f func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f(t, func(handler exchange.HandlerFunc) net.Conn {
			ln := &pipeListener{conns: make(chan net.Conn)}
			s := New(Options{Handler: handler, Log: slog.New(slog.DiscardHandler)})
			go s.Serve(ln, false)
			t.Cleanup(func() {
				ln.Close()
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				if err := s.Drain(ctx); err != nil {
					t.Error(err)
				}
			})
			return ln.dial()
		})
	})
}

// endOf reads until the connection ends and returns what came and when.
func endOf(t *testing.T, c net.Conn, since time.Time) (string, time.Duration) {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading: %v", err)
	}
	c.Close()
	return string(b), time.Since(since)
}

// within allows what the guard's tick makes uncertain.
func within(t *testing.T, what string, got, limit time.Duration) {
	t.Helper()
	if got < limit || got > limit+3*time.Second {
		t.Errorf("%s ended after %v, want %v", what, got, limit)
	}
}

func TestNewConnectionWithoutRequest(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		answer, after := endOf(t, serve(echo), time.Now())
		if answer != "" {
			t.Errorf("answered %q", answer)
		}
		within(t, "it", after, 15*time.Second)
	})
}

// TestSlowHead sends a byte a second: the time is that of the whole head.
func TestSlowHead(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		c := serve(echo)
		start, ended := time.Now(), make(chan struct{})
		go func() {
			defer close(ended)
			for _, b := range []byte(get("A: " + repeat("b", 100))) {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		answer, after := endOf(t, c, start)
		if len(answer) < 12 || answer[9:12] != "408" {
			t.Errorf("answered %q, want 408", answer)
		}
		within(t, "it", after, 15*time.Second)
		<-ended
	})
}

func TestIdleConnection(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		c := serve(text("x"))
		io.WriteString(c, get())
		c.Read(make([]byte, 1000))
		_, after := endOf(t, c, time.Now())
		within(t, "it", after, 75*time.Second)
	})
}

func TestSlowBody(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		every time.Duration
		slow  bool
	}{
		"modem":        {300, time.Second, false}, // longer than any limit, but it moves
		"byte by byte": {1, time.Second, true},
		"silent":       {5000, 100 * time.Second, true},
		"in bursts":    {30000, 30 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
				result := make(chan error, 1)
				conn := serve(func(x *exchange.Exchange) {
					_, err := io.Copy(io.Discard, x.Body)
					result <- err
				})
				defer conn.Close()
				go io.Copy(io.Discard, conn)
				io.WriteString(conn, post("Connection: close", "Content-Length: "+strconv.Itoa(200*c.bytes)))
				for range 200 {
					time.Sleep(c.every)
					if _, err := conn.Write(make([]byte, c.bytes)); err != nil {
						break
					}
				}
				if err := <-result; errors.Is(err, exchange.ErrTooSlow) != c.slow {
					t.Errorf("reading the body: %v", err)
				}
			})
		})
	}
}

func TestSlowReader(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int
		slow  bool
	}{"modem": {1000, false}, "byte by byte": {1, true}, "silent": {0, true}} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
				result := make(chan error, 2)
				conn := serve(func(x *exchange.Exchange) {
					ctx := x.Context()
					x.Response.Length = 64 << 10
					var err error
					for i := 0; i < 64 && err == nil; i++ { // what a pipe moves only shows when a write is done
						x.Write(make([]byte, 1024))
						err = x.Flush()
					}
					result <- err
					result <- context.Cause(ctx)
				})
				io.WriteString(conn, get("Connection: close"))
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for b := make([]byte, c.bytes); c.bytes > 0; {
						time.Sleep(time.Second)
						if _, err := conn.Read(b); err != nil {
							return
						}
					}
				}()
				for _, what := range []string{"writing", "the context"} {
					if err := <-result; errors.Is(err, exchange.ErrTooSlow) != c.slow {
						t.Errorf("%s ended with %v", what, err)
					}
				}
				conn.Close()
				<-ended
			})
		})
	}
}

// TestSilenceIsOfBothDirections: who only listens, or only sends, is not silent.
func TestSilenceIsOfBothDirections(t *testing.T) {
	// both reads the body as it comes while f answers, and returns why that ended.
	both := func(x *exchange.Exchange, f func()) error {
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, x.Body)
			ended <- err
		}()
		f()
		return <-ended
	}
	events := func(x *exchange.Exchange, n int, every time.Duration) error {
		for range n {
			time.Sleep(every)
			x.Write([]byte("event\n"))
			if err := x.Flush(); err != nil {
				return err
			}
		}
		return nil
	}
	// Never at a moment when the guard looks, which would take what is being written for waiting.
	const offBeat = 15*time.Second + 7*time.Millisecond
	for name, say := range map[string]func(io.Writer){
		"silent":      func(io.Writer) { time.Sleep(40 * offBeat) },
		"with a word": func(w io.Writer) { sayEvery(w, 40, offBeat, "1\r\na\r\n") },
	} {
		t.Run("listener, "+name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
				result := make(chan error, 2)
				c := serve(func(x *exchange.Exchange) {
					result <- both(x, func() { result <- events(x, 40, offBeat) })
				})
				go io.Copy(io.Discard, c)
				io.WriteString(c, post("Connection: close", "Transfer-Encoding: chunked"))
				say(c)
				if err := <-result; err != nil {
					t.Errorf("the answer ended with %v", err)
				}
				over := time.Now()
				if err := <-result; !errors.Is(err, exchange.ErrTooSlow) {
					t.Errorf("the body ended with %v", err)
				}
				within(t, "the silence after it", time.Since(over), 60*time.Second)
				c.Close()
			})
		})
	}
	t.Run("sender", func(t *testing.T) {
		inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
			result := make(chan error, 2)
			c := serve(func(x *exchange.Exchange) {
				result <- both(x, func() {
					_, err := x.Write(make([]byte, 200<<10))
					result <- err
				})
			})
			io.WriteString(c, post("Connection: close", "Content-Length: 600000"))
			sayEvery(c, 600, time.Second, repeat("x", 1000)) // before he looks at the answer
			go io.Copy(io.Discard, c)
			for _, what := range []string{"the answer", "the body"} {
				if err := <-result; err != nil {
					t.Errorf("%s ended with %v", what, err)
				}
			}
			c.Close()
		})
	})
}

func sayEvery(w io.Writer, n int, every time.Duration, words string) {
	for range n {
		time.Sleep(every)
		if _, err := io.WriteString(w, words); err != nil {
			return
		}
	}
}

// TestSetIdle lets silence last as long as the handler says.
func TestSetIdle(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		result := make(chan time.Duration, 1)
		c := serve(func(x *exchange.Exchange) {
			x.SetIdle(10 * time.Second)
			start := time.Now()
			if _, err := x.Body.Read(make([]byte, 1)); !errors.Is(err, exchange.ErrTooSlow) {
				t.Errorf("read: %v", err)
			}
			result <- time.Since(start)
		})
		defer c.Close()
		io.WriteString(c, post("Content-Length: 1"))
		go io.Copy(io.Discard, c)
		within(t, "waiting", <-result, 10*time.Second)
	})
}

func TestUpgradedIdle(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		c := serve(func(x *exchange.Exchange) {
			c, err := x.Upgrade()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, exchange.ErrTooSlow) {
				t.Errorf("ended with %v", err)
			}
		})
		io.WriteString(c, get("Connection: upgrade", "Upgrade: websocket"))
		c.Read(make([]byte, 1000))
		for range 10 { // a ping in time keeps it, however little that is
			time.Sleep(50 * time.Second)
			if _, err := c.Write([]byte{0}); err != nil {
				t.Fatalf("ping: %v", err)
			}
		}
		_, after := endOf(t, c, time.Now())
		within(t, "it", after, 60*time.Second)
	})
}

func TestThinkingHandlerHasNoLimit(t *testing.T) {
	inFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) net.Conn) {
		c := serve(func(x *exchange.Exchange) {
			time.Sleep(time.Hour)
			text("at last")(x)
		})
		io.WriteString(c, get("Connection: close"))
		if answer, _ := endOf(t, c, time.Now()); answer[9:12] != "200" {
			t.Errorf("answer is %q", answer)
		}
	})
}

// TestClientGone closes connections whose handlers wait for something else, and must see their contexts end.
func TestClientGone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		began, ended := make(chan bool), make(chan error)
		h := start(t, secure, Limits{ReadHead: 40 * time.Millisecond}, func(x *exchange.Exchange) { // which sets the guard's tick, too
			ctx := x.Context()
			began <- true
			select {
			case <-ctx.Done():
				ended <- context.Cause(ctx)
			case <-time.After(5 * time.Second):
				ended <- errors.New("not noticed")
			}
		})
		for name, leave := range map[string]func(*net.TCPConn){
			"close": func(c *net.TCPConn) { c.Close() },
			"reset": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		} {
			v := h.visit()
			v.send(get())
			<-began
			leave(socket(v.Conn).(*net.TCPConn))
			if err := <-ended; !errors.Is(err, exchange.ErrClientGone) {
				t.Errorf("%s: cause is %v", name, err)
			}
		}
	})
}

func TestGoneInTheBody(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		ctx := x.Context()
		_, err := io.ReadAll(x.Body)
		ended <- err
		ended <- context.Cause(ctx)
	})
	v := h.visit()
	v.send(post("Content-Length: 10") + "abc")
	v.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, exchange.ErrClientGone) {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestHandlersOwnDeadlines(t *testing.T) {
	t.Parallel()
	v := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if x.Length != 0 {
			x.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if _, err := io.ReadAll(x.Body); !isTimeout(err) {
				t.Errorf("read ended with %v", err)
			}
		} else {
			x.SetReadDeadline(time.Now().Add(-time.Second)) // must not reach into the next exchange
			x.SetWriteDeadline(time.Now().Add(time.Hour))
		}
		text("x")(x)
	}).visit()
	v.send(get())
	v.expect("GET", 200, "x")
	v.send(post("Content-Length: 3"))
	if r := v.expect("POST", 200, "x"); !r.Close {
		t.Error("kept a connection with half a body")
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestReaderWithKernelBuffers reads slowly but steadily from a real socket, whose buffers hide that from Write.
func TestReaderWithKernelBuffers(t *testing.T) {
	t.Parallel()
	limits := Limits{Window: 200 * time.Millisecond, MinBytes: 1000, Idle: 300 * time.Millisecond}
	result := make(chan error, 1)
	h := start(t, false, limits, func(x *exchange.Exchange) {
		x.Response.Length = 64 << 20
		_, err := x.Write(make([]byte, 64<<20))
		result <- err
	})
	for name, steady := range map[string]bool{"steady": true, "stalled": false} {
		v := h.visit()
		v.send(get())
		ticker := time.NewTicker(5 * time.Millisecond)
		for range 300 {
			<-ticker.C
			if steady {
				io.CopyN(io.Discard, v.Conn, 8<<10)
			}
		}
		ticker.Stop()
		if steady { // and then quickly, to get it over with
			go io.Copy(io.Discard, v.Conn)
		}
		if err := <-result; errors.Is(err, exchange.ErrTooSlow) == steady {
			t.Errorf("%s: writing ended with %v", name, err)
		}
		v.Close()
	}
}

// TestSlowVisitorsDoNotHinderOthers holds a thousand connections that send nothing, half a head, or a body by drops.
func TestSlowVisitorsDoNotHinderOthers(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{Connections: 4096}, echo)
	var slow []*visitor
	for i := range 1000 {
		v := h.visit()
		slow = append(slow, v)
		switch i % 3 {
		case 0:
			v.send("GET / HTTP/1.1\r\nHost: a")
		case 1:
			v.send(post("Content-Length: 10") + "a")
		}
	}
	waitFor(t, func() bool { return h.server.Connections().Open == len(slow) })
	v := h.visit()
	for range 100 {
		begin := time.Now()
		v.send(get())
		v.expect("GET", 200, "GET / ")
		if d := time.Since(begin); d > time.Second {
			t.Errorf("an answer took %v", d)
		}
	}
	for _, s := range slow {
		s.Close()
	}
	waitFor(t, func() bool { return h.server.Connections().Open == 1 })
}
