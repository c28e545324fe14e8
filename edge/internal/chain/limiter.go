package chain

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
)

// A limiter keeps one host or one rule within its limits on concurrency and rate. It is nil where there are none.
type limiter struct {
	limits   config.Limits
	inFlight *atomic.Int64 // a pointer: limiters of successive tables share it
	rate     *rateLimiter  // nil: no limit
}

// newLimiter makes the limiter of a host or a rule in a new table. Of old, which is the one that it had before or nil, what did
// not change is carried over: those in flight still count, and nobody gets a new bucket because somebody edited a file.
func newLimiter(l config.Limits, old *limiter) *limiter {
	if l.Concurrency <= 0 && l.Rate.N <= 0 {
		return nil
	}
	if old == nil {
		return &limiter{limits: l, inFlight: new(atomic.Int64), rate: newRateLimiter(l)}
	}
	next := &limiter{limits: l, inFlight: old.inFlight, rate: old.rate}
	if l.Rate != old.limits.Rate || l.Burst != old.limits.Burst {
		next.rate = newRateLimiter(l)
	}
	return next
}

// enter takes a place among the requests in flight. Who got one must leave.
func (l *limiter) enter() bool {
	if l == nil || l.limits.Concurrency <= 0 {
		return true
	}
	for {
		n := l.inFlight.Load()
		if n >= int64(l.limits.Concurrency) {
			return false
		}
		if l.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *limiter) leave() {
	if l != nil && l.limits.Concurrency > 0 {
		l.inFlight.Add(-1)
	}
}

// take takes a token of the client's at a time. Without one it returns how long the client should wait.
func (l *limiter) take(client netip.Addr, at time.Time) time.Duration {
	if l == nil || l.rate == nil {
		return 0
	}
	return l.rate.take(client, at)
}
