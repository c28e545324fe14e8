package inbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// mixed keeps 60 deliveries: of three sources, some of them handled, the n-th a minute after the one before.
func mixed(t *testing.T, i *Inbox) (ids []string) {
	t.Helper()
	for n := range 60 {
		d := sent([]string{"github", "stripe", "notes"}[n%3], n)
		d.At, d.Type = began.Add(time.Duration(n)*time.Minute-2*time.Hour), []string{"push", "pull"}[n%2]
		kept := keep(t, i, d)
		ids = append(ids, kept.ID)
		if n%3 != 2 && n%4 != 0 {
			taken, err := i.TakeID(patient(t), kept.ID, hold)
			if err != nil {
				t.Fatal(err)
			}
			settle(t, i, taken, Result{State: []State{Done, Dead, Quarantined}[n%4-1], Attempt: Attempt{Outcome: "ok", Reason: "because"}, Try: true, Died: true})
		}
	}
	return ids
}

func idsOf(all []Delivery) (ids []string) {
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func TestDeliveriesAreListedInPagesTheNewestFirst(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		want := mixed(t, i)
		slices.Reverse(want)
		var got []string
		f := Filter{Limit: 7}
		for {
			page, err := i.List(patient(t), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			if got = append(got, idsOf(page)...); page[0].Body != nil || page[0].Source == "" {
				t.Errorf("%+v", page[0])
			}
			f.After = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed are %d: %v, want %v", len(got), got, want)
		}
	})
}

func TestAListHasWhatItsFilterLetsThrough(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		mixed(t, i)
		at := func(n int) time.Time { return began.Add(time.Duration(n)*time.Minute - 2*time.Hour) }
		for _, f := range []Filter{{}, {Source: "github"}, {State: Dead}, {Type: "pull"}, {Since: at(10)}, {Until: at(10)}, {Source: "stripe", State: Done, Type: "pull", Since: at(5), Until: at(40)}} {
			all, err := i.List(patient(t), f)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			every, err := i.List(patient(t), Filter{})
			for _, d := range every {
				meets := (f.Source == "" || d.Source == f.Source) && (f.State == "" || d.State == f.State) && (f.Type == "" || d.Type == f.Type) &&
					!d.At.Before(f.Since) && (f.Until.IsZero() || d.At.Before(f.Until))
				if meets {
					n++
				}
				if meets != slices.Contains(idsOf(all), d.ID) {
					t.Errorf("%+v: %+v", f, d)
				}
			}
			if err != nil || len(all) != n || n == 0 {
				t.Errorf("%+v: %d listed, want %d, %v", f, len(all), n, err)
			}
		}
		for _, f := range []Filter{{State: "lost"}, {State: forgotten}, {Limit: -1}, {Limit: maxLimit + 1}} {
			if _, err := i.List(patient(t), f); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", f, err)
			}
		}
		if _, err := i.List(patient(t), Filter{After: "gone"}); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestCountsSayWhatThereIs(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		mixed(t, i)
		counts, err := i.Counts(patient(t))
		if err != nil || len(counts) != 3 {
			t.Fatal(counts, err)
		}
		at := func(n int) time.Time { return began.Add(time.Duration(n)*time.Minute - 2*time.Hour) }
		for n, want := range []Count{
			{Source: "github", Pending: 5, Done: 5, Dead: 5, Quarantined: 5, Oldest: at(0), Last: at(57)},
			{Source: "notes", Kept: 20, Last: at(59)},
			{Source: "stripe", Pending: 5, Done: 5, Dead: 5, Quarantined: 5, Oldest: at(4), Last: at(58)},
		} {
			if got := counts[n]; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	})
}

func TestADryRunSaysWhatWouldBeHandledAgainAndChangesNothing(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		mixed(t, i)
		before, err := i.Counts(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		which := Selection{Filter: Filter{Source: "github", Since: began.Add(-100 * time.Minute)}}
		would, err := i.Redeliver(patient(t), which, true)
		if err != nil || len(would) == 0 {
			t.Fatal(would, err)
		}
		if after, err := i.Counts(patient(t)); err != nil || !slices.Equal(before, after) {
			t.Errorf("%+v, %v", after, err)
		}
		did, err := i.Redeliver(patient(t), which, false)
		if err != nil || !slices.Equal(did, would) {
			t.Errorf("%v, want %v, %v", did, would, err)
		}
		for _, id := range did {
			if d := get(t, i, id); d.State != Pending || d.Tries != 0 || d.Deaths != 0 || d.Replays != 1 || d.Error != "" || !d.Ended.IsZero() || len(d.Attempts) != 1 || d.Source != "github" {
				t.Errorf("%+v", d)
			}
		}
		for range did {
			settle(t, i, take(t, i, "github"), Result{State: Done})
		}
	})
}

func TestOnlyWhatIsMeantIsHandledAgain(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		all := mixed(t, i)
		for _, c := range []struct {
			which Selection
			n     int
		}{
			{Selection{Filter: Filter{State: Dead}}, 10},
			{Selection{Filter: Filter{Since: began.Add(-240 * time.Hour)}}, 30}, // not what is pending, nor of a source without a plugin
			{Selection{Filter: Filter{Type: "pull"}}, 20},
			{Selection{Filter: Filter{State: Done, Limit: 3}}, 3},
			{Selection{Filter: Filter{State: Pending}}, 10},
			{Selection{Filter: Filter{Source: "notes"}}, 0},
			{Selection{IDs: []string{all[1], all[3], all[1]}}, 2},
		} {
			if ids, err := i.Redeliver(patient(t), c.which, true); err != nil || len(ids) != c.n {
				t.Errorf("%+v: %d, want %d, %v", c.which, len(ids), c.n, err)
			}
		}
		if ids, err := i.Redeliver(patient(t), Selection{}, false); !errors.Is(err, fault.Invalid) {
			t.Error(ids, err)
		}
		for want, id := range map[fault.Code]string{fault.NotFound: "gone", fault.Conflict: all[2]} {
			if ids, err := i.Redeliver(patient(t), Selection{IDs: []string{all[1], id}}, false); !errors.Is(err, want) || len(ids) != 0 {
				t.Errorf("%v: %v", ids, err)
			}
		}
		if d := get(t, i, all[1]); d.State != Done {
			t.Errorf("%+v", d)
		}
	})
}

func TestWhatIsHeldIsNotHandledAgain(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, sent("github", 1))
		taken := take(t, i, "github")
		if _, err := i.Redeliver(patient(t), Selection{IDs: []string{taken.ID}}, false); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "being handled") {
			t.Error(err)
		}
		settle(t, i, taken, Result{State: Pending, After: time.Hour, Try: true, Attempt: Attempt{Outcome: "retry"}})
		wantNone(t, i, "github")
		if ids, err := i.Redeliver(patient(t), Selection{IDs: []string{taken.ID}}, false); err != nil || len(ids) != 1 {
			t.Error(ids, err)
		}
		if d := wantEvent(t, i, "github", 1); d.Tries != 0 || d.Replays != 1 {
			t.Errorf("%+v", d)
		}
	})
}

func TestWhatNobodyWouldHandleIsNotHandledAgain(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		id := keep(t, i, sent("github", 1)).ID
		settle(t, i, take(t, i, "github"), Result{State: Dead, Attempt: Attempt{Outcome: "fail"}})
		for _, sources := range []map[string]config.Webhook{{}, {"github": {}}} { // it was renamed, or has lost its plugin
			i.Use(sources)
			if _, err := i.Redeliver(patient(t), Selection{IDs: []string{id}}, false); !errors.Is(err, fault.Conflict) {
				t.Error(sources, err)
			}
			if ids, err := i.Redeliver(patient(t), Selection{Filter: Filter{Source: "github"}}, false); err != nil || len(ids) != 0 {
				t.Error(sources, ids, err)
			}
			if d := get(t, i, id); d.State != Dead {
				t.Errorf("%v: %+v", sources, d)
			}
		}
	})
}

func TestWhatWasKeptIsHandledWhenItsSourceHasAPlugin(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		many := 120
		for n := range many {
			keep(t, i, sent("notes", n))
		}
		i.Use(map[string]config.Webhook{"notes": {Plugin: "planner"}})
		ids, err := i.Redeliver(patient(t), Selection{Filter: Filter{Source: "notes"}}, false)
		if err != nil || len(ids) != many {
			t.Fatal(len(ids), err)
		}
		<-i.Woken("notes")
		for n := range many {
			if n < 3 {
				wantEvent(t, i, "notes", n)
			} else {
				take(t, i, "notes")
			}
		}
	})
}
