package front

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestH3Drain(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	h := start(t, true, Limits{Window: 200 * time.Millisecond}, func(x *exchange.Exchange) {
		began <- struct{}{}
		<-release
		text("finished")(x)
	})
	idle, busy := h.visitH3(), h.visitH3()
	r := busy.ask(true)
	<-began
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- h.server.Drain(ctx)
	}()
	idle.goneAway()
	if code := idle.ended(); code != http3.ErrCodeNoError {
		t.Errorf("the idle one ended with %v", code)
	}
	busy.goneAway()
	if a := busy.ask(true).answer(); a.reset != http3.ErrCodeRequestRejected {
		t.Errorf("after GOAWAY: %+v", a)
	}
	later, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if conn, err := quic.DialAddr(later, h.quic(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a new connection got %v, %v: refused or taken, and not left to ask the next server", conn, err)
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with a stream open: %v", err)
	default:
	}
	close(release)
	if a := r.answer(); a.body != "finished" || !a.whole {
		t.Errorf("%+v", a)
	}
	if code := busy.ended(); code != http3.ErrCodeNoError {
		t.Errorf("the busy one ended with %v", code)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A visitor who is cut off is told, and not left to find out.
func TestH3CutOff(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		close(began)
		<-x.Context().Done()
		close(ended)
	})
	v := h.visitH3()
	r := v.ask(true)
	<-began
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Drain(ctx); err == nil {
		t.Error("nothing was cut off")
	}
	<-ended
	v.ended()
	if b, err := io.ReadAll(r); err == nil {
		t.Errorf("the answer looks whole: %q", b)
	}
}

func TestH3Counts(t *testing.T) {
	t.Parallel()
	working, finish := make(chan bool), make(chan bool)
	h := start(t, true, Limits{}, func(*exchange.Exchange) { working <- true; <-finish })
	v := h.visitH3()
	want := Counts{Open: 1, Idle: 1, HTTP3: 1, Accepted: 1}
	waitFor(t, func() bool { return h.server.Connections() == want })
	r := v.ask(true)
	<-working
	want = Counts{Open: 1, Active: 1, HTTP3: 1, Accepted: 1}
	if c := h.server.Connections(); c != want {
		t.Errorf("%+v", c)
	}
	finish <- true
	r.answer()
	v.leave()
	want = Counts{Accepted: 1}
	waitFor(t, func() bool { return h.server.Connections() == want })
	if n := len(h.server.slots); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

func TestIdleH3Connection(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{KeepAlive: 100 * time.Millisecond}, text("x"))
	v := h.visitH3()
	if a := v.ask(true).answer(); a.body != "x" {
		t.Errorf("%+v", a)
	}
	if code := v.ended(); code != http3.ErrCodeNoError {
		t.Errorf("ended with %v", code)
	}
}

// TestFullOfH3 has room for two connections: a third one waits, and gets the place of an idle one but not of a busy one.
func TestFullOfH3(t *testing.T) {
	t.Parallel()
	working, finish := make(chan bool), make(chan bool)
	h := start(t, true, Limits{Connections: 2, Window: 200 * time.Millisecond}, func(x *exchange.Exchange) {
		if x.RawPath == "/slow" {
			working <- true
			<-finish
		}
		text("x")(x)
	})
	idle, busy := h.visitH3(), h.visitH3()
	r := busy.ask(true, ":path", "/slow")
	<-working
	third := h.visitH3()
	if a := third.ask(true).answer(); a.body != "x" {
		t.Errorf("%+v", a)
	}
	if code := idle.ended(); code != http3.ErrCodeNoError {
		t.Errorf("the idle one ended with %v", code)
	}
	finish <- true
	if a := r.answer(); a.body != "x" {
		t.Errorf("%+v", a)
	}
}

// Who waits for a place has none to give up.
func TestH3WaitsForAPlace(t *testing.T) {
	t.Parallel()
	working, finish := make(chan bool), make(chan bool)
	h := start(t, true, Limits{Connections: 1}, func(x *exchange.Exchange) {
		if x.RawPath == "/slow" {
			working <- true
			<-finish
		}
		text("x")(x)
	})
	busy := h.visitH3()
	r := busy.ask(true, ":path", "/slow")
	<-working
	second := h.visitH3()
	waitFor(t, func() bool { return h.server.Connections().Open == 2 && h.server.h3.unshaken.Load() == 0 })
	h.server.closeLongestIdle()
	finish <- true
	if a := r.answer(); a.body != "x" {
		t.Errorf("%+v", a)
	}
	if a := second.ask(true).answer(); a.body != "x" {
		t.Errorf("%+v", a)
	}
}

// startQUIC serves h3 alone.
func startQUIC(t *testing.T, o Options) *host {
	o.Log = slog.New(slog.DiscardHandler)
	h := &host{t: t, server: New(o)}
	h.quic = sync.OnceValue(h.serveQUIC)
	return h
}

// serveFromElsewhere serves h3 to visitors that seem to come from another host.
func serveFromElsewhere(t *testing.T, h *host) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.server.ServeQUIC(udpFromElsewhere{pc}) }()
	h.quic = func() string { return pc.LocalAddr().String() }
	t.Cleanup(func() {
		pc.Close()
		if err := <-served; err != nil {
			t.Errorf("ServeQUIC: %v", err)
		}
	})
}

// TestH3ShareOfOneClient is about one address, whether a client shows that it is his in his handshake or before.
func TestH3ShareOfOneClient(t *testing.T) {
	t.Parallel()
	for name, handshakes := range map[string]int64{"few handshakes": 0, "many handshakes": h3Unproven} {
		t.Run(name, func(t *testing.T) {
			h := start(t, true, Limits{Connections: 80}, text("x"))
			h.server.h3.unshaken.Add(handshakes)
			serveFromElsewhere(t, h)
			var share []*h3visitor
			for range 80 / clientPart {
				v := h.visitH3()
				v.ask(true).answer()
				share = append(share, v)
			}
			conn, err := quic.DialAddr(t.Context(), h.quic(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
			if err == nil {
				<-conn.Context().Done()
			}
			if refused := err != nil; refused != (handshakes > 0) {
				t.Errorf("one too many: %v", err)
			}
			if n := h.server.Connections().OverShare; n == 0 { // one for each packet of a ClientHello that is refused
				t.Error("none was noted as one too many")
			}
			share[0].leave()
			waitFor(t, func() bool { return h.server.Connections().Open == len(share)-1 })
			v := h.visitH3()
			if a := v.ask(true).answer(); a.body != "x" {
				t.Errorf("%+v", a)
			}
			for _, v := range append(share, v) {
				v.leave()
			}
			waitFor(t, func() bool { return h.server.Connections().Open == 0 })
			h.server.mu.Lock()
			defer h.server.mu.Unlock()
			if len(h.server.clients) > 0 || len(h.server.slots) > 0 || h.server.h3.unshaken.Load() != handshakes {
				t.Errorf("%d clients, %d slots, %d handshakes are remembered", len(h.server.clients), len(h.server.slots), h.server.h3.unshaken.Load())
			}
		})
	}
}

// deafAfter loses all that is sent after the first packets.
type deafAfter struct {
	net.PacketConn
	left atomic.Int32
}

func (d *deafAfter) WriteTo(p []byte, to net.Addr) (int, error) {
	if d.left.Add(-1) < 0 {
		return len(p), nil
	}
	return d.PacketConn.WriteTo(p, to)
}

func TestH3HandshakeTimeout(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{Handshake: 200 * time.Millisecond}, echo)
	address, err := net.ResolveUDPAddr("udp", h.quic())
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	deaf := &deafAfter{PacketConn: pc}
	deaf.left.Store(2) // a ClientHello
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan struct{})
	go func() {
		defer close(gaveUp)
		quic.Dial(ctx, deaf, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	}()
	want := Counts{Accepted: 1, HandshakeErrors: 1}
	waitFor(t, func() bool { return h.server.Connections() == want })
	cancel()
	<-gaveUp
	if n := len(h.server.slots); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

func TestSlowH3Body(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause  time.Duration
		limits Limits
	}{
		"trickling": {20 * time.Millisecond, Limits{Window: 200 * time.Millisecond, Idle: time.Minute}},
		"silent":    {time.Hour, Limits{Window: time.Minute, Idle: 200 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			h := start(t, true, c.limits, func(x *exchange.Exchange) {
				_, err := io.Copy(io.Discard, x.Body)
				ended <- err
			})
			r := h.visitH3().ask(false, ":method", "POST", "content-length", "100000")
			tick := time.NewTicker(c.pause)
			defer tick.Stop()
			for late := time.After(10 * time.Second); ; {
				select {
				case err := <-ended:
					if !errors.Is(err, exchange.ErrTooSlow) {
						t.Errorf("ended with %v", err)
					}
					return
				case <-tick.C:
					_, _ = r.Write(h3Frame(h3Data, []byte("a")))
				case <-late:
					t.Fatal("it goes on")
				}
			}
		})
	}
}

func TestStalledH3Reader(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	h := start(t, true, Limits{Window: 200 * time.Millisecond, MinBytes: 100_000, Idle: 200 * time.Millisecond}, func(x *exchange.Exchange) {
		_, err := x.Write(make([]byte, 4<<20))
		ended <- err
	})
	v := h.visitH3With(&quic.Config{InitialStreamReceiveWindow: 10_000, MaxStreamReceiveWindow: 10_000})
	r := v.ask(true)
	if err := <-ended; !errors.Is(err, exchange.ErrTooSlow) {
		t.Errorf("ended with %v", err)
	}
	if a := r.answer(); a.whole || a.reset == 0 {
		t.Errorf("%+v", a)
	}
}

// quic-go sends urgent answers first (RFC 9218): those that wait for them are not stalled.
func TestH3StreamsWaitForMoreUrgentOnes(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	line := newH3line(s, nil)
	var st stream
	st.reset(&line.streams, nil, new(http.Request))
	clock := s.clock.now()
	st.writing.since.Store(clock)
	for second := range int64(200) {
		line.out.Add(500) // of two that wait for 240 bytes a second each
		if st.writesTooSlowly(clock+second*1000, 1000, 2) {
			t.Fatalf("too slow after %d s", second)
		}
	}
	for second := range int64(200) {
		if st.writesTooSlowly(clock+(200+second)*1000, 1000, 2) {
			return
		}
	}
	t.Error("nothing moves, and it waits")
}

func TestH3NeedsTLS(t *testing.T) {
	t.Parallel()
	if err := New(Options{}).ServeQUIC(nil); err == nil {
		t.Error("served without a configuration")
	}
	s := New(Options{TLS: testTLS(t), Log: slog.New(slog.DiscardHandler)})
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.ServeQUIC(nil); err != nil {
		t.Errorf("after Drain: %v", err)
	}
}

// TestH3TLSIsThatOfTheHandshake has a configuration for each visitor, as hosts that want certificates do, and keys of
// tickets that are changed while it serves.
func TestH3TLSIsThatOfTheHandshake(t *testing.T) {
	t.Parallel()
	base := testTLS(t).Clone()
	var keys [2][32]byte
	for i := range keys {
		_, _ = rand.Read(keys[i][:])
	}
	base.SetSessionTicketKeys(keys[:1])
	strict := base.Clone()
	strict.ClientAuth = tls.RequireAnyClientCert
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "strict.test" {
			return strict, nil
		}
		return nil, nil
	}
	h := startQUIC(t, Options{Handler: text("x"), TLS: base})
	cache := tls.NewLRUClientSessionCache(1)
	connect := func(name string) (resumed, early bool, err error) {
		conn, err := quic.DialAddrEarly(t.Context(), h.quic(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h3"}, ClientSessionCache: cache}, &quic.Config{})
		if err != nil {
			return false, false, err
		}
		v := &h3visitor{t, conn}
		defer v.leave()
		s, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			return false, false, err
		}
		s.Write(h3Frame(h3Headers, h3Head()))
		s.Close()
		if _, err := io.ReadAll(s); err != nil {
			return false, false, err
		}
		state := conn.ConnectionState()
		return state.TLS.DidResume, state.Used0RTT, nil
	}
	if _, _, err := connect("strict.test"); err == nil {
		t.Error("a host that wants certificates went without")
	}
	for i, resumes := range []bool{false, true, false, true} {
		if i == 2 {
			base.SetSessionTicketKeys(keys[1:])
		}
		resumed, early, err := connect("a.test")
		if err != nil || resumed != resumes || early {
			t.Errorf("connection %d: resumed %v, 0-RTT %v, %v", i, resumed, early, err)
		}
	}
}

// After a restart a packet of a connection that is gone is answered such that the visitor knows (RFC 9000, section 10.3).
func TestH3KeySurvivesARestart(t *testing.T) {
	t.Parallel()
	packet := append([]byte{0x40}, make([]byte, 60)...)
	token := func(key []byte) string {
		h := startQUIC(t, Options{TLS: testTLS(t), QUICKey: key})
		c, err := net.Dial("udp", h.quic())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(packet)
		b := make([]byte, 100)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[n-16 : n])
	}
	a, b := make([]byte, 32), append(make([]byte, 31), 1)
	if token(a) != token(a) {
		t.Error("the same key makes different tokens")
	}
	if token(a) == token(b) || token(nil) == token(nil) {
		t.Error("different keys make the same token")
	}
}
