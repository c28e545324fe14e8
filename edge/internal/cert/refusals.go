package cert

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// refusalsInterval is how often a refused handshake is logged at most: anybody may ask for any name.
const refusalsInterval = time.Minute

// refusals leaves a trace of handshakes for names that are no hosts: a host that was forgotten in the configuration, or
// a DNS record that still points here, shows nowhere else.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	logged time.Time // the last
	since  int       // not logged since
}

// note logs name, or counts it for the next time.
func (r *refusals) note(name string) {
	r.mu.Lock()
	now := time.Now()
	if now.Sub(r.logged) < refusalsInterval {
		r.since++
		r.mu.Unlock()
		return
	}
	unlogged := r.since
	r.logged, r.since = now, 0
	r.mu.Unlock()
	r.log.Info("TLS handshake for a name that is no host", "name", readable(name), "others_since_last", unlogged)
}

// readable makes a name that anybody chose fit for a log: as long as a name can be in DNS, of its characters.
func readable(name string) string {
	const longest = 253 // RFC 1035, section 2.3.4, without the root's dot
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '?'
		}
		return c
	}, name[:min(len(name), longest)])
}
