package inbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

func TestOfALineOnlyTheOldestIsTakenAndOthersDoNotWait(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for n, key := range []string{"a", "a", "b", "a", ""} {
			keep(t, i, lined(key, n))
		}
		a := wantEvent(t, i, "stripe", 0)
		b := wantEvent(t, i, "stripe", 2)
		wantEvent(t, i, "stripe", 4)
		wantNone(t, i, "stripe")
		settle(t, i, b, Result{State: Done})
		wantNone(t, i, "stripe")

		settle(t, i, a, Result{State: Pending, After: time.Hour})
		wantNone(t, i, "stripe") // the line waits for the next attempt
		if _, err := i.TakeID(patient(t), idOf(t, i, 1), hold); !errors.Is(err, fault.Conflict) {
			t.Errorf("the second of a line is taken by its id: %v", err)
		}
		again, err := i.TakeID(patient(t), a.ID, hold)
		if err != nil {
			t.Fatal(err)
		}
		settle(t, i, again, Result{State: Dead})
		a = wantEvent(t, i, "stripe", 1)
		wantNone(t, i, "stripe")
		settle(t, i, a, Result{State: Quarantined})
		settle(t, i, wantEvent(t, i, "stripe", 3), Result{State: Done})
		wantNone(t, i, "stripe")
	})
}

// hooked is a store in which something happens right before, or after, the next write.
type hooked struct {
	store.Store
	before, after func()
	away          bool // reading fails
}

func (h *hooked) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	before, after := h.before, h.after
	h.before, h.after = nil, nil
	if before != nil {
		before()
	}
	touched, err := h.Store.Apply(ctx, writes...)
	if after != nil {
		after()
	}
	return touched, err
}

func (h *hooked) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	if h.away {
		return nil, fault.Unavailable
	}
	return h.Store.Find(ctx, q)
}

func TestOneThatIsKeptWhileTheLastOfItsLineEndsIsTaken(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		h := &hooked{Store: s}
		i, other := on(h), on(s)
		keep(t, i, lined("a", 1))
		first := wantEvent(t, i, "stripe", 1)
		h.before = func() { settle(t, other, first, Result{State: Done}) }
		keep(t, i, lined("a", 2)) // it has seen the first one

		second := wantEvent(t, i, "stripe", 2)
		h.before = func() { keep(t, other, lined("a", 3)) }
		settle(t, i, second, Result{State: Done}) // it has not seen the third one
		wantEvent(t, i, "stripe", 3)
	})
}

func TestAProcessThatDiesRightAfterAnOutcomeLeavesNoLineStanding(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		h := &hooked{Store: s}
		i := on(h)
		keep(t, i, lined("a", 1))
		keep(t, i, lined("a", 2))
		first := wantEvent(t, i, "stripe", 1)
		h.after = func() { h.away = true }
		settle(t, i, first, Result{State: Done})
		wantEvent(t, on(s), "stripe", 2)
	})
}

// idOf is the id of the n-th delivery of stripe.
func idOf(t *testing.T, i *Inbox, n int) string {
	t.Helper()
	d, repeat, err := i.Keep(patient(t), lined("", n))
	if err != nil || !repeat {
		t.Fatal(repeat, err)
	}
	return d.ID
}

func TestALineGoesOnAfterWhoHeldItDied(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, lined("a", 1))
		keep(t, i, lined("a", 2))
		if _, err := i.Take(patient(t), "stripe", 0); err != nil {
			t.Fatal(err)
		}
		settle(t, i, wantEvent(t, i, "stripe", 1), Result{State: Done})
		wantEvent(t, i, "stripe", 2)
	})
}

func TestAnOlderOneThatComesLateWaitsUntilNoneOfItsLineIsHeld(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, lined("a", 2))
		second := wantEvent(t, i, "stripe", 2)
		keep(t, i, lined("a", 1)) // by a host whose clock is behind
		wantNone(t, i, "stripe")
		if _, err := i.TakeID(patient(t), idOf(t, i, 1), hold); !errors.Is(err, fault.Conflict) {
			t.Error(err)
		}
		settle(t, i, second, Result{State: Pending}) // it is due, and not the oldest any more
		first := wantEvent(t, i, "stripe", 1)
		wantNone(t, i, "stripe")
		settle(t, i, first, Result{State: Done})
		wantEvent(t, i, "stripe", 2)
	})
}

func TestTwoThatWereKeptAtTheSameTimeAreHandledOneAfterTheOther(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for n := range 3 { // each has found no other one
			change(t, s, keep(t, i, lined("a", n)).ID, store.Change{Set: store.Document{"next": store.Now(-headStart)}})
		}
		for n := range 3 {
			taken := wantEvent(t, i, "stripe", n)
			wantNone(t, i, "stripe")
			settle(t, i, taken, Result{State: Done})
		}
	})
}

func TestALineThatWasLeftStandingGoesOn(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for n, key := range []string{"a", "b", "c", "c"} {
			keep(t, i, lined(key, n))
		}
		for n := range 3 { // as if processes had died before they looked once more
			change(t, s, idOf(t, i, n), store.Change{Unset: []string{"next"}})
		}
		wantNone(t, i, "stripe")
		if err := i.sweep(patient(t), true); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			wantEvent(t, i, "stripe", n)
		}
		wantNone(t, i, "stripe")
	})
}

func TestASourceThatLosesOrGainsItsLinesGoesOn(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for n := range 3 {
			keep(t, i, lined("a", n))
		}
		i.Use(map[string]config.Webhook{"stripe": {Plugin: "planner"}})
		keep(t, i, lined("", 3)) // is in no line
		first := wantEvent(t, i, "stripe", 0)
		wantEvent(t, i, "stripe", 3)
		wantNone(t, i, "stripe")
		settle(t, i, first, Result{State: Done})
		i.Use(sources)
		keep(t, i, lined("a", 4))
		for n := range 5 {
			if n == 0 || n == 3 {
				continue
			}
			settle(t, i, wantEvent(t, i, "stripe", n), Result{State: Done})
		}
		wantNone(t, i, "stripe")
	})
}

func TestOneThatIsHandledAgainIsTheOldestOfItsLine(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for n := range 3 {
			keep(t, i, lined("a", n))
		}
		first := wantEvent(t, i, "stripe", 0)
		settle(t, i, first, Result{State: Dead})
		second := wantEvent(t, i, "stripe", 1)
		if ids, err := i.Redeliver(patient(t), Selection{IDs: []string{first.ID}}, false); err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
		wantNone(t, i, "stripe")
		settle(t, i, second, Result{State: Pending, After: time.Hour})
		settle(t, i, wantEvent(t, i, "stripe", 0), Result{State: Done})
		wantNone(t, i, "stripe") // the second waits for its next attempt, and the third for the second
	})
}

func TestLinesAreHandledInOrderByTwoInboxes(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const keys, each = 6, 25
			where := address(t)
			inboxes := []*Inbox{on(enginetest.Opened(t, where)), on(enginetest.Opened(t, where))}
			l := newLedger()
			var all sync.WaitGroup
			for key := range keys {
				all.Go(func() {
					for n := range each { // by either host, one after the other
						d := Delivery{Source: "stripe", Key: strconv.Itoa(key), EventID: fmt.Sprintf("%d-%02d", key, n), At: began.Add(time.Duration(n) * time.Millisecond)}
						if _, _, err := inboxes[rand.N(2)].Keep(patient(t), d); err != nil {
							t.Error(err)
						}
					}
				})
			}
			for n := range 8 {
				all.Go(func() { l.handleAll(t, inboxes[n%2], "stripe", keys*each) })
			}
			all.Wait()
			for key, events := range l.order {
				if len(events) != each || !slices.IsSorted(events) {
					t.Errorf("%s: %v", key, events)
				}
			}
		})
	}
}
