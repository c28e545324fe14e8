package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func feeds() []test {
	return []test{
		{"a feed tells what happens, in its order", feedInOrder},
		{"a batch is told as its writes were", feedOfBatch},
		{"after a position comes what happened after it", feedAfter},
		{"what is refused is not told", feedOfNothing},
		{"a write that leaves a document as it was may be told, and nothing else", feedOfNoChange},
		{"a claim is told", feedOfClaim},
		{"what another one does is told", feedOfOther},
		{"every change of many at once is told once, in one order for all", feedOfMany},
		{"a position that is too old is not found", feedTooOld},
		{"a feed ends with its context, or when it is closed", feedEnds},
		{"a wait that ends does not end the feed", feedWaits},
		{"only collections that have one have a feed", feedNone},
	}
}

func withCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// watched is a collection and its feed, from now on.
func watched(s *scene) (name string, feed store.Feed) {
	s.Helper()
	name = s.make(store.Collection{Feed: time.Hour})
	return name, s.watch(name, "")
}

func (s *scene) watch(name, after string) store.Feed {
	s.Helper()
	feed, err := s.Watch(s.ctx, name, after)
	s.must(err)
	s.Cleanup(func() { feed.Close() })
	return feed
}

// told fails the test unless these are the next events, each as "kind id". It returns the last one.
func (s *scene) told(feed store.Feed, want ...string) (last store.Event) {
	s.Helper()
	var got []string
	for range want {
		event, err := feed.Next(s.ctx)
		if err != nil {
			s.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(event.Kind)+" "+event.ID)
		if event.Position == "" || event.Position == last.Position {
			s.Errorf("%q has the position %q", got, event.Position)
		}
		last = event
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		s.Fatalf("%q was told, want %q", got, want)
	}
	return last
}

func feedInOrder(s *scene) {
	name := s.make(store.Collection{Feed: time.Hour})
	s.insert(name, doc{"id": "before"})
	feed, second := s.watch(name, ""), s.watch(name, "")
	s.insert(name, doc{"id": "1", "a": int64(1), "l": []any{nil, 1.0}})
	s.is(s.told(feed, "inserted 1").Document, doc{"id": "1", "a": int64(1), "l": []any{nil, 1.0}}, "inserted")
	s.apply(store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Set: doc{"a": 2}}})
	s.is(s.told(feed, "updated 1").Document, doc{"id": "1", "a": int64(2), "l": []any{nil, 1.0}}, "updated")
	s.apply(store.Put{Collection: name, Document: doc{"id": "1", "b": int64(1)}})
	s.is(s.told(feed, "updated 1").Document, doc{"id": "1", "b": int64(1)}, "put")
	s.apply(store.Put{Collection: name, Document: doc{"id": "2"}})
	s.is(s.told(feed, "inserted 2").Document, doc{"id": "2"}, "put anew")
	s.apply(store.Delete{Collection: name, Filter: store.ID("1")})
	if d := s.told(feed, "deleted 1").Document; d != nil {
		s.Errorf("what is deleted is told as %s", Describe(d))
	}
	s.insert(name, doc{"id": "1"})
	s.told(feed, "inserted 1")
	s.told(second, "inserted 1", "updated 1", "updated 1", "inserted 2", "deleted 1", "inserted 1")
}

func feedOfBatch(s *scene) {
	name, feed := watched(s)
	other := s.make(store.Collection{Feed: time.Hour})
	s.apply(
		store.Insert{Collection: name, Document: doc{"id": "b"}}, store.Insert{Collection: other, Document: doc{"id": "other"}}, store.Insert{Collection: name, Document: doc{"id": "a"}},
		store.Update{Collection: name, Filter: store.ID("b"), Change: store.Change{Set: doc{"x": 1}}}, store.Delete{Collection: name, Filter: store.ID("a")}, store.Insert{Collection: name, Document: doc{"id": "c"}},
	)
	s.told(feed, "inserted b", "inserted a", "updated b", "deleted a", "inserted c")
	s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"x": 2}}}, store.Insert{Collection: name, Document: doc{"id": "d"}})
	seen := make(map[string]bool)
	for range 2 {
		event, err := feed.Next(s.ctx)
		s.must(err)
		seen[string(event.Kind)+" "+event.ID] = true
		s.is(event.Document, doc{"id": event.ID, "x": int64(2)}, "updated")
	}
	if !seen["updated b"] || !seen["updated c"] {
		s.Errorf("an update of two was told as %v", seen)
	}
	s.told(feed, "inserted d")
}

func feedAfter(s *scene) {
	name, feed := watched(s)
	var events []store.Event
	for i := range 4 {
		s.insert(name, doc{"id": fmt.Sprint(i)})
		events = append(events, s.told(feed, fmt.Sprint("inserted ", i)))
	}
	s.apply(store.Insert{Collection: name, Document: doc{"id": "4"}}, store.Insert{Collection: name, Document: doc{"id": "5"}})
	events = append(events, s.told(feed, "inserted 4"))
	feed.Close()
	s.apply(store.Delete{Collection: name, Filter: store.ID("2")})
	for i, event := range events {
		var want []string
		for later := i + 1; later < 6; later++ {
			want = append(want, fmt.Sprint("inserted ", later))
		}
		s.told(s.watch(name, event.Position), append(want, "deleted 2")...)
	}
	last := s.told(s.watch(name, events[4].Position), "inserted 5", "deleted 2")
	feed = s.watch(name, last.Position)
	s.insert(name, doc{"id": "6"})
	s.told(feed, "inserted 6")
	late := s.watch(name, events[1].Position)
	if d := s.told(late, "inserted 2").Document; d != nil && !Same(d, doc{"id": "2"}) {
		s.Errorf("a document that was inserted, and deleted since, is told as %s", Describe(d))
	}
}

func feedOfNothing(s *scene) {
	name, feed := watched(s)
	s.insert(name, doc{"id": "1"})
	for _, w := range []store.Write{store.Insert{Collection: name, Document: doc{"id": "1"}}, store.Delete{Collection: name, Must: 9}} {
		_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "2"}}, w)
		s.refused(err, fault.Conflict, "%s", Describe(w))
	}
	s.apply(store.Delete{Collection: name, Filter: store.ID("2")}, store.Update{Collection: name, Filter: store.ID("2"), Change: store.Change{Set: doc{"a": 1}}})
	s.insert(name, doc{"id": "3"})
	s.told(feed, "inserted 1", "inserted 3")
}

func feedOfNoChange(s *scene) {
	name, feed := watched(s)
	d := doc{"id": "1", "a": int64(1)}
	s.insert(name, d)
	s.told(feed, "inserted 1")
	s.is(s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"a": 1}}, Must: 1}, store.Put{Collection: name, Document: d}), []int{1, 1}, "touched")
	s.insert(name, doc{"id": "2"})
	for told := ""; told != "inserted 2"; {
		event, err := feed.Next(s.ctx)
		s.must(err)
		if told = string(event.Kind) + " " + event.ID; told != "inserted 2" && told != "updated 1" {
			s.Fatalf("%s was told", told)
		}
	}
}

func feedOfClaim(s *scene) {
	name, feed := watched(s)
	s.insert(name, doc{"id": "1"})
	d, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{"until": store.Now(0)}})
	s.must(err)
	s.told(feed, "inserted 1")
	s.is(s.told(feed, "updated 1").Document, d, "claimed")
}

func feedOfOther(s *scene) {
	if s.engine.Again == nil {
		s.Skip("the engine can't be opened again")
	}
	other := *s
	other.Store = s.engine.Again(s.T, s.Store)
	c := store.Collection{Name: s.newName(), Feed: time.Hour}
	s.must(s.Ensure(s.ctx, c))
	s.must(other.Ensure(s.ctx, c))
	feed, others := s.watch(c.Name, ""), other.watch(c.Name, "")
	other.insert(c.Name, doc{"id": "1"})
	event := s.told(feed, "inserted 1")
	s.insert(c.Name, doc{"id": "2"})
	s.told(feed, "inserted 2")
	other.told(others, "inserted 1", "inserted 2")
	other.told(other.watch(c.Name, event.Position), "inserted 2")
}

func feedOfMany(s *scene) {
	name, first := watched(s)
	second := s.watch(name, "")
	s.insert(name, doc{"id": "1", "n": int64(0)})
	const many, each = 6, 8
	s.together(many, func(who int) error {
		for i := range each {
			_, err := s.Apply(s.ctx,
				store.Insert{Collection: name, Document: doc{"id": id4(who*100 + i + 10)}},
				store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Add: map[string]int64{"n": 1}}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	seen := make(map[string]int)
	for range 1 + many*each*2 {
		a, err := first.Next(s.ctx)
		s.must(err)
		b, err := second.Next(s.ctx)
		s.must(err)
		if a.ID != b.ID || a.Kind != b.Kind {
			s.Fatalf("one feed tells %s %s, the other %s %s", a.Kind, a.ID, b.Kind, b.ID)
		}
		seen[a.ID]++
	}
	for id, n := range seen {
		if want := map[bool]int{true: 1 + many*each, false: 1}[id == "1"]; n != want {
			s.Errorf("%s was told %d times, want %d", id, n, want)
		}
	}
}

func feedTooOld(s *scene) {
	if s.engine.Forget == nil {
		s.Skip("the engine can't be made to forget")
	}
	s.Store = s.engine.Open(s.T)
	name, feed := watched(s)
	s.insert(name, doc{"id": "1"}, doc{"id": "2"})
	old := s.told(feed, "inserted 1")
	s.engine.Forget(s.T, s.Store, name)
	_, err := s.Watch(s.ctx, name, old.Position)
	s.refused(err, fault.NotFound, "Watch after what is no longer kept")
	fresh := s.watch(name, "")
	s.insert(name, doc{"id": "3"})
	s.told(s.watch(name, s.told(fresh, "inserted 3").Position))
}

// feedEnds has a store of its own: nothing else wakes its feeds.
func feedEnds(s *scene) {
	s.Store = s.engine.Open(s.T)
	name := s.make(store.Collection{Feed: time.Hour})
	waiting := func(feed store.Feed) (ended chan error) {
		waits := make(chan error)
		ended = make(chan error, 1)
		go func() {
			_, err := feed.Next(s.ctx)
			waits <- err
			_, err = feed.Next(s.ctx)
			ended <- err
		}()
		s.apply(store.Put{Collection: name, Document: doc{"id": store.NewID()}})
		s.must(<-waits)
		return ended
	}
	for range 5 {
		ctx, cancel := withCancel(s.ctx)
		feed, err := s.Watch(ctx, name, "")
		s.must(err)
		ended := waiting(feed)
		cancel()
		s.refused(<-ended, fault.Unavailable, "Next when the context of Watch ends")
		_, err = feed.Next(s.ctx)
		s.refused(err, fault.Unavailable, "Next after the context of Watch has ended")
		s.must(feed.Close())

		feed = s.watch(name, "")
		ended = waiting(feed)
		s.must(feed.Close())
		if err := <-ended; err == nil || s.ctx.Err() != nil {
			s.Errorf("Next of a feed that is closed meanwhile: %v", err)
		}
		s.apply(store.Put{Collection: name, Document: doc{"id": store.NewID()}})
		if _, err := feed.Next(s.ctx); err == nil {
			s.Error("Next of a closed feed has no error")
		}
		feed.Close()
	}
}

func feedWaits(s *scene) {
	name, feed := watched(s)
	for _, wait := range []time.Duration{0, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(s.ctx, wait)
		_, err := feed.Next(ctx)
		s.ended(err, context.DeadlineExceeded, "Next")
		cancel()
	}
	s.insert(name, doc{"id": "1"})
	s.told(feed, "inserted 1")
}

func feedNone(s *scene) {
	name := s.make(store.Collection{})
	_, err := s.Watch(s.ctx, name, "")
	s.refused(err, fault.Invalid, "Watch of a collection without a feed")
	c := store.Collection{Name: name, Feed: time.Hour}
	s.must(s.Ensure(s.ctx, c))
	feed := s.watch(name, "")
	s.insert(name, doc{"id": "1"})
	s.told(feed, "inserted 1")
	for _, position := range []string{"x", " ", "'; drop table x", "{}", strings.Repeat("9", 40), "\x00"} {
		if _, err := s.Watch(s.ctx, name, position); fault.CodeOf(err) != fault.Invalid && fault.CodeOf(err) != fault.NotFound {
			s.Errorf("Watch after %q: %v", position, err)
		}
	}
}
