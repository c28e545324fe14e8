package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	maxRunning = 512              // runs at work on a host; more wait, and may miss their grace
	drain      = 15 * time.Second // what is at work when Run has to end may take this long
	again      = time.Second      // after the store has failed, doubled up to
	againMost  = 15 * time.Second
)

// Run runs jobs until ctx ends; then it waits for what is at work, 30 seconds at most. A run that was cut off is not counted as failed, and begins anew at once
// on another host, or here when Run does. That the store is away ends nothing.
func (j *Jobs) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	renewing, stopRenewing := context.WithCancel(work)
	defer stopRenewing()
	var under, beside sync.WaitGroup
	beside.Go(func() { j.renew(renewing) })
	beside.Go(func() { j.look(ctx) })
	for j.awaitStore(ctx) {
		j.tick(ctx, work, &under)
	}
	late := time.AfterFunc(drain, cut)
	under.Wait()
	late.Stop()
	stopRenewing()
	beside.Wait()
	return nil
}

// awaitStore brings what the store and this host know of each other up to date, when that is needed. It reports false when ctx has ended.
func (j *Jobs) awaitStore(ctx context.Context) bool {
	for failing := false; ctx.Err() == nil; failing = true {
		err := j.agree(ctx)
		if err == nil {
			if failing {
				j.log.Info("jobs: the store is back; what is due runs again")
			}
			return true
		}
		if !failing && ctx.Err() == nil {
			j.log.Error("jobs: nothing is run while the store is away", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(again + rand.N(again)):
		}
	}
	return false
}

// agree asks for the time and for jobs, as far as either may have changed.
func (j *Jobs) agree(ctx context.Context) error {
	if !j.ensured.Load() {
		if err := j.store.Ensure(ctx, Collections()...); err != nil {
			return err
		}
	}
	j.mu.Lock()
	fresh := j.fresh
	j.mu.Unlock()
	if !j.ensured.Load() || j.clock.doubtful() {
		by, err := j.clock.ask(ctx, j.store, j.host)
		if err != nil {
			return err
		}
		if by.Abs() >= jump {
			if j.ensured.Load() {
				j.log.Warn("jobs: the clock was set", "by", by)
			}
			fresh = true
		}
	}
	first := !j.ensured.Swap(true)
	if !fresh && !first {
		return nil
	}
	if err := j.sync(ctx, first); err != nil {
		j.mu.Lock()
		j.fresh = true
		j.mu.Unlock()
		return err
	}
	return nil
}

// tick handles what is due now, or sleeps for a while.
func (j *Jobs) tick(ctx, work context.Context, under *sync.WaitGroup) {
	select {
	case <-ctx.Done():
		return
	case j.room <- struct{}{}:
	}
	b, wait := j.due(j.clock.now())
	if b != nil {
		under.Go(func() {
			defer func() { <-j.room }()
			j.handle(ctx, work, b)
		})
		return
	}
	<-j.room
	sleep := time.NewTimer(min(wait, j.pace.look))
	defer sleep.Stop()
	select {
	case <-ctx.Done():
	case <-j.poked:
	case <-sleep.C:
	}
}

// handle does the next thing that has to be done about a job.
func (j *Jobs) handle(ctx, work context.Context, b *job) {
	a, err := j.next(ctx, b)
	failing := err != nil && ctx.Err() == nil && !errors.Is(err, fault.Conflict)
	j.mu.Lock()
	b.handled = false
	if err == nil {
		b.tries = 0
		j.enter(b)
	} else {
		b.tries++
		delay := min(again<<min(b.tries-1, 4), againMost)
		b.attend = j.clock.now().Add(delay - rand.N(delay/5))
		j.enterAt(b, b.attend)
	}
	first := b.tries == 1
	j.mu.Unlock()
	if failing && first {
		j.log.Warn("jobs: a job could not be begun; it is tried again", "job", b.name, "error", err)
	}
	if a != nil {
		a.run(work)
	}
}

// next looks at a job's run, when that is to be looked at, or else does what is due.
func (j *Jobs) next(ctx context.Context, b *job) (*attempt, error) {
	now := j.clock.now()
	j.mu.Lock()
	attend := !b.attend.IsZero() && !b.attend.After(now)
	if attend {
		b.attend = time.Time{}
	}
	j.mu.Unlock()
	if attend {
		a, err := j.attend(ctx, b)
		if a != nil || err != nil {
			return a, err
		}
	}
	return j.begin(ctx, b, now)
}

// look looks now and then for runs that nobody on this host has begun, until ctx ends.
func (j *Jobs) look(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(j.pace.look - rand.N(j.pace.look/5)): // apart from other hosts
		}
		if !j.ensured.Load() {
			continue
		}
		if err := j.lookOnce(ctx); err != nil && ctx.Err() == nil {
			j.log.Debug("jobs: looking for runs to go on with", "error", err)
		}
	}
}

const (
	lookAtATime = 1_000
	nobody      = 10 * time.Minute // after which a run that no host knows the job of is ended
)

func (j *Jobs) lookOnce(ctx context.Context) error {
	found, err := j.store.Find(ctx, store.Query{
		Collection: jobsCollection,
		Filter:     store.And{store.Lte("until", store.Now(0)), store.Or{store.Null("paused"), store.Eq("manual", true)}},
		Sort:       []store.Order{{Field: "until"}}, Limit: lookAtATime, Fields: []string{"until"},
	})
	if err != nil {
		return err
	}
	now := j.clock.now()
	for _, d := range found {
		if _, err := j.job(d.ID()); err == nil {
			j.attendTo(d.ID(), now)
		} else if now.Sub(d.Time("until")) >= nobody {
			if err := j.endPending(ctx, d.ID(), true); err != nil {
				return err
			}
		}
	}
	return nil
}
