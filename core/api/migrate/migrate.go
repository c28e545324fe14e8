// Package migrate brings entries from one set of content types to the next: it finds out what has changed, refuses what would lose or
// contradict what is kept, and changes the rows that have to change.
//
// What is kept is never thrown away: the values of an attribute that is removed stay in its rows, and the rows of a type in its collection. They
// are not seen, and are seen again when the attribute or type comes back. So what is compared with the new set is all that there ever was. The types
// that are in force are replaced when all rows are as the new ones want them; a process that ends before is followed by one that goes on where it stopped.
//
// In come two sets, and what becomes of a row from one to the other. What content types are, the room schema knows, and how entries
// lie in the store, the room rows.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
)

// Steps lead from the set that is kept to a new one.
type Steps struct {
	store   store.Store
	to      *schema.Set
	was     kept
	begun   *Steps // a migration to another set that was not finished: it is, first
	works   []*work
	summary []string

	// Settle is how long Apply leaves rows alone after it has said that it changes them: hosts with the old types notice it meanwhile by [Fits], and write
	// no more. 0: there are none.
	Settle time.Duration
}

// The right to change rows: what it is called, and how long others wait for it after a crash.
const (
	leaseName = "api-schema"
	hold      = 30 * time.Second
)

// A Refusal is a conflict: what is kept stands in the way of new content types.
type Refusal struct{ Reasons []string }

func (r *Refusal) Error() string {
	return "the content types can't be changed so:\n  " + strings.Join(r.Reasons, "\n  ")
}

// Unwrap makes it a conflict.
func (r *Refusal) Unwrap() error { return fault.Conflict }

// Plan compares the kept set with a new one, and looks at the rows where they decide. It changes none. What stands in the way is a [*Refusal], which says
// all of it and what to do about it.
func Plan(ctx context.Context, s store.Store, to *schema.Set) (*Steps, error) {
	if err := s.Ensure(ctx, collection()); err != nil {
		return nil, err
	}
	was, err := read(ctx, s)
	if err != nil {
		return nil, err
	}
	return plan(ctx, s, was, to)
}

func plan(ctx context.Context, s store.Store, was kept, to *schema.Set) (*Steps, error) {
	steps := &Steps{store: s, to: to, was: was}
	if was.begun != nil && !same(was.begun, to) {
		begun := was
		var err error
		if steps.begun, err = plan(ctx, s, begun, was.begun); err != nil {
			return nil, fmt.Errorf("a change of content types was begun and not finished, and has to be first: %w", err)
		}
		steps.summary = []string{"a change of content types that was begun before is finished first, and the new types are compared with what it leaves"}
		return steps, nil
	}
	c := &comparison{was: was, to: to}
	c.compare()
	steps.summary = c.summary
	for _, w := range c.works {
		if err := w.look(ctx, s); err != nil {
			return nil, err
		}
		c.refused = append(c.refused, w.reasons()...)
		steps.works = append(steps.works, w)
	}
	if len(c.refused) > 0 {
		return nil, &Refusal{c.refused}
	}
	return steps, nil
}

// Summary says in sentences what changes, warnings included. It is empty when nothing does.
func (s *Steps) Summary() []string { return slices.Clone(s.summary) }

// Rewrites reports whether rows may have to change. Nobody may write any with the old types meanwhile.
func (s *Steps) Rewrites() bool {
	return s.begun != nil || slices.ContainsFunc(s.works, (*work).rewrites)
}

// Apply does the steps, and keeps the new set when they are done. It brings the collections of all types into being as well. Of several hosts one does it,
// and the others wait until ctx ends.
func (s *Steps) Apply(ctx context.Context) error {
	if err := s.store.Ensure(ctx, lease.Collection()); err != nil {
		return err
	}
	if s.was.begun == nil && s.was.now != nil && same(s.was.now, s.to) {
		return s.ensure(ctx)
	}
	host, _ := os.Hostname() // only to tell others who it is
	leases := lease.New(s.store, fmt.Sprintf("%s, process %d", host, os.Getpid()), slog.New(slog.DiscardHandler))
	return leases.HoldWhenFree(ctx, leaseName, hold, func(ctx context.Context, l *lease.Lease) error {
		return s.under(ctx, l)
	})
}

// under does the steps under the lease. What another host has done since they were planned makes a new plan necessary.
func (s *Steps) under(ctx context.Context, l *lease.Lease) error {
	was, err := read(ctx, s.store)
	if err != nil {
		return err
	}
	if was.revision != s.was.revision {
		settle := s.Settle
		if s, err = plan(ctx, s.store, was, s.to); err != nil {
			return err
		}
		s.Settle = settle
	}
	if s.begun != nil {
		s.begun.Settle = s.Settle
		if err := s.begun.change(ctx, l); err != nil {
			return err
		}
		return s.under(ctx, l)
	}
	if err := s.change(ctx, l); err != nil {
		return err
	}
	return s.ensure(ctx)
}

// change changes rows, and then which types are in force.
func (s *Steps) change(ctx context.Context, l *lease.Lease) error {
	if s.was.begun == nil && s.was.now != nil && same(s.was.now, s.to) {
		return nil
	}
	if err := begin(ctx, s.store, l, s.was, s.to); err != nil {
		return err
	}
	if s.Rewrites() {
		select {
		case <-time.After(s.Settle):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, w := range s.works {
		if w.rewrites() {
			if err := w.rewrite(ctx, s.store, l); err != nil {
				return err
			}
		}
	}
	return finish(ctx, s.store, l, s.was, s.to)
}

// ensure brings the collections into being as the types want them.
func (s *Steps) ensure(ctx context.Context) error {
	ctx, cancel := patient(ctx)
	defer cancel()
	for _, t := range s.to.Types() {
		err := s.store.Ensure(ctx, rows.Collection(t))
		if double, ok := errors.AsType[*store.Duplicate](err); ok {
			return &Refusal{[]string{fmt.Sprintf("%s: several entries have the same %s, which is unique: change all but one of them", t.Name, strings.Join(double.Fields, ", "))}}
		}
		if err != nil {
			return fmt.Errorf("the collection of %s: %w", t.Name, err)
		}
	}
	return nil
}
