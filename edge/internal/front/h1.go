package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// An h1 serves HTTP/1.1 and HTTP/1.0 on one connection, exchange after exchange, on the connection's goroutine.
// It holds buffers only while there is something in them.
type h1 struct {
	s    *Server
	line *line
	conn net.Conn // the TLS connection, or line itself
	tls  *tls.ConnectionState
	in   http1.Input
	one  [1]byte // what an idle connection waits with

	patience patience
	x        exchange.Exchange
	text     *[]byte // lent to x
	head     head
	scan     headScan

	sending    sync.Mutex // a 100 may be wanted by whoever reads the body while the head is being sent
	headSent   bool
	bodyWanted atomic.Bool
	bodyBroken atomic.Bool
	answer     answer
	close      bool // the connection ends with this exchange
	deadlines  bool // the handler has set some
	upgraded   *upgraded

	context struct {
		sync.Mutex
		context.Context // nil until somebody asks
		cancel          context.CancelCauseFunc
		watcher         exchange.Watcher
		over            error
	}
}

func newH1(s *Server, l *line, conn net.Conn, state *tls.ConnectionState) *h1 {
	h := &h1{s: s, line: l, conn: conn, tls: state}
	h.in.From = conn
	return h
}

// serve returns when the connection is to be closed.
func (h *h1) serve() {
	if !h.line.enter(phaseFirst) {
		return
	}
	for h.next() {
		if !h.patience.rest(h.s.work, h.x.Rest) {
			return
		}
	}
}

// next serves one exchange and reports whether another one may follow.
func (h *h1) next() bool {
	defer h.giveBack()
	size, why := h.readHead()
	if why != accepted {
		h.refuse(why)
		return false
	}
	if size == 0 {
		return false
	}
	x := &h.x
	x.Reset(h)
	x.Scheme = "http"
	if h.tls != nil {
		x.Scheme = "https"
	}
	x.TLS, x.Peer, x.Local = h.tls, h.line.peer, h.line.local
	h.text = h.s.pools.text()
	x.LendText(*h.text)
	if why := h.head.parse(x.Text(h.in.Unread()[:size]), &x.Request); why != accepted {
		h.refuse(why)
		return false
	}
	h.in.Skip(size)
	if !h.line.enter(phaseExchange) {
		h.refuse(refusal{http.StatusRequestTimeout, ReasonHeadTimeout})
		return false
	}
	return h.exchange()
}

func (h *h1) giveBack() {
	if h.upgraded != nil { // whose reader may not have noticed its end yet
		return
	}
	h.in.GiveBack(&h.s.pools.in)
	h.answer.giveBack(&h.s.pools)
	if h.text != nil {
		h.x.LendText(nil)
		h.s.pools.texts.Put(h.text)
		h.text = nil
	}
}

// readHead waits for a head and returns its length, or 0 if the connection ended without anything to answer to.
func (h *h1) readHead() (int, refusal) {
	h.scan = headScan{}
	if len(h.in.Unread()) == 0 {
		if !h.await() {
			return 0, accepted
		}
	}
	for {
		size, why := h.scan.find(h.in.Unread(), &h.s.limits)
		if size > 0 || why != accepted {
			return size, why
		}
		if err := h.in.Fill(h.s.limits.Head + 1); err != nil {
			if h.line.expired() {
				return 0, refusal{http.StatusRequestTimeout, ReasonHeadTimeout}
			}
			return 0, accepted
		}
	}
}

// await waits for the first byte of a request without holding a buffer.
func (h *h1) await() bool {
	h.giveBack()
	h.dropLists()
	if p, _ := h.line.phase(); p == phaseIdle && h.line.leaves() {
		return false
	}
	if n, err := h.conn.Read(h.one[:]); n == 0 || err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	h.in.Begin(&h.s.pools.in, h.one[0])
	return h.line.begin() || h.line.enter(phaseHead)
}

// keptFields is how many fields an idle connection keeps memory for in each of its lists: more than most heads have.
const keptFields = 32

func (h *h1) dropLists() {
	for _, list := range [...]*exchange.Fields{&h.x.Fields, &h.x.Trailers, &h.x.Response.Fields, &h.x.Response.Trailers} {
		if cap(*list) > keptFields {
			*list = nil
		}
	}
}

// exchange has the request answered.
func (h *h1) exchange() bool {
	x := &h.x
	h.begin()
	var b *body
	if x.Length != 0 {
		b = newBody(h, x.Length)
		x.Body = b
	}
	x.Record.Start = time.Now()
	h.s.handler.ServeExchange(x)
	h.s.abortIfCut(x)
	x.Finish()
	defer h.endContext()
	if h.upgraded != nil {
		<-h.upgraded.done
		return false
	}
	if x.Aborted() != nil || x.Response.Status == http.StatusSwitchingProtocols {
		h.abort()
		return false
	}
	if h.end() != nil {
		return false
	}
	clean := b == nil || b.finish(h.close)
	if h.deadlines {
		h.resetDeadlines()
	}
	if h.close || !clean {
		h.farewell(!clean || !h.head.close || len(h.in.Unread()) > 0)
		return false
	}
	if len(h.in.Unread()) > 0 {
		return h.line.enter(phaseHead) // pipelined
	}
	return h.line.enter(phaseIdle)
}

// begin clears what the last exchange left.
func (h *h1) begin() {
	h.headSent, h.deadlines, h.upgraded = false, false, nil
	h.bodyWanted.Store(false)
	h.bodyBroken.Store(false)
	h.answer.framing, h.answer.chunk, h.answer.err = noBody, 0, nil
	h.close = h.head.close || h.x.Protocol == exchange.HTTP10 && !h.head.keepAlive
	h.line.setIdle(0)
}

// abort breaks the connection off so that what was sent of the answer cannot be taken for the whole. A body whose end
// is told by length or chunks shows that it is broken, so the visitor still gets what there is; else only a reset does.
func (h *h1) abort() {
	if h.headSent && (h.answer.framing == byLength || h.answer.framing == byChunks) {
		h.flush()
		h.line.Conn.Close() // without TLS' own goodbye
		return
	}
	h.line.reset()
}

// farewell ends the connection after an answer. unread says that the visitor may still be sending.
func (h *h1) farewell(unread bool) {
	if c, ok := h.conn.(*tls.Conn); ok {
		_ = c.CloseWrite() // or the visitor is gone
	}
	if unread {
		h.line.linger()
	}
}

// Context is of [exchange.Stream]. It costs nothing for an exchange that does not ask.
func (h *h1) Context() context.Context {
	c := &h.context
	c.Lock()
	defer c.Unlock()
	if c.Context == nil {
		c.Context, c.cancel = context.WithCancelCause(h.s.work)
		if c.over != nil {
			c.cancel(c.over)
		}
		h.line.watcher.Store(h)
	}
	return c.Context
}

// Watch is of [exchange.Stream].
func (h *h1) Watch(w exchange.Watcher) {
	c := &h.context
	c.Lock()
	defer c.Unlock()
	c.watcher = w
	if w == nil {
		return
	}
	h.line.watcher.Store(h)
	if c.over == nil && h.s.work.Err() != nil {
		c.over = exchange.ErrShutdown
	}
	if c.over != nil {
		w.Gone(c.over)
	}
}

// giveUp tells whoever asked for the context, or watches, that the visitor will not get his answer.
func (h *h1) giveUp(why error) {
	c := &h.context
	c.Lock()
	defer c.Unlock()
	if c.over != nil {
		return
	}
	c.over = why
	if c.cancel != nil {
		c.cancel(why)
	}
	if c.watcher != nil {
		c.watcher.Gone(why)
	}
}

func (h *h1) endContext() {
	c := &h.context
	c.Lock()
	defer c.Unlock()
	h.line.watcher.Store(nil)
	if c.cancel != nil {
		c.cancel(nil)
	}
	c.Context, c.cancel, c.watcher, c.over = nil, nil, nil, nil
}

// SetIdle is of [exchange.Stream].
func (h *h1) SetIdle(d time.Duration) { h.line.setIdle(d) }

// SetReadDeadline is of [exchange.Stream].
func (h *h1) SetReadDeadline(t time.Time) error {
	h.deadlines = true
	return h.line.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is of [exchange.Stream]. A write that it ends is the connection's last.
func (h *h1) SetWriteDeadline(t time.Time) error {
	h.deadlines = true
	return h.line.Conn.SetWriteDeadline(t)
}

func (h *h1) resetDeadlines() {
	h.line.Conn.SetDeadline(time.Time{})
	if h.line.slow.Load() || h.line.expired() {
		h.line.Conn.SetDeadline(past)
	}
}
