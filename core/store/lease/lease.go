package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// releaseWithin bounds the releasing of a lease: one that can't be released ends by itself.
const releaseWithin = 5 * time.Second

// A Lease is held until it is lost or released. Its methods may be called at the same time.
type Lease struct {
	leases *Leases
	name   string
	taking string // told from all other takings by this
	token  int64
	ttl    time.Duration

	ctx     context.Context // what is done under the lease
	endWork context.CancelCauseFunc
	renewal context.Context // outlives the ctx that the lease was taken with
	endRun  context.CancelCauseFunc
	ended   chan struct{} // closed when the heartbeat has ended
}

// Token is a number that is greater than those of all who held this lease before, for others who have to know the latest holder.
func (l *Lease) Token() int64 { return l.token }

// Context is the one that the lease was taken with. It ends also when the lease may be lost, with a [*Lost] as its cause, or is released.
func (l *Lease) Context() context.Context { return l.ctx }

// Guard is a write that makes the Apply that it is part of a conflict when another has taken the lease, or it has been released. It
// changes the lease's document, so that of a guarded write and a taking at one moment the store carries out one after the other.
func (l *Lease) Guard() store.Write {
	return store.Update{Collection: collection, Filter: l.mine(), Change: store.Change{Add: map[string]int64{"guarded": 1}}, Must: 1}
}

// begin starts the heartbeat of a lease that was asked for at a moment.
func (l *Lease) begin(ctx context.Context, asked time.Time) {
	l.ctx, l.endWork = context.WithCancelCause(ctx)
	l.renewal, l.endRun = context.WithCancelCause(context.WithoutCancel(ctx))
	l.ended = make(chan struct{})
	go l.beat(asked)
}

// lose ends what is done under the lease.
func (l *Lease) lose(reason error) {
	lost := &Lost{l.name, reason}
	l.endRun(lost)
	l.endWork(lost)
}

// beat renews the lease every third of its time until it is lost or released. That it may be lost does not depend on the store
// answering: an alarm says so when the time has passed, unless it was set anew.
func (l *Lease) beat(asked time.Time) {
	defer close(l.ended)
	believe := l.ttl - l.ttl/10 // clocks differ a little in speed, times are cut to the millisecond, and who is told needs time to stop
	end := asked.Add(believe)
	alarm := time.AfterFunc(time.Until(end), func() {
		l.lose(fmt.Errorf("it was not renewed within %v: %w", believe, fault.Unavailable))
	})
	defer alarm.Stop()
	failing := false
	for wait := l.ttl / 3; l.pause(wait); {
		asked = time.Now()
		err := l.renew(min(l.ttl/3, time.Until(end)))
		switch {
		case err == nil:
			if !alarm.Stop() {
				return
			}
			end = asked.Add(believe)
			alarm.Reset(time.Until(end))
			wait, failing = l.ttl/3-time.Since(asked), false
		case errors.Is(err, fault.Conflict):
			l.lose(fmt.Errorf("another has taken it: %w", fault.Conflict))
			return
		default:
			if !failing && l.renewal.Err() == nil {
				l.leases.log.Warn("a lease was not renewed; it is tried again until its time has passed", "lease", l.name, "err", err)
			}
			wait, failing = l.ttl/10, true
		}
	}
}

// pause waits, and reports whether the lease is still to be renewed.
func (l *Lease) pause(d time.Duration) bool {
	select {
	case <-l.renewal.Done():
		return false
	case <-time.After(d):
		return l.renewal.Err() == nil
	}
}

// Release gives the lease back. It takes five seconds at most, and does not mind that ctx has ended. The error is a [*Lost] when the lease was lost
// before; otherwise that the store could not be told: the lease then ends when its time has passed.
func (l *Lease) Release(ctx context.Context) error {
	l.endRun(nil)
	<-l.ended
	err := l.free(ctx, releaseWithin)
	if lost, ok := errors.AsType[*Lost](context.Cause(l.renewal)); ok {
		return lost
	}
	l.endWork(nil)
	if err != nil {
		return fmt.Errorf("releasing the lease on %s: %w", l.name, err)
	}
	return nil
}

// hold runs f under the lease.
func (l *Lease) hold(f func(context.Context, *Lease) error) (err error) {
	defer func() { // also when f panics
		released := l.Release(l.ctx)
		if lost, ok := errors.AsType[*Lost](released); ok && !errors.As(err, &lost) {
			err = errors.Join(err, lost)
		} else if released != nil && !ok {
			l.leases.log.Warn("a lease could not be released: others get it when its time has passed", "lease", l.name, "err", released)
		}
	}()
	return f(l.ctx, l)
}
