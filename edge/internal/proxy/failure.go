package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// statusClientGone is never sent: the log says with it that nobody was there to be answered (ALB's HTTP 460).
const statusClientGone = 460

// badResponse is the reason of an answer that breaks the rules of HTTP.
const badResponse = "target_bad_response"

// A failure is why there is no answer from the target, or no whole one.
type failure struct {
	status int
	reason string // for the log
	err    error
	again  bool // another target may be asked: this one has done nothing, or nothing that matters
	stale  bool // on a connection kept from before, which the target may have closed just then: it may be asked again itself
	sent   bool // of a stale one: the target may have seen the request
	later  bool // in a second there may be a place
}

// answer tells the visitor, as far as that is still possible.
func (f *failure) answer(x *exchange.Exchange) {
	if x.HeadSent() || f.status == statusClientGone {
		if !x.HeadSent() {
			x.Response.Status = f.status
		}
		x.Record.ErrorReason = f.reason
		x.Abort(f.err)
		return
	}
	if f.later {
		x.Response.Fields.Set("Retry-After", "1")
	}
	reply.Error(x, f.status, f.reason)
}

// notAdmitted says what an error of gate.enter means.
func notAdmitted(err error) *failure {
	switch {
	case errors.Is(err, errTargetFull):
		return &failure{status: 503, reason: "target_full", err: err, later: true, again: true}
	case errors.Is(err, errClientFull):
		return &failure{status: 503, reason: "client_concurrency", err: err, later: true}
	default:
		return visitorFailed(err)
	}
}

// failed says what an error of send, or of reading the answer's body, means. Whose fault it is decides first: an error
// of the visitor's side makes the target's side fail too. a has ended.
func (a *attempt) failed(err error) *failure {
	visitor := (*visitorError)(nil)
	if errors.As(err, &visitor) {
		return visitorFailed(visitor.err)
	}
	var consumed bool
	if a.body != nil {
		var bodyErr error
		if consumed, bodyErr = a.body.state(); bodyErr != nil {
			return visitorFailed(bodyErr)
		}
	}
	if errors.As(a.cause, &visitor) {
		return visitorFailed(visitor.err)
	}
	f := a.targetFailed(err)
	f.again = f.again && !consumed
	f.stale = f.stale && !consumed
	return f
}

// visitorFailed says what an error of the visitor's side means.
func visitorFailed(err error) *failure {
	switch {
	case errors.Is(err, exchange.ErrBodyTooLarge):
		return &failure{status: 413, reason: "body_too_large", err: err}
	case errors.Is(err, exchange.ErrMalformedBody):
		return &failure{status: 400, reason: "malformed_body", err: err}
	case errors.Is(err, exchange.ErrTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: 408, reason: "client_too_slow", err: err}
	default:
		return &failure{status: statusClientGone, reason: "client_gone", err: errors.Join(exchange.ErrClientGone, err)}
	}
}

// targetFailed says what an error means that is not the visitor's.
func (a *attempt) targetFailed(err error) *failure {
	p := a.progress
	connect := (*connectError)(nil)
	switch cause := a.cause; {
	case errors.Is(cause, errClientSilent):
		return &failure{status: 408, reason: "client_too_slow", err: cause}
	case errors.Is(cause, errDrained):
		return &failure{status: 502, reason: "target_drained", err: cause}
	case errors.Is(cause, errTargetSilent) && p.connected:
		return &failure{status: 504, reason: "target_timeout", err: cause}
	case errors.Is(cause, errTargetSilent):
		return &failure{status: 504, reason: "target_connect_timeout", err: cause}
	case errors.As(err, &connect) && isTimeout(err):
		return &failure{status: 504, reason: "target_connect_timeout", err: err, again: true}
	case errors.As(err, &connect):
		return &failure{status: 502, reason: "target_connect_error", err: err, again: true}
	case isClosed(err), p.reused && !p.sent:
		again := !p.sent || !p.begun && isIdempotent(a.x.Method)
		return &failure{status: 502, reason: "target_connection_closed", err: err, again: again, stale: again && p.reused, sent: p.sent}
	default:
		return &failure{status: 502, reason: badResponse, err: err}
	}
}

// isTimeout reports whether connecting took too long, by our limit or by the kernel's.
func isTimeout(err error) bool {
	netErr := net.Error(nil)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// isClosed reports whether err says that the target closed or lost the connection, or reset the stream, rather than
// that it said something wrong.
func isClosed(err error) bool {
	if errors.Is(err, errBodyEnded) || // the connection was closed while the visitor still sent
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isTimeout(err) {
		return true
	}
	stream := http2.StreamError{}
	return errors.As(err, &stream)
}

// isIdempotent reports whether doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
