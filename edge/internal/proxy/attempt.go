package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An attempt is one exchange and one target, from begin to end.
type attempt struct {
	x     *exchange.Exchange
	guard *guard
	place int          // in its list
	small []byte       // the whole body of the request, where it is small; shared by all attempts
	body  *requestBody // where it is not; nil for a request without one
	anew  bool         // no connection that was kept from before is wanted
	kept  int          // how many fields of the answer were there before
	silence

	progress progress
	answer   answer
	h1       h1Trip // of a way that speaks HTTP/1.1

	mu     sync.Mutex
	cause  error // what interrupted it, nil if nothing did
	conn   interrupted
	ctx    context.Context // nil until somebody asks
	cancel context.CancelCauseFunc
}

// interrupted is a connection on which all that waits can be made to fail.
type interrupted interface{ SetDeadline(time.Time) error }

// past is a deadline that has been missed.
var past = time.Unix(1, 0)

// begin lends x to the attempt until end. It reports false when the target has ended, and then there is no end to call.
func (a *attempt) begin(x *exchange.Exchange, how manner, g *guard) bool {
	a.x, a.guard, a.small, a.anew, a.kept = x, g, how.small, how.anew, len(x.Response.Fields)
	a.silence.reset(x.Idle)
	if x.Request.Length != 0 && how.small == nil {
		a.body = newRequestBody(x, &a.silence)
	}
	if !g.add(a) {
		return false
	}
	x.Watch(a)
	return true
}

// end returns when the exchange is nobody else's again.
func (a *attempt) end() {
	a.guard.remove(a)
	a.x.Watch(nil)
	a.mu.Lock()
	if a.cancel != nil {
		a.cancel(context.Canceled)
	}
	a.mu.Unlock()
	if a.body != nil {
		a.body.end()
	}
}

// forget makes the attempt, which has ended, ready for another exchange.
func (a *attempt) forget() {
	a.x, a.guard, a.small, a.body, a.anew, a.kept = nil, nil, nil, nil, false, 0
	a.progress, a.answer, a.h1 = progress{}, answer{}, h1Trip{}
	a.cause, a.conn, a.ctx, a.cancel = nil, nil, nil, nil
}

// Gone is of [exchange.Watcher].
func (a *attempt) Gone(why error) { a.interrupt(&visitorError{why}) }

// interrupt makes whatever the attempt waits for fail. Of several causes the first counts.
func (a *attempt) interrupt(cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil {
		return
	}
	a.cause = cause
	if a.conn != nil {
		_ = a.conn.SetDeadline(past)
	}
	if a.cancel != nil {
		a.cancel(cause)
	}
}

// interruption is what interrupted the attempt, nil if nothing did.
func (a *attempt) interruption() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

// context is done when the attempt is interrupted or has ended.
func (a *attempt) context() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx == nil {
		a.ctx, a.cancel = context.WithCancelCause(context.Background())
		if a.cause != nil {
			a.cancel(a.cause)
		}
	}
	return a.ctx
}

// attach has c interrupted with the attempt, until detach. It fails when the attempt already is.
func (a *attempt) attach(c interrupted) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = c
	return a.cause
}

// detach reports whether the connection was left alone.
func (a *attempt) detach() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = nil
	return a.cause == nil
}
