package front

import (
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An h2 serves HTTP/2 (RFC 9113) by x/net/http2.
//
// What x/net does against floods: no more handlers run on a connection than it may have streams, though their streams
// were reset (CVE-2023-44487, rapid reset); four times as many may wait, then the connection ends with
// ENHANCE_YOUR_CALM. At most 10,000 control frames (answers to PING, SETTINGS, resets) wait to be sent. CONTINUATION
// frames and header lists are bounded (CVE-2023-45288), and so are HPACK's tables, 4 KiB each.
// The preface must come within 10 s, the first SETTINGS within 2 s after.
type h2 struct {
	s      *Server
	config http.HTTP2Config
	log    *log.Logger // of visitors' mistakes
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
	return &h2{
		s: s,
		config: http.HTTP2Config{
			MaxConcurrentStreams:          s.limits.Streams,
			MaxReadFrameSize:              h2Frame,
			MaxReceiveBufferPerStream:     h2StreamWindow,
			MaxReceiveBufferPerConnection: h2LineWindow,
		},
		log: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// serve returns when the connection has ended and none of its handlers runs any more.
func (h *h2) serve(below *line, conn *tls.Conn) {
	l := &h2line{
		streams: streams{s: h.s, protocol: exchange.HTTP2},
		line:    below,
		out:     newH2out(conn, below),
		tails:   tails{since: h.s.clock.now()},
	}
	l.dismiss, l.deliver = l.goAway, l.out.deliver
	l.base = &http.Server{ //nolint:gosec // has no listeners; the other limits of time are guard's
		// x/net answers what is longer itself; up to the double we do, as h1 does.
		MaxHeaderBytes: 2 * h.s.limits.Head,
		IdleTimeout:    h.s.limits.KeepAlive,
		HTTP2:          &h.config,
		ErrorLog:       h.log,
		ConnState:      l.changed,
	}
	server := new(http2.Server)                                   //nolint:staticcheck // deprecated in favour of a whole http.Server, whose h1 we do not want
	if err := http2.ConfigureServer(l.base, server); err != nil { //nolint:staticcheck // registers Shutdown
		panic("front: " + err.Error()) // it judges a TLS configuration, and there is none
	}
	below.h2 = l
	if !below.enter(phaseMultiplexed) {
		return
	}
	server.ServeConn(l.out, &http2.ServeConnOpts{Context: h.s.ctx, BaseConfig: l.base, Handler: l}) //nolint:staticcheck // as above
	l.end()
}

// An h2line is what h2 knows of a connection besides its line.
type h2line struct {
	streams
	line *line
	out  *h2out
	base *http.Server // for x/net's sake, and one for each connection since only its Shutdown has GOAWAY sent

	tails tails // guard's own notes
}

// goAway tells the visitor to open no more streams here. The connection ends a second after its last stream.
func (l *h2line) goAway() {
	_ = l.base.Shutdown(l.s.ctx) // does not wait: base has no connections of its own
}

// changed is what x/net calls when there is a first stream, and when there is none any more.
func (l *h2line) changed(_ net.Conn, state http.ConnState) {
	if state == http.StateActive {
		l.line.enter(phaseMultiplexed)
		return
	}
	l.line.enter(phaseResting)
}

// ServeHTTP is called by x/net for each stream.
func (l *h2line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.serve(w, r, l.line.peer, l.line.local)
}

// tails is what guard remembers of a connection whose handlers have all returned while streams are open: the ends of
// their answers wait in x/net, where no limit of a stream can be seen.
type tails struct {
	begun uint64
	since int64
}

// check is guard's.
func (l *h2line) check(now, tick int64) {
	l.streams.check(now, tick, l.line.in.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch t := &l.tails; {
	case t.begun != l.begun || l.first != nil || l.line.writing.Load() != 0:
		*t = tails{l.begun, now}
	case now-t.since >= l.s.limits.Idle.Milliseconds()+tick:
		l.line.tooSlow()
	}
}
