package chain

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// A limiter keeps one host or one rule within its limits on concurrency and rate. It is nil where there are none.
type limiter struct {
	limits config.Limits
	places *places      // limiters of successive tables share them
	rate   *rateLimiter // nil: no limit
}

// places are the requests of one host or rule in flight, and whose they are.
//
// While others want some, too, no client may have more of them than are left: one may have half of all, two a third each, and whoever
// comes alone finds one that no crowd has taken. Nobody has to know beforehand how many will come. A client that has been alone for
// a while may have all. A client is whoever has a share elsewhere, too: see [exchange.ClientNetwork].
type places struct {
	inFlight atomic.Int64

	mu      sync.Mutex
	clients map[netip.Addr]int // never 0
	last    netip.Addr         // who asked last
	asked   time.Time          // when that was
	other   time.Time          // when somebody else asked last
}

// wanting is how long a client is taken to want more after it has asked.
const wanting = 10 * time.Second

// newLimiter makes the limiter of a host or a rule in a new table. Of old, which is the one that it had before or nil, what did
// not change is carried over: those in flight still count, and nobody gets a new bucket because somebody edited a file.
func newLimiter(l config.Limits, old *limiter) *limiter {
	if l.Concurrency <= 0 && l.Rate.N <= 0 {
		return nil
	}
	if old == nil {
		return &limiter{limits: l, places: &places{clients: map[netip.Addr]int{}}, rate: newRateLimiter(l)}
	}
	next := &limiter{limits: l, places: old.places, rate: old.rate}
	if l.Rate != old.limits.Rate || l.Burst != old.limits.Burst {
		next.rate = newRateLimiter(l)
	}
	return next
}

// enter takes a place among the requests in flight, at a time. Who got one must leave.
func (l *limiter) enter(client netip.Addr, at time.Time) bool {
	if l == nil || l.limits.Concurrency <= 0 {
		return true
	}
	limit := int64(l.limits.Concurrency)
	key, shares := exchange.ClientNetwork(client)
	if !shares {
		return l.places.take(limit)
	}
	p := l.places
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.clients[key]
	if p.contended(key, at) && int64(n) >= limit-p.inFlight.Load() || !p.take(limit) {
		return false
	}
	p.clients[key] = n + 1
	return true
}

// contended notes that client asks, and reports whether others do, too. It wants p.mu held.
func (p *places) contended(client netip.Addr, at time.Time) bool {
	if client != p.last {
		p.last, p.other = client, p.asked
	}
	p.asked = at
	return at.Sub(p.other) < wanting
}

// take takes a place if fewer than limit are taken.
func (p *places) take(limit int64) bool {
	for {
		n := p.inFlight.Load()
		if n >= limit {
			return false
		}
		if p.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *limiter) leave(client netip.Addr) {
	if l == nil || l.limits.Concurrency <= 0 {
		return
	}
	p := l.places
	p.inFlight.Add(-1)
	key, shares := exchange.ClientNetwork(client)
	if !shares {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[key]--; p.clients[key] <= 0 {
		delete(p.clients, key)
	}
}

// take takes a token of the client's at a time. Without one it returns how long the client should wait.
func (l *limiter) take(client netip.Addr, at time.Time) time.Duration {
	if l == nil || l.rate == nil {
		return 0
	}
	return l.rate.take(client, at)
}
