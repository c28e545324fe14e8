package front

import (
	"sync/atomic"
	"time"
)

// An h2wait notes that a stream waits for its visitor, for the watch to see.
type h2wait struct {
	since atomic.Int64 // 0: it does not wait
	size  atomic.Int64 // bytes that wait to be written
	moved atomic.Int64 // bytes

	// The watch's own notes.
	seen   int64 // the since that it last saw,
	line   int64 // and the bytes that the connection had moved then
	window window
	from   int64 // and when the window began
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
	w.seen, w.line, w.window, w.from = 0, 0, window{}, 0
}

// watchStreams does for streams what guard does for connections, which sees only what moves on all streams together.
// x/net's own deadlines are of no use for that: each setting of one is a message to the goroutine that serves
// the connection, and one that has passed is final. Passing one is what ends a stream here.
func (h *h2) watchStreams() {
	tick := h.s.limits.tick()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var lines []*h2line
	for {
		select {
		case <-h.s.ctx.Done():
			return
		case <-ticker.C:
		}
		lines = lines[:0]
		h.mu.Lock()
		for l := range h.lines {
			lines = append(lines, l)
		}
		h.mu.Unlock()
		for _, l := range lines {
			l.check(tick.Milliseconds())
		}
		clear(lines)
		if h.s.draining.Load() {
			h.drain() // those that came after it
		}
	}
}

// check ends the streams whose visitor is too slow. One that moves too little is not, as long as the connection moves
// enough for all that wait: then the visitor takes, or sends, another stream's bytes first.
func (l *h2line) check(tick int64) {
	if l.line == nil {
		return
	}
	now := l.h.s.clock.now()
	in, out := l.line.in.Load(), l.line.out.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	var readers, writers int64
	for st := range l.streams {
		if st.reading.since.Load() != 0 {
			readers++
		}
		if st.writing.since.Load() != 0 {
			writers++
		}
	}
	for st := range l.streams {
		if readers > 0 && st.readsTooSlowly(now, tick, in, readers) {
			st.slow.Store(true)
			_ = st.SetReadDeadline(past)
		}
		if writers > 0 && st.writesTooSlowly(now, tick, out, writers) {
			st.slow.Store(true)
			_ = st.SetWriteDeadline(past)
		}
	}
}

// readsTooSlowly is about a request's body. Silence has its limit, and so has a trickle; but without a declared length
// a trickle may be a stream of messages (gRPC), which come when they come.
func (st *h2stream) readsTooSlowly(now, tick, lineIn, readers int64) bool {
	w, limits := &st.reading, &st.line.h.s.limits
	since := w.since.Load()
	if since == 0 {
		return false
	}
	if now-since >= st.idle.Load()+tick {
		return true
	}
	if !st.declared {
		return false
	}
	if w.window.waited == 0 {
		w.from = lineIn
	}
	return w.window.slow(tick, w.moved.Load(), limits) && lineIn-w.from < readers*int64(limits.MinBytes)
}

// writesTooSlowly is about an answer. How much of a part has been sent is not to be seen: silence and a trickle look
// the same, so a part has the time that the slowest tolerable visitor needs for it, if that is longer.
func (st *h2stream) writesTooSlowly(now, tick, lineOut, writers int64) bool {
	w, limits := &st.writing, &st.line.h.s.limits
	since := w.since.Load()
	if since == 0 {
		return false
	}
	if w.seen != since {
		w.seen, w.line = since, lineOut
	}
	window, least := limits.Window.Milliseconds(), int64(limits.MinBytes)
	waited := now - since
	if waited < max(st.idle.Load(), w.size.Load()*window/least)+tick {
		return false
	}
	return lineOut-w.line < writers*least*waited/window
}
