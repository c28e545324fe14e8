package jobs

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/onehost/edge/core/store"
)

// Status is how a job does.
type Status struct {
	Job         string    `json:"job"`
	Next        time.Time `json:"next,omitzero"`   // due time; jitter comes on top. Zero: never, or it is paused
	Paused      time.Time `json:"paused,omitzero"` // since when; zero: it is not
	Run         *Record   `json:"run,omitempty"`   // that has the job now: at work, or waiting for its next attempt
	Waiting     int       `json:"waiting,omitempty"`
	Last        *Record   `json:"last,omitempty"` // the latest run that has ended, without its output
	LastSuccess time.Time `json:"last_success,omitzero"`
	Failures    int       `json:"failures,omitempty"` // since the last success
	Missed      int       `json:"missed,omitempty"`   // due times that were missed, ever, whether they were made up for or not
	// Late says that a due time, jitter and grace have passed and its run has not begun, LateBy by how much; waiting counts.
	Late   bool          `json:"late,omitempty"`
	LateBy time.Duration `json:"late_by,omitempty"`
	// Silent says that it has not succeeded for longer than expect. What is paused is not silent.
	Silent bool `json:"silent,omitempty"`
}

// Status returns how all configured jobs do, by name. It is unavailable when the store is.
func (j *Jobs) Status(ctx context.Context) ([]Status, error) {
	if err := j.store.Ensure(ctx, Collections()...); err != nil {
		return nil, err
	}
	found := make(map[string]store.Document)
	for after := ""; ; {
		some, err := j.store.Find(ctx, store.Query{
			Collection: jobsCollection, Filter: store.Gt("id", after), Sort: []store.Order{{Field: "id"}}, Limit: store.MaxFind,
		})
		if err != nil {
			return nil, err
		}
		for _, d := range some {
			found[d.ID()] = d
		}
		if len(some) < store.MaxFind {
			break
		}
		after = some[len(some)-1].ID()
	}
	waits, err := j.waitsSince(ctx, found)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	jobs := slices.Collect(maps.Values(j.jobs))
	j.mu.Unlock()
	now := j.clock.now()
	all := make([]Status, 0, len(jobs))
	for _, b := range jobs {
		all = append(all, b.status(found[b.name], waits[b.name], now))
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Job, b.Job) })
	return all, nil
}

// waitsSince returns the due time of the first run that waits of each job.
func (j *Jobs) waitsSince(ctx context.Context, found map[string]store.Document) (map[string]time.Time, error) {
	waits := make(map[string]time.Time)
	for name, d := range found {
		if d.Int("waiting") == 0 {
			continue
		}
		first, err := j.store.Find(ctx, store.Query{
			Collection: runsCollection, Filter: waitingOf(name), Sort: []store.Order{{Field: "due"}}, Limit: 1, Fields: []string{"due"},
		})
		if err != nil {
			return nil, err
		}
		if len(first) > 0 {
			waits[name] = first[0].Time("due")
		}
	}
	return waits, nil
}

// status is how a job does by its document, which may be nil, with the due time of the first run that waits.
func (b *job) status(d store.Document, waits, now time.Time) Status {
	s := Status{
		Job: b.name, Paused: d.Time("paused"), Waiting: int(d.Int("waiting")), LastSuccess: d.Time("success"), Failures: int(d.Int("failures")), Missed: int(d.Int("missed")),
	}
	if id := d.String("run"); id != "" {
		s.Run = &Record{ID: id, Job: b.name, Host: d.String("host"), Started: d.Time("started"), Trigger: Trigger(d.String("trigger")), State: Retrying}
		if s.Run.Host != "" {
			s.Run.State = Running
		}
	}
	if last := d.Document("last"); last != nil {
		r := decode(last)
		r.Job, r.State = b.name, Ended
		s.Last = &r
	}
	if !s.Paused.IsZero() {
		return s
	}
	s.Next, _ = b.Next(now)
	if d == nil {
		return s
	}
	if late, ok := b.Next(d.Time("through")); ok && b.isMissed(late, now) {
		s.Late, s.LateBy = true, now.Sub(b.starts(late))
	}
	if !waits.IsZero() && b.isMissed(waits, now) {
		s.Late, s.LateBy = true, max(s.LateBy, now.Sub(b.starts(waits)))
	}
	if b.Expect > 0 {
		heard := slices.MaxFunc([]time.Time{d.Time("success"), d.Time("since"), d.Time("resumed")}, time.Time.Compare)
		s.Silent = now.Sub(heard) > b.Expect
	}
	return s
}

// Filter says which records are asked for.
type Filter struct {
	Job   string // "": of all
	Limit int    // 1 to 10,000; 0: 100
	After string // the id of the last one before; "": from the latest on
}

// History returns records, the latest due first. After is not_found when that record is gone. It is invalid when there can't be so many.
func (j *Jobs) History(ctx context.Context, f Filter) ([]Record, error) {
	if err := j.store.Ensure(ctx, Collections()...); err != nil {
		return nil, err
	}
	var which store.And
	if f.Job != "" {
		which = append(which, store.Eq("job", f.Job))
	}
	if f.After != "" {
		after, err := j.Get(ctx, f.After)
		if err != nil {
			return nil, err
		}
		which = append(which, store.Or{store.Lt("due", after.Due), store.And{store.Eq("due", after.Due), store.Lt("id", after.ID)}})
	}
	found, err := j.store.Find(ctx, store.Query{
		Collection: runsCollection, Filter: which, Sort: []store.Order{{Field: "due", Descending: true}}, Limit: cmp.Or(f.Limit, 100),
	})
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(found))
	for i, d := range found {
		records[i] = decode(d)
	}
	return records, nil
}

// Get returns the record of an id, or not_found.
func (j *Jobs) Get(ctx context.Context, id string) (Record, error) {
	if err := j.store.Ensure(ctx, Collections()...); err != nil {
		return Record{}, err
	}
	d, err := j.store.Get(ctx, runsCollection, id)
	if err != nil {
		return Record{}, err
	}
	return decode(d), nil
}
