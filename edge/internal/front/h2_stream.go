package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An h2stream carries one exchange over a stream.
type h2stream struct {
	x    exchange.Exchange
	line *h2line
	w    http.ResponseWriter
	r    *http.Request
	body *h2body

	writeErr error
	declared bool // the body's length
	grpc     bool // is the body's type
	reading  h2wait
	writing  h2wait
	idle     atomic.Int64 // how long silence may last, in milliseconds
	answered atomic.Int64 // when bytes of the answer were last sent; 0: none yet
	slow     atomic.Bool  // guard ended reading or writing because too little moved

	context struct {
		sync.Mutex
		context.Context // nil until somebody asks
		stop            func() bool
		cancel          context.CancelCauseFunc
	}
}

// deadliner is what x/net's ResponseWriter can do besides.
type deadliner interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

func (st *h2stream) reset(l *h2line, w http.ResponseWriter, r *http.Request) {
	st.x.Reset(st)
	st.line, st.w, st.r, st.body, st.writeErr = l, w, r, nil, nil
	st.reading.reset()
	st.writing.reset()
	st.declared, st.grpc = false, false
	st.slow.Store(false)
	st.answered.Store(0)
	st.SetIdle(0)
	st.x.TLS = r.TLS
	if l.line != nil {
		st.x.Peer, st.x.Local = l.line.peer, l.line.local
	}
}

// serve has the request answered and reports whether the answer is whole.
func (st *h2stream) serve() (whole bool) {
	defer st.end()
	x := &st.x
	head := h2head{request: &x.Request, from: st.r, limits: &st.line.h.s.limits}
	if why := head.parse(); why != accepted {
		st.refuse(why)
		return true
	}
	if x.Length != 0 {
		st.declared, st.grpc = x.Length > 0, isGRPC(x.Fields.Get("Content-Type"))
		st.body = &h2body{st: st}
		x.Body = st.body
	}
	if bodyless(x.Method) && x.Length < 0 {
		if why, err := st.expectNoBody(); err != nil {
			return false
		} else if why != accepted {
			st.refuse(why)
			return true
		}
	}
	x.Record.Start = time.Now()
	defer st.recover()
	st.line.h.s.handler.ServeExchange(x)
	_ = x.Finish() // is in Aborted as well
	if x.Aborted() != nil {
		if x.HeadSent() && st.writeErr == nil {
			_ = st.Flush() // the visitor gets what there is
		}
		return false
	}
	return st.sendTrailers() == nil
}

// recover logs a panic that chain has not seen. The stream is reset.
func (st *h2stream) recover() {
	if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		st.line.h.s.log.Error("stream broken off by a bug", "peer", st.x.Peer.String(), "panic", p, "stack", string(debug.Stack()))
	}
}

// expectNoBody waits for the end of a GET or HEAD whose stream was not closed with the head.
func (st *h2stream) expectNoBody() (refusal, error) {
	var one [1]byte
	n, err := io.ReadFull(st.body, one[:])
	switch {
	case n > 0:
		return bad(ReasonUndefinedLength), nil
	case errors.Is(err, io.EOF):
		st.x.Request.Length, st.x.Request.Body = 0, exchange.NoBody
		return accepted, nil
	default:
		return accepted, err
	}
}

// end cuts off what may outlive the exchange.
func (st *h2stream) end() {
	if st.body != nil {
		st.body.end()
	}
	c := &st.context
	c.Lock()
	defer c.Unlock()
	if c.Context != nil {
		c.stop()
		c.cancel(nil)
		c.Context, c.stop, c.cancel = nil, nil, nil
	}
}

// Context is of [exchange.Stream]. It costs nothing for an exchange that does not ask.
func (st *h2stream) Context() context.Context {
	c := &st.context
	c.Lock()
	defer c.Unlock()
	if c.Context == nil {
		server := st.line.h.s.ctx
		ctx, cancel := context.WithCancelCause(server)
		c.Context, c.cancel = ctx, cancel
		c.stop = context.AfterFunc(st.r.Context(), func() {
			switch {
			case server.Err() != nil:
				cancel(context.Cause(server))
			case st.slow.Load():
				cancel(exchange.ErrTooSlow)
			default:
				cancel(exchange.ErrClientGone)
			}
		})
	}
	return c.Context
}

// SendInformational is of [exchange.Stream]. A 100 is not sent: x/net does that when the body is read first.
func (st *h2stream) SendInformational(status int, fields exchange.Fields) error {
	if status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		return fmt.Errorf("front: %d is not an informational status", status)
	}
	if status == http.StatusContinue {
		return nil
	}
	h := st.w.Header()
	st.addFields(h, "", fields)
	st.writing.begin(&st.line.h.s.clock, 0)
	st.w.WriteHeader(status)
	st.writing.end(0)
	clear(h)
	if st.r.Context().Err() != nil {
		return st.writeFailed(st.r.Context().Err())
	}
	return nil
}

// SendHead is of [exchange.Stream]. It leaves with the first bytes of the body.
func (st *h2stream) SendHead(r *exchange.Response, _ bool) error {
	h := st.w.Header()
	st.addFields(h, "", r.Fields)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or x/net guesses one
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = []string{*st.line.h.s.clock.date.Load()}
	}
	if r.Length >= 0 && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(r.Length, 10)}
	}
	st.w.WriteHeader(r.Status)
	return nil
}

// addFields leaves out what HTTP/2 does not have (RFC 9113, section 8.2.2) and what no field may have.
func (st *h2stream) addFields(h http.Header, prefix string, fields exchange.Fields) {
	for i := range fields {
		f := &fields[i]
		if ownField(f.Name) {
			continue
		}
		if !isTokenString(f.Name) || !validValue(f.Value) {
			st.line.h.s.log.Warn("answer's field left out: not allowed in a head", "name", strconv.Quote(f.Name), "path", strconv.Quote(st.x.RawPath))
			continue
		}
		name := prefix + textproto.CanonicalMIMEHeaderKey(f.Name)
		h[name] = append(h[name], f.Value)
	}
}

// A long write is given to x/net in parts, so that it shows its progress: a frame, or as much of one as the slowest
// tolerable visitor takes before he is silent.
const h2LeastPart, h2Part = 4 << 10, 16 << 10

func (st *h2stream) part() int {
	limits := &st.line.h.s.limits
	takes := st.idle.Load() * int64(limits.MinBytes) / limits.Window.Milliseconds()
	return int(min(max(takes, h2LeastPart), h2Part))
}

// Write is of [exchange.Stream].
func (st *h2stream) Write(p []byte) (written int, err error) {
	if st.writeErr != nil {
		return 0, st.writeErr
	}
	size := st.part()
	for len(p) > 0 {
		part := p[:min(len(p), size)]
		st.writing.begin(&st.line.h.s.clock, len(part))
		n, err := st.w.Write(part)
		st.writing.end(n)
		written += n
		if err != nil {
			return written, st.writeFailed(err)
		}
		st.answered.Store(st.line.h.s.clock.now())
		p = p[n:]
	}
	return written, nil
}

// Flush is of [exchange.Stream].
func (st *h2stream) Flush() error {
	if st.writeErr != nil {
		return st.writeErr
	}
	st.writing.begin(&st.line.h.s.clock, 0)
	err := st.w.(interface{ FlushError() error }).FlushError()
	st.writing.end(0)
	if err != nil {
		return st.writeFailed(err)
	}
	st.answered.Store(st.line.h.s.clock.now())
	return nil
}

// sendTrailers leaves them to x/net, which sends them when its handler returns.
func (st *h2stream) sendTrailers() error {
	trailers := st.x.Response.Trailers
	if len(trailers) == 0 {
		return nil
	}
	if st.x.Response.Length < 0 {
		if err := st.Flush(); err != nil { // or x/net adds a Content-Length, which gRPC does not expect
			return err
		}
	}
	st.addFields(st.w.Header(), http.TrailerPrefix, trailers)
	return nil
}

// writeFailed says in the handler's terms why nothing more can be sent.
func (st *h2stream) writeFailed(err error) error {
	switch {
	case st.slow.Load():
		err = exchange.ErrTooSlow
	case errors.Is(err, os.ErrDeadlineExceeded): // the handler's own
	default:
		err = exchange.ErrClientGone
	}
	st.writeErr = err
	return err
}

// Upgrade is of [exchange.Stream]. Extended CONNECT (RFC 8441) is not offered, so browsers open WebSockets by HTTP/1.1.
func (st *h2stream) Upgrade() (io.ReadWriteCloser, error) { return nil, exchange.ErrNoUpgrade }

// SetIdle is of [exchange.Stream].
func (st *h2stream) SetIdle(d time.Duration) {
	if d <= 0 {
		d = st.line.h.s.limits.Idle
	}
	st.idle.Store(max(d.Milliseconds(), 1))
}

// SetReadDeadline is of [exchange.Stream]. One that has passed ends the body for good.
func (st *h2stream) SetReadDeadline(t time.Time) error { return st.w.(deadliner).SetReadDeadline(t) }

// SetWriteDeadline is of [exchange.Stream]. One that has passed resets the stream.
func (st *h2stream) SetWriteDeadline(t time.Time) error { return st.w.(deadliner).SetWriteDeadline(t) }

// An h2body is a request's body. As in h1 it is made anew for each, so that a handler which reads on after it has
// returned gets an error and not the next request.
type h2body struct {
	mu  sync.Mutex
	st  *h2stream // nil once the exchange is over
	err error     // what every further Read returns
}

func (b *h2body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.st == nil:
		return 0, errBodyClosed
	case b.err != nil:
		return 0, b.err
	}
	st := b.st
	st.reading.begin(&st.line.h.s.clock, 0)
	n, err := st.r.Body.Read(p)
	st.reading.end(n)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		b.takeTrailers()
		b.err = io.EOF
	} else {
		b.err = st.readFailed(err)
	}
	return n, b.err
}

// takeTrailers: x/net hands over only those that a Trailer field has announced.
func (b *h2body) takeTrailers() {
	to := &b.st.x.Trailers
	for name, values := range b.st.r.Trailer {
		if dropsTrailer(name) {
			continue
		}
		for _, value := range values {
			to.Add(name, value)
		}
	}
	slices.SortStableFunc(*to, func(a, b exchange.Field) int { return strings.Compare(a.Name, b.Name) })
}

func (b *h2body) end() {
	if !b.mu.TryLock() { // somebody still reads, against the rules
		_ = b.st.SetReadDeadline(past)
		b.mu.Lock()
	}
	b.st = nil
	b.mu.Unlock()
}

// readFailed says in the handler's terms why the visitor's bytes do not come. x/net has no error of its own for
// a body that is longer or shorter than declared, only words.
func (st *h2stream) readFailed(err error) error {
	switch {
	case st.slow.Load():
		return exchange.ErrTooSlow
	case errors.Is(err, os.ErrDeadlineExceeded): // the handler's own
		return err
	case st.declared && strings.Contains(err.Error(), "declared"):
		return exchange.ErrMalformedBody
	default:
		return exchange.ErrClientGone
	}
}
