package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/core/webhooks/inbox"
)

func TestTheEndWaitsForWhatIsUnderWayButNotForLong(t *testing.T) {
	for name, takesLong := range map[string]time.Duration{"short": 8 * time.Second, "long": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := takes(takesLong, Outcome{Kind: OK})
				s := on(storetest.NewMemory(), p)
				source := sources["github"]
				source.Timeout = time.Hour
				s.Use(map[string]config.Webhook{"github": source})
				stop := s.runs(t)
				id := s.keep(t, "a").ID
				synctest.Wait()
				start := time.Now()
				stop()
				d := s.get(t, id)
				if name == "short" && (time.Since(start) != takesLong || d.State != inbox.Done) {
					t.Errorf("after %v: %+v", time.Since(start), d)
				}
				if name == "long" && (time.Since(start) != drain || d.State != inbox.Pending || d.Tries+len(d.Attempts) != 0 || d.Next.After(time.Now())) {
					t.Errorf("after %v: %+v", time.Since(start), d)
				}
				s.keep(t, "b")
				synctest.Wait()
				if len(p.of("b")) > 0 {
					t.Error("it goes on")
				}
			})
		})
	}
}

func TestTheStoreMayBeAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		memory.SetUnavailable(true)
		p := &plugin{handle: func(context.Context, inbox.Delivery, int) (Outcome, error) {
			memory.SetUnavailable(true)
			return Outcome{Kind: OK}, nil
		}}
		s := on(memory, p)
		s.Use(map[string]config.Webhook{"github": sources["github"]})
		s.poll = 20 * time.Millisecond // it looks for what is due before what came of it is written down
		s.runs(t)
		time.Sleep(time.Minute)
		memory.SetUnavailable(false)
		time.Sleep(time.Minute)
		s.keep(t, "a")
		time.Sleep(2*time.Minute + 100*time.Millisecond) // far longer than it is held, and between two tries to write it down
		memory.SetUnavailable(false)
		time.Sleep(time.Minute)
		if len(p.of("a")) != 1 || s.are(t, inbox.Done) != 1 {
			t.Errorf("%d calls, %d done: what came of it was kept in mind", len(p.of("a")), s.are(t, inbox.Done))
		}
	})
}

// lossy is a store that loses acknowledgements.
type lossy struct {
	store.Store
	lose atomic.Int64 // of so many writes more
}

func (l *lossy) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	touched, err := l.Store.Apply(ctx, writes...)
	if err == nil && l.lose.Add(-1) >= 0 {
		return nil, fmt.Errorf("the connection broke: %w", fault.Unavailable)
	}
	return touched, err
}

func TestALostAcknowledgementOfAnOutcomeIsNoSecondAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lossy{Store: storetest.NewMemory()}
		p := says(Outcome{Kind: OK}, nil)
		s := on(l, p)
		for _, name := range names(5) {
			s.keep(t, name)
		}
		l.lose.Store(3)
		s.runs(t)
		time.Sleep(10 * time.Minute)
		if len(p.of("")) != 5 || s.are(t, inbox.Done) != 5 || s.log.with("level=WARN") != 0 {
			t.Errorf("%d calls, %s", len(p.of("")), s.log.b.String())
		}
	})
}

func TestWhatComesTooLateDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		stuck := make(chan struct{})
		slow := on(memory, &plugin{handle: func(context.Context, inbox.Delivery, int) (Outcome, error) {
			<-stuck // whatever the deadline is
			return Outcome{Kind: Fail, Reason: "too late"}, nil
		}})
		one := sources["github"]
		one.Concurrency = 1
		slow.Use(map[string]config.Webhook{"github": one})
		slow.runs(t)
		id := slow.keep(t, "a").ID
		synctest.Wait()
		quick := on(memory, says(Outcome{Kind: OK}, nil))
		quick.runs(t)
		time.Sleep(10*time.Second + 10*time.Second + slack - time.Second)
		if d := quick.get(t, id); d.State != inbox.Pending {
			t.Error("another has taken it before its time was over")
		}
		time.Sleep(10 * time.Second)
		close(stuck)
		synctest.Wait()
		if d := quick.get(t, id); d.State != inbox.Done || d.Tries != 1 || slow.log.with("took longer than it may", "delivery="+id) != 1 {
			t.Errorf("%+v", d)
		}
	})
}

func TestHostsThatShareAStoreShareTheWork(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const many = 200
			kept := enginetest.Opened(t, address(t))
			var handled atomic.Int64
			all := make(chan struct{})
			handle := func(context.Context, inbox.Delivery, int) (Outcome, error) {
				if handled.Add(1) == many {
					close(all)
				}
				return Outcome{Kind: OK}, nil
			}
			one, two := &plugin{handle: handle}, &plugin{handle: handle}
			a, b := on(kept, one), on(kept, two)
			for i, event := range names(many) {
				[]*stand{a, b}[i%2].keep(t, event)
			}
			stopA, stopB := a.runs(t), b.runs(t)
			select {
			case <-all:
			case <-time.After(60 * time.Second):
				t.Fatal(handled.Load(), " are handled")
			}
			stopA()
			stopB()
			if a.are(t, inbox.Done) != many || handled.Load() != many {
				t.Errorf("%d done, %d calls", a.are(t, inbox.Done), handled.Load())
			}
			if len(one.of("")) < 20 || len(two.of("")) < 20 {
				t.Errorf("%d calls of one, %d of the other", len(one.of("")), len(two.of("")))
			}
		})
	}
}

func TestAnotherHostsHandlerTakesOverWhileThisOnesIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		a, b := on(memory, says(Outcome{}, &Down{errors.New("a build that fails")})), on(memory, says(Outcome{Kind: OK}, nil))
		a.runs(t)
		for _, name := range names(50) {
			a.keep(t, name)
		}
		time.Sleep(time.Minute)
		b.runs(t)
		time.Sleep(10 * time.Second)
		if n := b.are(t, inbox.Done); n != 50 {
			t.Errorf("%d", n)
		}
	})
}

// watched counts calls of a store.
type watched struct {
	store.Store
	reads, writes atomic.Int64
}

func (w *watched) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	w.reads.Add(1)
	return w.Store.Find(ctx, q)
}

func (w *watched) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	w.writes.Add(1)
	return w.Store.Claim(ctx, q, c)
}

func (w *watched) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	w.writes.Add(1)
	return w.Store.Apply(ctx, writes...)
}

func TestIdlingReadsNowAndThenAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Store: storetest.NewMemory()}
		s := on(w, says(Outcome{Kind: OK}, nil))
		s.runs(t)
		synctest.Wait()
		w.writes.Store(0)
		time.Sleep(time.Hour)
		if w.writes.Load() != 0 || w.reads.Load() < 3*600 || w.reads.Load() > 3*1000 {
			t.Errorf("%d writes, %d reads in an hour for three sources", w.writes.Load(), w.reads.Load())
		}
	})
}
