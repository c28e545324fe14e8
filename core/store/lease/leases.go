// Package lease gives the right to do something alone for a while, renewed: one process of all that share a store runs a job,
// orders a certificate, moves a schedule on.
//
// A lease has a name, is held by one, and ends by itself when it is not renewed. Whether it has ended is judged by the store's
// clock alone; its holder counts on the computer's monotonic clock how long it may believe that it holds the lease, from before
// the store was asked, and stops earlier than the store would give it to another. No host's wall clock is read, so none can be wrong.
//
// That is enough while processes run and clocks go at one speed. It is not when a process is stopped in the middle of its work, or
// a whole machine, whose monotonic clock then stands still too: on waking it may write once more before it finds out. So what must
// happen once is written together with [Lease.Guard], and the store refuses it as soon as another has the lease. The same holds when the
// store's own clock is set forward. When it is set back, the lease of one that has crashed stays as much longer.
//
// In come names, and functions to run. What is done under a lease is not known here.
//
// # What is kept
//
// A document for each name, which stays when the lease is released, because its token must not go back: a [Lease.Token] is greater
// than all before it of that name. A document that nobody has used for a day is removed by those who make new ones, and one more document, the
// floor, keeps the greatest token of all that were removed: new documents begin there. So names may be as many as one likes.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// MinTTL is the shortest time that a lease can be taken for. A tenth of it is far more than the millisecond to which a store cuts times.
const MinTTL = 100 * time.Millisecond

// How often a lease is asked for that another holds: at first, and in the end.
const (
	firstPoll = 20 * time.Millisecond
	lastPoll  = time.Second
)

// Leases takes leases in one store in the name of one holder. Its methods may be called at the same time.
type Leases struct {
	store  store.Store
	holder string
	log    *slog.Logger
}

// New returns leases in s, whose collection has to be brought into being: see [Collection]. The holder is what others read when they
// can't have a lease: a host and what runs there.
func New(s store.Store, holder string, log *slog.Logger) *Leases {
	return &Leases{s, holder, log}
}

// Held is a conflict: another holds the lease.
type Held struct {
	Name   string
	Holder string
}

func (h *Held) Error() string { return fmt.Sprintf("%s is done by %s at the moment", h.Name, h.Holder) }

// Unwrap makes it a conflict.
func (h *Held) Unwrap() error { return fault.Conflict }

// Lost says that a lease ended, or may have, before it was released: another may have taken it since.
type Lost struct {
	Name   string
	Reason error // conflict when it is known that it was taken or removed, unavailable when it could not be renewed in time
}

func (l *Lost) Error() string {
	return fmt.Sprintf("%s is no longer done here alone: %v", l.Name, l.Reason)
}

// Unwrap returns the reason.
func (l *Lost) Unwrap() error { return l.Reason }

// Hold takes the lease of that name and runs f while it is renewed, or returns a [*Held] at once when another holds it. The context
// of f ends as soon as the lease may be lost; its cause is then a [*Lost]. Hold returns when f has, and the lease is released.
//
// The error is f's. If the lease was lost, that it was is among it, even when f returned nil: what f did it may not have done alone.
func (ls *Leases) Hold(ctx context.Context, name string, ttl time.Duration, f func(ctx context.Context, l *Lease) error) error {
	l, err := ls.Take(ctx, name, ttl)
	if err != nil {
		return err
	}
	return l.hold(f)
}

// HoldWhenFree is Hold, but waits until ctx ends for a lease that another holds.
func (ls *Leases) HoldWhenFree(ctx context.Context, name string, ttl time.Duration, f func(ctx context.Context, l *Lease) error) error {
	l, err := ls.TakeWhenFree(ctx, name, ttl)
	if err != nil {
		return err
	}
	return l.hold(f)
}

// Take takes the lease of that name for whoever cannot use [Leases.Hold], or returns a [*Held] when another holds it. The lease is renewed until
// it is lost or [Lease.Release] is called, which has to be done, even when ctx has ended.
//
// What it needs of the store that fails is returned as it is; a ttl under [MinTTL] is invalid.
func (ls *Leases) Take(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	if name == floor || ttl < MinTTL {
		return nil, fmt.Errorf("a lease on %q for %v: a name is not %s, a time %v at least: %w", name, ttl, floor, MinTTL, fault.Invalid)
	}
	l := &Lease{leases: ls, name: name, taking: store.NewID(), ttl: ttl}
	before := time.Now()
	if err := l.take(ctx); err != nil {
		if !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.Invalid) {
			_ = l.free(ctx, time.Second) // it may have been taken all the same
		}
		return nil, fmt.Errorf("taking the lease on %s: %w", name, err)
	}
	l.begin(ctx, before)
	return l, nil
}

// TakeWhenFree is Take, but waits until ctx ends for a lease that another holds.
func (ls *Leases) TakeWhenFree(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		l, err := ls.Take(ctx, name, ttl)
		if _, held := errors.AsType[*Held](err); !held {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a lease: %w: %w", err, ctx.Err())
		case <-time.After(poll/2 + rand.N(poll/2)): // apart from others who wait
		}
	}
}
