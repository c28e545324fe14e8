package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// unasked is how long an answer is kept for a source that may still ask for it: the queue may have taken the delivery before it does.
const unasked = 5 * time.Second

// question is whether a source can have the answer to a delivery.
type question struct {
	answered chan struct{} // closed when there is one
	answer   *Answer
	err      error
}

// Now handles a delivery that was kept a moment ago, or waits for it when the queue has taken it already, and returns the handler's answer; nil when
// that has none. It waits so long at most, and for a place among the source's deliveries too. ErrLater: the answer did not come in time, or not in the first attempt; the
// delivery goes on by itself. Another error says that there will be none.
func (d *Dispatcher) Now(ctx context.Context, kept inbox.Delivery, wait time.Duration) (*Answer, error) {
	if kept.State != inbox.Pending {
		return nil, ErrLater
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	q := d.question(kept.ID)
	defer d.forget(kept.ID, q)
	d.mu.Lock()
	l, now := d.lines[kept.Source], d.shift
	if l == nil || now == nil || now.ending.Err() != nil {
		d.mu.Unlock()
		return nil, ErrLater
	}
	now.under.Go(func() { l.now(ctx, now, kept.ID) })
	d.mu.Unlock()
	select {
	case <-q.answered:
		return q.answer, q.err
	case <-ctx.Done():
		return nil, ErrLater
	}
}

// now tries a delivery if it can have a place before ctx ends. Once it is taken, nobody has to wait for it.
func (l *line) now(ctx context.Context, now *shift, id string) {
	a := l.admit(ctx)
	if a == nil {
		return
	}
	defer a.leave()
	if now.ending.Err() != nil {
		return
	}
	taking, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	taken, err := l.inbox.TakeID(taking, id, a.hold)
	cancel()
	if err != nil { // the queue has it, or has it when the store is back
		if !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Conflict) {
			l.log.Warn("webhooks: a delivery whose source waits could not be taken; it is handled when its turn comes", "source", l.source, "delivery", id, "error", err)
		}
		return
	}
	a.taken = taken
	a.run(now)
}

// question is the one of a delivery, put by whoever comes first: who asks, or who has taken it.
func (d *Dispatcher) question(id string) *question {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.questions[id]
	if q == nil {
		q = &question{answered: make(chan struct{})}
		d.questions[id] = q
	}
	return q
}

// forget ends a question.
func (d *Dispatcher) forget(id string, q *question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.questions[id] == q {
		delete(d.questions, id)
	}
}

// answer gives what came of an attempt to who asks, or does so soon.
func (d *Dispatcher) answer(id string, r inbox.Result, o Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.questions[id]
	if q == nil {
		return
	}
	select {
	case <-q.answered: // in an earlier attempt
		return
	default:
	}
	switch {
	case r.State == inbox.Pending:
		q.err = ErrLater
	case r.State == inbox.Done || o.Answer != nil:
		q.answer = o.Answer
	default:
		q.err = fmt.Errorf("the delivery %s will not be handled: %s: %w", id, r.Attempt.Reason, fault.Unavailable)
	}
	close(q.answered)
	time.AfterFunc(unasked, func() { d.forget(id, q) })
}
