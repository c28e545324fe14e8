package front

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// A line is a visitor's connection as it is below TLS. It notes when it waits for the visitor and how many bytes move,
// so that guard can tell a slow attack from a slow visitor.
//
// It is below TLS and not above because only there a blocked write shows its progress, and because a TLS connection
// whose write timed out is broken: deadlines are therefore set only to end it.
type line struct {
	net.Conn
	seat
	raw  syscall.RawConn // nil if it is no socket
	sock net.Conn        // the socket under PROXY protocol
	h2   *h2line         // set before phaseMultiplexed

	reading atomic.Int64 // since when a Read waits, 0: none does
	writing atomic.Int64 // since when a Write waits, 0: none does
	moved   atomic.Int64 // when bytes moved last
	in, out atomic.Int64 // bytes
	idle    atomic.Int64 // how long silence may last, in milliseconds
	slow    atomic.Bool  // guard ended reading or writing because too little moved
	watcher atomic.Pointer[h1]
	held    held
	shaking shaking // of the TLS handshake, on the connection's own goroutine

	guarded // guard's own notes
}

// newLine must not ask conn for an address: under PROXY protocol that waits for the visitor.
func newLine(s *Server, conn net.Conn) *line {
	l := &line{Conn: conn, seat: seat{s: s}, sock: socket(conn)}
	if c, ok := l.sock.(syscall.Conn); ok {
		l.raw, _ = c.SyscallConn()
	}
	l.state.Store(stateOf(phaseHandshake, s.clock.now()))
	l.setIdle(0)
	return l
}

// socket finds what is under wrappers such as PROXY protocol's.
func socket(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case interface{ Raw() net.Conn }:
			conn = c.Raw()
		default:
			return conn
		}
	}
}

func (l *line) learnAddresses() {
	l.peer, l.local = addrPort(l.RemoteAddr()), addrPort(l.LocalAddr())
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (l *line) Read(p []byte) (int, error) {
	if l.shaking != notShaking {
		return l.readFlight(p)
	}
	return l.read(p)
}

func (l *line) read(p []byte) (int, error) {
	l.reading.Store(l.s.clock.now())
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.in.Add(int64(n))
		l.moved.Store(l.s.clock.now())
	}
	l.reading.Store(0)
	return n, err
}

// setIdle says how long silence may last; 0 takes the default.
func (l *line) setIdle(d time.Duration) {
	if d <= 0 {
		d = l.s.limits.Idle
	}
	l.idle.Store(max(d.Milliseconds(), 1))
}

// expire ends a connection that is in phase p: what it waits for fails.
func (l *line) expire(p phase) {
	switch {
	case !l.turn(p, phaseExpired):
	case p == phaseIdle || p == phaseFirst || p == phaseHead:
		l.Conn.SetReadDeadline(past) // what is wrong can still be said
	default:
		l.Conn.SetDeadline(past)
	}
}

// drain is of [connection]. One of h1 hears of it with its next answer.
func (l *line) drain() {
	switch p, _ := l.phase(); p { //nolint:exhaustive // the others are h1's
	case phaseMultiplexed, phaseResting:
		l.h2.goAway()
	}
}

// part is of [connection]. One of h2 has been told by GOAWAY which of its streams were taken, and ends by itself.
func (l *line) part() {
	switch p, _ := l.phase(); p { //nolint:exhaustive // in the others something has been said
	case phaseIdle, phaseFirst:
		l.expire(p)
	case phaseHandshake:
		if l.in.Load() == 0 {
			l.expire(p)
		}
	}
}

// yield ends a connection that has nothing to do at once. One of h2 gets its GOAWAY first, and goes on if a stream
// comes before that.
func (l *line) yield() {
	if l.turn(phaseResting, phaseGoAway) {
		l.h2.goAway()
		return
	}
	l.expire(phaseIdle)
}

func (l *line) expired() bool {
	p, _ := l.phase()
	return p == phaseExpired
}

// past is a deadline that has been missed.
var past = time.Unix(1, 0)

// giveUp is of [connection].
func (l *line) giveUp(why error) {
	if h := l.watcher.Load(); h != nil {
		h.giveUp(why)
	}
	if p, _ := l.phase(); p == phaseMultiplexed {
		l.h2.giveUp(why)
	}
}

// reset breaks the connection so that the visitor sees an error and not an end. It is for guard's and Drain's use, too.
func (l *line) reset() {
	l.forgetUnsent()
	l.Conn.Close()
}

func (l *line) forgetUnsent() {
	if c, ok := l.sock.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0) // fails only on a connection that is closed
	}
}

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// linger ends the sending side and drops what the visitor still sends, within bounds, so that the answer is not lost:
// closing a socket with unread bytes resets it, and a reset may overtake the answer (RFC 9112, section 9.6).
func (l *line) linger() {
	l.state.Store(stateOf(phaseLinger, l.s.clock.now()))
	l.Conn.SetReadDeadline(time.Time{})
	c, ok := l.sock.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(discard{}, l, lingerBytes)
}

// discard is io.Discard without its larger buffer.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
