package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

const ttl = 9 * time.Second

// link is one process's way to the store, which can break without the others noticing.
type link struct {
	store.Store
	broken atomic.Bool                  // nothing gets through, and nothing comes back
	apply  atomic.Pointer[func() error] // done after an Apply or Claim has been, in its place
}

func (l *link) through(ctx context.Context) error {
	if l.broken.Load() {
		<-ctx.Done()
		return fmt.Errorf("%w: %w", fault.Unavailable, ctx.Err())
	}
	return nil
}

func (l *link) after(err error) error {
	if after := l.apply.Load(); after != nil && err == nil {
		return (*after)()
	}
	return err
}

func (l *link) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	touched, err := l.Store.Apply(ctx, writes...)
	return touched, l.after(err)
}

func (l *link) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	d, err := l.Store.Claim(ctx, q, c)
	return d, l.after(err)
}

func work() store.Collection { return store.Collection{Name: "work"} }

func ensured(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Ensure(t.Context(), Collection(), work()); err != nil {
		t.Fatal(err)
	}
}

// process returns leases as another process has them.
func process(s store.Store, holder string) (*Leases, *link) {
	l := &link{Store: s}
	return New(l, holder, slog.New(slog.DiscardHandler)), l
}

func memory(t *testing.T) *storetest.Memory {
	m := storetest.NewMemory()
	ensured(t, m)
	return m
}

func take(t *testing.T, ls *Leases, name string) *Lease {
	t.Helper()
	l, err := ls.Take(t.Context(), name, ttl)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release(context.Background()) })
	return l
}

func release(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// count adds 1 to a counter in the store, guarded.
func count(ctx context.Context, s store.Store, l *Lease) error {
	_, err := s.Apply(ctx, l.Guard(), store.Update{
		Collection: "work", Filter: store.ID("counter"), Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1,
	})
	return err
}

func counted(t *testing.T, s store.Store) int64 {
	t.Helper()
	d, err := s.Get(t.Context(), "work", "counter")
	if err != nil {
		t.Fatal(err)
	}
	return d.Int("n")
}

func newCounter(t *testing.T, s store.Store) {
	t.Helper()
	if _, err := s.Apply(t.Context(), store.Insert{Collection: "work", Document: store.Document{"id": "counter"}}); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyOneHoldsALease(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		a, _ := process(s, "a")
		b, _ := process(s, "b")
		first := take(t, a, "job")
		for _, ls := range []*Leases{a, b} {
			_, err := ls.Take(t.Context(), "job", ttl)
			if held, ok := errors.AsType[*Held](err); !ok || held.Holder != "a" || !errors.Is(err, fault.Conflict) {
				t.Fatalf("what is held by a was refused with %v", err)
			}
		}
		take(t, b, "another job")
		release(t, first)
		if first.Context().Err() == nil {
			t.Error("what is done under a lease may go on after its release")
		}
		if second := take(t, b, "job"); second.Token() <= first.Token() {
			t.Errorf("token %d came after %d", second.Token(), first.Token())
		}
		if err := count(t.Context(), s, first); !errors.Is(err, fault.Conflict) {
			t.Errorf("a guarded write after the release: %v", err)
		}
	})
}

func TestOneOfManyTakesALeaseThatHasExpired(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		for _, name := range []string{"never held", "expired"} {
			if name == "expired" {
				crashed, link := process(s, "crashed")
				l, err := crashed.Take(t.Context(), name, MinTTL)
				if err != nil {
					t.Fatal(err)
				}
				link.broken.Store(true)
				<-l.Context().Done()
				t.Cleanup(func() { link.broken.Store(false); l.Release(context.Background()) })
				time.Sleep(MinTTL / 2) // the part of its time in which nobody holds it
			}
			var got, refused atomic.Int32
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					ls, _ := process(s, fmt.Sprint(i))
					l, err := ls.Take(t.Context(), name, ttl)
					switch {
					case err == nil:
						got.Add(1)
						t.Cleanup(func() { l.Release(context.Background()) })
					case errors.Is(err, fault.Conflict):
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if got.Load() != 1 || refused.Load() != 15 {
				t.Errorf("%s: taken by %d, refused to %d of 16", name, got.Load(), refused.Load())
			}
		}
	})
}

func TestOfTwoHoldersWhoseWritesInterleaveOnlyOneCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		newCounter(t, s)
		a, aLink := process(s, "a")
		b, _ := process(s, "b")
		paused := take(t, a, "job")
		if err := count(t.Context(), s, paused); err != nil {
			t.Fatal(err)
		}
		aLink.broken.Store(true)
		time.Sleep(ttl + time.Millisecond)
		latest := take(t, b, "job")
		for range 3 {
			if err := count(t.Context(), s, paused); !errors.Is(err, fault.Conflict) {
				t.Errorf("the write of one that lost the lease: %v", err)
			}
			if err := count(t.Context(), s, latest); err != nil {
				t.Error(err)
			}
		}
		aLink.broken.Store(false)
		if n := counted(t, s); n != 4 || latest.Token() <= paused.Token() {
			t.Errorf("%d writes counted, tokens %d, %d", n, paused.Token(), latest.Token())
		}
		if lost, ok := errors.AsType[*Lost](paused.Release(t.Context())); !ok {
			t.Errorf("releasing what was lost: %v", lost)
		}
		if err := count(t.Context(), s, latest); err != nil {
			t.Errorf("the other's release has taken the lease away: %v", err)
		}
	})
}

func TestALeaseIsHeldForAsLongAsItsFunctionRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, aLink := process(s, "a")
		b, _ := process(s, "b")
		err := a.Hold(t.Context(), "job", ttl, func(ctx context.Context, _ *Lease) error {
			for i := range 200 {
				aLink.broken.Store(i%4 == 0) // half a second without the store is less than what a lease has left
				time.Sleep(ttl / 18)
				if _, err := b.Take(ctx, "job", ttl); !errors.Is(err, fault.Conflict) {
					return fmt.Errorf("another that tried: %w", err)
				}
			}
			aLink.broken.Store(false)
			return ctx.Err()
		})
		if err != nil {
			t.Error(err)
		}
		take(t, b, "job")
	})
}

func TestTheFunctionEndsBeforeTheStoreGivesTheLeaseAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, aLink := process(s, "a")
		b, _ := process(s, "b")
		broken := time.Now().Add(20 * time.Second)
		time.AfterFunc(time.Until(broken), func() { aLink.broken.Store(true) })
		err := a.Hold(t.Context(), "job", ttl, func(ctx context.Context, _ *Lease) error {
			<-ctx.Done()
			if after := time.Since(broken); after > ttl*9/10 || after < ttl/2 {
				t.Errorf("ended %v after the store was last seen", after)
			}
			if _, err := b.Take(t.Context(), "job", ttl); !errors.Is(err, fault.Conflict) {
				t.Errorf("the store has given the lease away while the function still believed: %v", err)
			}
			if lost, ok := errors.AsType[*Lost](context.Cause(ctx)); !ok || !errors.Is(lost, fault.Unavailable) {
				t.Errorf("ended because %v", context.Cause(ctx))
			}
			return nil
		})
		if lost, ok := errors.AsType[*Lost](err); !ok || lost.Name != "job" {
			t.Errorf("a function that returned nil after its lease was lost: %v", err)
		}
		if after := time.Since(broken); after > ttl+releaseWithin {
			t.Errorf("it took %v to return", after)
		}
	})
}

func TestALeaseThatTookTooLongToGetIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, aLink := process(memory(t), "a")
		slow := func() error { time.Sleep(ttl); return nil }
		aLink.apply.Store(&slow)
		l := take(t, a, "job")
		synctest.Wait()
		if l.Context().Err() == nil {
			t.Error("a process believes in a lease that has expired")
		}
	})
}

func TestTheHostsClockDoesNotMatter(t *testing.T) {
	for _, skew := range []time.Duration{-40 * 365 * 24 * time.Hour, 40 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := memory(t)
			s.SetClock(func() time.Time { return time.Now().Add(skew) })
			a, aLink := process(s, "a")
			b, _ := process(s, "b")
			l := take(t, a, "job")
			time.Sleep(5 * ttl)
			if _, err := b.Take(t.Context(), "job", ttl); !errors.Is(err, fault.Conflict) || l.Context().Err() != nil {
				t.Errorf("a host %v before the store: %v", skew, err)
			}
			aLink.broken.Store(true)
			time.Sleep(ttl)
			take(t, b, "job")
			aLink.broken.Store(false)
		})
	}
}

func TestWhenTheStoresClockJumpsTheOneThatLostTheLeaseHearsOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, _ := process(s, "a")
		b, _ := process(s, "b")
		l := take(t, a, "job")
		s.SetClock(func() time.Time { return time.Now().Add(-time.Hour) })
		time.Sleep(3*ttl + time.Second) // between two heartbeats
		s.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
		latest := take(t, b, "job")
		time.Sleep(ttl / 2)
		if lost, ok := errors.AsType[*Lost](context.Cause(l.Context())); !ok || !errors.Is(lost, fault.Conflict) {
			t.Errorf("the context's cause is %v", context.Cause(l.Context()))
		}
		if latest.Context().Err() != nil {
			t.Error("the one that took the lease has lost it too")
		}
	})
}

func TestWhoWaitsGetsTheLeaseWhenItIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, _ := process(s, "a")
		b, _ := process(s, "b")
		l := take(t, a, "job")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := b.TakeWhenFree(ctx, "job", ttl)
		if held, ok := errors.AsType[*Held](err); !ok || held.Holder != "a" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a minute: %v", err)
		}
		var since time.Time
		time.AfterFunc(time.Minute, func() { since = time.Now(); l.Release(context.Background()) })
		err = b.HoldWhenFree(t.Context(), "job", ttl, func(context.Context, *Lease) error { return nil })
		if err != nil || since.IsZero() || time.Since(since) > lastPoll {
			t.Errorf("got it %v after its release: %v", time.Since(since), err)
		}
	})
}

func TestALeaseIsReleasedHoweverItsFunctionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, _ := process(s, "a")
		ctx, cancel := context.WithCancel(t.Context())
		own := errors.New("of the function")
		for _, f := range []func(context.Context, *Lease) error{
			func(context.Context, *Lease) error { panic("at the disco") },
			func(context.Context, *Lease) error { return own },
			func(ctx context.Context, _ *Lease) error { // has to be held until the end, not until the context's
				cancel()
				time.Sleep(2 * ttl)
				if _, err := a.Take(t.Context(), "job", ttl); !errors.Is(err, fault.Conflict) {
					t.Errorf("the lease of one that still runs: %v", err)
				}
				return own
			},
		} {
			func() {
				defer func() { recover() }()
				if err := a.Hold(ctx, "job", ttl, f); err != own {
					t.Errorf("the function's error became %v", err)
				}
			}()
			release(t, take(t, a, "job"))
		}
	})
}

func TestATakingOfWhichNobodyHeardHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, aLink := process(s, "a")
		b, _ := process(s, "b")
		release(t, take(t, b, "known"))
		for _, name := range []string{"new", "known"} {
			once := sync.Once{}
			lost := func() (err error) {
				once.Do(func() { err = fault.Unavailable })
				return err
			}
			aLink.apply.Store(&lost)
			if _, err := a.Take(t.Context(), name, ttl); !errors.Is(err, fault.Unavailable) {
				t.Fatalf("the answer got lost: %v", err)
			}
			take(t, b, name)
		}
	})
}

func TestDocumentsOfUnusedLeasesGoAndTokensDoNotGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		a, _ := process(s, "a")
		token := int64(0)
		for i := range 250 {
			l := take(t, a, fmt.Sprint("job ", i%125))
			token = max(token, l.Token())
			release(t, l)
		}
		used, err := a.Take(t.Context(), "used", 48*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		defer used.Release(t.Context())
		time.Sleep(25 * time.Hour)
		for _, name := range []string{"job 0", "new", "newer", "job 1", "job 124"} {
			if l := take(t, a, name); l.Token() <= token && name != "job 0" {
				t.Errorf("%s: token %d came after %d", name, l.Token(), token)
			}
		}
		if n, err := s.Count(t.Context(), collection, nil); n != 7 || err != nil {
			t.Errorf("%d documents are kept (%v): five, the one in use and the floor are needed", n, err)
		}
		if used.Context().Err() != nil {
			t.Error("the one in use was removed")
		}
	})
}

func TestTokensGoOnInAStoreThatTakesThePlaceOfAnother(t *testing.T) {
	from, to := memory(t), memory(t)
	a, _ := process(from, "a")
	b, _ := process(to, "b")
	release(t, take(t, b, "job"))
	token := int64(0)
	for range 5 {
		l := take(t, a, "job")
		token = l.Token()
		release(t, l)
	}
	if err := Carry(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"job", "another job"} {
		if l := take(t, b, name); l.Token() <= token {
			t.Errorf("%s: token %d came after %d", name, l.Token(), token)
		}
	}
}

func TestWhatIsNoLeaseIsInvalid(t *testing.T) {
	a, _ := process(memory(t), "a")
	for _, bad := range []struct {
		name string
		ttl  time.Duration
	}{{"", ttl}, {floor, ttl}, {"nul\x00", ttl}, {"job", MinTTL - 1}, {"job", -1}} {
		if _, err := a.Take(t.Context(), bad.name, bad.ttl); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q for %v: %v", bad.name, bad.ttl, err)
		}
	}
}
