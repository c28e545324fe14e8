package inbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

func TestTheOneThatIsDueForLongestIsTakenAndHeld(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for _, n := range []int{2, 1, 3} {
			keep(t, i, sent("github", n))
		}
		for n := 1; n <= 3; n++ {
			if due, err := i.Due(patient(t), "github"); err != nil || !due {
				t.Fatal(due, err)
			}
			taken := wantEvent(t, i, "github", n)
			if taken.State != Pending || taken.Plugin != "planner" || time.Until(taken.Next) < hold/2 || string(taken.Body) != "{}" {
				t.Errorf("%+v", taken)
			}
		}
		wantNone(t, i, "github")
		if due, err := i.Due(patient(t), "github"); err != nil || due {
			t.Error(due, err)
		}
	})
}

func TestWhatIsNewComesBeforeWhatHasFailed(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, sent("github", 1))
		settle(t, i, take(t, i, "github"), Result{State: Pending})
		ahead := sent("github", 2)
		ahead.At = time.Now().Add(10 * time.Minute) // by the clock of another host
		keep(t, i, ahead)
		wantEvent(t, i, "github", 2)
		wantEvent(t, i, "github", 1)
	})
}

func TestEveryOutcomeIsWrittenDown(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		id := keep(t, i, sent("github", 1)).ID
		for n := range 25 {
			a := Attempt{At: began, Took: time.Second, Outcome: "retry", Reason: fmt.Sprintf("no %d", n)}
			settle(t, i, take(t, i, "github"), Result{State: Pending, Attempt: a, Try: n != 3, Died: n == 4})
		}
		settle(t, i, take(t, i, "github"), Result{State: Pending}) // the handler was not there
		d := get(t, i, id)
		if d.Tries != 24 || d.Deaths != 1 || d.Error != "no 24" || len(d.Attempts) != 20 || d.State != Pending {
			t.Errorf("%+v", d)
		}
		if last := (Attempt{N: 24, At: began, Took: time.Second, Outcome: "retry", Reason: "no 24"}); d.Attempts[19] != last {
			t.Errorf("%+v", d.Attempts[19])
		}
		settle(t, i, take(t, i, "github"), Result{State: Pending, After: time.Hour, Attempt: Attempt{Outcome: "retry", Reason: strings.Repeat("\xff", 5000)}})
		wantNone(t, i, "github")
		if d = get(t, i, id); time.Until(d.Next) < 50*time.Minute || len(d.Error) > 4000 {
			t.Errorf("it is due at %v: %s", d.Next, d.Error)
		}
		taken, err := i.TakeID(patient(t), id, hold) // before its time
		if err != nil {
			t.Fatal(err)
		}
		settle(t, i, taken, Result{State: Done, Attempt: Attempt{Outcome: "ok"}, Try: true})
		if d = get(t, i, id); d.State != Done || d.Error != "" || !d.Next.IsZero() || time.Since(d.Ended) > time.Minute {
			t.Errorf("%+v", d)
		}
		if err := i.Settle(patient(t), taken, Result{State: "lost"}); !errors.Is(err, fault.Invalid) {
			t.Error(err)
		}
	})
}

func TestWhatIsDeadStaysForAMonth(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		day := 24 * time.Hour
		for n, want := range map[State]struct{ body, id time.Duration }{Done: {time.Hour, 30 * day}, Dead: {0, 30 * day}, Quarantined: {0, 30 * day}} {
			kept := keep(t, i, Delivery{Source: "stripe", EventID: string(n)})
			settle(t, i, take(t, i, "stripe"), Result{State: n})
			doc, err := s.Get(t.Context(), collection, kept.ID)
			if err != nil || doc.Time("expires").Sub(doc.Time("ended")) != want.id || want.body == 0 != doc.Time("next").IsZero() {
				t.Errorf("%s: %v, %v", n, doc, err)
			}
		}
		kept := keep(t, i, sent("github", 1))
		settle(t, i, take(t, i, "github"), Result{State: Done})
		if doc, err := s.Get(t.Context(), collection, kept.ID); err != nil || doc.Time("expires").Sub(doc.Time("ended")) != 60*day || doc["next"] != nil {
			t.Errorf("%v, %v", doc, err)
		}
	})
}

func TestWhoHeldItForTooLongChangesNothing(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, lined("a", 1))
		late, err := i.Take(patient(t), "stripe", 0)
		if err != nil {
			t.Fatal(err)
		}
		now := wantEvent(t, i, "stripe", 1)
		want := get(t, i, now.ID)
		for _, state := range []State{Done, Pending, Dead} {
			if err := i.Settle(patient(t), late, Result{State: state, Attempt: Attempt{Outcome: "ok"}}); !errors.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", state, err)
			}
		}
		if got := get(t, i, now.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		settle(t, i, now, Result{State: Done})
		if err := i.Settle(patient(t), now, Result{State: Done}); !errors.Is(err, fault.Conflict) {
			t.Error(err)
		}
	})
}

func TestOneIsTakenByItsID(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		one, two := keep(t, i, sent("github", 1)), keep(t, i, sent("github", 2))
		taken, err := i.TakeID(patient(t), two.ID, hold)
		if err != nil || taken.ID != two.ID || taken.Plugin != "planner" {
			t.Fatalf("%+v, %v", taken, err)
		}
		if _, err := i.TakeID(patient(t), two.ID, hold); !errors.Is(err, fault.Conflict) {
			t.Errorf("it is held: %v", err)
		}
		settle(t, i, taken, Result{State: Done})
		if _, err := i.TakeID(patient(t), two.ID, hold); !errors.Is(err, fault.Conflict) {
			t.Errorf("it is done: %v", err)
		}
		if _, err := i.TakeID(patient(t), "none", hold); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if got := take(t, i, "github"); got.ID != one.ID {
			t.Errorf("%+v", got)
		}
	})
}

// ledger notes who holds what.
type ledger struct {
	sync.Mutex
	held  map[string]bool
	times map[string]int
	order map[string][]string // events by key
}

func newLedger() *ledger {
	return &ledger{held: make(map[string]bool), times: make(map[string]int), order: make(map[string][]string)}
}

// begin notes that a delivery is handled; what must be held by one alone is its id, and its line.
func (l *ledger) begin(t *testing.T, d Delivery) {
	l.Lock()
	defer l.Unlock()
	for _, alone := range []string{d.ID, lineOf(d.Source, d.Key)} {
		if alone != "" && l.held[alone] {
			t.Errorf("%q is held twice", alone)
		}
		l.held[alone] = true
	}
	l.times[d.EventID]++
	l.order[d.Key] = append(l.order[d.Key], d.EventID)
}

func (l *ledger) end(d Delivery) {
	l.Lock()
	defer l.Unlock()
	delete(l.held, d.ID)
	delete(l.held, lineOf(d.Source, d.Key))
}

// handleAll takes and settles, as several do at once, until as many are done.
func (l *ledger) handleAll(t *testing.T, i *Inbox, source string, many int) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		l.Lock()
		n := len(l.times)
		l.Unlock()
		taken, err := i.Take(ctx, source, hold)
		switch {
		case err == nil:
			l.begin(t, taken.Delivery)
			l.end(taken.Delivery)
			if err := i.Settle(ctx, taken, Result{State: Done}); err != nil {
				t.Error(err)
			}
		case !errors.Is(err, fault.NotFound):
			t.Error(err)
			return
		case n == many:
			return
		default: // what comes, comes through this inbox or the other one
			select {
			case <-i.Woken(source):
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func TestTwoInboxesNeverHoldTheSame(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const many = 300
			where := address(t)
			inboxes := []*Inbox{on(enginetest.Opened(t, where)), on(enginetest.Opened(t, where))}
			l := newLedger()
			var all sync.WaitGroup
			for n := range 10 {
				i := inboxes[n%2]
				all.Go(func() {
					for m := n; m < many; m += 10 {
						if _, _, err := i.Keep(patient(t), sent("github", m)); err != nil {
							t.Error(err)
						}
					}
				})
				all.Go(func() { l.handleAll(t, i, "github", many) })
			}
			all.Wait()
			for event, n := range l.times {
				if n != 1 {
					t.Errorf("%s was handled %d times", event, n)
				}
			}
			if counts, err := inboxes[0].Counts(patient(t)); err != nil || counts[0].Done != many {
				t.Errorf("%+v, %v", counts, err)
			}
		})
	}
}

func TestAReloadChangesWhoHandlesWhatIsPending(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, sent("github", 1))
		i.Use(map[string]config.Webhook{"github": {Plugin: "other"}})
		if taken := wantEvent(t, i, "github", 1); taken.Plugin != "other" {
			t.Errorf("%s", taken.Plugin)
		}
	})
}
