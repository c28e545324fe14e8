package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// maxLosses is how often the hosts that a run is on may die before it is not begun again.
const maxLosses = 10

// attend looks at a job's run: it takes over one whose holder is gone, makes its next attempt, or begins the one that waits. That others are faster is no error.
func (j *Jobs) attend(ctx context.Context, b *job) (*attempt, error) {
	d, err := j.store.Get(ctx, jobsCollection, b.name)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	paused := !d.Time("paused").IsZero()
	var a *attempt
	switch until := d.Time("until"); {
	case until.IsZero():
		return nil, nil
	case until.After(j.clock.now()):
		j.attendTo(b.name, until.Add(time.Millisecond))
		return nil, nil
	case d.String("run") == "":
		a, err = j.beginWaiting(ctx, b, d, paused)
	case !paused || d.String("trigger") == string(Manual) || d.Bool("stop"):
		a, err = j.goOn(ctx, b, d)
	}
	if errors.Is(err, fault.Conflict) {
		return nil, nil
	}
	return a, err
}

// beginWaiting begins the first run that waits for a job that is free.
func (j *Jobs) beginWaiting(ctx context.Context, b *job, d store.Document, paused bool) (*attempt, error) {
	free := store.And{store.ID(b.name), store.Null("run")}
	filter := waitingOf(b.name)
	if paused {
		filter = append(filter, store.Eq("trigger", string(Manual)))
	}
	found, err := j.store.Find(ctx, store.Query{Collection: runsCollection, Filter: filter, Sort: []store.Order{{Field: "due"}}, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		c := store.Change{Unset: []string{"manual"}}
		if !paused {
			c.Unset = append(c.Unset, "until", "waiting")
		}
		asItWas := append(free, store.Eq("waiting", d["waiting"]), store.Eq("until", d["until"]))
		_, err = j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: asItWas, Change: c})
		return nil, err
	}
	a := j.newAttempt(b, decode(found[0]))
	change := a.holds()
	change.Add = map[string]int64{"waiting": -1}
	return j.held(ctx, a,
		store.Update{Collection: jobsCollection, Filter: free, Change: change, Must: 1},
		store.Update{Collection: runsCollection, Filter: append(waitingOf(b.name), store.ID(a.record.ID)), Change: a.continues(nil), Must: 1})
}

// held makes an attempt this host's.
func (j *Jobs) held(ctx context.Context, a *attempt, writes ...store.Write) (*attempt, error) {
	if _, err := j.store.Apply(ctx, writes...); err != nil {
		a.cut(nil)
		return nil, err
	}
	j.hold(a, a.asked)
	return a, nil
}

// goOn makes the next attempt at a job's run, whose time has come.
func (j *Jobs) goOn(ctx context.Context, b *job, d store.Document) (*attempt, error) {
	still := store.And{store.ID(b.name), store.Eq("run", d.String("run")), store.Eq("taking", d["taking"]), store.Lte("until", store.Now(0))}
	kept, err := j.store.Get(ctx, runsCollection, d.String("run"))
	if errors.Is(err, fault.NotFound) { // a person has removed it
		freed, next := frees(Record{ID: d.String("run"), Job: b.name}, Lost, "its record is gone", j.clock.now())
		_, err = j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: still, Change: freed, Must: 1}, next)
		j.attendTo(b.name, j.clock.now())
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	r, died := decode(kept), d.String("taking") != ""
	if d.Bool("stop") {
		return nil, j.end(ctx, b, r, still, Replaced, errReplaced.Error())
	}
	var losses map[string]int64
	if died {
		if kept.Int("losses") >= maxLosses {
			return nil, j.end(ctx, b, r, still, Lost, fmt.Sprintf("%d hosts that it ran on have died, the last was %s", maxLosses+1, r.Host))
		}
		losses = map[string]int64{"losses": 1}
		j.log.Warn("jobs: a run's host is gone; it goes on here", "job", b.name, "run", r.ID, "host", r.Host)
	}
	a := j.newAttempt(b, r)
	a.tries, a.down = kept.Int("tries"), kept.Time("down")
	return j.held(ctx, a,
		store.Update{Collection: jobsCollection, Filter: still, Change: a.holds(), Must: 1},
		store.Update{Collection: runsCollection, Filter: store.And{store.ID(r.ID), store.Eq("state", string(r.State))}, Change: a.continues(losses), Must: 1})
}

// end ends a run that nobody is at work on.
func (j *Jobs) end(ctx context.Context, b *job, r Record, still store.Filter, o Outcome, reason string) error {
	freed, next := frees(r, o, reason, j.clock.now())
	_, err := j.store.Apply(ctx,
		store.Update{Collection: jobsCollection, Filter: still, Change: freed, Must: 1}, next,
		store.Update{Collection: runsCollection, Filter: store.ID(r.ID), Change: j.endedAs(b.name, o, reason), Must: 1})
	if err != nil {
		return err
	}
	j.count(b.name, o, 0)
	if o == Lost {
		j.log.Error("jobs: a run is lost (edge jobs history says more)", "job", b.name, "run", r.ID, "error", reason)
	}
	j.attendTo(b.name, j.clock.now())
	return nil
}
