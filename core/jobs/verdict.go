package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onehost/edge/core/store"
)

const (
	defaultTimeout   = 10 * time.Minute
	defaultBackoff   = 10 * time.Second
	defaultGrace     = time.Minute
	defaultRetention = 30 * 24 * time.Hour
	longestBackoff   = time.Hour
	longestAsked     = 24 * time.Hour
	downAgain        = 5 * time.Second
)

// verdict is what an attempt has shown: the outcome of its run, or that there is another attempt after a pause.
type verdict struct {
	outcome Outcome // "": it is tried again
	after   time.Duration
	reason  string
	failed  bool // a retry is spent
	down    bool // what does it is not there
}

// judge says what an attempt has come to.
func (a *attempt) judge(work context.Context, err error) verdict {
	down, isDown := errors.AsType[*Down](err)
	_, isPermanent := errors.AsType[*Permanent](err)
	cause := context.Cause(a.ctx)
	switch {
	case err == nil:
		return verdict{outcome: Succeeded}
	case cause == errReplaced: //nolint:errorlint // it is the cause itself
		return verdict{outcome: Replaced, reason: errReplaced.Error()}
	case cause != nil, work.Err() != nil:
		return verdict{reason: "its host ended, or could not renew it"}
	case isDown:
		return a.judgeDown(down)
	}
	v := verdict{outcome: Dead, reason: clip(err.Error()), failed: true}
	retries := int64(a.job.Retries)
	if _, gone := a.Jobs.job(a.record.Job); gone != nil {
		retries = 0
	}
	switch {
	case isPermanent:
	case a.tries < retries:
		v.outcome, v.after = "", max(backoff(a.job.Backoff, a.tries), asked(err))
	case a.job.Retries == 0:
		v.outcome = Failed
	default:
		v.reason = clip(fmt.Sprintf("given up after %d retries: %s", a.tries, v.reason))
	}
	return v
}

// backoff is the pause after an attempt that failed when others had before.
func backoff(first time.Duration, before int64) time.Duration {
	pause := first
	for ; before > 0 && pause < longestBackoff; before-- {
		pause *= 2
	}
	return min(pause, longestBackoff)
}

// asked is how long what failed wants to be left alone.
func asked(err error) time.Duration {
	var later interface {
		error
		RetryAfter() time.Duration
	}
	if !errors.As(err, &later) {
		return 0
	}
	return min(later.RetryAfter(), longestAsked)
}

// judgeDown has it tried again, unless the job's next due time would come before, or it was tried for the job's timeout.
func (a *attempt) judgeDown(err *Down) verdict {
	now := a.clock.now()
	if a.down.IsZero() {
		a.down = a.record.Started
	}
	end := a.down.Add(a.job.Timeout)
	if next, ok := a.job.Next(now); ok && next.Before(end) {
		end = next
	}
	pause := max(downAgain, asked(err))
	if !now.Add(pause).Before(end) {
		return verdict{outcome: Failed, reason: clip(fmt.Sprintf("what does it was not there: %v", err)), failed: true}
	}
	return verdict{after: pause, reason: clip(err.Error()), down: true}
}

// writes are what a verdict makes of the job and of the run. An end is a conflict when others wait and a.next does not say so: one write less where, as mostly, none do.
func (a *attempt) writes(v verdict) []store.Write {
	r := a.record
	mine := store.And{store.ID(r.Job), store.Eq("taking", a.taking)}
	job := store.Change{Unset: []string{"taking", "host", "started"}}
	run := store.Change{Set: store.Document{"error": text(v.reason), "output": text(r.Output), "request": r.RequestID}}
	if v.outcome == "" {
		job.Set = store.Document{"until": store.Now(v.after)}
		run.Set["state"] = string(Retrying)
		if v.failed {
			run.Add = map[string]int64{"tries": 1}
		}
		if v.down {
			run.Set["down"] = a.down
		}
		return []store.Write{
			store.Update{Collection: jobsCollection, Filter: mine, Change: job, Must: 1},
			store.Update{Collection: runsCollection, Filter: store.ID(r.ID), Change: run, Must: 1},
		}
	}
	run.Set["state"], run.Set["outcome"], run.Set["ended"], run.Set["expires"] = string(Ended), string(v.outcome), store.Now(0), store.Now(a.job.Retention)
	freed, _ := frees(r, v.outcome, v.reason, a.clock.now())
	if a.next {
		freed.Unset = slices.DeleteFunc(freed.Unset, func(field string) bool { return field == "until" })
		freed.Set["until"] = store.Now(0)
	} else {
		mine = append(mine, store.Not{Filter: store.Gt("waiting", 0)})
	}
	return []store.Write{
		store.Update{Collection: jobsCollection, Filter: mine, Change: freed, Must: 1},
		store.Update{Collection: runsCollection, Filter: store.ID(r.ID), Change: run, Must: 1},
	}
}

// text is what is kept of a text: nothing of none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// frees is what the end of a run makes of its job, and the write that has the next one looked at, if others wait.
func frees(r Record, o Outcome, reason string, now time.Time) (store.Change, store.Write) {
	last := store.Document{"id": r.ID, "due": r.Due, "ended": now, "outcome": string(o), "attempt": int64(r.Attempt), "host": r.Host, "trigger": string(r.Trigger)}
	if !r.Started.IsZero() {
		last["started"] = r.Started
	}
	if reason != "" {
		last["error"] = reason
	}
	c := store.Change{
		Set:   store.Document{"last": last},
		Unset: []string{"run", "taking", "host", "started", "until", "stop", "trigger"},
	}
	switch o {
	case Succeeded:
		c.Set["success"], c.Set["failures"] = store.Now(0), nil
	case Failed, Dead, Lost:
		c.Add = map[string]int64{"failures": 1}
	case Skipped, Missed, Replaced:
	}
	return c, store.Update{
		Collection: jobsCollection, Filter: store.And{store.ID(r.Job), store.Gt("waiting", 0)}, Change: store.Change{Set: store.Document{"until": store.Now(0)}},
	}
}

// tell tells everybody what the attempt has come to, and has this host go on with the job.
func (a *attempt) tell(r Run, v verdict, took time.Duration) {
	if a.next {
		a.attendTo(r.Job, a.clock.now().Add(v.after))
	}
	switch v.outcome {
	case "":
		if v.reason != "" {
			a.log.Warn("jobs: a run is tried again", "job", r.Job, "run", r.ID, "attempt", r.Attempt, "after", v.after, "error", v.reason)
		}
		return
	case Failed, Dead:
		a.log.Error("jobs: a run has failed (edge jobs history says more)", "job", r.Job, "run", r.ID, "attempt", r.Attempt, "outcome", string(v.outcome), "error", v.reason)
	case Succeeded, Skipped, Missed, Replaced, Lost:
		a.log.Debug("jobs: a run has ended", "job", r.Job, "run", r.ID, "outcome", string(v.outcome), "took", took)
	}
	a.count(r.Job, v.outcome, 0)
	if a.pinger == nil {
		return
	}
	if v.outcome == Succeeded {
		a.pinger.Succeeded(r, took, a.record.Output)
	} else if v.outcome != Replaced {
		a.pinger.Failed(r, errors.New(v.reason), a.record.Output)
	}
}
