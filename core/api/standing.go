package api

import (
	"context"
	"sync"
	"time"

	"github.com/onehost/edge/core/api/migrate"
	"github.com/onehost/edge/core/fault"
)

// LookEvery is how often [Plan.Look] wants to be called.
const LookEvery = time.Second

// settle is how long hosts with older types have to notice that entries are about to be changed: several times LookEvery.
const settle = 5 * time.Second

// standing is whether what is kept is as the types in service want it.
type standing struct {
	mu       sync.Mutex
	changing int // plans that change what is kept
	of       *service
	revision int64 // of what is kept, when it was last looked at for that service
	err      error // what was found then
}

// migrate brings what is kept to the types of a new service. While entries have to be changed for it, those of the one before are not served: they would be read
// by half, and written as they were.
func (a *API) migrate(ctx context.Context, steps *migrate.Steps, next *service) error {
	if a.Shared {
		steps.Settle = settle
	}
	before := a.service.Load()
	if before == nil || before == next || !steps.Rewrites() {
		return steps.Apply(ctx)
	}
	a.standing.begin(func() {
		before.ready.Store(false)
		a.Entries.Halt(before.set)
	})
	err := steps.Apply(ctx)
	a.standing.end()
	if err != nil {
		_ = a.look(context.WithoutCancel(ctx), before) // it may go on as before
	}
	return err
}

func (s *standing) begin(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changing++
	do()
}

func (s *standing) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changing--
	s.of = nil
}

// Prepared reports whether Prepare has come to its end once.
func (p *Plan) Prepared() bool { return p.next == nil || p.next.prepared.Load() }

// Look sees whether what is kept is still as the types of a prepared plan in service want it: another host may have newer ones. If not, which the error says,
// requests are answered with 503 until it is so again, or there is another plan.
func (p *Plan) Look(ctx context.Context) error {
	if p.next == nil || !p.api.Shared && p.next.ready.Load() {
		return nil
	}
	return p.api.look(ctx, p.next)
}

func (a *API) look(ctx context.Context, of *service) error {
	s := &a.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changing > 0 {
		return nil
	}
	revision, err := migrate.Revision(ctx, a.Store)
	if err != nil {
		return err
	}
	if revision == s.revision && s.of == of {
		return s.err
	}
	if err = migrate.Fits(ctx, a.Store, of.set); fault.CodeOf(err) == fault.Unavailable {
		return err
	}
	s.of, s.revision, s.err = of, revision, err
	if err == nil {
		a.Entries.Halt(nil)
		of.ready.Store(true)
		return nil
	}
	of.ready.Store(false)
	a.Entries.Halt(of.set)
	return err
}
