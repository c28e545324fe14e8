package front

import "sync/atomic"

// An h2wait notes that a stream waits for its visitor, for guard to see.
type h2wait struct {
	since atomic.Int64 // 0: it does not wait
	size  atomic.Int64 // bytes that wait to be written
	moved atomic.Int64 // bytes

	// Guard's own notes.
	window window
	from   int64 // bytes of the connection when the window began
}

func (w *h2wait) begin(c *clock, size int) {
	w.size.Store(int64(size))
	w.since.Store(c.now())
}

func (w *h2wait) end(moved int) {
	w.moved.Add(int64(moved))
	w.since.Store(0)
}

func (w *h2wait) reset() {
	w.since.Store(0)
	w.moved.Store(0)
	w.window, w.from = window{}, 0
}

// tails is what guard remembers of a connection whose handlers have all returned while streams are open: the ends of
// their answers wait in x/net, where no limit of a stream can be seen.
type tails struct {
	begun uint64
	since int64
}

// check does for streams what guard does for connections, of which only what moves on all streams together is seen.
// x/net's own deadlines are of no use for that: each setting of one is a message to the goroutine that serves
// the connection, and one that has passed is final. Passing one is what ends a stream here.
func (l *h2line) check(now, tick int64) {
	in := l.line.in.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	var readers int64
	for st := range l.streams {
		if st.reading.since.Load() != 0 {
			readers++
		}
	}
	for st := range l.streams {
		if st.readsTooSlowly(now, tick, in, readers) {
			st.slow.Store(true)
			_ = st.SetReadDeadline(past)
		}
		if st.writesTooSlowly(now, tick) {
			st.slow.Store(true)
			_ = st.SetWriteDeadline(past)
		}
	}
	switch t := &l.tails; {
	case t.begun != l.begun || len(l.streams) > 0 || l.line.writing.Load() != 0:
		*t = tails{l.begun, now}
	case now-t.since >= l.h.s.limits.Idle.Milliseconds()+tick:
		l.line.tooSlow()
	}
}

// readsTooSlowly is about a request's body. Silence has its limit, and so has a trickle, as long as the connection does
// not bring enough for all that wait: then the visitor sends another stream's bytes first. What may pause is only
// not to be silent.
func (st *h2stream) readsTooSlowly(now, tick, lineIn, readers int64) bool {
	w, limits := &st.reading, &st.line.h.s.limits
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
func (st *h2stream) mayPause() bool { return !st.declared && (st.grpc || st.answered.Load() != 0) }

// writesTooSlowly is about an answer. How much of a part has been sent is not to be seen: silence and a trickle look
// the same, so a part has the time that the slowest tolerable visitor needs for it, if that is longer than silence may be.
// Other streams' bytes do not count: x/net has all take turns, so none waits long unless the visitor holds its window shut.
func (st *h2stream) writesTooSlowly(now, tick int64) bool {
	w, limits := &st.writing, &st.line.h.s.limits
	since := w.since.Load()
	if since == 0 {
		return false
	}
	takes := w.size.Load() * limits.Window.Milliseconds() / int64(limits.MinBytes)
	return now-since >= max(st.idle.Load(), takes)+tick
}
