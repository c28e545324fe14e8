package mongodb

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// A server may be gone before it has said anything, and what happens until there is another one belongs to the feed.
func TestAFeedThatIsOpenedAgainBeforeItsFirstEventMissesNothing(t *testing.T) {
	t.Parallel()
	s := opened(t)
	c := store.Collection{Name: "told", Feed: time.Hour}
	if err := s.Ensure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f := &feed{store: s, in: &c, events: make(chan store.Event, 1)}
	if err := f.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.closeStream()
	if _, err := s.Apply(t.Context(), store.Insert{Collection: "told", Document: store.Document{"id": "a"}}); err != nil {
		t.Fatal(err)
	}
	defer f.closeStream()
	for range 5 { // a step waits for an event a second
		if err := f.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(f.events) > 0 {
			return
		}
	}
	t.Error("what was written while the feed was not open was not told")
}

func TestWhoWaitsForACollectionToBeMadeWaitsNoLongerThanItsTime(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{URI: "mongodb://127.0.0.1:1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.learn([]store.Collection{{Name: "late"}}, false)
	s.known["late"].doing <- struct{}{} // somebody else makes it, and has more time
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "late", "a"); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}
