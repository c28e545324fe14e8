package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/target"
)

// stranger is a client of its own.
func stranger(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		enter := func(client string) (place, error) {
			return g.enter(t, netip.MustParseAddr(client), gatePatience)
		}
		first, err := enter("2001:db8::1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enter("2001:db8::2:2"); err != nil {
			t.Error(err)
		}
		if _, err := enter("2001:db8::3:3:3"); err != errClientFull {
			t.Errorf("a third request of one network: %v", err)
		}
		if _, err := enter("2001:db8:0:1::1"); err != nil {
			t.Errorf("another network: %v", err)
		}
		if _, err := enter("192.0.2.1"); err != nil {
			t.Error(err)
		}
		if _, err := enter("::ffff:192.0.2.1"); err != nil {
			t.Error(err)
		}
		if _, err := enter("192.0.2.1"); err != errClientFull {
			t.Errorf("a third request of one address: %v", err)
		}
		for n := range 3 {
			if _, err := g.enter(t, stranger(n), gatePatience); err != nil {
				t.Error(err)
			}
		}
		begin := time.Now()
		if _, err := enter("192.0.2.2"); err != errTargetFull || time.Since(begin) != time.Second {
			t.Errorf("a ninth request: %v after %v", err, time.Since(begin))
		}
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(exchange.ErrClientGone)
		if _, err := g.enter(visitorOf{gone}, stranger(9), gatePatience); !errors.Is(err, exchange.ErrClientGone) {
			t.Errorf("a visitor who has gone: %v", err)
		}
		time.AfterFunc(gatePatience/2, func() { first.leave(); first.leave() })
		late, err := enter("192.0.2.2")
		if err != nil {
			t.Errorf("a place that became free: %v", err)
		}
		late.leave()
		if len(g.clients) != 6 || len(g.places) != 7 {
			t.Errorf("%d places, %v", len(g.places), g.clients)
		}
	})
}

func TestProgramsOfThisHostHaveNoShare(t *testing.T) {
	g := newGate(8)
	for range 4 {
		for _, own := range []string{"127.0.0.1", "::1"} {
			if _, err := g.enter(t, netip.MustParseAddr(own), 0); err != nil {
				t.Errorf("%s: %v", own, err)
			}
		}
	}
	if len(g.clients) != 0 {
		t.Errorf("counted: %v", g.clients)
	}
}

// gateOf returns the gate of a handler's first target.
func gateOf(t *testing.T, h exchange.Handler) *gate {
	t.Helper()
	lease, ok := h.(*forward).groups[0].Choose(target.Choice{})
	if !ok {
		t.Fatal("no target")
	}
	defer lease.Done(target.Unjudged)
	return lease.Target.Pool().(*pool).gate
}

func TestBusyTarget(t *testing.T) {
	full, free := says200(t), says200(t)
	h := to(t, full)
	g := gateOf(t, h)
	x, _ := exchangetest.New("GET", "/")
	for range maxRequests / clientShare {
		if _, err := g.enter(t, x.Client, 0); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(h exchange.Handler, reason string) {
		t.Helper()
		if x, r := ask(h, "/"); r.Status != 503 || x.Record.ErrorReason != reason || r.Fields.Get("Retry-After") != "1" {
			t.Errorf("status %d, reason %q, %v; want %s", r.Status, x.Record.ErrorReason, r.Fields, reason)
		}
	}
	refused(h, "client_concurrency")
	g.clients[x.Client] = 1 // they are many clients'
	for n := range maxRequests * 3 / 4 {
		if _, err := g.enter(t, stranger(n), 0); err != nil {
			t.Fatal(err)
		}
	}
	refused(h, "target_full")

	both := to(t, full, free)
	g = gateOf(t, both) // of the one that is first; the next request begins with the other
	for n := range maxRequests {
		if _, err := g.enter(t, stranger(n), 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if x, r := ask(both, "/"); r.Status != 200 {
			t.Errorf("another target has places: status %d, reason %q", r.Status, x.Record.ErrorReason)
		}
	}
}

// TestWebSocketsTakeNoPlaces: they last, and cost next to nothing.
func TestWebSocketsTakeNoPlaces(t *testing.T) {
	h, _ := toGroup(t, config.TargetGroup{}, echo(t))
	g := gateOf(t, h)
	home := open(t, false, h)
	say(t, dial(t, home), "hello")
	if len(g.places) != 0 {
		t.Errorf("%d places, %v", len(g.places), g.clients)
	}
}

func TestPlacesAreLeft(t *testing.T) {
	for _, url := range []string{says200(t), nobody(t), closes(t), says(t, "junk\r\n\r\n")} {
		h := to(t, url)
		g := gateOf(t, h)
		ask(h, "/")
		if len(g.places) != 0 || len(g.clients) != 0 {
			t.Errorf("%s: %d places, %v", url, len(g.places), fmt.Sprint(g.clients))
		}
	}
}

// visitorOf is a visitor with a context.
type visitorOf struct{ ctx context.Context }

func (v visitorOf) Context() context.Context { return v.ctx }
