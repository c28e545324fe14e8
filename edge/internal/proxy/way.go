package proxy

import (
	"context"
	"io"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/target"
)

// A way is how requests get to one target, in the protocol that it speaks. It keeps the connections to it, and Close
// closes those that no attempt is using.
type way interface {
	io.Closer
	// send sends the attempt's request and returns the head of the answer, or an error and in attempt.progress how far it
	// got. It returns when the head is there, the attempt's context is done or the target has failed. It may go on
	// reading the request's body after that.
	send(*attempt) (*answer, error)
	// switches reports whether it can carry an upgrade to another protocol.
	switches() bool
}

// A pool is what is kept for a target as long as it exists.
type pool struct {
	way
	gate *gate
}

// NewPool is for target.Options.
func NewPool(t *target.Target) io.Closer {
	address := t.Address()
	d := &dialer{connect: t.Dial, tls: address.TLSConfig(), h2c: address.Scheme == "h2c"}
	return &pool{way: newHTTPWay(d, address.Host), gate: newGate(maxRequests)}
}

// answer is what a target answered.
type answer struct {
	status    int
	fields    exchange.Fields        // without hop-by-hop and framing ones
	length    int64                  // -1: not known
	body      io.ReadCloser          // never nil
	announced exchange.Fields        // names of trailers
	trailers  func() exchange.Fields // once body has ended
	// switched is the connection after a 101 to the protocol that was asked for, else nil.
	switched io.ReadWriteCloser
}

// progress is how far a request got, as its way has seen it.
type progress struct {
	connected bool          // there was a connection to send it on
	reused    bool          // which had carried other requests before
	sent      bool          // the target may have seen some of it
	begun     bool          // the first byte of an answer, be it a 1xx, has come
	connect   time.Duration // to get a connection; 0 for a pooled one
	wait      time.Duration // from the request's head sent to the answer's first byte, or to where waiting ended without one
}

// A connectError says that there is no connection to the target: nothing was sent.
type connectError struct {
	err error
}

func (e *connectError) Error() string { return "connecting to the target: " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// An attempt is one exchange and one target.
type attempt struct {
	x       *exchange.Exchange
	ctx     context.Context // done with the visitor's context, the target's, or when nothing moves
	cancel  context.CancelCauseFunc
	silence *silence
	body    *requestBody // nil for a request without one
	kept    int          // how many fields of the answer were there before
	undrain func() bool

	progress progress
	cause    error // what ended ctx, nil if nothing did. Set by end
}

// newAttempt lends x to an attempt at t until end.
func newAttempt(x *exchange.Exchange, t *target.Target) *attempt {
	a := &attempt{x: x, kept: len(x.Response.Fields)}
	a.ctx, a.cancel = context.WithCancelCause(x.Context())
	if x.Request.Length != 0 {
		a.body = newRequestBody(x)
	}
	a.silence = startSilence(x.Idle, a.cancel, a.body)
	a.undrain = context.AfterFunc(t.Context(), func() { a.cancel(errDrained) })
	return a
}

// end returns when the exchange is nobody else's again.
func (a *attempt) end() {
	a.undrain()
	a.silence.stop()
	a.cause = context.Cause(a.ctx)
	a.cancel(context.Canceled)
	if a.body != nil {
		a.body.end()
	}
}
