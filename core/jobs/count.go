package jobs

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Count is what this host has counted of a job since it started, for metrics.
type Count struct {
	Job         string
	Runs        map[Outcome]int64 // what ended here
	Missed      int64             // due times whose being missed was noticed here
	LastSuccess time.Time         // here, or anywhere before this host started
}

type counter struct {
	runs    map[Outcome]int64
	missed  int64
	success time.Time
}

func (c *counter) succeeded(at time.Time) {
	if at.After(c.success) {
		c.success = at
	}
}

// counterOf returns a job's. j.mu is held.
func (j *Jobs) counterOf(name string) *counter {
	c := j.counted[name]
	if c == nil {
		c = &counter{}
		j.counted[name] = c
	}
	return c
}

// count counts a run that has ended, unless the outcome is "", and due times that were missed.
func (j *Jobs) count(name string, o Outcome, missed int) {
	now := j.clock.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.jobs[name] == nil {
		return
	}
	c := j.counterOf(name)
	c.missed += int64(missed)
	if o == "" {
		return
	}
	if c.runs == nil {
		c.runs = make(map[Outcome]int64)
	}
	c.runs[o]++
	if o == Succeeded {
		c.succeeded(now)
	}
}

// Counts returns what was counted, by job.
func (j *Jobs) Counts() []Count {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Count, 0, len(j.counted))
	for name, c := range j.counted {
		all = append(all, Count{Job: name, Runs: maps.Clone(c.runs), Missed: c.missed, LastSuccess: c.success})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Compare(a.Job, b.Job) })
	return all
}
