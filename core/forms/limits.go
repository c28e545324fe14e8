package forms

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
)

const (
	networkShare = 4  // how many times more a network may send than one address of it
	siteShare    = 16 // the same of a site of IPv6
)

// A limiter keeps a form within its limits, and its visitors out of each other's way.
//
// Both the address and its network (/24, or /64 of IPv6, which is what one subscriber has at the least) have a bucket; so has a site of IPv6 (/48, which is
// what one subscriber has at the most). Of the places of a form one address gets a quarter and one /24 or site half: who sends slowly from one place can't
// lock out the others.
type limiter struct {
	limits                     config.Limits
	addresses, networks, sites *buckets
	places                     *places
}

func newLimiter(l config.Limits, old *limiter) *limiter {
	if old != nil && old.limits == l {
		return old
	}
	next := &limiter{limits: l, addresses: newBuckets(l, 1), networks: newBuckets(l, networkShare), sites: newBuckets(l, siteShare), places: newPlaces()}
	if old == nil {
		return next
	}
	next.places = old.places // who is in flight still counts
	if old.limits.Rate == l.Rate && old.limits.Burst == l.Burst {
		next.addresses, next.networks, next.sites = old.addresses, old.networks, old.sites
	}
	return next
}

// take takes one request of a client's allowance, or returns how long it takes until there is one.
func (l *limiter) take(client netip.Addr, at time.Time) time.Duration {
	if wait := l.addresses.take(client, at); wait > 0 {
		return wait
	}
	if wait := l.networks.take(networkOf(client), at); wait > 0 || !client.Is6() {
		return wait
	}
	return l.sites.take(siteOf(client), at)
}

// enter takes a place among the requests in flight. Who got one must leave.
func (l *limiter) enter(client netip.Addr) bool {
	return l.places.enter(client, siteOf(client), l.limits.Concurrency)
}

func (l *limiter) leave(client netip.Addr) { l.places.leave(client, siteOf(client)) }

// networkOf is the first address of a client's network.
func networkOf(client netip.Addr) netip.Addr { return firstOf(client, 64) }

// siteOf is the first address of a client's site, which is its network in IPv4.
func siteOf(client netip.Addr) netip.Addr { return firstOf(client, 48) }

func firstOf(client netip.Addr, bits int) netip.Addr {
	if client.Is4() {
		bits = 24
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Addr{} // nobody knows who asks: they all share one allowance
	}
	return p.Addr()
}

// maxBuckets bounds the memory of one kind of bucket, to about 1 MiB.
const maxBuckets = 8192

// buckets give each address a bucket of tokens that fills at a steady rate (generic cell rate algorithm, ITU-T I.371): of each the
// time is kept at which it is full again.
//
// When there are too many, that of a few which is full soonest is forgotten. Under a flood of addresses this is one of the flood, which has
// used one token, rather than one that has used many. Who was forgotten begins anew: nobody is refused for want of memory.
type buckets struct {
	interval, depth time.Duration // that one token takes to come; that a full bucket is worth
	mu              sync.Mutex
	full            map[netip.Addr]time.Time
}

// newBuckets makes buckets of so many times the rate and burst. It returns nil when there is no limit.
func newBuckets(l config.Limits, times int64) *buckets {
	if l.Rate.N <= 0 || l.Rate.Per <= 0 {
		return nil
	}
	interval := max(1, l.Rate.Per/time.Duration(int64(l.Rate.N)*times))
	burst := max(1, int64(l.Burst)) * times
	burst = min(burst, math.MaxInt64/4/int64(interval))
	return &buckets{interval: interval, depth: time.Duration(burst) * interval, full: make(map[netip.Addr]time.Time)}
}

func (b *buckets) take(client netip.Addr, at time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full, known := b.full[client]
	if full.Before(at) {
		full = at
	}
	full = full.Add(b.interval)
	if wait := full.Sub(at) - b.depth; wait > 0 {
		return wait
	}
	if !known && len(b.full) >= maxBuckets {
		b.forget(at)
	}
	b.full[client] = full
	return 0
}

func (b *buckets) forget(now time.Time) {
	var victim netip.Addr
	var soonest time.Time
	seen := 0
	for client, full := range b.full { // begins anywhere
		if seen == 0 || full.Before(soonest) {
			victim, soonest = client, full
		}
		if seen++; seen == 8 || !full.After(now) {
			break
		}
	}
	delete(b.full, victim)
}

// places count the requests in flight: all, and by who asks.
type places struct {
	mu                  sync.Mutex
	all                 int
	addresses, networks map[netip.Addr]int
}

func newPlaces() *places {
	return &places{addresses: make(map[netip.Addr]int), networks: make(map[netip.Addr]int)}
}

func (p *places) enter(client, network netip.Addr, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit > 0 && (p.all >= limit || p.addresses[client] >= max(1, limit/4) || p.networks[network] >= max(1, limit/2)) {
		return false
	}
	p.all++
	p.addresses[client]++
	p.networks[network]++
	return true
}

func (p *places) leave(client, network netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.addresses[client]--; p.addresses[client] == 0 {
		delete(p.addresses, client)
	}
	if p.networks[network]--; p.networks[network] == 0 {
		delete(p.networks, network)
	}
}
