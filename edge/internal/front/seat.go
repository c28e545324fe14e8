package front

import (
	"net/netip"
	"sync/atomic"
)

// A connection is a visitor's, over TCP (line) or QUIC (h3line).
type connection interface {
	at() *seat
	check(tick int64) // does what the phase asks for, once in a tick
	drain()           // tells it to go: it ends when it has nothing to do
	part()            // ends it if it has nothing to do, after drain
	yield()           // ends it at once if it has nothing to do
	giveUp(why error) // tells those who watch its exchanges
	reset()           // breaks it off, so that the visitor sees an error and not an end
}

// A phase is what a connection is waiting for. Each has its own limit, which guard looks after.
type phase uint8

const (
	phaseHandshake   phase = iota // TLS: Limits.Handshake
	phaseWaiting                  // h3 after its handshake, for one of Server.slots
	phaseFirst                    // the first byte of the first request: Limits.ReadHead
	phaseHead                     // a request's head: Limits.ReadHead
	phaseIdle                     // the next request: Limits.KeepAlive; closed by Drain
	phaseExchange                 // a handler is at work: progress and silence
	phaseUpgraded                 // no longer HTTP: silence in both directions
	phaseMultiplexed              // h2 and h3 with streams, each of which has its own limits
	phaseResting                  // h2 and h3 without streams: Limits.KeepAlive
	phaseGoAway                   // h2 and h3 that are being told to go, to make room: their end at once, or lingerTime
	phaseLinger                   // what the visitor still sends is read and dropped: lingerTime
	phaseExpired                  // guard has had enough; nothing follows but the end
)

const phaseBits = 4

// A seat is what a connection has whatever carries it: whose it is, and what it waits for since when.
type seat struct {
	s           *Server
	peer, local netip.AddrPort // set by the connection's goroutine
	client      netip.Addr     // whose share of connections it counts for, if anybody's
	protocol    atomic.Uint32  // exchange.Protocol, 0 before it is known
	leaving     atomic.Bool    // it was told to go
	state       atomic.Uint64  // phase, and since when
}

func (c *seat) at() *seat { return c }

// leaves reports whether the connection ends with the answer that it is at.
func (c *seat) leaves() bool { return c.leaving.Load() || c.s.draining.Load() }

func stateOf(p phase, since int64) uint64 { return uint64(since)<<phaseBits | uint64(p) }

func (c *seat) phase() (p phase, since int64) { return c.parse(c.state.Load()) }

func (*seat) parse(state uint64) (p phase, since int64) {
	return phase(state & (1<<phaseBits - 1)), int64(state >> phaseBits)
}

// enter begins phase p. It reports false when guard has ended the connection meanwhile.
func (c *seat) enter(p phase) bool {
	for {
		old := c.state.Load()
		if was, _ := c.parse(old); was == phaseExpired {
			return false
		}
		if c.state.CompareAndSwap(old, stateOf(p, c.s.clock.now())) {
			return true
		}
	}
}

// begin goes on from phaseFirst, whose time counts for the head that follows.
func (c *seat) begin() bool {
	old := c.state.Load()
	p, since := c.parse(old)
	return p == phaseFirst && c.state.CompareAndSwap(old, stateOf(phaseHead, since))
}

// turn goes from one phase to another. It reports false when the connection is in another.
func (c *seat) turn(from, to phase) bool {
	old := c.state.Load()
	is, _ := c.parse(old)
	return is == from && c.state.CompareAndSwap(old, stateOf(to, c.s.clock.now()))
}
