// Package jobs runs what is configured under jobs: each due time once, on one of the hosts that share a store, and remembers what came of it.
//
// In come the clock, the runs and their records. When a job is due is known to package schedule alone, what a run does to a [Runner], and how the configuration
// is written to package config.
//
// # Once for each due time
//
// A job has one document, which says up to which due time it has been scheduled (through), and which run has the job now. Whoever comes first with a due time
// moves through on and inserts the run, whose id is made of the job and the due time, in one atomic write: so a due time has one run, whatever hosts and
// clocks do.
//
// A run is held under a taking that is new each time. Its holder renews it every 4 seconds, and believes in it for 18; the others may take it after 20 seconds by the store's clock and look every
// 4: after kill -9, SIGSTOP or the loss of the network a run goes on elsewhere within 25 seconds, under the same id, and what the one before says then changes nothing, because it is written
// down only under the taking that it began with. It may thus be begun more than once, but when its success was written down, it never is again. A run whose hosts have died ten times is lost.
//
// # Time
//
// Hosts go by the store's clock: they ask for it once a minute, and at once when their own was set. Between that they count. They never sleep for
// more than a few seconds, so a clock that was set, or a machine that slept, is noticed. When the store's clock jumps forward, the due times that it has jumped over were missed; when it is
// set back, those that have a run don't get another.
//
// Who was faster with a job's due time is first with the next one: the others let 100 ms go by, and then only look whether it is done. So hosts don't get in each other's way.
//
// # Missed
//
// A due time is missed when a run could not begin before it, plus jitter and grace, was over: nobody was there, or the store was away. What is done about it says missed. A job
// that is new, has another schedule, comes back into the configuration or was paused has missed nothing before that.
//
// # Overlap
//
// A job has one run at a time on all hosts together; one that waits for its next attempt counts as well. A due time that finds one is left out (skip), waits in line (queue, 100 at most), or
// has that one stopped and takes its place (replace): at once on the same host, with the holder's next renewal on another. Runs that make up for missed ones (missed: all) follow one another.
//
// # Pause
//
// A paused job is not due. What is at work ends; what waits, for its turn or its next attempt, does so until the job is resumed. A person can run it all the same.
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/jobs/schedule"
	"github.com/onehost/edge/core/store"
)

// Trigger is why a run began.
type Trigger string

// Triggers.
const (
	Scheduled Trigger = "schedule"
	Manual    Trigger = "manual"   // a person has asked for it
	CatchUp   Trigger = "catch-up" // it makes up for due times that were missed
)

// Run is one attempt at a run, as its Runner gets it.
type Run struct {
	ID        string // the same in all attempts
	Job       string
	Due       time.Time
	Attempt   int // from 1
	Trigger   Trigger
	RequestID string // under which it can be traced; new in each attempt
}

// Result is what a Runner tells of a run.
type Result struct {
	Output    string // what it has said; the last 4 KiB are kept
	RequestID string // under which it can be traced, when that is another than the Run's
}

// Runner does what a job does. It returns soon after ctx has ended: what has not after five seconds is left behind. An error makes the run one to be
// tried again, as the job says; a [*Permanent] never is, and a [*Down] says that nothing has happened. An error with a method RetryAfter() time.Duration
// is one to be left alone for so long, a day at most.
type Runner interface {
	Run(ctx context.Context, r Run) (Result, error)
}

// Pinger tells an outside watcher of runs. It never blocks. Failed is for a run that has failed for good; Started is for each attempt.
type Pinger interface {
	Started(r Run)
	Succeeded(r Run, took time.Duration, output string)
	Failed(r Run, err error, output string)
}

// Permanent is the error of a run that would fail however often it is tried.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }

// Unwrap returns the reason.
func (p *Permanent) Unwrap() error { return p.Err }

// Down is the error of a run that has not happened because what does it is not there. It is tried again without spending a retry, until the job's next due
// time comes or its timeout has passed.
type Down struct{ Err error }

func (d *Down) Error() string { return d.Err.Error() }

// Unwrap returns the reason.
func (d *Down) Unwrap() error { return d.Err }

// Busy is the conflict of a job that can't be run now because its run before has not ended, and overlap is skip.
type Busy struct {
	Job, Run, Host string // Host is "" when the run waits for its next attempt
}

func (b *Busy) Error() string {
	where := "waits for its next attempt"
	if b.Host != "" {
		where = "runs on " + b.Host
	}
	return fmt.Sprintf("the run before, %s, has not ended (it %s), and the job's overlap is skip: try again when it has", b.Run, where)
}

// Unwrap makes it a conflict.
func (b *Busy) Unwrap() error { return fault.Conflict }

// Options are what Jobs needs.
type Options struct {
	Store  store.Store
	Runner Runner
	Pinger Pinger // nil: nobody is told
	Host   string // this host's name in records
	Log    *slog.Logger
}

// timetable says when a job is due: a [*schedule.Schedule].
type timetable interface {
	Next(after time.Time) (due time.Time, ok bool)
	Between(from, until time.Time, most int) (due []time.Time, more bool)
}

// pace is how fast hosts follow each other.
type pace struct {
	hold time.Duration // how long a run is held without being renewed
	beat time.Duration // how often it is renewed
	look time.Duration // how often others look
}

// Jobs runs jobs. Its methods may be called at the same time.
type Jobs struct {
	store  store.Store
	runner Runner
	pinger Pinger
	host   string
	log    *slog.Logger
	parse  func(config.Job) (timetable, error)
	pace   pace
	clock  *clock
	room   chan struct{} // one for each run, and each look at what is due, at a time

	ensured atomic.Bool
	poked   chan struct{} // holds one when the line has changed

	mu      sync.Mutex
	jobs    map[string]*job
	line    line
	fresh   bool            // the configuration is new to the store
	gone    map[string]bool // jobs that were configured, until the store knows
	active  map[string]*attempt
	left    map[string]int // by job: runs that were left behind
	counted map[string]*counter
}

// job is one that is configured. What changes is guarded by Jobs.mu.
type job struct {
	name string
	config.Job
	timetable
	through time.Time // up to which due time it has been scheduled, as far as this host knows
	theirs  bool      // another host was faster the last time
	attend  time.Time // when its run has to be looked at; zero: others say so
	tries   int       // how often the store has failed it in a row
	at      time.Time // when it is handled
	place   int       // in the line; -1: in none
	handled bool      // it is, and enters the line when that is over
}

// New returns jobs that nobody runs before [Jobs.Use] and [Jobs.Run].
func New(o Options) *Jobs {
	return &Jobs{
		store: o.Store, runner: o.Runner, pinger: o.Pinger, host: o.Host, log: o.Log,
		parse: func(j config.Job) (timetable, error) { return schedule.Parse(j) },
		pace:  pace{hold: 20 * time.Second, beat: 4 * time.Second, look: 4 * time.Second},
		clock: newClock(), room: make(chan struct{}, maxRunning), poked: make(chan struct{}, 1),
		jobs: make(map[string]*job), gone: make(map[string]bool), active: make(map[string]*attempt), left: make(map[string]int),
		counted: make(map[string]*counter),
	}
}

// Use makes these the jobs from now on. What was due before by a schedule that has changed is not due again; runs at work end as they began, and what waits
// of a job that is gone is ended. When one is invalid, nothing changes.
func (j *Jobs) Use(configured map[string]config.Job) error {
	jobs := make(map[string]*job, len(configured))
	var wrong []error
	for name, c := range configured {
		table, err := j.parse(c)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("job %s: %w", name, err))
			continue
		}
		c.Timeout, c.Backoff = cmp.Or(c.Timeout, defaultTimeout), cmp.Or(c.Backoff, defaultBackoff)
		c.Grace, c.Retention = cmp.Or(c.Grace, defaultGrace), cmp.Or(c.Retention, defaultRetention)
		jobs[name] = &job{name: name, Job: c, timetable: table, place: -1}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for name := range j.jobs {
		if jobs[name] == nil {
			j.gone[name] = true
		}
	}
	for name := range jobs {
		delete(j.gone, name)
	}
	maps.DeleteFunc(j.counted, func(name string, _ *counter) bool { return jobs[name] == nil })
	j.jobs, j.line, j.fresh = jobs, nil, true
	j.poke()
	return nil
}

// job returns the one of a name, if it is configured.
func (j *Jobs) job(name string) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if b := j.jobs[name]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("there is no job %.100q: %w", name, fault.NotFound)
}

// poke says that the line has changed.
func (j *Jobs) poke() {
	select {
	case j.poked <- struct{}{}:
	default:
	}
}
