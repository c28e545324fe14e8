package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// RunNow has a job run at once, on any host, also when it is paused, and returns the run's id. When the run before has not ended, overlap holds: with skip it is a [*Busy]; but
// one of a paused job that nobody is at work on gives way. It is not_found when no job has the name, and unavailable when the store is.
func (j *Jobs) RunNow(ctx context.Context, name string) (id string, err error) {
	b, err := j.job(name)
	if err != nil {
		return "", err
	}
	now := j.clock.now()
	r := Record{ID: runID(name, now) + "-" + store.NewID()[24:], Job: name, Due: now, Trigger: Manual, State: Waiting}
	for range keepTrying {
		var d store.Document
		if d, err = j.document(ctx, name); err != nil {
			return "", err
		}
		if err = j.ask(ctx, b, d, r); err == nil {
			j.attendTo(name, j.clock.now())
			return r.ID, nil
		}
		if busy, ok := errors.AsType[*Busy](err); ok {
			return "", busy
		}
		if !errors.Is(err, fault.Conflict) {
			break
		}
	}
	return "", fmt.Errorf("running %s: %w", name, err)
}

// document returns what the store knows of a job.
func (j *Jobs) document(ctx context.Context, name string) (store.Document, error) {
	if !j.ensured.Load() {
		return nil, fmt.Errorf("the store has not been reached yet: %w", fault.Unavailable)
	}
	d, err := j.store.Get(ctx, jobsCollection, name)
	if errors.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("the job %s is not in the store yet: try again: %w", name, fault.Unavailable)
	}
	return d, err
}

// ask inserts a manual run, if the job's document is as it was.
func (j *Jobs) ask(ctx context.Context, b *job, d store.Document, r Record) error {
	asItWas := store.And{store.ID(b.name), store.Eq("run", d["run"]), store.Eq("taking", d["taking"]), store.Eq("waiting", d["waiting"])}
	change, writes := store.Change{Set: make(store.Document), Add: map[string]int64{"waiting": 1}}, []store.Write{store.Insert{Collection: runsCollection, Document: r.encode()}}
	abandoned := d.String("taking") == "" || !d.Time("until").After(j.clock.now())
	switch {
	case d.Time("until").IsZero():
		change.Set["until"] = store.Now(0)
	case b.Overlap == "replace", !d.Time("paused").IsZero() && abandoned && d.String("run") != "":
		change, writes = j.replaces(d, r)
	case b.Overlap == "queue", !d.Time("paused").IsZero() && d.String("run") == "":
		if d.Int("waiting") >= maxWaiting {
			return fmt.Errorf("%d runs wait, which is as many as may: %w", maxWaiting, fault.TooMany)
		}
	default:
		return &Busy{Job: b.name, Run: d.String("run"), Host: d.String("host")}
	}
	change.Set["manual"] = true
	if _, err := j.store.Apply(ctx, append([]store.Write{store.Update{Collection: jobsCollection, Filter: asItWas, Change: change, Must: 1}}, writes...)...); err != nil {
		return err
	}
	if change.Set["stop"] == true {
		j.stop(b.name, d.String("taking"))
	}
	return nil
}

// Pause has a job not be due until [Jobs.Resume], on all hosts and after restarts. What is at work ends as it would.
func (j *Jobs) Pause(ctx context.Context, name string) error {
	return j.set(ctx, name, store.Null("paused"), store.Change{Set: store.Document{"paused": store.Now(0)}})
}

// Resume has a paused job be due again. Due times while it was paused are not made up for.
func (j *Jobs) Resume(ctx context.Context, name string) error {
	return j.set(ctx, name, store.Not{Filter: store.Null("paused")}, store.Change{
		Set: store.Document{"through": store.Now(0), "resumed": store.Now(0)}, Unset: []string{"paused"},
	})
}

// set changes a job's document where a condition holds.
func (j *Jobs) set(ctx context.Context, name string, when store.Filter, c store.Change) error {
	b, err := j.job(name)
	if err != nil {
		return err
	}
	if _, err := j.document(ctx, name); err != nil {
		return err
	}
	if _, err := j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: store.And{store.ID(name), when}, Change: c}); err != nil {
		return fmt.Errorf("changing the job %s: %w", name, err)
	}
	j.attendTo(b.name, j.clock.now())
	return nil
}
