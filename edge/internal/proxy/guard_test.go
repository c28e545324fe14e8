package proxy

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// TestPlacesInTheGuardsList: attempts come, are looked at, are given up and go at the same time, and none takes another's place.
func TestPlacesInTheGuardsList(t *testing.T) {
	var g guard
	check := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for i, a := range g.attempts {
			if a.place != i || a.guard != &g {
				t.Errorf("at place %d is one that thinks it has %d", i, a.place)
			}
		}
	}
	var pool sync.Pool
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				a, ok := pool.Get().(*attempt)
				if !ok {
					a = new(attempt)
				}
				x, r := exchangetest.New("GET", "/")
				x.Idle = time.Duration(1+rand.IntN(100)) * time.Millisecond
				if !a.begin(x, manner{}, &g) {
					t.Error("the target has ended")
					return
				}
				if errors.Is(a.interruption(), exchange.ErrClientGone) {
					t.Error("told of another's visitor")
				}
				if rand.IntN(4) == 0 {
					r.Cancel(exchange.ErrClientGone)
				}
				g.check()
				a.end()
				check()
				a.forget()
				pool.Put(a)
			}
		})
	}
	all.Wait()
	if g.close(); len(g.attempts) > 0 {
		t.Errorf("%d are left", len(g.attempts))
	}
}
