package accounts

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// window is what limits are counted over.
const window = 5 * time.Minute

// Requests of one path within a window.
const (
	perBoth       = 10  // about one account, from one address
	perIdentifier = 50  // about one account
	perAddress    = 100 // from one address, or /64 of IPv6
)

// maxCounts bounds the memory of limits, to about 2 MiB.
const maxCounts = 32 << 10

// limits count requests by path, and by who they are about or from, or both. When there are too many to remember, one of a few is forgotten which has counted
// least: under a flood that is one of the flood.
type limits struct {
	seed maphash.Seed
	mu   sync.Mutex
	by   map[uint64]count
}

type count struct {
	n   int32
	end time.Time
}

func newLimits() *limits { return &limits{seed: maphash.MakeSeed(), by: map[uint64]count{}} }

// take counts a request. It returns how many more like it there may be, and, when this one is too many, how long until there may be one again.
func (l *limits) take(path, identifier string, client netip.Addr, now time.Time) (left int, wait time.Duration) {
	from := network(client)
	l.mu.Lock()
	defer l.mu.Unlock()
	left = perBoth
	for _, one := range []struct {
		class, identifier string
		from              netip.Addr
		most              int32
	}{
		{"both", identifier, from, perBoth},
		{"identifier", identifier, netip.Addr{}, perIdentifier},
		{"address", "", from, perAddress},
	} {
		if one.class == "identifier" && identifier == "" {
			continue
		}
		key := maphash.Comparable(l.seed, [4]string{one.class, path, one.identifier, one.from.String()})
		c, more := l.count(key, one.most, now)
		left = min(left, int(one.most-c.n))
		if !more {
			return 0, c.end.Sub(now)
		}
	}
	return left, 0
}

// count counts one, unless there have been as many as may be.
func (l *limits) count(key uint64, most int32, now time.Time) (c count, ok bool) {
	c, known := l.by[key]
	if !now.Before(c.end) {
		c = count{end: now.Add(window)}
	}
	if c.n >= most {
		return c, false
	}
	if !known && len(l.by) >= maxCounts {
		l.forget(now)
	}
	c.n++
	l.by[key] = c
	return c, true
}

func (l *limits) forget(now time.Time) {
	var victim uint64
	var least int32
	seen := 0
	for key, c := range l.by { // begins anywhere
		if !now.Before(c.end) {
			c.n = 0
		}
		if seen == 0 || c.n < least {
			victim, least = key, c.n
		}
		if seen++; seen == 8 {
			break
		}
	}
	delete(l.by, victim)
}

// network is the address, or the /64 of IPv6, which is what one subscriber has at the least.
func network(client netip.Addr) netip.Addr {
	client = client.Unmap()
	if !client.Is6() {
		return client
	}
	p, err := client.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}
