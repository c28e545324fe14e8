package target

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// A Lease is one request on its way to a target. Whoever got it from [Group.Choose] calls Done or Failed once.
type Lease struct {
	Target *Target

	sticky *stickiness
	cookie bool // the visitor needs a new cookie
	trial  bool
}

// An Outcome is what a request said about its target.
type Outcome uint8

// The outcomes.
const (
	Unjudged      Outcome = iota // nothing: the visitor left, the request was faulty, the cause is on our side
	Answered                     // it was reached and an answer's head came, whatever its status
	ConnectFailed                // no connection could be made: refused, unreachable, timed out, no TLS
)

// Reached says that the target accepted a connection or sent an answer's head. Done(Answered) says so too, but a
// download or a WebSocket may take long to end: a target that is tried again after an ejection waits for the news, and
// news that is old by then is wrong. Who has called Reached ends with Done(Unjudged).
func (l Lease) Reached() {
	if l.Target.troubled.Load() {
		l.Target.groups.judge(l.Target, Answered, l.trial, nil)
	}
}

// Done ends the request.
func (l Lease) Done(o Outcome) { l.done(o, nil) }

// Failed ends a request for which no connection could be made; err says why.
func (l Lease) Failed(err error) { l.done(connectOutcome(err), err) }

func (l Lease) done(o Outcome, why error) {
	t := l.Target
	if o == ConnectFailed {
		t.connectErrors.Add(1)
	}
	if o == ConnectFailed || l.trial || (o == Answered && t.troubled.Load()) {
		t.groups.judge(t, o, l.trial, why)
	}
	t.release()
}

// connectOutcome says what an error of connecting to a target says about that target: nothing when the attempt was
// cancelled or when this process or machine had run out of something.
func connectOutcome(err error) Outcome {
	switch {
	case err == nil:
		return Answered
	case errors.Is(err, context.Canceled), isOurFault(err):
		return Unjudged
	default:
		return ConnectFailed
	}
}

// isOurFault reports whether err says that file descriptors, local ports or memory have run out here.
func isOurFault(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// SetCookie returns the value of the Set-Cookie field that the answer must carry, "" if it needs none: stickiness is
// off, or the visitor's cookie is good for long enough. secure says that the visitor came by https.
func (l Lease) SetCookie(secure bool) string {
	if !l.cookie {
		return ""
	}
	return l.sticky.field(l.Target.groups.cookies, l.Target.tag, secure, time.Now())
}
