package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	ahead      = time.Minute          // further than that nobody has scheduled a job, unless the clock was set back
	keepGone   = 30 * 24 * time.Hour  // what is known of a job that is no longer configured
	atOnce     = 500                  // documents written at a time
	syncFaster = 5 * time.Millisecond // others that start at the same time
)

// from is what a job's due times come from.
func (b *job) from() string {
	return strings.Join([]string{b.Schedule, b.Timezone, b.Start, b.End}, "\n")
}

// newDocument is that of a job that has been scheduled up to a due time.
func (j *Jobs) newDocument(b *job, through time.Time) store.Document {
	return store.Document{"id": b.name, "since": j.clock.now(), "schedule": b.from(), "through": through}
}

// sync has the store know the jobs that are configured, and this host up to which due time each has been scheduled.
func (j *Jobs) sync(ctx context.Context, first bool) error {
	j.mu.Lock()
	j.fresh = false
	jobs, gone := j.jobs, maps.Clone(j.gone)
	j.mu.Unlock()
	var err error
	for range keepTrying {
		var known map[string]store.Document
		if known, err = j.read(ctx); err != nil {
			return err
		}
		if err = j.write(ctx, jobs, known); err == nil {
			if err = j.endGone(ctx, jobs, known, gone, first); err != nil {
				return err
			}
			j.fill(jobs, known, gone)
			return nil
		}
		if !errors.Is(err, fault.Conflict) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(syncFaster + rand.N(20*syncFaster)):
		}
	}
	return fmt.Errorf("others are always faster: %w: %w", fault.Unavailable, err)
}

// read reads what the store knows of all jobs.
func (j *Jobs) read(ctx context.Context) (map[string]store.Document, error) {
	known := make(map[string]store.Document)
	for after := ""; ; {
		found, err := j.store.Find(ctx, store.Query{
			Collection: jobsCollection, Filter: store.Gt("id", after), Sort: []store.Order{{Field: "id"}}, Limit: store.MaxFind,
			Fields: []string{"schedule", "through", "until", "expires", "success", "host"},
		})
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			known[d.ID()] = d
		}
		if len(found) < store.MaxFind {
			return known, nil
		}
		after = found[len(found)-1].ID()
	}
}

// write writes what the store does not know of jobs, here and into known. It is a conflict when others are faster.
func (j *Jobs) write(ctx context.Context, jobs map[string]*job, known map[string]store.Document) error {
	var writes []store.Write
	now := j.clock.now()
	for name, b := range jobs {
		d := known[name]
		through, set := d.Time("through"), store.Document{}
		switch {
		case d == nil:
			known[name] = j.newDocument(b, now)
			writes = append(writes, store.Insert{Collection: jobsCollection, Document: known[name]})
			continue
		case through.After(now.Add(ahead)):
			j.log.Warn("jobs: a job was scheduled further than the clock says; the clock was set back", "job", name, "scheduled", through)
			set["through"] = now
		case (d.String("schedule") != b.from() || !d.Time("expires").IsZero()) && through.Before(now):
			set["through"] = now
		}
		if d.String("schedule") != b.from() || !d.Time("expires").IsZero() {
			set["schedule"], set["expires"] = b.from(), nil
		}
		if len(set) > 0 {
			still := store.And{store.ID(name), store.Eq("through", through)}
			writes = append(writes, store.Update{Collection: jobsCollection, Filter: still, Change: store.Change{Set: set}, Must: 1})
			maps.Copy(d, set)
		}
	}
	for len(writes) > 0 {
		n := min(len(writes), atOnce)
		if _, err := j.store.Apply(ctx, writes[:n]...); err != nil {
			return err
		}
		writes = writes[n:]
	}
	return nil
}

// endGone ends what waits of jobs that were taken out of the configuration. A host that starts can't tell them from those that only others know: what
// waits of them is ended when nobody has begun it for a while.
func (j *Jobs) endGone(ctx context.Context, jobs map[string]*job, known map[string]store.Document, gone map[string]bool, first bool) error {
	for name, d := range known {
		if jobs[name] != nil || name[0] == '*' || !d.Time("expires").IsZero() {
			continue
		}
		_, err := j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: store.ID(name), Change: store.Change{Set: store.Document{"expires": store.Now(keepGone)}}})
		if err == nil && !first && gone[name] {
			err = j.endPending(ctx, name, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endPending ends what waits of a job, and what is held by a host that is gone.
func (j *Jobs) endPending(ctx context.Context, name string, held bool) error {
	const removed = "the job is no longer configured"
	_, err := j.store.Apply(ctx,
		store.Update{Collection: jobsCollection, Filter: store.ID(name), Change: store.Change{Unset: []string{"waiting", "manual"}}},
		store.Update{Collection: jobsCollection, Filter: store.And{store.ID(name), store.Null("run")}, Change: store.Change{Unset: []string{"until"}}},
		store.Update{Collection: runsCollection, Filter: waitingOf(name), Change: j.endedAs(name, Skipped, removed)})
	if err != nil {
		return err
	}
	d, err := j.store.Get(ctx, jobsCollection, name)
	if err != nil || d.String("run") == "" || d.String("taking") != "" && !held {
		return ignore(err, fault.NotFound)
	}
	still := store.And{store.ID(name), store.Eq("run", d.String("run")), store.Eq("taking", d["taking"])}
	if held {
		still = append(still, store.Lte("until", store.Now(0)))
	}
	_, err = j.store.Apply(ctx,
		store.Update{Collection: jobsCollection, Filter: still, Change: store.Change{Unset: []string{"run", "taking", "host", "started", "until", "stop", "trigger"}}, Must: 1},
		store.Update{Collection: runsCollection, Filter: store.And{store.ID(d.String("run")), store.Ne("state", string(Ended))}, Change: j.endedAs(name, Skipped, removed)})
	return ignore(err, fault.Conflict)
}

// ignore leaves an error of a kind out.
func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// fill makes the line.
func (j *Jobs) fill(jobs map[string]*job, known map[string]store.Document, gone map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name := range gone {
		delete(j.gone, name)
	}
	for name, b := range jobs {
		if j.jobs[name] != b {
			continue
		}
		d := known[name]
		b.through, b.attend = d.Time("through"), d.Time("until")
		j.counterOf(name).succeeded(d.Time("success"))
		if !b.handled {
			j.enter(b)
		}
	}
	j.poke()
}
