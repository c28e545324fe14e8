package chain

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
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
// a while may have all. A client is whoever has a share elsewhere, too: see exchange.ClientNetwork.
//
// Nothing is locked. Clients are counted by a hash, which nobody can foresee; two of the same are counted as one.
type places struct {
	inFlight atomic.Int64
	seed     uint64
	epoch    time.Time
	clients  [1 << placeBits]atomic.Int32

	last  atomic.Uint64 // who asked last
	asked atomic.Int64  // nanoseconds since epoch when that was
	other atomic.Int64  // the same of when somebody else asked last
}

const (
	placeBits = 10
	// wanting is how long a client is taken to want more after it has asked.
	wanting = 10 * time.Second
)

func newPlaces() *places {
	p := &places{seed: rand.Uint64(), epoch: time.Now()}
	p.asked.Store(-int64(wanting)) // nobody has
	p.other.Store(-int64(wanting))
	return p
}

// newLimiter makes the limiter of a host or a rule in a new table. Of old, which is the one that it had before or nil, what did
// not change is carried over: those in flight still count, and nobody gets a new bucket because somebody edited a file.
func newLimiter(l config.Limits, old *limiter) *limiter {
	if l.Concurrency <= 0 && l.Rate.N <= 0 {
		return nil
	}
	if old == nil {
		return &limiter{limits: l, places: newPlaces(), rate: newRateLimiter(l)}
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
	p, limit := l.places, int64(l.limits.Concurrency)
	if client.IsLoopback() || !client.IsValid() { // has no share to keep to
		return p.take(limit)
	}
	key := rateKey(client)
	n := p.of(key)
	if p.contended(key, at) && int64(n.Load()) >= limit-p.inFlight.Load() || !p.take(limit) {
		return false
	}
	n.Add(1)
	return true
}

// of is how many places a client has.
func (p *places) of(client uint64) *atomic.Int32 {
	return &p.clients[(client^p.seed)*0x9E3779B97F4A7C15>>(64-placeBits)] // Fibonacci hashing
}

// contended notes that client asks, and reports whether others do, too. Of two who ask at once it may miss one.
func (p *places) contended(client uint64, at time.Time) bool {
	if p.last.Load() != client {
		p.last.Store(client)
		p.other.Store(p.asked.Load())
	}
	now := int64(at.Sub(p.epoch))
	p.asked.Store(now)
	return now-p.other.Load() < int64(wanting)
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
	l.places.inFlight.Add(-1)
	if !client.IsLoopback() && client.IsValid() {
		l.places.of(rateKey(client)).Add(-1)
	}
}

// take takes a token of the client's at a time. Without one it returns how long the client should wait.
func (l *limiter) take(client netip.Addr, at time.Time) time.Duration {
	if l == nil || l.rate == nil {
		return 0
	}
	return l.rate.take(client, at)
}
