package sdk

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/onehost/edge/plugins/internal/proto"
)

// Kind says what came of an attempt.
type Kind string

// The kinds.
const (
	KindOK    Kind = "ok"    // done
	KindSkip  Kind = "skip"  // nothing to do: done
	KindRetry Kind = "retry" // try again
	KindFail  Kind = "fail"  // never try again: a person has to look at it
)

// Result is what a handler returns. Make it with OK, Skip, Retry, Fail, Reply or From: the zero Result means that it was forgotten, and is tried again.
type Result struct {
	Kind   Kind
	Reason string        // for the operator: of all but OK
	After  time.Duration // of Retry: not before that; 0: as the source's schedule says
	Answer *Answer       // of Reply: what the source is told
}

// Answer is what a source is told that waits for it.
type Answer struct {
	Status int // of HTTP
	Header http.Header
	Body   []byte
}

// OK says that it is done.
func OK() Result { return Result{Kind: KindOK} }

// Skip says that there is nothing to do about it, as of an event that a plugin has no use for. It is done, and the reason is kept.
func Skip(reason string) Result { return Result{Kind: KindSkip, Reason: reason} }

// Retry says that it did not work and may work later: not before after has gone by; with 0, when the source's schedule says. When the schedule is at its
// end, the delivery is dead, and an operator is told and can redeliver it.
func Retry(after time.Duration, reason string) Result {
	return Result{Kind: KindRetry, After: max(after, 0), Reason: reason}
}

// Fail says that it did not work and never will. The delivery is dead at once; an operator can still redeliver it, for instance to a better plugin.
func Fail(reason string) Result { return Result{Kind: KindFail, Reason: reason} }

// Reply is OK with the answer that the source is told, when its configuration has `sync` and it still waits (Slack's commands, Discord, Twilio). Other
// sources have had their answer when the delivery was kept. status 0 is 200; header may be nil.
func Reply(status int, header http.Header, body []byte) Result {
	if status == 0 {
		status = http.StatusOK
	}
	return Result{Kind: KindOK, Answer: &Answer{Status: status, Header: header, Body: body}}
}

// From makes a result of an error: OK of nil, Fail of what can never work (ErrInvalid), Retry of all others, ErrBusy included.
func From(err error) Result {
	switch {
	case err == nil:
		return OK()
	case errors.Is(err, ErrInvalid):
		return Fail(err.Error())
	}
	return Retry(0, err.Error())
}

// String is the result in words, for logs and tests.
func (r Result) String() string {
	s := string(r.Kind)
	switch {
	case r.Kind == "":
		return "no result"
	case r.After > 0:
		s += fmt.Sprintf(" after %s", r.After)
	case r.Answer != nil:
		s += fmt.Sprintf(", answered %d", r.Answer.Status)
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return s
}

// maxReason is how many bytes of a reason are kept: it is a line for a person.
const maxReason = 1000

// outcome is the result as it goes to edge; false: it is none that a handler may return.
func (r Result) outcome() (*proto.Outcome, bool) {
	out := &proto.Outcome{Reason: cut(r.Reason, maxReason)}
	switch r.Kind {
	case KindOK:
		out.Kind = proto.Outcome_OK
	case KindSkip:
		out.Kind = proto.Outcome_SKIP
	case KindFail:
		out.Kind = proto.Outcome_FAIL
	case KindRetry:
		out.Kind = proto.Outcome_RETRY
		if r.After > 0 {
			out.After = durationpb.New(r.After)
		}
	default:
		return nil, false
	}
	if r.Answer != nil {
		out.Answer = &proto.Answer{Status: int32(r.Answer.Status), Body: r.Answer.Body}
		for name, values := range r.Answer.Header {
			for _, value := range values {
				out.Answer.Header = append(out.Answer.Header, &proto.Field{Name: name, Value: value})
			}
		}
	}
	return out, true
}
