package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/core/webhooks/inbox"
)

func TestADeliveryThatKillsItsHandlerThreeTimesIsQuarantined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		kills := newProcess()
		p := &plugin{handle: func(ctx context.Context, d inbox.Delivery, attempt int) (Outcome, error) {
			if mended.Load() {
				return Outcome{Kind: OK}, nil
			}
			return kills.handle(ctx, d, attempt)
		}}
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		id := s.keep(t, "poison").ID
		time.Sleep(time.Hour)
		d := s.get(t, id)
		if d.State != inbox.Quarantined || d.Deaths != 3 || d.Tries != 3 || len(p.of("")) != 3 {
			t.Errorf("%+v", d)
		}
		if s.log.with("level=ERROR") != 1 || s.log.with("level=ERROR", "quarantined", "delivery="+id, "source=github", "edge webhooks redeliver") != 1 {
			t.Error(s.log.b.String())
		}
		mended.Store(true)
		if _, err := s.in.Redeliver(t.Context(), inbox.Selection{IDs: []string{id}}, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := s.get(t, id); d.State != inbox.Done {
			t.Errorf("%+v", d)
		}
	})
}

func TestNobodyIsBlamedForAnothersDoing(t *testing.T) {
	for name, retries := range map[string][]time.Duration{"with retries": nil, "without": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &plugin{handle: newProcess().handle}
				s := on(storetest.NewMemory(), p)
				configured := make(map[string]config.Webhook)
				for name, source := range sources {
					source.Retries = retries
					configured[name] = source
				}
				s.Use(configured)
				var innocent, poison []string
				for i := range 60 {
					source := []string{"github", "billing"}[i%2] // of one plugin
					if i%20 == 7 {
						poison = append(poison, s.keep(t, fmt.Sprint("poison ", i), from(source)).ID)
					} else {
						innocent = append(innocent, s.keep(t, fmt.Sprint("event ", i), from(source)).ID)
					}
				}
				s.runs(t)
				time.Sleep(time.Hour)
				for _, id := range innocent {
					if d := s.get(t, id); d.State != inbox.Done || d.Deaths != 0 || d.Tries != 1 {
						t.Errorf("%s: %s, %d deaths, %d tries", d.EventID, d.State, d.Deaths, d.Tries)
					}
				}
				want, deaths := inbox.Quarantined, 3
				if retries != nil {
					want, deaths = inbox.Dead, 1
				}
				for _, id := range poison {
					if d := s.get(t, id); d.State != want || d.Deaths != deaths {
						t.Errorf("%s: %s, %d deaths", d.EventID, d.State, d.Deaths)
					}
				}
				if p.atOnce() != 16 || len(p.of("")) > 60+3*20 {
					t.Errorf("%d at once, %d calls", p.atOnce(), len(p.of("")))
				}
			})
		})
	}
}

func TestWhoIsSuspectedIsAloneWithThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := newProcess()
		var s *stand
		p := &plugin{}
		p.handle = func(ctx context.Context, d inbox.Delivery, attempt int) (Outcome, error) {
			if len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].Outcome == died {
				for range 10 {
					time.Sleep(100 * time.Millisecond)
					if p.mu.Lock(); p.busy != 1 {
						t.Errorf("%s is with %d others", d.EventID, p.busy-1)
					}
					p.mu.Unlock()
				}
			}
			return process.handle(ctx, d, attempt)
		}
		s = on(storetest.NewMemory(), p)
		s.runs(t)
		s.keep(t, "poison")
		for i, name := range names(50) {
			s.keep(t, name, from([]string{"github", "billing"}[i%2]))
			time.Sleep(time.Duration(i*7%300) * time.Millisecond)
		}
		time.Sleep(time.Hour)
		if n := s.are(t, inbox.Done); n != 50 || s.are(t, inbox.Quarantined) != 1 {
			t.Errorf("%d done", n)
		}
	})
}

func TestADeathWithEdgeItselfCountsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := on(storetest.NewMemory(), nil)
		called, ends := make(chan struct{}), make(chan struct{})
		s.handler = &plugin{handle: func(context.Context, inbox.Delivery, int) (Outcome, error) {
			close(called)
			<-ends
			return Outcome{}, &Died{errGone}
		}}
		stop := s.runs(t)
		id := s.keep(t, "a").ID
		<-called
		go func() {
			time.Sleep(time.Second)
			close(ends)
		}()
		stop()
		if d := s.get(t, id); d.State != inbox.Pending || d.Tries+d.Deaths+len(d.Attempts) != 0 {
			t.Errorf("%+v", d)
		}
	})
}

func TestWhoCantBeAloneInTimeIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{handle: newProcess().handle}
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		id := s.keep(t, "poison").ID
		time.Sleep(2 * time.Second)
		guest := s.rooms["planner"].enter(t.Context())
		time.Sleep(2 * time.Minute)
		if d := s.get(t, id); len(p.of("")) != 1 || d.Tries != 1 || d.State != inbox.Pending {
			t.Errorf("%d calls, %+v", len(p.of("")), d)
		}
		guest.leave()
		time.Sleep(time.Hour)
		if d := s.get(t, id); d.State != inbox.Quarantined || len(p.of("")) != 3 {
			t.Errorf("%d calls, %+v", len(p.of("")), d)
		}
	})
}

func TestARoomIsSharedOrOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		var order []string
		a, b := r.enter(t.Context()), r.enter(t.Context())
		go func() {
			s := r.enterAlone(context.Background())
			order = append(order, "alone")
			time.Sleep(time.Second)
			order = append(order, "left")
			s.leave()
		}()
		synctest.Wait()
		go func() {
			s := r.enter(context.Background())
			order = append(order, "shared")
			s.leave()
		}()
		synctest.Wait()
		a.leave()
		synctest.Wait()
		if len(order) != 0 {
			t.Error(order)
		}
		b.leave()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !slices.Equal(order, []string{"alone", "left", "shared"}) || r.inside != 0 {
			t.Error(order, r.inside)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a = r.enter(t.Context())
		if r.enterAlone(short) != nil {
			t.Error("it is not alone")
		}
		if b = r.enter(t.Context()); b == nil {
			t.Error("who gave up is waited for")
		}
		b.begin()
		a.begin()
		if !a.end() || !b.end() {
			t.Error("they were together")
		}
		c := &stay{room: r}
		c.begin()
		if c.end() {
			t.Error("it was alone")
		}
	})
}
