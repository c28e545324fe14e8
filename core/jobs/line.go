package jobs

import (
	"container/heap"
	"time"

	"github.com/onehost/edge/core/jobs/schedule"
)

// line is a heap of jobs: the first is the one that is handled next.
type line []*job

func (l line) Len() int           { return len(l) }
func (l line) Less(a, b int) bool { return l[a].at.Before(l[b].at) }
func (l line) Swap(a, b int) {
	l[a], l[b] = l[b], l[a]
	l[a].place, l[b].place = a, b
}

// Push implements [heap.Interface].
func (l *line) Push(x any) {
	b := x.(*job)
	b.place = len(*l)
	*l = append(*l, b)
}

// Pop implements [heap.Interface].
func (l *line) Pop() any {
	last := len(*l) - 1
	b := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	b.place = -1
	return b
}

// starts is when a due time's run begins.
func (b *job) starts(due time.Time) time.Time {
	if b.Jitter == 0 {
		return due
	}
	return due.Add(schedule.Jitter(b.name, due, b.Jitter))
}

// yield is how long a host waits for the one that was faster the last time.
const yield = 100 * time.Millisecond

// begins is when this host begins a due time's run.
func (b *job) begins(due time.Time) time.Time {
	if b.theirs {
		return b.starts(due).Add(yield)
	}
	return b.starts(due)
}

// enter puts a job into the line for the next time that something has to be done about it, unless another has taken its place in the configuration. j.mu is held.
func (j *Jobs) enter(b *job) {
	if j.jobs[b.name] != b {
		return
	}
	if b.place >= 0 {
		heap.Remove(&j.line, b.place)
	}
	at := b.attend
	if due, ok := b.Next(b.through); ok {
		if starts := b.begins(due); at.IsZero() || starts.Before(at) {
			at = starts
		}
	}
	if !at.IsZero() {
		j.enterAt(b, at)
	}
}

// enterAt puts a job that is not in the line there. j.mu is held.
func (j *Jobs) enterAt(b *job, at time.Time) {
	if j.jobs[b.name] != b {
		return
	}
	b.at = at
	heap.Push(&j.line, b)
	if b.place == 0 {
		j.poke()
	}
}

// attendTo has a job's run looked at at a moment, on this host too.
func (j *Jobs) attendTo(name string, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.jobs[name]
	if b == nil || !b.attend.IsZero() && !at.Before(b.attend) {
		return
	}
	b.attend = at
	if !b.handled {
		j.enter(b)
	}
}

// moved says up to which due time a job has been scheduled, and whether by another host.
func (j *Jobs) moved(b *job, through time.Time, theirs bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if through.After(b.through) {
		b.through = through
	}
	b.theirs = theirs
}

// due returns the first job of the line when it has to be handled by now, without its place; otherwise how long that takes.
func (j *Jobs) due(now time.Time) (*job, time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.line) == 0 {
		return nil, j.pace.look
	}
	if wait := j.line[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	b := heap.Pop(&j.line).(*job)
	b.handled = true
	return b, 0
}
