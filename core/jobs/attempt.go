package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	leaveAfter   = 5 * time.Second // a Runner that does not return when it has to is left behind
	maxLeft      = 10              // of a job; more are not begun
	settleWithin = 5 * time.Second
	settleAgain  = time.Second
)

// attempt is one try of a run, held by this host.
type attempt struct {
	*Jobs
	job    *job
	record Record
	tries  int64     // how many have failed before
	down   time.Time // since when it could not be begun
	taking string
	asked  time.Time // when the store was asked to have it held, as this host counts
	next   bool      // there is more to do about the job when it has ended

	ctx   context.Context // ends, with one of the errors below as its cause, when it is to stop
	cut   context.CancelCauseFunc
	alarm *time.Timer // ends it when it was not renewed
}

var (
	errReplaced = errors.New("the next run takes its place")
	errLost     = errors.New("another host may run it: it could not be renewed in time")
	errTimeout  = errors.New("timeout")
)

func (j *Jobs) newAttempt(b *job, r Record) *attempt {
	r.State, r.Host, r.Started, r.RequestID = Running, j.host, j.clock.now(), store.NewID()
	r.Attempt++
	a := &attempt{Jobs: j, job: b, record: r, taking: store.NewID(), asked: time.Now()}
	a.ctx, a.cut = context.WithCancelCause(context.Background())
	return a
}

// holds is what holding a run makes of its job.
func (a *attempt) holds() store.Change {
	return store.Change{Set: store.Document{
		"run": a.record.ID, "taking": a.taking, "host": a.host, "started": store.Now(0), "until": store.Now(a.pace.hold), "trigger": string(a.record.Trigger),
	}}
}

// begins is the document of a run that begins as soon as it is there.
func (a *attempt) begins() store.Document {
	d := a.record.encode()
	d["taking"] = a.taking
	return d
}

// continues is what the attempt makes of the document of a run that was there.
func (a *attempt) continues(add map[string]int64) store.Change {
	r := a.record
	return store.Change{
		Set: store.Document{"state": string(Running), "host": r.Host, "started": store.Now(0), "request": r.RequestID, "attempt": int64(r.Attempt), "taking": a.taking},
		Add: add,
	}
}

// run makes the attempt and writes down what came of it.
func (a *attempt) run(work context.Context) {
	defer a.release()
	defer context.AfterFunc(work, func() { a.cut(context.Canceled) })()
	r := Run{
		ID: a.record.ID, Job: a.record.Job, Due: a.record.Due, Attempt: a.record.Attempt, Trigger: a.record.Trigger, RequestID: a.record.RequestID,
	}
	if a.pinger != nil {
		a.pinger.Started(r)
	}
	began := time.Now()
	result, err := a.call(r)
	a.record.Output = tail(result.Output)
	if result.RequestID != "" {
		a.record.RequestID = clip(result.RequestID)
	}
	v := a.judge(work, err)
	if a.settle(work, v) {
		a.tell(r, v, time.Since(began))
	}
}

// call has the Runner do it, until the job's timeout has passed or the attempt is to stop.
func (a *attempt) call(r Run) (Result, error) {
	if !a.mayHang() {
		return Result{}, &Permanent{fmt.Errorf("%d runs of this job hang and can't be ended: restart edge, and mend what the job does", maxLeft)}
	}
	ctx, cancel := context.WithTimeoutCause(a.ctx, a.job.Timeout, errTimeout)
	defer cancel()
	type answer struct {
		Result
		error
	}
	answers := make(chan answer, 1)
	go func() {
		defer a.back()
		defer func() { // a panic is one run's, and no one else's
			if p := recover(); p != nil {
				answers <- answer{Result{Output: string(debug.Stack())}, fmt.Errorf("panic: %v", p)}
			}
		}()
		result, err := a.runner.Run(ctx, r)
		answers <- answer{result, err}
	}()
	select {
	case got := <-answers:
		return got.Result, said(ctx, got.error, a.job.Timeout)
	case <-ctx.Done():
	}
	patience := time.NewTimer(leaveAfter)
	defer patience.Stop()
	select {
	case got := <-answers:
		return got.Result, said(ctx, got.error, a.job.Timeout)
	case <-patience.C:
	}
	a.log.Error("jobs: a run did not end when it was told to, and is left behind; it may go on until edge is restarted", "job", r.Job, "run", r.ID, "why", context.Cause(ctx))
	return Result{}, said(ctx, errors.New("it did not end when it was told to, and was left behind"), a.job.Timeout)
}

// said makes an error say that its time was over.
func said(ctx context.Context, err error, timeout time.Duration) error {
	if err != nil && context.Cause(ctx) == errTimeout { //nolint:errorlint // it is the cause itself
		return fmt.Errorf("it took longer than its timeout of %v: %w", timeout, err)
	}
	return err
}

// mayHang counts one more that may be left behind, if there may be.
func (a *attempt) mayHang() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left[a.record.Job] >= maxLeft {
		return false
	}
	a.left[a.record.Job]++
	return true
}

// back counts one less: it has come back.
func (a *attempt) back() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left[a.record.Job]--; a.left[a.record.Job] == 0 {
		delete(a.left, a.record.Job)
	}
}

// settle writes down what came of the attempt, if it is still this host's. When the store is away it waits, as long as the attempt is held and work goes on.
func (a *attempt) settle(work context.Context, v verdict) bool {
	a.next = v.outcome == ""
	for waits := 0; ; waits++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), settleWithin)
		_, err := a.store.Apply(ctx, a.writes(v)...)
		cancel()
		switch {
		case err == nil:
			return true
		case errors.Is(err, fault.Conflict) && !a.next: // others wait
			a.next = true
			continue
		case errors.Is(err, fault.Conflict):
			if waits > 0 && a.settled(work) { // an earlier try was carried out, with only its answer lost
				return true
			}
			a.log.Warn("jobs: what came of a run does not count: it was taken over", "job", a.record.Job, "run", a.record.ID, "came", string(v.outcome), "error", v.reason)
			return false
		case !errors.Is(err, fault.Unavailable) || work.Err() != nil || context.Cause(a.ctx) == errLost: //nolint:errorlint // it is the cause itself
			a.log.Error("jobs: what came of a run could not be kept; it begins anew", "job", a.record.Job, "run", a.record.ID, "came", string(v.outcome), "error", err)
			return false
		}
		select {
		case <-work.Done():
		case <-time.After(settleAgain):
		}
	}
}

// settled reports whether what came of the attempt was written down.
func (a *attempt) settled(work context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), settleWithin)
	defer cancel()
	d, err := a.store.Get(ctx, runsCollection, a.record.ID)
	return err == nil && d.String("taking") == a.taking && d.String("state") != string(Running)
}
