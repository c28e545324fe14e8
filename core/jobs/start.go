package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// start begins the run of a due time, if nobody has and the job is free; otherwise it does what overlap says.
func (j *Jobs) start(ctx context.Context, b *job, r Record) (*attempt, error) {
	for range keepTrying {
		a := j.newAttempt(b, r)
		change := a.holds()
		if r.Missed > 0 {
			change.Add = map[string]int64{"missed": int64(r.Missed)}
		}
		asked := a.asked
		begun, err := j.move(ctx, b, r.Due, change, store.Null("until"), store.Insert{Collection: runsCollection, Document: a.begins()})
		switch {
		case begun:
			j.count(b.name, "", r.Missed)
			j.hold(a, asked)
			return a, nil
		case err == nil || !errors.Is(err, fault.Conflict):
			return nil, err
		}
		d, err := j.standing(ctx, b, r.Due)
		if err != nil || d == nil {
			return nil, err
		}
		if d.Time("until").IsZero() {
			continue
		}
		done, err := j.overlap(ctx, b, r, d)
		if done || err != nil && !errors.Is(err, fault.Conflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("others are always faster: %w", fault.Unavailable)
}

// overlap does what the job says about a due time that finds a run before it, as the job's document was.
func (j *Jobs) overlap(ctx context.Context, b *job, r Record, d store.Document) (bool, error) {
	busy := store.Not{Filter: store.Null("until")}
	if b.Overlap == "replace" {
		change, writes := j.replaces(d, r)
		done, err := j.move(ctx, b, r.Due, change, store.Eq("taking", d["taking"]), writes...)
		if done {
			j.stop(b.name, d.String("taking"))
		}
		return done, err
	}
	reason := fmt.Sprintf("the run before, %s, had not ended", d.String("run"))
	if b.Overlap == "queue" {
		if d.Int("waiting") < maxWaiting {
			r.State = Waiting
			change := store.Change{Add: map[string]int64{"waiting": 1, "missed": int64(r.Missed)}}
			return j.move(ctx, b, r.Due, change, busy, store.Insert{Collection: runsCollection, Document: r.encode()})
		}
		reason = fmt.Sprintf("%d runs wait, which is as many as may", maxWaiting)
	}
	ended, doc := j.ended(b, r.Due, Skipped, reason)
	doc["trigger"], doc["missed"] = string(r.Trigger), int64(r.Missed)
	done, err := j.move(ctx, b, r.Due, store.Change{Add: map[string]int64{"missed": int64(r.Missed)}}, busy, store.Insert{Collection: runsCollection, Document: doc})
	if done {
		j.count(b.name, ended.Outcome, r.Missed)
	}
	return done, err
}

// replaces has a run wait as the only one, and the one before it stopped.
func (j *Jobs) replaces(d store.Document, r Record) (store.Change, []store.Write) {
	r.State = Waiting
	change := store.Change{Set: store.Document{"waiting": 1}, Add: map[string]int64{"missed": int64(r.Missed)}}
	if d.String("run") != "" {
		change.Set["stop"] = true
	}
	if d.String("taking") == "" { // nobody is at work on it who could stop
		change.Set["until"] = store.Now(0)
	}
	return change, []store.Write{
		store.Update{Collection: runsCollection, Filter: waitingOf(r.Job), Change: j.endedAs(r.Job, Replaced, "the next one has taken its place")},
		store.Insert{Collection: runsCollection, Document: r.encode()},
	}
}

// stop ends an attempt, because another run takes its place, if this host makes it; otherwise its host finds out, or nobody makes it.
func (j *Jobs) stop(name, taking string) {
	if taking == "" {
		j.attendTo(name, j.clock.now())
		return
	}
	j.mu.Lock()
	a := j.active[taking]
	j.mu.Unlock()
	if a != nil {
		a.cut(errReplaced)
	}
}

// waitingOf holds for a job's runs that wait.
func waitingOf(job string) store.And {
	return store.And{store.Eq("job", job), store.Eq("state", string(Waiting))}
}

// endedAs ends a run that is not at work.
func (j *Jobs) endedAs(name string, o Outcome, reason string) store.Change {
	kept := defaultRetention
	if b, err := j.job(name); err == nil {
		kept = b.Retention
	}
	return store.Change{Set: store.Document{
		"state": string(Ended), "outcome": string(o), "ended": store.Now(0), "error": reason, "expires": store.Now(kept),
	}}
}
