package front

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An h3line is one QUIC connection.
type h3line struct {
	seat
	streams
	conn      *quic.Conn    // set before phaseResting
	base      *http3.Server // one for each connection since only its Shutdown has GOAWAY sent
	admitted  bool          // its client's share has been seen to
	unslotted bool          // it has none of Server.slots yet

	farewell sync.Once
	told     atomic.Int64 // when it was told to go, 0: not
}

func newH3line(s *Server, peer net.Addr) *h3line {
	l := &h3line{seat: seat{s: s, peer: addrPort(peer)}}
	l.streams.s, l.streams.protocol = s, exchange.HTTP3
	l.dismiss = l.goAway
	l.rest = func(resting bool) {
		if resting {
			l.turn(phaseMultiplexed, phaseResting)
		} else {
			l.enter(phaseMultiplexed)
		}
	}
	// quic-go answers what is longer itself; up to the double we do, as h1 does. Per field it counts 32 bytes more.
	l.base = &http3.Server{Handler: l, MaxHeaderBytes: 2 * s.limits.Head}
	l.seat.state.Store(stateOf(phaseHandshake, s.clock.now()))
	return l
}

// ServeHTTP is called by quic-go for each request. The visitor may have moved to another address since the last.
func (l *h3line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.serve(w, r, addrPort(l.conn.RemoteAddr()), l.local)
}

// miss ends what is still in its handshake.
func (l *h3line) miss() {
	if l.turn(phaseHandshake, phaseExpired) {
		l.seat.s.handshakeErrors.Add(1)
		l.seat.s.h3.unshaken.Add(-1)
		l.seat.s.h3.leave(l)
	}
}

// close ends the connection. What has been written and is still under way is lost.
func (l *h3line) close(code http3.ErrCode) {
	_ = l.conn.CloseWithError(quic.ApplicationErrorCode(code), "") // always nil
}

// goAway tells the visitor to open no more streams here.
func (l *h3line) goAway() {
	l.farewell.Do(func() {
		l.told.Store(l.seat.s.clock.now())
		go l.base.Shutdown(l.seat.s.ctx) //nolint:errcheck // returns when the connection has ended
	})
}

// check is of [connection].
func (l *h3line) check(tick int64) {
	s := l.seat.s
	now := s.clock.now()
	p, since := l.phase()
	over := func(limit time.Duration) bool { return now-since >= limit.Milliseconds()+tick }
	if l.leaves() {
		l.drain()
	}
	switch p { //nolint:exhaustive // the others are of TCP
	case phaseHandshake:
		if over(2 * s.limits.Handshake) { // quic-go has forgotten it
			l.miss()
		}
	case phaseMultiplexed:
		l.streams.check(now, tick, l.in.Load())
	case phaseResting:
		if told := l.told.Load(); over(s.limits.KeepAlive) || told != 0 && now-max(told, since) >= l.delivery()+tick {
			l.expire(p)
		}
	case phaseGoAway:
		if over(0) {
			l.expire(p)
		}
	}
}

// expire ends a connection without streams.
func (l *h3line) expire(p phase) {
	if l.turn(p, phaseExpired) {
		go l.close(http3.ErrCodeNoError)
	}
}

// delivery is how many milliseconds the last bytes of an answer may take to arrive, though they be lost once. Whether
// they have is known to quic-go only.
func (l *h3line) delivery() int64 {
	return (100*time.Millisecond + min(8*l.conn.ConnectionStats().SmoothedRTT, 2*time.Second)).Milliseconds()
}

// drain is of [connection]. The connection ends when its last answer has been delivered.
func (l *h3line) drain() {
	switch p, _ := l.phase(); p { //nolint:exhaustive // the others end by themselves
	case phaseMultiplexed, phaseResting:
		l.goAway()
	case phaseWaiting:
		l.expire(p)
	}
}

// part is of [connection]: nothing, since GOAWAY has said what was taken, and check ends the connection.
func (*h3line) part() {}

// yield is of [connection]. It goes on if a stream comes before the visitor has been told.
func (l *h3line) yield() {
	if l.turn(phaseResting, phaseGoAway) {
		l.goAway()
	}
}

// reset is of [connection].
func (l *h3line) reset() {
	if p, _ := l.phase(); p == phaseHandshake {
		go l.miss()
		return
	}
	go l.close(http3.ErrCodeInternalError)
}
