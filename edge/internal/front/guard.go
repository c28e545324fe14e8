package front

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A clock is the time in milliseconds as guard last saw it: exact to a tick, and free to read. It begins with the
// system's and then goes by itself, so that setting the system's clock ends no connection.
type clock struct {
	ms   atomic.Int64
	date atomic.Pointer[[]string] // the one value of a Date field; the system's time

	began  time.Time
	second int64 // of date
}

func (c *clock) set(t time.Time) {
	if c.began.IsZero() {
		c.began = t
	}
	if second := t.Unix(); c.second != second {
		d := t.UTC().Format(http.TimeFormat)
		c.date.Store(&[]string{d})
		c.second = second
	}
	c.ms.Store(c.began.UnixMilli() + t.Sub(c.began).Milliseconds())
}

func (c *clock) now() int64 { return c.ms.Load() }

// guard looks after all connections, once in a tick: one goroutine and one timer for the whole server, so that
// a request costs none. It ends those whose phase took too long, those and their streams which move too little, and
// tells handlers that their visitor has gone.
func (s *Server) guard() {
	tick := s.limits.tick()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var lines []connection
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			s.clock.set(now)
		}
		lines = lines[:0]
		s.mu.Lock()
		for l := range s.lines {
			lines = append(lines, l)
		}
		s.mu.Unlock()
		for _, l := range lines {
			l.check(tick.Milliseconds())
		}
		clear(lines)
	}
}

// guarded is what guard remembers of a line.
type guarded struct {
	readWindow, writeWindow window
	sent                    int64 // how much had moved to the visitor,
	sentAt                  int64 // and when that last changed
	answered                int64 // how much of answers had been written when reading was last looked at
}

// A window adds up the time in which a connection was found waiting for its visitor.
type window struct {
	waited int64 // milliseconds
	from   int64 // bytes when it began
}

// slow adds one tick of waiting and reports whether, at the end of a window, too little had moved in it.
// A window without any movement is silence, which has its own limit: an honest line stalls and goes on in bursts.
func (w *window) slow(tick, bytes int64, limits *Limits) bool {
	if w.waited == 0 {
		w.from = bytes
	}
	w.waited += tick
	if w.waited < limits.Window.Milliseconds() {
		return false
	}
	w.waited = 0
	moved := bytes - w.from
	return 0 < moved && moved < int64(limits.MinBytes)
}

// check does what the line's phase asks for. A tick is added to every limit because times are known to a tick.
func (l *line) check(tick int64) {
	now := l.s.clock.now()
	limits := &l.s.limits
	p, since := l.phase()
	over := func(since int64, limit time.Duration) bool { return now-since >= limit.Milliseconds()+tick }
	switch p {
	case phaseHandshake:
		l.expireIf(p, over(since, limits.Handshake))
	case phaseFirst, phaseHead:
		l.expireIf(p, over(since, limits.ReadHead))
	case phaseIdle:
		l.expireIf(p, over(since, limits.KeepAlive))
	case phaseLinger:
		l.expireIf(p, over(since, lingerTime))
	case phaseExchange:
		l.checkReading(now, tick)
		l.checkWriting(now, tick, l.moved.Load())
		if over(since, 0) {
			l.checkGone()
		}
	case phaseMultiplexed:
		l.h2.check(now, tick)
		l.checkMultiplexed(now, tick)
	case phaseResting:
		l.checkMultiplexed(now, tick)
		if over(since, 0) {
			l.h2.out.rest()
		}
	case phaseGoAway:
		l.expireIf(p, over(since, lingerTime))
	case phaseUpgraded:
		if now-max(since, l.moved.Load()) >= l.idle.Load()+tick {
			l.tooSlow()
		}
	case phaseWaiting, phaseExpired:
	}
}

// checkMultiplexed takes what comes to say nothing of what goes: a ping costs a visitor next to nothing.
func (l *line) checkMultiplexed(now, tick int64) {
	l.checkWriting(now, tick, 0)
	if _, since := l.phase(); l.leaves() && now-since >= tick {
		l.drain() // it came after Drain had told the others
	}
}

func (l *line) expireIf(p phase, over bool) {
	if over {
		l.expire(p)
	}
}

// checkReading is about a request's body. An exchange is silent when nothing moves in either direction: who listens to
// a long answer may have nothing to say meanwhile, and what he does say are messages that come when they come.
func (l *line) checkReading(now, tick int64) {
	since := l.reading.Load()
	if since == 0 {
		return
	}
	if written := l.out.Load(); written != l.answered {
		l.answered, l.readWindow = written, window{}
	}
	silent := now - max(since, l.moved.Load(), l.sentAt)
	if silent >= l.idle.Load()+tick || l.readWindow.slow(tick, l.in.Load(), &l.s.limits) {
		l.slow.Store(true)
		l.Conn.SetReadDeadline(past)
	}
}

// checkWriting asks the kernel how much has arrived, too: it buffers megabytes, so that a write may wait long
// while the visitor reads steadily. movedAt is when bytes moved that keep him from being silent.
func (l *line) checkWriting(now, tick, movedAt int64) {
	since := l.writing.Load()
	if since == 0 || now == since {
		return
	}
	moved := l.out.Load() + bytesAcked(l.raw)
	if moved != l.sent || l.sentAt < since {
		l.sent, l.sentAt = moved, now
	}
	if now-max(l.sentAt, movedAt) >= l.idle.Load() || l.writeWindow.slow(tick, moved, &l.s.limits) {
		l.tooSlow()
	}
}

// tooSlow breaks the connection off; what the kernel still holds for the visitor is dropped.
func (l *line) tooSlow() {
	l.slow.Store(true)
	l.forgetUnsent()
	l.Conn.SetDeadline(past)
}

// checkGone tells a handler that waits for something else that its visitor has closed the connection.
// As in nginx, closing only the sending side counts: nothing tells it from having left.
func (l *line) checkGone() {
	if l.watcher.Load() != nil && l.reading.Load() == 0 && peerGone(l.raw) {
		l.giveUp(exchange.ErrClientGone)
	}
}

// closeLongestIdle makes room for a new connection.
func (s *Server) closeLongestIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var longest connection
	var least int64
	for l := range s.lines {
		p, since := l.at().phase()
		if (p == phaseIdle || p == phaseResting) && (longest == nil || since < least) {
			longest, least = l, since
		}
	}
	if longest != nil {
		longest.yield()
	}
}

// backoff is the pause after a failed accept: 5 ms, doubled up to a second.
type backoff time.Duration

func (b *backoff) wait(ctx context.Context) bool {
	*b = min(max(2**b, backoff(5*time.Millisecond)), backoff(time.Second))
	t := time.NewTimer(time.Duration(*b))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isTemporary says whether accepting may work again: the visitor was gone already, or the host is short of something.
func isTemporary(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPROTO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
