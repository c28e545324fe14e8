package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	mostMissed = 1_000 // due times that were missed which are counted at once
	catchUps   = 100   // runs that are inserted in one write
	maxWaiting = 100   // runs of a job that queue
	keepTrying = 10    // when others are faster
)

// begin does what a job's next due time asks for, if it is one that has come, and returns the attempt to make, if it is this host's.
func (j *Jobs) begin(ctx context.Context, b *job, now time.Time) (*attempt, error) {
	due, ok := b.Next(b.through)
	if !ok || b.begins(due).After(now) {
		return nil, nil
	}
	missed := b.isMissed(due, now)
	if b.theirs || missed { // what a paused job was due at is not missed
		if d, err := j.standing(ctx, b, due); err != nil || d == nil {
			return nil, err
		}
	}
	if !missed {
		return j.start(ctx, b, Record{ID: runID(b.name, due), Job: b.name, Due: due, Trigger: Scheduled})
	}
	return j.missed(ctx, b, now)
}

func (b *job) isMissed(due, now time.Time) bool { return now.After(b.starts(due).Add(b.Grace)) }

// missed does what the job says about due times that were missed.
func (j *Jobs) missed(ctx context.Context, b *job, now time.Time) (*attempt, error) {
	dues, more := b.Between(b.through, now.Add(-b.Grace), mostMissed)
	for len(dues) > 0 && !b.isMissed(dues[len(dues)-1], now) {
		dues = dues[:len(dues)-1]
	}
	if len(dues) == 0 { // jitter has them begin later than all that Between had room for
		first, _ := b.Next(b.through)
		dues = []time.Time{first}
	}
	n, last := len(dues), dues[len(dues)-1]
	if b.through.Before(dues[0]) {
		j.log.Warn("jobs: due times were missed", "job", b.name, "from", dues[0], "to", last, "missed", n, "more", more, "then", b.Missed)
	}
	next, ok := b.Next(last)
	current := ok && !b.starts(next).After(now)
	switch {
	case b.Missed == "all":
		return nil, j.catchUp(ctx, b, dues)
	case b.Missed == "once" && !current:
		return j.start(ctx, b, Record{ID: runID(b.name, last), Job: b.name, Due: last, Trigger: CatchUp, Missed: n})
	}
	return nil, j.giveUp(ctx, b, dues)
}

// giveUp writes down that due times were missed, which nobody makes up for; or the one that is due now does.
func (j *Jobs) giveUp(ctx context.Context, b *job, dues []time.Time) error {
	n, last := len(dues), dues[len(dues)-1]
	r, d := j.ended(b, last, Missed, fmt.Sprintf("nobody could run it at %s, nor within %v", last.Format(time.RFC3339), b.Grace))
	if n > 1 {
		d["error"] = fmt.Sprintf("nobody could run it at %d due times, from %s to %s", n, dues[0].Format(time.RFC3339), last.Format(time.RFC3339))
	}
	d["missed"] = int64(n)
	done, err := j.move(ctx, b, last, store.Change{Add: map[string]int64{"missed": int64(n)}}, nil, store.Insert{Collection: runsCollection, Document: d})
	if done {
		j.count(b.name, r.Outcome, n)
	}
	return j.unlessFaster(ctx, b, last, err)
}

// unlessFaster makes a conflict none if there is nothing to do any more about a due time.
func (j *Jobs) unlessFaster(ctx context.Context, b *job, due time.Time, err error) error {
	if !errors.Is(err, fault.Conflict) {
		return err
	}
	if d, missing := j.standing(ctx, b, due); missing != nil || d == nil {
		return missing
	}
	return err
}

// withoutRun leaves of due times those that have no run: others have one when the clock was set back.
func (j *Jobs) withoutRun(ctx context.Context, b *job, dues []time.Time) ([]time.Time, error) {
	ids := make([]any, len(dues))
	for i, due := range dues {
		ids[i] = runID(b.name, due)
	}
	found, err := j.store.Find(ctx, store.Query{Collection: runsCollection, Filter: store.In{Field: "id", Values: ids}, Limit: len(ids), Fields: []string{"due"}})
	if err != nil || len(found) == 0 {
		return dues, err
	}
	return slices.DeleteFunc(slices.Clone(dues), func(due time.Time) bool {
		return slices.ContainsFunc(found, func(d store.Document) bool { return d.Time("due").Equal(due) })
	}), nil
}

// catchUp inserts a run for each of the latest due times that were missed; they follow one another.
func (j *Jobs) catchUp(ctx context.Context, b *job, dues []time.Time) error {
	if late := len(dues) - max(1, b.MissedLimit); late > 0 {
		if err := j.giveUp(ctx, b, dues[:late]); err != nil {
			return err
		}
		dues = dues[late:]
	}
	for len(dues) > 0 {
		some := dues[:min(len(dues), catchUps)]
		dues = dues[len(some):]
		through := some[len(some)-1]
		some, err := j.withoutRun(ctx, b, some)
		if err != nil {
			return err
		}
		var runs []store.Write
		for _, due := range some {
			r := Record{ID: runID(b.name, due), Job: b.name, Due: due, Trigger: CatchUp, State: Waiting, Missed: 1}
			runs = append(runs, store.Insert{Collection: runsCollection, Document: r.encode()})
		}
		n := int64(len(some))
		runs = append(runs, store.Update{ // it was free
			Collection: jobsCollection, Filter: store.And{store.ID(b.name), store.Null("until"), store.Gt("waiting", 0)},
			Change: store.Change{Set: store.Document{"until": store.Now(0)}},
		})
		done, err := j.move(ctx, b, through, store.Change{Add: map[string]int64{"missed": n, "waiting": n}}, nil, runs...)
		if err = j.unlessFaster(ctx, b, through, err); err != nil {
			return err
		}
		if done {
			j.count(b.name, "", int(n))
		}
	}
	j.attendTo(b.name, j.clock.now())
	return nil
}

// move moves a job's through on, together with other writes, if nobody has yet and a condition holds. It reports false when there is nothing more to do about the due time: another host has
// done it, or the job is paused.
func (j *Jobs) move(ctx context.Context, b *job, through time.Time, c store.Change, when store.Filter, writes ...store.Write) (bool, error) {
	filter := store.And{store.ID(b.name), store.Lt("through", through), store.Null("paused")}
	if when != nil {
		filter = append(filter, when)
	}
	if c.Set == nil {
		c.Set = make(store.Document)
	}
	c.Set["through"], c.Set["expires"] = through, nil
	first := store.Update{Collection: jobsCollection, Filter: filter, Change: c, Must: 1}
	_, err := j.store.Apply(ctx, append([]store.Write{first}, writes...)...)
	if err == nil {
		j.moved(b, through, false)
		return true, nil
	}
	if taken, ok := errors.AsType[*store.Duplicate](err); ok && len(taken.Fields) == 0 { // the clock was set back: it had its run
		_, err = j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: filter, Change: store.Change{Set: store.Document{"through": through}}})
		if err == nil {
			j.moved(b, through, false)
		}
		return false, err
	}
	return false, err
}

// standing returns a job's document, unless there is nothing to do any more about a due time.
func (j *Jobs) standing(ctx context.Context, b *job, due time.Time) (store.Document, error) {
	d, err := j.store.Get(ctx, jobsCollection, b.name)
	switch {
	case errors.Is(err, fault.NotFound): // a person has removed it
		_, err = j.store.Apply(ctx, store.Insert{Collection: jobsCollection, Document: j.newDocument(b, b.through)})
		if err == nil || errors.Is(err, fault.Conflict) {
			return j.store.Get(ctx, jobsCollection, b.name)
		}
		return nil, err
	case err != nil:
		return nil, err
	case !d.Time("through").Before(due):
		j.moved(b, d.Time("through"), true)
		return nil, nil
	case !d.Time("paused").IsZero():
		j.moved(b, due, b.theirs)
		return nil, nil
	}
	return d, nil
}
