package storetest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func TestWhenItIsUnavailableEveryCallSaysSo(t *testing.T) {
	m, ctx := NewMemory(), t.Context()
	c := store.Collection{Name: "c", Feed: time.Hour}
	if err := m.Ensure(ctx, c); err != nil {
		t.Fatal(err)
	}
	feed, err := m.Watch(ctx, "c", "")
	if err != nil {
		t.Fatal(err)
	}
	m.SetUnavailable(true)
	for what, call := range map[string]func() error{
		"Ensure":      func() error { return m.Ensure(ctx, store.Collection{Name: "owed"}) },
		"Collections": func() error { _, err := m.Collections(ctx); return err },
		"Get":         func() error { _, err := m.Get(ctx, "c", "1"); return err },
		"Find":        func() error { _, err := m.Find(ctx, store.Query{Collection: "c", Limit: 1}); return err },
		"Count":       func() error { _, err := m.Count(ctx, "c", nil); return err },
		"Apply": func() error {
			_, err := m.Apply(ctx, store.Insert{Collection: "c", Document: doc{"id": "1"}})
			return err
		},
		"Apply none": func() error { _, err := m.Apply(ctx); return err },
		"Claim":      func() error { _, err := m.Claim(ctx, store.Query{Collection: "c"}, store.Change{}); return err },
		"Watch":      func() error { _, err := m.Watch(ctx, "c", ""); return err },
		"Next":       func() error { _, err := feed.Next(ctx); return err },
		"Ready":      func() error { return m.Ready(ctx) },
		"Check":      func() error { return m.Check(ctx) },
	} {
		if err := call(); !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.SetUnavailable(false)
	if n, err := m.Count(ctx, "c", nil); n != 0 || err != nil {
		t.Errorf("it holds %d, %v", n, err)
	}
	if _, err := m.Apply(ctx, store.Insert{Collection: "owed", Document: doc{"id": "1"}}); err != nil {
		t.Errorf("what Ensure was asked for is not made up for: %v", err)
	}
	if _, err := feed.Next(ctx); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a feed goes on after the store was away: %v", err)
	}
}

func TestItsTimeIsThatOfItsClock(t *testing.T) {
	m, ctx := NewMemory(), t.Context()
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	m.SetClock(func() time.Time { return at })
	if err := m.Ensure(ctx, store.Collection{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(ctx, store.Insert{Collection: "c", Document: doc{"id": "1", "due": at}}); err != nil {
		t.Fatal(err)
	}
	q := store.Query{Collection: "c", Filter: store.Lte("due", store.Now(0))}
	d, err := m.Claim(ctx, q, store.Change{Set: doc{"due": store.Now(time.Hour)}})
	if err != nil || d.Time("due") != at.Add(time.Hour) {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := m.Claim(ctx, q, store.Change{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("it is due again at once: %v", err)
	}
}

func TestRunRemovesWhatHasExpiredUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ctx := NewMemory(), t.Context()
		if err := m.Ensure(ctx, store.Collection{Name: "c", Expire: "until"}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Apply(ctx, store.Insert{Collection: "c", Document: doc{"id": "1", "until": time.Now().Add(time.Minute)}}); err != nil {
			t.Fatal(err)
		}
		go m.Run(ctx)
		for _, want := range []int{1, 0} {
			time.Sleep(59 * time.Second)
			if n, err := m.Count(ctx, "c", nil); n != want || err != nil {
				t.Errorf("it holds %d, %v, want %d", n, err, want)
			}
		}
	})
}
