package submissions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/lambda/gateway"
	"github.com/onehost/edge/core/pace"
	"github.com/onehost/edge/core/store"
)

const (
	slack        = 30 * time.Second // from a claim to the call, and from its end to the outcome on disk
	reply        = 15 * time.Second // what a call may take beyond the function's timeout: a start, the way there and back
	settleWithin = 10 * time.Second
	settleAgain  = time.Second
	giveUp       = 3 * 24 * time.Hour
	lastPause    = 30 * time.Second // of a function that is away
	failedPause  = 5 * time.Second  // of one that fails
	longestWait  = 2 * time.Hour    // that a function may ask for
)

// schedule has the delays after failed attempts; the last one goes on.
var schedule = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

// delivery is one attempt.
type delivery struct {
	*line
	function string
	timeout  time.Duration
	slots    *pace.Slots // one of them is this delivery's
	began    time.Time

	id        string
	event     []byte
	turn      int64
	tries     int64
	attempts  int64
	since     time.Time // the first attempt's begin, by the store's clock
	recovered bool      // the function answers again
	now       time.Time // this one's
}

// fill takes what it needs of a submission that was claimed.
func (d *delivery) fill(kept store.Document) {
	d.id, d.event, d.turn = kept.ID(), kept.Bytes("event"), kept.Int("turn")
	d.tries, d.attempts, d.now = kept.Int("tries"), kept.Int("attempts"), kept.Time("claimed")
	if d.since = kept.Time("since"); d.since.IsZero() {
		d.since = d.now
	}
}

// verdict is what an attempt has shown.
type verdict int

const (
	took        verdict = iota // the function has taken it
	refused                    // the function never will
	failed                     // the function could not do it
	away                       // nothing: the function was not there
	interrupted                // nothing: this process ends
)

type outcome struct {
	verdict   verdict
	reason    string
	after     time.Duration // not before that
	throttled bool
	turned    bool // it is failed because the function was at work, and wants no more of this for now
}

// run calls the function and writes down what came of it.
func (d *delivery) run(work context.Context) {
	ctx, cancel := context.WithTimeout(work, d.timeout+reply)
	result, err := d.invoke.Invoke(ctx, d.function, d.event)
	cancel()
	var o outcome
	switch {
	case err == nil:
		o = answered(result.Payload)
	case work.Err() != nil:
		o = outcome{verdict: interrupted, reason: "edge ended while it was delivered"}
	default:
		o = erred(err)
	}
	change, state := d.becomes(o)
	if d.settle(work, change) && state == Dead {
		d.log.Error("forms: a submission can't be delivered; it is kept, and can be sent again when that is mended (edge forms resend ID)",
			"form", d.form, "submission", d.id, "function", d.function, "attempts", d.attempts, "error", o.reason)
	}
	if d.recovered {
		d.hurry(work)
	}
}

// hurry brings forward what waits for a later attempt: the function that failed so often works again. How many are delivered at once the breaker says.
func (l *line) hurry(work context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), settleWithin)
	defer cancel()
	_, err := l.store.Apply(ctx, store.Update{
		Collection: collection,
		Filter:     store.And{store.Eq("form", l.form), store.Eq("state", string(Pending)), store.Null("claimed"), store.Gt("next", store.Now(0))},
		Change:     store.Change{Set: store.Document{"next": store.Now(0)}},
	})
	if err != nil { // they are delivered when they are due
		l.log.Warn("forms: what waits could not be brought forward", "form", l.form, "error", err)
	}
	l.poke()
}

// answered judges what the function has returned.
func answered(payload []byte) outcome {
	answer, err := gateway.ReadAnswer(payload)
	switch {
	case err != nil:
		return outcome{verdict: failed, reason: short(fmt.Sprintf("the function's answer can't be read: %v", err))}
	case answer.Status < 400:
		return outcome{verdict: took}
	}
	o := outcome{verdict: refused, reason: short(fmt.Sprintf("the function answered %d: %s", answer.Status, answer.Body))}
	if answer.Status >= 500 || answer.Status == http.StatusRequestTimeout || answer.Status == http.StatusTooManyRequests {
		o.verdict, o.after = failed, retryAfter(answer.Header.Get("Retry-After"))
		o.turned = answer.Status == http.StatusTooManyRequests
	}
	return o
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3); 0 when it is none.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(longestWait/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(at), longestWait))
	}
	return 0
}

// erred judges why there was no answer.
func erred(err error) outcome {
	o := outcome{verdict: away, reason: short(err.Error())}
	e, ok := errors.AsType[*lambda.Error](err)
	if !ok {
		return o
	}
	switch e.Kind {
	case lambda.Failed, lambda.TimedOut:
		o.verdict = failed
	case lambda.TooLarge:
		o.verdict = refused
	case lambda.Throttled:
		o.throttled = true
	case lambda.Missing, lambda.Denied, lambda.Broken, lambda.Unavailable:
	}
	o.after = max(0, min(e.RetryAfter, longestWait))
	return o
}

// becomes is what an outcome makes of the submission. It tells the breaker too, which says how long a function that is away is left alone.
func (d *delivery) becomes(o outcome) (store.Change, State) {
	switch o.verdict {
	case took, refused:
		if d.breaker.Took(d.began) {
			d.log.Info("forms: the function answers again", "form", d.form, "function", d.function)
			d.recovered = true
		}
		if o.verdict == took {
			change := ended(Done, d.settings.Load().retention(d.form))
			change.Unset = append(change.Unset, "error")
			return change, Done
		}
		return d.dead(o), Dead
	case interrupted:
		return store.Change{Set: store.Document{"next": store.Now(0), "error": o.reason}, Unset: []string{"claimed"}}, Pending
	case failed:
		if !o.turned && d.breaker.Failed(d.began) {
			d.log.Warn("forms: the function fails again and again; it is called less often until it answers", "form", d.form, "function", d.function, "error", o.reason)
		}
		delay := schedule[min(int(d.tries), len(schedule)-1)]
		delay += rand.N(delay*2/5) - delay/5
		return d.again(o, max(delay, o.after), 1)
	case away:
	}
	pause, news := d.breaker.Away(d.began, o.after, o.throttled)
	if news {
		d.log.Warn("forms: the function is away; its submissions wait", "form", d.form, "function", d.function, "error", o.reason)
	}
	return d.again(o, pause, 0)
}

// again has it tried again after a delay, unless it was tried for too long.
func (d *delivery) again(o outcome, delay time.Duration, tries int64) (store.Change, State) {
	tried := d.now.Sub(d.since)
	if tried >= giveUp {
		o.reason = short(fmt.Sprintf("given up after %v: %s", giveUp, o.reason))
		return d.dead(o), Dead
	}
	delay = min(delay, max(giveUp-tried, time.Second)) // the last attempt is made when the time is over
	return store.Change{
		Set:   store.Document{"next": store.Now(delay), "since": d.since, "error": o.reason},
		Unset: []string{"claimed"},
		Add:   map[string]int64{"tries": tries},
	}, Pending
}

func (d *delivery) dead(o outcome) store.Change {
	change := ended(Dead, max(d.settings.Load().retention(d.form), leastDead))
	change.Set["error"] = o.reason
	return change
}

// settle writes down what came of the delivery, if nobody else has claimed the submission since. When the store is away it waits, until work ends.
func (d *delivery) settle(work context.Context, change store.Change) bool {
	write := store.Update{Collection: collection, Filter: append(mine(d.id, d.turn), store.Eq("state", string(Pending))), Change: change, Must: 1}
	for waits := 0; ; waits++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), settleWithin)
		_, err := d.store.Apply(ctx, write)
		cancel()
		switch {
		case err == nil:
			return true
		case errors.Is(err, fault.Conflict) && waits > 0: // an earlier try may have been carried out, with only its answer lost
			return false
		case errors.Is(err, fault.Conflict):
			d.log.Warn("forms: a delivery took longer than it may; another has claimed the submission, and what came of this one does not count", "form", d.form, "submission", d.id)
			return false
		case !errors.Is(err, fault.Unavailable) || work.Err() != nil:
			d.log.Error("forms: what came of a delivery could not be kept; it is made once more", "form", d.form, "submission", d.id, "error", err)
			return false
		}
		if waits == 0 {
			d.unsettled.Add(1)
			defer d.poke()
			defer d.unsettled.Add(-1)
		}
		select {
		case <-work.Done():
		case <-time.After(settleAgain):
		}
	}
}
