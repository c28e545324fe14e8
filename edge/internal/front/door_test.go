package front

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A queue is a door with one place, which is taken, and those who wait before it.
type queue struct {
	*door
	mu   sync.Mutex
	let  []string // who was let in, in that order
	sent []string // who was turned away
}

func newQueue(t *testing.T) *queue {
	d := newDoor(1)
	for range cap(d.breaths) { // an eventfd is not of synctest's world
		(<-d.breaths).close()
		d.breaths <- &breather{}
	}
	if !d.enter(t.Context(), netip.Addr{}, false) {
		t.Fatal("nobody is inside, and yet one has to wait")
	}
	return &queue{door: d}
}

// join has somebody wait, who leaves as soon as he was let in.
func (q *queue) join(ctx context.Context, client string, begun bool) {
	go func() {
		ok := q.enter(ctx, netip.MustParseAddr(client), begun)
		q.mu.Lock()
		defer q.mu.Unlock()
		if !ok {
			q.sent = append(q.sent, client)
			return
		}
		q.let = append(q.let, client)
		q.leave()
	}()
	synctest.Wait()
}

// seen are those who were let in and who were turned away by now.
func (q *queue) seen() (let, sent []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.let), slices.Clone(q.sent)
}

func TestClientsTakeTurnsAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		for _, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1", "2001:db8::1", "2001:db8::2"} {
			q.join(t.Context(), client, false)
		}
		q.join(t.Context(), "203.0.113.1", true)
		q.leave()
		synctest.Wait()
		want := "203.0.113.1 192.0.2.1 198.51.100.1 2001:db8::1 192.0.2.2 2001:db8::2 192.0.2.3"
		if let, _ := q.seen(); strings.Join(let, " ") != want {
			t.Errorf("let in:\n  %s, want\n  %s", let, want)
		}
		if q.free != 1 || q.room != doorRoom || len(q.clients)+q.next.Len()+q.begun.Len() != 0 {
			t.Errorf("something is left: %+v", q.door)
		}
	})
}

func TestACrowdAtTheDoorMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.room = 4
		for range 6 {
			q.join(t.Context(), "192.0.2.1", false)
		}
		if _, sent := q.seen(); len(sent) != 2 {
			t.Errorf("of six where four may wait %d were turned away", len(sent))
		}
		q.join(t.Context(), "198.51.100.1", false)
		q.join(t.Context(), "203.0.113.1", false)
		if _, sent := q.seen(); strings.Join(sent, " ") != "192.0.2.1 192.0.2.1 192.0.2.1 192.0.2.1" {
			t.Errorf("turned away: %s, want only those of the crowd", sent)
		}
		q.leave()
		synctest.Wait()
		if let, _ := q.seen(); strings.Join(let, " ") != "192.0.2.1 198.51.100.1 203.0.113.1 192.0.2.1" {
			t.Errorf("let in: %s", let)
		}
	})
}

func TestNobodyWaitsAtTheDoorForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		ctx, cancel := context.WithCancel(t.Context())
		q.join(ctx, "192.0.2.1", false)
		q.join(t.Context(), "192.0.2.1", true)
		cancel()
		synctest.Wait()
		if _, sent := q.seen(); len(sent) != 1 {
			t.Errorf("%d gave up when their context was done", len(sent))
		}
		time.Sleep(doorPatience)
		synctest.Wait()
		if _, sent := q.seen(); len(sent) != 2 || q.room != doorRoom || len(q.clients)+q.begun.Len() != 0 {
			t.Errorf("%d have given up, %+v", len(sent), q.door)
		}
	})
}

func TestABreathComesBack(t *testing.T) {
	b := newBreather()
	for range 1000 { // one event each, none of which may be missed
		b.breathe()
	}
	b.close()
	b.breathe() // goes on without
}

func TestHandshakesWaitForAPlace(t *testing.T) {
	h := start(t, true, Limits{}, func(*exchange.Exchange) {})
	places := h.server.door.places
	for range places {
		h.server.door.enter(t.Context(), netip.Addr{}, false)
	}
	shaken := make(chan error)
	for range 2 * places {
		go func() { shaken <- h.shake() }()
	}
	waitFor(t, func() bool {
		h.server.door.mu.Lock()
		defer h.server.door.mu.Unlock()
		return h.server.door.room == places*doorRoom-2*places
	})
	select {
	case err := <-shaken:
		t.Fatalf("a handshake ended without a place: %v", err)
	default:
	}
	for range places {
		h.server.door.leave()
	}
	for range 2 * places {
		if err := <-shaken; err != nil {
			t.Error(err)
		}
	}
	waitFor(t, func() bool { return h.server.Connections().Open == 0 })
	if d := h.server.door; d.free != places || d.room != places*doorRoom {
		t.Errorf("afterwards %d places and room for %d", d.free, d.room)
	}
}

// shake is a visitor's handshake.
func (h *host) shake() error {
	c, err := tls.Dial("tcp", h.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	return c.Close()
}

func TestAFullDoorTurnsAwayAndRecovers(t *testing.T) {
	h := start(t, true, Limits{}, func(*exchange.Exchange) {})
	d := h.server.door
	for range d.places {
		d.enter(t.Context(), netip.Addr{}, false)
	}
	d.mu.Lock()
	room := d.room
	d.room = 0
	d.mu.Unlock()
	if h.shake() == nil {
		t.Error("there was no room, and yet a handshake")
	}
	waitFor(t, func() bool {
		n := h.server.Connections()
		return n.Open == 0 && n.TurnedAway == 1 && n.HandshakeErrors == 0
	})
	d.mu.Lock()
	d.room = room
	d.mu.Unlock()
	for range d.places {
		d.leave()
	}
	if err := h.shake(); err != nil {
		t.Error(err)
	}
}

func TestAFloodOfHandshakesIsComputedByTurns(t *testing.T) {
	var inside, most atomic.Int32
	terms := testTLS(t).Clone()
	terms.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond) // so that others would be seen
		return nil, nil              //nolint:nilnil // is how crypto/tls wants it
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Handler: exchange.HandlerFunc(func(*exchange.Exchange) {}), TLS: terms})
	h := host{t: t, server: s, address: ln.Addr().String()}
	var serving, flood sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln, true) })
	for range 50 {
		flood.Go(func() {
			if err := h.shake(); err != nil {
				t.Error(err)
			}
		})
	}
	flood.Wait()
	ln.Close()
	serving.Wait()
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := int(most.Load()); n > s.door.places {
		t.Errorf("%d at once, %d are allowed", n, s.door.places)
	}
}

// TestWhoLeftWhileHeWaitedIsNotComputed has visitors say hello and leave while the door is taken.
func TestWhoLeftWhileHeWaitedIsNotComputed(t *testing.T) {
	h := start(t, true, Limits{}, func(*exchange.Exchange) {})
	d := h.server.door
	for range d.places {
		d.enter(t.Context(), netip.Addr{}, false)
	}
	c, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	waitFor(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.clients) == 1 })
	out := make(chan int64, 1)
	h.server.mu.Lock()
	for l := range h.server.lines {
		go func() { <-l.(*line).s.ctx.Done(); out <- l.(*line).out.Load() }()
	}
	h.server.mu.Unlock()
	c.Close()
	for range d.places {
		d.leave()
	}
	waitFor(t, func() bool { return h.server.Connections().Open == 0 })
	if err := h.server.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := <-out; n > 0 {
		t.Errorf("it was sent %d bytes", n)
	}
}
