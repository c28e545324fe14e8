package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/inbox"
)

const (
	settleWithin = 10 * time.Second
	settleAgain  = time.Second
	putBack      = time.Second        // a delivery that could not be alone in time
	longestAfter = 7 * 24 * time.Hour // that a handler may ask for
	maxDeaths    = 3
	maxReason    = 500 // bytes
)

// schedule has the pauses after attempts that failed, as Standard Webhooks advises.
var schedule = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// What is written down of attempts besides a handler's outcomes.
const (
	failed  = "error"
	timeout = "timeout"
	died    = "died"
)

// attempt is one delivery's way through a plugin.
type attempt struct {
	*line
	configured config.Webhook
	room       *room
	stay       *stay         // nil: it is not in the room
	longest    time.Duration // that others may be in the room
	hold       time.Duration
	passed     time.Time // the breaker: what was heard since is no news for who came before
	taken      *inbox.Taken
	began      time.Time
}

// leave gives back what admit has given.
func (a *attempt) leave() {
	a.busy.Add(-1)
	if a.stay != nil {
		a.stay.leave()
	}
	a.slots.Release()
	a.breaker.Leave()
}

// run makes the attempt and writes down what came of it.
func (a *attempt) run(now *shift) {
	if suspect(a.taken) && !a.isolate(now.work) {
		a.settle(now.work, inbox.Result{State: inbox.Pending, After: putBack})
		return
	}
	d := a.taken.Delivery
	d.Plugin = a.configured.Plugin
	a.began = time.Now()
	a.stay.begin()
	ctx, cancel := context.WithTimeout(now.work, a.configured.Timeout)
	o, err := a.handler.Handle(ctx, d, d.Tries+1)
	late := ctx.Err() != nil
	cancel()
	company := a.stay.end()
	r := a.judge(now, o, err, late, company)
	a.answer(d.ID, r, o)
	if a.settle(now.work, r) {
		a.tell(r)
	}
}

// suspect tells whether the handler has ended in an attempt at it.
func suspect(t *inbox.Taken) bool {
	n := len(t.Attempts)
	return t.Deaths > 0 || n > 0 && t.Attempts[n-1].Outcome == died
}

// isolate waits until nobody else is with the plugin, and reports whether that came to be while the delivery is held.
func (a *attempt) isolate(work context.Context) bool {
	a.stay.leave()
	ctx, cancel := context.WithTimeout(work, a.longest)
	defer cancel()
	a.stay = a.room.enterAlone(ctx)
	return a.stay != nil
}

// judge is what an attempt has shown. It tells the breaker too.
func (a *attempt) judge(now *shift, o Outcome, err error, late, company bool) inbox.Result {
	down, isDown := errors.AsType[*Down](err)
	ended, isDied := errors.AsType[*Died](err)
	switch {
	case err == nil:
		a.there(o.Kind)
		return a.said(o)
	case now.work.Err() != nil, isDied && now.ending.Err() != nil: // a plugin that ends with edge was not killed by a delivery
		return inbox.Result{State: inbox.Pending}
	case isDied && company:
		reason := fmt.Sprintf("%v; others were with it, so it counts for none: each is tried alone", ended)
		return inbox.Result{State: inbox.Pending, Attempt: a.note(died, reason)}
	case isDied:
		r := a.again(died, ended.Error(), 0)
		r.Died = true
		if a.taken.Deaths+1 >= maxDeaths {
			r.State, r.After = inbox.Quarantined, 0
		}
		return r
	case isDown:
		return a.down(down)
	case late:
		return a.again(timeout, fmt.Sprintf("no outcome within %v: %v", a.configured.Timeout, err), 0)
	}
	a.there(failed)
	return a.again(failed, err.Error(), 0)
}

// said is what an outcome makes of the delivery.
func (a *attempt) said(o Outcome) inbox.Result {
	switch o.Kind {
	case OK, Skip:
		return inbox.Result{State: inbox.Done, Try: true, Attempt: a.note(string(o.Kind), o.Reason)}
	case Fail:
		return inbox.Result{State: inbox.Dead, Try: true, Attempt: a.note(string(Fail), o.Reason)}
	case Retry:
		return a.again(string(Retry), o.Reason, o.After)
	}
	return a.again(failed, fmt.Sprintf("an outcome that nobody knows: %q", o.Kind), 0)
}

// again has it tried again after what the handler asked for, or else the source's next pause; without one it is dead.
func (a *attempt) again(outcome, reason string, after time.Duration) inbox.Result {
	pauses := a.configured.Retries
	if pauses == nil {
		pauses = schedule[:]
	}
	tries := a.taken.Tries
	r := inbox.Result{State: inbox.Pending, Try: true}
	switch {
	case tries >= len(pauses):
		r.State = inbox.Dead
		reason = fmt.Sprintf("given up after attempt %d: %s", tries+1, reason)
	case after > 0:
		r.After = min(after, longestAfter)
	default:
		r.After = pauses[tries]
		r.After += rand.N(r.After*2/5+1) - r.After/5
	}
	r.Attempt = a.note(outcome, reason)
	return r
}

// there notes that the handler is.
func (a *attempt) there(outcome Kind) {
	if a.breaker.Took(a.passed) {
		a.log.Info("webhooks: the handler is back; what waited goes on", "source", a.source, "plugin", a.configured.Plugin, "outcome", string(outcome))
	}
}

// down has the source pause, and the delivery be due when it goes on.
func (a *attempt) down(err *Down) inbox.Result {
	reason := clip(err.Error())
	a.reason.Store(&reason)
	if _, news := a.breaker.Away(a.passed, 0, false); news {
		a.log.Error("webhooks: the handler is not there; its deliveries wait, and go on when it is back (edge plugins says how it does)",
			"source", a.source, "plugin", a.configured.Plugin, "error", reason)
	}
	return inbox.Result{State: inbox.Pending}
}

// note is what is written down of the attempt.
func (a *attempt) note(outcome, reason string) inbox.Attempt {
	return inbox.Attempt{N: a.taken.Tries + 1, At: a.began.UTC().Truncate(time.Millisecond), Took: time.Since(a.began), Outcome: outcome, Reason: clip(reason)}
}

// clip makes a text one that fits into a log and a store.
func clip(text string) string {
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return strings.ToValidUTF8(text, "")
}

// tell tells a person what the attempt has come to, if that is for one.
func (a *attempt) tell(r inbox.Result) {
	if r.Attempt.Outcome != "" {
		reason := r.Attempt.Reason
		if r.State == inbox.Done {
			reason = ""
		}
		a.reason.Store(&reason)
	}
	what := ""
	switch r.State {
	case inbox.Dead:
		what = "webhooks: a delivery can't be handled; it is kept, and is handled again when that is mended (edge webhooks redeliver ID)"
	case inbox.Quarantined:
		what = "webhooks: a delivery has ended its handler again and again and is quarantined; it is handled again when the handler bears it (edge webhooks redeliver ID)"
	case inbox.Pending, inbox.Done, inbox.Kept:
		return
	}
	a.log.Error(what, "source", a.source, "delivery", a.taken.ID, "plugin", a.configured.Plugin, "attempts", a.taken.Tries+1, "error", r.Attempt.Reason)
}

// settle writes down what came of the attempt, if nobody else has taken the delivery since. When the store is away it waits, until work ends.
func (a *attempt) settle(work context.Context, r inbox.Result) bool {
	for waits := 0; ; waits++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), settleWithin)
		err := a.inbox.Settle(ctx, a.taken, r)
		cancel()
		switch {
		case err == nil:
			return true
		case errors.Is(err, fault.Conflict) && waits > 0: // an earlier try may have been carried out, with only its answer lost
			return false
		case errors.Is(err, fault.Conflict):
			a.log.Warn("webhooks: an attempt took longer than it may; another has taken the delivery, and what came of this one does not count",
				"source", a.source, "delivery", a.taken.ID)
			return false
		case !errors.Is(err, fault.Unavailable) || work.Err() != nil:
			a.log.Error("webhooks: what came of an attempt could not be kept; it is made once more", "source", a.source, "delivery", a.taken.ID, "error", err)
			return false
		}
		if waits == 0 {
			a.unsettled.Add(1)
			defer a.poke()
			defer a.unsettled.Add(-1)
		}
		select {
		case <-work.Done():
		case <-time.After(settleAgain):
		}
	}
}
