package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A stream carries one exchange over a stream of h2 or h3.
type stream struct {
	x    exchange.Exchange
	of   *streams
	w    http.ResponseWriter
	r    *http.Request
	body *streamBody
	to   io.Writer // w, or what is under it after Upgrade

	switched *switchedStream // nil before Upgrade

	next, previous *stream // of those of the connection whose handlers run

	writeErr error
	declared bool // the body's length
	grpc     bool // is the body's type
	reading  streamWait
	writing  streamWait
	idle     atomic.Int64 // how long silence may last, in milliseconds
	answered atomic.Int64 // when bytes of the answer were last sent; 0: none yet
	slow     atomic.Bool  // guard ended reading or writing because too little moved
	given    atomic.Bool  // by Upgrade: that one direction has ended is for the owner to notice

	head struct { // the body may be read by another goroutine than answers
		sync.Mutex
		waits bool // the visitor, for a 100 before he sends a body (h3: x/net sees to that itself)
	}
	sent    sentFields
	text    []byte // lent to x
	watch   exchange.Watch
	context struct {
		sync.Mutex
		context.Context // nil until somebody asks
		stop            func() bool
		cancel          context.CancelCauseFunc
	}
}

// deadliner is what the libraries' ResponseWriters can do besides.
type deadliner interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

func (st *stream) reset(of *streams, w http.ResponseWriter, r *http.Request) {
	st.x.Reset(st)
	st.x.LendText(st.text)
	st.of, st.w, st.r, st.to = of, w, r, w
	st.body, st.switched, st.writeErr = nil, nil, nil
	st.reading.reset()
	st.writing.reset()
	st.declared, st.grpc = false, false
	st.slow.Store(false)
	st.given.Store(false)
	st.answered.Store(0)
	st.SetIdle(0)
	st.x.TLS = r.TLS
}

// serve has the request answered and reports whether the answer is whole.
func (st *stream) serve() (whole bool) {
	defer st.end()
	x := &st.x
	head := streamHead{request: &x.Request, from: st.r, limits: &st.of.s.limits, protocol: st.of.protocol}
	if why := head.parse(); why != accepted {
		st.refuse(why)
		return true
	}
	st.head.waits = head.waits
	if x.Length != 0 {
		st.declared, st.grpc = x.Length > 0, isGRPC(x.Fields.Get("Content-Type"))
		st.body = &streamBody{st: st}
		x.Body = st.body
	}
	if x.Length < 0 && (bodyless(x.Method) || st.of.protocol == exchange.HTTP3 && rarelyWithBody(x.Method)) {
		if why, err := st.lookForBody(); err != nil {
			return false
		} else if why != accepted {
			st.refuse(why)
			return true
		}
	}
	x.Record.Start = time.Now()
	defer st.recover()
	st.of.s.handler.ServeExchange(x)
	st.of.s.abortIfCut(x)
	_ = x.Finish() // is in Aborted as well
	if st.switched != nil {
		if x.Aborted() == nil {
			<-st.switched.done
		}
		return true // the stream's end is its owner's business, or st.end's
	}
	if x.Aborted() != nil {
		st.deliver() // the visitor gets what there is
		return false
	}
	if st.body != nil && !st.body.ended() {
		st.deliver()
	}
	return st.sendTrailers() == nil
}

// deliver has what there is of the answer leave before the library resets the stream, as it does to end a request that was not
// read to its end (RFC 9113, section 8.1): curl, for one, drops an answer that comes together with the reset.
func (st *stream) deliver() {
	switch {
	case !st.x.HeadSent() || st.writeErr != nil:
	case st.of.deliver != nil:
		st.of.deliver(st.Flush)
	default:
		_ = st.Flush()
	}
}

// recover logs a panic that chain has not seen. The stream is reset.
func (st *stream) recover() {
	if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		st.of.s.log.Error("stream broken off by a bug", "peer", st.x.Peer.String(), "panic", p, "stack", string(debug.Stack()))
	}
}

// lookForBody waits for the first byte or the end of a request that should have no body, when its stream was not closed
// with its head or, in h3, when quic-go does not say whether it was.
func (st *stream) lookForBody() (refusal, error) {
	var first [1]byte
	n, err := io.ReadFull(st.body, first[:])
	switch {
	case n > 0 && bodyless(st.x.Method):
		return bad(ReasonUndefinedLength), nil
	case n > 0:
		st.body.first = append(st.body.first, first[0])
		return accepted, nil
	case errors.Is(err, io.EOF):
		st.x.Request.Length, st.x.Request.Body = 0, exchange.NoBody
		return accepted, nil
	default:
		return accepted, err
	}
}

// end cuts off what may outlive the exchange.
func (st *stream) end() {
	if st.switched != nil {
		_ = st.switched.Close()
	}
	if st.body != nil {
		st.body.end()
	}
	st.watch.End()
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
func (st *stream) Context() context.Context {
	c := &st.context
	c.Lock()
	defer c.Unlock()
	if c.Context == nil {
		server := st.of.s.work
		ctx, cancel := context.WithCancelCause(server)
		c.Context, c.cancel = ctx, cancel
		c.stop = context.AfterFunc(st.r.Context(), func() { // which may be late, and find another exchange here
			if why := st.whyOver(server); why != nil {
				cancel(why)
			}
		})
	}
	return c.Context
}

// Watch is of [exchange.Stream].
func (st *stream) Watch(w exchange.Watcher) {
	server := st.of.s.work
	st.watch.Set(st.r.Context(), w, func() error { return st.whyOver(server) })
}

// whyOver is why a stream has ended before its exchange, nil if it has not.
func (st *stream) whyOver(server context.Context) error {
	switch {
	case st.given.Load():
		return nil
	case server.Err() != nil:
		return context.Cause(server)
	case st.slow.Load():
		return exchange.ErrTooSlow
	default:
		return exchange.ErrClientGone
	}
}

// SendInformational is of [exchange.Stream]. A 100 is not sent: that is done when the body is read first.
func (st *stream) SendInformational(status int, fields exchange.Fields) error {
	if status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		return fmt.Errorf("front: %d is not an informational status", status)
	}
	if status == http.StatusContinue {
		return nil
	}
	st.head.Lock()
	defer st.head.Unlock()
	h := st.w.Header()
	st.addFields(h, "", fields)
	h["Content-Length"] = nil // has x/net copy the map, which it may still read when it has returned because the stream ended
	st.writing.begin(&st.of.s.clock, 0)
	st.w.WriteHeader(status)
	st.writing.end(0)
	clear(h)
	if st.r.Context().Err() != nil {
		return st.writeFailed(st.r.Context().Err())
	}
	return nil
}

// sendContinue tells a visitor who waits for it that his body is wanted (RFC 9110, section 10.1.1).
func (st *stream) sendContinue() {
	st.head.Lock()
	defer st.head.Unlock()
	if st.head.waits {
		st.head.waits = false
		st.w.WriteHeader(http.StatusContinue)
	}
}

// SendHead is of [exchange.Stream]. It leaves with the first bytes of the body.
func (st *stream) SendHead(r *exchange.Response, bodiless bool) error {
	st.head.Lock()
	defer st.head.Unlock()
	h := st.w.Header()
	st.setFields(h, r.Fields)
	if r.Fields.HasToken("Connection", "close") {
		st.of.dismiss()
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or one is guessed
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = *st.of.s.clock.date.Load()
	}
	status := r.Status
	if st.r.Method == http.MethodConnect {
		status = switchStatus(r)
	}
	if r.Length >= 0 && r.Status >= 200 && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		st.setLength(h, r.Length)
	} else if bodiless {
		h["Content-Length"] = nil // or quic-go says 0
	}
	st.head.waits = false
	st.w.WriteHeader(status)
	return nil
}

// A long write is given to the library in parts, so that it shows its progress: a frame, or as much of one as the slowest
// tolerable visitor takes before he is silent.
const leastPart, mostPart = 4 << 10, 16 << 10

func (st *stream) part() int {
	limits := &st.of.s.limits
	takes := st.idle.Load() * int64(limits.MinBytes) / limits.Window.Milliseconds()
	return int(min(max(takes, leastPart), mostPart))
}

// Write is of [exchange.Stream].
func (st *stream) Write(p []byte) (written int, err error) {
	if st.writeErr != nil {
		return 0, st.writeErr
	}
	size := st.part()
	for len(p) > 0 {
		part := p[:min(len(p), size)]
		st.writing.begin(&st.of.s.clock, len(part))
		n, err := st.to.Write(part)
		st.writing.end(n)
		written += n
		if err != nil {
			return written, st.writeFailed(err)
		}
		st.answered.Store(st.of.s.clock.now())
		st.of.out.Add(int64(n))
		p = p[n:]
	}
	return written, nil
}

// Flush is of [exchange.Stream].
func (st *stream) Flush() error {
	if st.writeErr != nil {
		return st.writeErr
	}
	st.writing.begin(&st.of.s.clock, 0)
	err := st.w.(interface{ FlushError() error }).FlushError()
	st.writing.end(0)
	if err != nil {
		return st.writeFailed(err)
	}
	st.answered.Store(st.of.s.clock.now())
	return nil
}

// sendTrailers leaves them to the library, which sends them when its handler returns.
func (st *stream) sendTrailers() error {
	trailers := st.x.Response.Trailers
	if len(trailers) == 0 {
		return nil
	}
	if st.x.Response.Length < 0 {
		if err := st.Flush(); err != nil { // or a Content-Length is added, which gRPC does not expect
			return err
		}
	}
	st.addFields(st.w.Header(), http.TrailerPrefix, trailers)
	return nil
}

// writeFailed says in the handler's terms why nothing more can be sent.
func (st *stream) writeFailed(err error) error {
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

// SetIdle is of [exchange.Stream].
func (st *stream) SetIdle(d time.Duration) {
	if d <= 0 {
		d = st.of.s.limits.Idle
	}
	st.idle.Store(max(d.Milliseconds(), 1))
}

// SetReadDeadline is of [exchange.Stream]. One that has passed ends the body for good.
func (st *stream) SetReadDeadline(t time.Time) error { return st.w.(deadliner).SetReadDeadline(t) }

// SetWriteDeadline is of [exchange.Stream]. One that has passed resets the stream.
func (st *stream) SetWriteDeadline(t time.Time) error { return st.w.(deadliner).SetWriteDeadline(t) }

// An streamBody is a request's body. As in h1 it is made anew for each, so that a handler which reads on after it has
// returned gets an error and not the next request.
type streamBody struct {
	mu    sync.Mutex
	st    *stream // nil once the exchange is over
	first []byte  // what lookForBody has read
	read  int64   // bytes
	err   error   // what every further Read returns
}

func (b *streamBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.st == nil:
		return 0, errBodyClosed
	case b.err != nil:
		return 0, b.err
	case len(b.first) > 0:
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	st := b.st
	st.sendContinue()
	st.reading.begin(&st.of.s.clock, 0)
	n, err := st.r.Body.Read(p)
	st.reading.end(n)
	st.of.in.Add(int64(n))
	b.read += int64(n)
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

// ended reports whether it was read to its end, even by who did not wait to be told.
func (b *streamBody) ended() bool {
	if !b.mu.TryLock() { // somebody still reads, against the rules
		return false
	}
	defer b.mu.Unlock()
	return errors.Is(b.err, io.EOF) || b.st != nil && b.read == b.st.x.Request.Length
}

// takeTrailers: of h2 there are only those that a Trailer field has announced.
func (b *streamBody) takeTrailers() {
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

func (b *streamBody) end() {
	if !b.mu.TryLock() { // somebody still reads, against the rules
		_ = b.st.SetReadDeadline(past)
		b.mu.Lock()
	}
	b.st = nil
	b.mu.Unlock()
}

// readFailed says in the handler's terms why the visitor's bytes do not come. The libraries have no errors of their own
// for a body that is longer or shorter than declared, only words.
func (st *stream) readFailed(err error) error {
	switch {
	case st.slow.Load():
		return exchange.ErrTooSlow
	case errors.Is(err, os.ErrDeadlineExceeded): // the handler's own
		return err
	case st.declared && (strings.Contains(err.Error(), "declared") || strings.Contains(err.Error(), "too much data") || errors.Is(err, io.ErrUnexpectedEOF)):
		return exchange.ErrMalformedBody
	default:
		return exchange.ErrClientGone
	}
}
