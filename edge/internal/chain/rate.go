package chain

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
)

const (
	rateShards  = 64
	shardBound  = 1024 // clients of one shard; all of them together take about 2 MiB
	evictSample = 8
)

// A rateLimiter gives each client a bucket of tokens that fills at a steady rate.
//
// A bucket is the one number of the generic cell rate algorithm (ITU-T I.371): the time at which it will be full again.
// That is 16 bytes with its key where x/time/rate needs 100 and a mutex of its own, and a full bucket is the same as none,
// so that forgetting an idle client costs nothing.
//
// Memory is bounded. When a shard is full, the bucket that is full again first, of a few picked at random, makes room: under a
// flood of addresses that is one of the flood, which has used one token, rather than a client that has used many. A client that
// was forgotten begins anew with a full bucket; nobody is refused for want of memory.
type rateLimiter struct {
	interval int64 // nanoseconds that one token takes to come
	burst    int64 // nanoseconds that a full bucket is worth
	epoch    time.Time
	seed     uint64
	shards   [rateShards]rateShard
}

type rateShard struct {
	mu   sync.Mutex
	full map[uint64]int64 // by client: nanoseconds since epoch when its bucket is full
	_    [48]byte         // a cache line of its own
}

// newRateLimiter returns nil when there is no limit.
func newRateLimiter(l config.Limits) *rateLimiter {
	if l.Rate.N <= 0 || l.Rate.Per <= 0 {
		return nil
	}
	interval := max(1, int64(l.Rate.Per)/int64(l.Rate.N))
	burst := int64(l.Burst)
	if burst <= 0 {
		burst = max(1, int64(time.Second)/interval)
	}
	burst = min(burst, math.MaxInt64/4/interval)
	return &rateLimiter{interval: interval, burst: burst * interval, epoch: time.Now(), seed: rand.Uint64()}
}

// take takes a token out of a client's bucket at a time. Without one it returns how long the next takes to come, and takes nothing.
func (r *rateLimiter) take(client netip.Addr, at time.Time) (wait time.Duration) {
	key := rateKey(client)
	now := max(0, int64(at.Sub(r.epoch)))               // less for who came just before the limit
	s := &r.shards[(key^r.seed)*0x9E3779B97F4A7C15>>58] // Fibonacci hashing; 58 leaves 6 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.full[key]
	full = max(full, now) + r.interval
	if full-now > r.burst {
		return time.Duration(full - now - r.burst)
	}
	if !known && len(s.full) >= shardBound {
		s.evict(now)
	}
	if s.full == nil {
		s.full = make(map[uint64]int64)
	}
	s.full[key] = full
	return 0
}

func (s *rateShard) evict(now int64) {
	seen, victim, soonest := 0, uint64(0), int64(0)
	for key, full := range s.full { // begins anywhere
		if seen == 0 || full < soonest {
			victim, soonest = key, full
		}
		if seen++; seen == evictSample || full <= now {
			break
		}
	}
	delete(s.full, victim)
}

// rateKey names who shares a bucket: an IPv4 address, or an IPv6 /64, which is what one subscriber has at the least.
func rateKey(a netip.Addr) uint64 {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return 0xffffffff<<32 | uint64(binary.BigEndian.Uint32(b[:])) // ffff:ffff::/32 is multicast: never a client
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}
