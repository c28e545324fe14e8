package front

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/http2"
)

// An h2 serves HTTP/2 (RFC 9113) by x/net/http2, which knows only http.Handlers: each of its requests becomes an
// exchange here, and what x/net does not do is done here: progress limits, the strictness of h1, refusals.
//
// What x/net does against floods: no more handlers run on a connection than it may have streams, though their streams
// were reset (CVE-2023-44487, rapid reset); four times as many may wait, then the connection ends with
// ENHANCE_YOUR_CALM. At most 10,000 control frames (answers to PING, SETTINGS, resets) wait to be sent. CONTINUATION
// frames and header lists are bounded (CVE-2023-45288), and so are HPACK's tables, 4 KiB each.
// The preface must come within 10 s, the first SETTINGS within 2 s after.
type h2 struct {
	s      *Server
	base   *http.Server  // for x/net's sake: header limit, log, and Shutdown, which sends GOAWAY
	server *http2.Server //nolint:staticcheck // deprecated in favour of a whole http.Server, whose h1 we do not want
	pool   sync.Pool     // of *h2stream
	watch  sync.Once

	mu    sync.Mutex
	lines map[*h2line]struct{}
}

const (
	// A stream's window lets 1 MiB be under way: 80 Mbit/s over 100 ms of distance. A connection's bounds what all
	// of its streams together can make us hold while their handlers do not read.
	h2StreamWindow = 1 << 20
	h2LineWindow   = 2 << 20
	// h2Frame is the largest frame taken. x/net keeps a buffer of that size for each connection.
	h2Frame = 16 << 10
)

func newH2(s *Server) *h2 {
	h := &h2{
		s: s,
		base: &http.Server{ //nolint:gosec // has no listeners; the limits of time are guard's and the watch's
			// x/net answers what is longer itself; up to the double we do, as h1 does.
			MaxHeaderBytes: 2 * s.limits.Head,
			ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // visitors' mistakes
		},
		server: &http2.Server{ //nolint:staticcheck // see h2.server
			MaxConcurrentStreams:         uint32(s.limits.Streams), //nolint:gosec // a small number
			MaxReadFrameSize:             h2Frame,
			MaxUploadBufferPerStream:     h2StreamWindow,
			MaxUploadBufferPerConnection: h2LineWindow,
			IdleTimeout:                  s.limits.KeepAlive,
		},
		pool:  sync.Pool{New: func() any { return new(h2stream) }},
		lines: make(map[*h2line]struct{}),
	}
	if err := http2.ConfigureServer(h.base, h.server); err != nil { //nolint:staticcheck // registers Shutdown
		panic("front: " + err.Error()) // it judges a TLS configuration, and there is none
	}
	return h
}

// serve returns when the connection has ended and none of its handlers runs any more.
func (h *h2) serve(ctx context.Context, conn net.Conn) {
	h.watch.Do(func() { h.s.guards.Go(h.watchStreams) })
	l := &h2line{h: h, streams: make(map[*h2stream]struct{})}
	if c, ok := conn.(*tls.Conn); ok {
		l.line, _ = c.NetConn().(*line)
	}
	h.mu.Lock()
	h.lines[l] = struct{}{}
	h.mu.Unlock()
	h.server.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, BaseConfig: h.base, Handler: l}) //nolint:staticcheck // see h2.server
	l.end()
	h.mu.Lock()
	delete(h.lines, l)
	h.mu.Unlock()
}

// drain tells all visitors with GOAWAY to open no more streams here. Their connections end a second after their last
// stream. Those of connections that come later are told by the watch.
func (h *h2) drain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()                 // there is nothing to wait for: base has no listener
	_ = h.base.Shutdown(ctx) // context.Canceled
}

// An h2line is one connection: it turns x/net's requests into exchanges, each on x/net's goroutine for it.
type h2line struct {
	h    *h2
	line *line

	handlers sync.WaitGroup
	mu       sync.Mutex
	over     bool
	streams  map[*h2stream]struct{} // those whose handlers run
}

// end waits for the handlers, whose contexts are done.
func (l *h2line) end() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.handlers.Wait()
}

// begin reports false when the connection has ended before the handler could start.
func (l *h2line) begin(st *h2stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.handlers.Add(1)
	l.streams[st] = struct{}{}
	return true
}

func (l *h2line) forget(st *h2stream) {
	l.mu.Lock()
	delete(l.streams, st)
	l.mu.Unlock()
	l.handlers.Done()
}

// ServeHTTP is called by x/net for each stream.
func (l *h2line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := l.h.pool.Get().(*h2stream)
	st.reset(l, w, r)
	if !l.begin(st) {
		panic(http.ErrAbortHandler)
	}
	whole := false
	func() {
		defer l.forget(st)
		whole = st.serve()
	}()
	l.h.pool.Put(st)
	if !whole {
		panic(http.ErrAbortHandler) // which is how x/net is told to reset the stream
	}
}
