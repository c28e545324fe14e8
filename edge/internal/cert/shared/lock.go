package shared

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
)

const (
	leaseTime = 10 * time.Second // after which the lock of a host that was killed is free
	leasePoll = 500 * time.Millisecond

	holdBack = 90 * time.Second // half of it is longer than a replica set takes to have a new primary, and a host to bring there what it got

	certLock = "issue_cert_" // what certmagic's locks on a name begin with
)

// holder is what other hosts read of who holds a lock.
func holder() string {
	name, err := os.Hostname()
	if err != nil {
		name = "a host"
	}
	return fmt.Sprintf("%s (process %d)", name, os.Getpid())
}

type patience struct{}

// Patient is for who has time, as the certificate that is served is good: while another host has the lock, and the store goes away, Lock
// gives it and the other up to holdBack to come back, rather than have all who wait do what that host does. Without it Lock goes on alone at once.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patience{}, true) }

// Lock takes the lock of that name among the processes of this host, and among the hosts, and waits for it until ctx ends. Then what
// hosts before this one have stored under it is here. While the store is away it is this host's alone.
func (s *Storage) Lock(ctx context.Context, name string) error {
	if err := s.Storage.Lock(ctx, name); err != nil {
		return err
	}
	var last *lease.Held // who had the lock when the store could be asked
	heldBack := false    // since then
	for {
		err := s.takeLease(ctx, name)
		held, isHeld := errors.AsType[*lease.Held](err)
		wait := leasePoll
		switch {
		case isHeld:
			last, heldBack = held, false
		case err == nil || last == nil || heldBack || ctx.Value(patience{}) == nil:
			return nil
		default:
			wait, heldBack = holdBack, true
		}
		pause := time.NewTimer(wait/2 + rand.N(wait/2)) // apart from others who wait
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			_ = s.Storage.Unlock(ctx, name)
			return fmt.Errorf("%w: %w", last, ctx.Err())
		}
	}
}

// TryLock takes the lock of that name if nobody holds it.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	if ok, err := s.Storage.TryLock(ctx, name); !ok || err != nil {
		return ok, err
	}
	if held, isHeld := errors.AsType[*lease.Held](s.takeLease(ctx, name)); isHeld {
		s.log.Debug("a lock is held", "err", held)
		return false, s.Storage.Unlock(ctx, name)
	}
	return true, nil
}

// takeLease takes the lease that goes with a lock, or says who holds it. Any other error is that the store can't be asked: then the lock of
// this host is all that there is.
func (s *Storage) takeLease(ctx context.Context, name string) error {
	work, end := context.WithCancel(context.WithoutCancel(ctx)) // the lease is this one's until it is lost or released
	alarm := time.AfterFunc(callTimeout, end)
	var l *lease.Lease
	err := s.ensure(work)
	if err == nil {
		l, err = s.leases.Take(work, "certificates "+name, leaseTime)
	}
	if err == nil && !alarm.Stop() {
		err = errors.Join(context.DeadlineExceeded, l.Release(ctx))
	}
	if err != nil {
		end()
		if _, isHeld := errors.AsType[*lease.Held](err); !isHeld {
			s.log.Debug("the store can't be asked whether another host is at it; this host goes on alone", "lock", name, "err", err)
		}
		return err
	}
	s.mu.Lock()
	s.held[name] = heldLease{l, end}
	s.mu.Unlock()
	if err := s.takeUnder(ctx, name); err != nil {
		s.log.Info("what other hosts have stored can't be read", "lock", name, "err", err)
	}
	return nil
}

// takeUnder takes up what is stored under a lock.
func (s *Storage) takeUnder(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := s.reach(ctx); err != nil { // the store has come back a moment ago
		return err
	}
	under := store.Or{store.ID(name)}
	if len(name) > len(certLock) && name[:len(certLock)] == certLock {
		under = append(under, store.Eq("name", certmagic.StorageKeys.Safe(name[len(certLock):])))
	}
	found, err := s.store.Find(ctx, store.Query{Collection: certificates, Filter: under, Limit: portion})
	if err != nil {
		return err
	}
	ours, err := s.take(found...)
	for _, id := range ours {
		err = errors.Join(err, s.bring(ctx, id))
	}
	return s.heard(err)
}

// Keep makes sure of a lock that is held here, before what must not be done twice: when its lease was lost, as by a process that
// stood still, it is taken anew, with what was stored meanwhile, or another host holds it, which is the error. It is none that the
// store is away.
func (s *Storage) Keep(ctx context.Context, name string) error {
	s.mu.Lock()
	l, ok := s.held[name]
	s.mu.Unlock()
	if !ok || l.Context().Err() == nil {
		return nil
	}
	s.log.Info("a lock was lost; it is taken again", "lock", name, "err", context.Cause(l.Context()))
	s.release(ctx, name)
	if held, isHeld := errors.AsType[*lease.Held](s.takeLease(ctx, name)); isHeld {
		return held
	}
	return nil
}

// Unlock lets go of a lock that this process holds.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.release(ctx, name)
	return s.Storage.Unlock(ctx, name)
}

func (s *Storage) release(ctx context.Context, name string) {
	s.mu.Lock()
	l, ok := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if !ok {
		return
	}
	if err := l.Release(ctx); err != nil {
		s.log.Debug("a lease was not given back", "lock", name, "err", err)
	}
	l.end()
}

// heldLease is a lease with what gives its context back.
type heldLease struct {
	*lease.Lease
	end context.CancelFunc
}
