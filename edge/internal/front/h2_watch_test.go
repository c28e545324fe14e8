package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

// h2InFakeTime runs f in fake time. serve starts a server and a visitor, whose frames are read all the time.
func h2InFakeTime(t *testing.T, f func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event))) {
	t.Parallel()
	config := testTLS(t)
	synctest.Test(t, func(t *testing.T) {
		f(t, func(handler exchange.HandlerFunc) (*frames, <-chan h2event) {
			ln := &pipeListener{conns: make(chan net.Conn)}
			s := New(Options{Handler: handler, TLS: config, Log: slog.New(slog.DiscardHandler)})
			go s.Serve(ln, true)
			line := &modem{Conn: ln.dial()}
			v := startFrames(t, line)
			v.server, v.modem = s, line
			came := make(chan h2event, 1000)
			go v.report(came)
			t.Cleanup(func() {
				v.conn.Close()
				ln.Close()
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				if err := s.Drain(ctx); err != nil {
					t.Error(err)
				}
			})
			return v, came
		})
	})
}

// A modem is a visitor's line, which may be slow.
type modem struct {
	net.Conn
	rate atomic.Int64 // bytes a second that it takes. 0: any
}

func (m *modem) Read(p []byte) (int, error) {
	rate := m.rate.Load()
	if rate == 0 {
		return m.Conn.Read(p)
	}
	n, err := m.Conn.Read(p[:min(int64(len(p)), rate)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	return n, err
}

// An h2event is that a stream moved or was reset.
type h2event struct {
	stream uint32
	data   int
	reset  bool
}

func (f *frames) report(came chan<- h2event) {
	defer close(came)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			came <- h2event{stream: frame.StreamID, data: len(frame.Data())}
		case *http2.RSTStreamFrame:
			came <- h2event{stream: frame.StreamID, reset: true}
		}
	}
}

// An end is how reading or writing ended, and after how long.
type end struct {
	err   error
	after time.Duration
}

// readingEnds returns a handler that reads its body, and where it says how that ended.
func readingEnds(idle time.Duration) (exchange.HandlerFunc, <-chan end) {
	ended := make(chan end, 1)
	return func(x *exchange.Exchange) {
		x.SetIdle(idle)
		began := time.Now()
		_, err := io.Copy(io.Discard, x.Body)
		ended <- end{err, time.Since(began)}
	}, ended
}

func TestSlowH2Body(t *testing.T) {
	for name, c := range map[string]struct {
		length string // declared
		idle   time.Duration
		pause  time.Duration // between bytes
		end    time.Duration // of the reading; 0: none
	}{
		"declared, a byte a second":       {"100000", 0, time.Second, 20 * time.Second},
		"declared, silent":                {"100000", 0, time.Hour, 60 * time.Second},
		"undeclared, a byte a second":     {"-", 0, time.Second, 20 * time.Second},
		"undeclared, a byte in 25 s":      {"-", 0, 25 * time.Second, 40 * time.Second},
		"undeclared, silent":              {"-", 0, time.Hour, 60 * time.Second},
		"undeclared, silent for too long": {"-", 10 * time.Minute, time.Hour, 10 * time.Minute},
		"declared, little patience":       {"100000", 5 * time.Second, time.Hour, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
				handler, ended := readingEnds(c.idle)
				v, _ := serve(handler)
				v.head(1, false, ":method", "POST", "content-length", c.length)
				for range 30 {
					select {
					case e := <-ended:
						if !errors.Is(e.err, exchange.ErrTooSlow) || c.end == 0 {
							t.Errorf("ended with %v", e.err)
						}
						within(t, "the body", e.after, c.end)
						return
					case <-time.After(c.pause):
						v.check(v.WriteData(1, false, []byte("a")))
					}
				}
				if c.end > 0 {
					t.Errorf("went on for %v", 30*c.pause)
				}
				v.check(v.WriteData(1, true, nil))
				if e := <-ended; e.err != nil {
					t.Error(e.err)
				}
			})
		})
	}
}

// Messages come when they come, but silence has its limit.
func TestSparseH2Messages(t *testing.T) {
	for name, c := range map[string]struct {
		kind, length string
		answered     bool // before the body is read
		pause        time.Duration
		end          time.Duration // 0: none
	}{
		"gRPC":                         {"application/grpc+proto", "-", false, 25 * time.Second, 0},
		"gRPC, written oddly":          {"Application/GRPC", "-", false, 25 * time.Second, 0},
		"gRPC, silent":                 {"application/grpc", "-", false, time.Hour, 60 * time.Second},
		"gRPC, declared":               {"application/grpc", "100000", false, time.Second, 20 * time.Second},
		"both ways":                    {"text/plain", "-", true, 25 * time.Second, 0},
		"both ways, silent":            {"text/plain", "-", true, time.Hour, 60 * time.Second},
		"both ways, declared":          {"text/plain", "100000", true, time.Second, 20 * time.Second},
		"neither":                      {"text/plain", "-", false, time.Second, 20 * time.Second},
		"something that begins nearly": {"application/gro", "-", false, time.Second, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
				reads, ended := readingEnds(0)
				v, _ := serve(func(x *exchange.Exchange) {
					if c.answered {
						x.Write([]byte("a"))
						x.Flush()
					}
					reads(x)
				})
				v.head(1, false, ":method", "POST", "content-type", c.kind, "content-length", c.length)
				for range 30 {
					select {
					case e := <-ended:
						if !errors.Is(e.err, exchange.ErrTooSlow) {
							t.Errorf("ended with %v", e.err)
						}
						within(t, "the body", e.after, c.end)
						return
					case <-time.After(c.pause):
						v.check(v.WriteData(1, false, []byte("a")))
					}
				}
				v.check(v.WriteData(1, true, nil))
				if e := <-ended; e.err != nil || c.end > 0 {
					t.Errorf("ended after %v with %v", e.after, e.err)
				}
			})
		})
	}
}

// One of two uploads may be slow as long as the other is not: they share a line.
func TestUploadsShareALine(t *testing.T) {
	h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
		handler, ended := readingEnds(0)
		v, _ := serve(handler)
		v.head(1, false, ":method", "POST", "content-length", "60000")
		v.head(3, false, ":method", "POST", "content-length", "60")
		for range 60 {
			time.Sleep(time.Second)
			v.check(v.WriteData(1, false, make([]byte, 1000)))
			v.check(v.WriteData(3, false, make([]byte, 1)))
		}
		v.check(v.WriteData(1, true, nil))
		v.check(v.WriteData(3, true, nil))
		for range 2 {
			if e := <-ended; e.err != nil {
				t.Error(e.err)
			}
		}
	})
}

// writingEnds is readingEnds for an answer of 200 KB, three times a stream's first window.
func writingEnds() (exchange.HandlerFunc, <-chan end) {
	ended := make(chan end, 1)
	return func(x *exchange.Exchange) {
		began := time.Now()
		_, err := x.Write(make([]byte, 200_000))
		ended <- end{err, time.Since(began)}
	}, ended
}

func TestSlowH2Reader(t *testing.T) {
	t.Run("stalled", func(t *testing.T) {
		h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
			handler, ended := writingEnds()
			v, came := serve(handler)
			v.head(1, true)
			e := <-ended
			if !errors.Is(e.err, exchange.ErrTooSlow) {
				t.Errorf("ended with %v", e.err)
			}
			within(t, "the silence", e.after, 60*time.Second)
			for e := range came {
				if e.reset {
					return
				}
			}
			t.Error("no reset came")
		})
	})
	t.Run("slow but steady", func(t *testing.T) {
		h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
			handler, ended := writingEnds()
			v, _ := serve(handler)
			v.head(1, true)
			for {
				select {
				case e := <-ended:
					if e.err != nil || e.after < 5*time.Minute {
						t.Errorf("ended with %v after %v", e.err, e.after)
					}
					return
				case <-time.After(time.Second):
					v.check(v.WriteWindowUpdate(0, 300))
					v.check(v.WriteWindowUpdate(1, 300))
				}
			}
		})
	})
	t.Run("one stalled while another moves", func(t *testing.T) {
		h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
			handler, ended := writingEnds()
			v, came := serve(handler)
			v.check(v.WriteWindowUpdate(0, 1<<20))
			v.head(1, true) // stalled
			v.head(3, true)
			for range 130 {
				time.Sleep(time.Second)
				v.check(v.WriteWindowUpdate(3, 1000))
			}
			e := <-ended
			if !errors.Is(e.err, exchange.ErrTooSlow) {
				t.Errorf("the stalled one ended with %v", e.err)
			}
			within(t, "the stalled one", e.after, 60*time.Second)
			v.check(v.WriteWindowUpdate(3, 1<<20))
			if e := <-ended; e.err != nil {
				t.Error(e.err)
			}
			v.conn.Close()
			for e := range came {
				if e.reset && e.stream != 1 {
					t.Errorf("stream %d was reset", e.stream)
				}
			}
		})
	})
}

// Streams that wait for a slow line are not stalled. This fails when x/net heeds priorities: then two urgent streams may
// leave a third no turn for longer than it may be silent.
func TestH2StreamsShareASlowLine(t *testing.T) {
	h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
		ended := make(chan error, 3)
		v, came := serve(func(x *exchange.Exchange) {
			_, err := x.Write(make([]byte, 150_000))
			ended <- err
		})
		v.modem.rate.Store(2500)
		v.check(v.WriteWindowUpdate(0, 1<<20))
		for i, priority := range []string{"u=0", "u=0", "u=7"} {
			stream := uint32(2*i + 1)
			v.head(stream, true, "priority", priority)
			v.check(v.WriteWindowUpdate(stream, 1<<20))
		}
		for range 3 {
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
		}
		v.conn.Close()
		for range came { // until what was on the line has ended
		}
	})
}

// Whatever fits x/net's buffer waits there when its handler has returned.
func TestStalledTailsOfH2Answers(t *testing.T) {
	h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
		v, came := serve(text("short"))
		v.check(v.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
		began := time.Now()
		for i := range uint32(20) {
			v.head(2*i+1, true)
			time.Sleep(time.Second)
		}
		ended, late := false, time.After(5*time.Minute)
		for !ended {
			select {
			case _, more := <-came:
				ended = !more
			case <-late:
				t.Fatal("the connection goes on")
			}
		}
		within(t, "the connection", time.Since(began), 79*time.Second)
	})
}

func TestH2HandlersOwnDeadlines(t *testing.T) {
	t.Run("reading", func(t *testing.T) {
		h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
			ended := make(chan error, 1)
			v, came := serve(func(x *exchange.Exchange) {
				x.SetReadDeadline(time.Now().Add(3 * time.Second))
				_, err := x.Body.Read(make([]byte, 1))
				ended <- err
				text("late")(x)
			})
			v.head(1, false, ":method", "POST")
			if err := <-ended; !isTimeout(err) {
				t.Error(err)
			}
			if e := <-came; e.data != len("late") {
				t.Errorf("%+v", e)
			}
		})
	})
	t.Run("writing", func(t *testing.T) {
		h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
			ended := make(chan error, 1)
			v, _ := serve(func(x *exchange.Exchange) {
				x.SetWriteDeadline(time.Now().Add(3 * time.Second))
				_, err := x.Write(make([]byte, 200_000))
				ended <- err
			})
			v.head(1, true)
			if err := <-ended; !isTimeout(err) {
				t.Error(err)
			}
		})
	})
}

// A preface that comes some ticks after the handshake is in time.
func TestH2PrefaceMayTakeItsTime(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{Window: 40 * time.Millisecond}, text("x"))
	c, err := tls.Dial("tcp", h.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitFor(t, func() bool { return h.server.Connections().HTTP2 == 1 })
	began := h.server.clock.now()
	waitFor(t, func() bool { return h.server.clock.now() > began+50 })
	client, err := new(http2.Transport).NewClientConn(c)
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url("/"), nil)
	answer, err := client.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

func TestIdleH2Connection(t *testing.T) {
	h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
		v, came := serve(text("x"))
		v.head(1, true)
		<-came
		began := time.Now()
		for range came { // until the connection ends
		}
		within(t, "the idle connection", time.Since(began), 75*time.Second)
	})
}

// A connection has ended only when its handlers have, whatever they do with their visitor gone.
func TestH2ConnectionOutlastsItsHandlers(t *testing.T) {
	h2InFakeTime(t, func(t *testing.T, serve func(exchange.HandlerFunc) (*frames, <-chan h2event)) {
		release := make(chan struct{})
		ended := false
		v, _ := serve(func(*exchange.Exchange) {
			<-release
			ended = true
		})
		v.head(1, true)
		synctest.Wait()
		v.conn.Close()
		synctest.Wait()
		if n := v.server.Connections().Open; n != 1 {
			t.Errorf("%d connections while the handler runs", n)
		}
		close(release)
		synctest.Wait()
		if n := v.server.Connections().Open; n != 0 || !ended {
			t.Errorf("%d connections after the handler", n)
		}
	})
}
