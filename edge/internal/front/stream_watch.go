package front

import (
	"sync/atomic"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A streamWait notes that a stream waits for its visitor, for guard to see.
type streamWait struct {
	since atomic.Int64 // 0: it does not wait
	size  atomic.Int64 // bytes that wait to be written
	moved atomic.Int64 // bytes

	// Guard's own notes.
	window window
	from   int64 // bytes of the connection when the window began
	seen   int64 // since, when guard last looked
}

func (w *streamWait) begin(c *clock, size int) {
	w.size.Store(int64(size))
	w.since.Store(c.now())
}

func (w *streamWait) end(moved int) {
	w.moved.Add(int64(moved))
	w.since.Store(0)
}

func (w *streamWait) reset() {
	w.since.Store(0)
	w.moved.Store(0)
	w.window, w.from, w.seen = window{}, 0, 0
}

// check does for streams what guard does for connections, of which only what moves on all streams together is seen.
// x/net's own deadlines are of no use for that: each setting of one is a message to the goroutine that serves
// the connection, and one that has passed is final. Passing one is what ends a stream here.
// in is how many bytes the connection has brought.
func (ss *streams) check(now, tick, in int64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var readers, writers int64
	for st := ss.first; st != nil; st = st.next {
		if st.reading.since.Load() != 0 {
			readers++
		}
		if st.writing.since.Load() != 0 {
			writers++
		}
	}
	for st := ss.first; st != nil; st = st.next {
		if st.readsTooSlowly(now, tick, in, readers) {
			st.slow.Store(true)
			_ = st.SetReadDeadline(past)
		}
		if st.writesTooSlowly(now, tick, writers) {
			st.slow.Store(true)
			_ = st.SetWriteDeadline(past)
		}
	}
}

// readsTooSlowly is about a request's body. Silence has its limit, and so has a trickle, as long as the connection does
// not bring enough for all that wait: then the visitor sends another stream's bytes first. What may pause is only
// not to be silent.
func (st *stream) readsTooSlowly(now, tick, lineIn, readers int64) bool {
	w, limits := &st.reading, &st.of.s.limits
	since := w.since.Load()
	if since == 0 {
		return false
	}
	if now-max(since, st.answered.Load()) >= st.idle.Load()+tick { // who only listens is not silent
		return true
	}
	if st.mayPause() {
		return false
	}
	if w.window.waited == 0 {
		w.from = lineIn
	}
	return w.window.slow(tick, w.moved.Load(), limits) && lineIn-w.from < readers*int64(limits.MinBytes)
}

// mayPause says whether the body is a stream of messages, which come when they come: gRPC's, or those of a visitor who
// is being answered meanwhile. What has a declared length is none.
func (st *stream) mayPause() bool { return !st.declared && (st.grpc || st.answered.Load() != 0) }

// writesTooSlowly is about an answer. How much of a part has been sent is not to be seen: silence and a trickle look
// the same, so a part has the time that the slowest tolerable visitor needs for it, if that is longer than silence may be.
//
// In h2 other streams' bytes do not count: x/net has all take turns, so none waits long unless the visitor holds its window
// shut. quic-go heeds priorities (RFC 9218), so that one long answer may keep all others waiting: they are not too slow as
// long as the connection takes enough for all that wait.
func (st *stream) writesTooSlowly(now, tick, writers int64) bool {
	w, limits := &st.writing, &st.of.s.limits
	since := w.since.Load()
	if since == 0 {
		return false
	}
	out := int64(0)
	if st.of.protocol == exchange.HTTP3 {
		out = st.of.out.Load()
	}
	if w.seen != since {
		w.seen, w.from = since, out
	}
	takes := w.size.Load() * limits.Window.Milliseconds() / int64(limits.MinBytes)
	if now-since < max(st.idle.Load(), takes)+tick {
		return false
	}
	return (out-w.from)*limits.Window.Milliseconds() < writers*int64(limits.MinBytes)*(now-since)
}
