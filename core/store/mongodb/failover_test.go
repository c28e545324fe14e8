package mongodb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// burst inserts documents from several goroutines, each again under another id until it is acknowledged: a unique key has it be there once.
type burst struct {
	*testing.T
	s    *Store
	sent atomic.Int64

	mu      sync.Mutex
	acked   map[string]bool
	news    chan struct{} // closed when more has been acknowledged
	longest time.Duration // between two acknowledgements
	last    time.Time
}

func (b *burst) insert(ctx context.Context) {
	for ctx.Err() == nil {
		key := fmt.Sprintf("key %d", b.sent.Add(1))
		for ctx.Err() == nil && !b.try(ctx, key) {
			_ = pause(ctx, 4)
		}
	}
}

func (b *burst) try(ctx context.Context, key string) (done bool) {
	id := store.NewID()
	_, err := b.s.Apply(ctx, store.Insert{Collection: "burst", Document: store.Document{"id": id, "key": key}})
	if _, ok := errors.AsType[*store.Duplicate](err); ok {
		id = "" // an earlier attempt did arrive
	} else if err != nil {
		if fault.CodeOf(err) != fault.Unavailable {
			b.Error(err)
		}
		return false
	}
	b.acknowledged(key)
	if id == "" {
		return true
	}
	if _, err := b.s.Get(ctx, "burst", id); err != nil && fault.CodeOf(err) != fault.Unavailable {
		b.Errorf("what was written is not there to be read: %v", err)
	}
	return true
}

func (b *burst) acknowledged(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() {
		b.longest = max(b.longest, time.Since(b.last))
	}
	b.last, b.acked[key] = time.Now(), true
	close(b.news)
	b.news = make(chan struct{})
}

// more waits until so many more inserts have been acknowledged.
func (b *burst) more(ctx context.Context, n int) {
	b.Helper()
	b.mu.Lock()
	want := len(b.acked) + n
	b.mu.Unlock()
	for {
		b.mu.Lock()
		got, news := len(b.acked), b.news
		b.mu.Unlock()
		if got >= want {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			b.Fatalf("%d inserts are acknowledged, %d should be: %v", got, want, b.s.Ready(context.Background()))
		}
	}
}

func TestAReplicaSetOfThree(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Members: 3})
	t.Run("a primary that stands still is replaced", func(t *testing.T) { pausePrimary(t, set) })
	t.Run("what is acknowledged outlives the primary and is told once", func(t *testing.T) { killPrimaries(t, set) })
}

func killPrimaries(t *testing.T, set *mongodbtest.Set) {
	rounds := 2
	if os.Getenv("EDGE_SOAK") != "" {
		rounds = 10
	}
	s := open(t, mongodbtest.In(t, set.URI(), "edge"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds)*time.Minute)
	defer cancel()
	err := s.Ensure(ctx, store.Collection{Name: "burst", Indexes: []store.Index{{Fields: []string{"key"}, Unique: true}}, Feed: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := s.Watch(ctx, "burst", "")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	b := &burst{T: t, s: s, acked: make(map[string]bool), news: make(chan struct{})}
	inserting, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() { b.insert(inserting) })
	}
	for range rounds {
		b.more(ctx, 50)
		b.mu.Lock()
		b.longest = 0
		b.mu.Unlock()
		primary := set.Primary(t)
		primary.Kill(t)
		b.more(ctx, 50)
		b.mu.Lock()
		t.Logf("nothing was acknowledged for %v", b.longest.Round(time.Millisecond))
		b.mu.Unlock()
		primary.Restart(t)
	}
	stop()
	working.Wait()
	b.allThere()
	b.toldOnce(ctx, feed)
}

func (b *burst) allThere() {
	b.Helper()
	keys := allKeys(b.T, b.s, "burst")
	for key := range b.acked {
		if !keys[key] {
			b.Errorf("%s was acknowledged and is not there", key)
		}
	}
	b.Logf("%d were acknowledged, %d are there", len(b.acked), len(keys))
	b.acked = keys
}

func (b *burst) toldOnce(ctx context.Context, feed store.Feed) {
	b.Helper()
	told := make(map[string]bool)
	for len(told) < len(b.acked) {
		event, err := feed.Next(ctx)
		if err != nil {
			b.Fatalf("%d of %d were told: %v", len(told), len(b.acked), err)
		}
		if key := event.Document.String("key"); told[key] || event.Kind != store.Inserted {
			b.Errorf("%s was told again, or wrongly: %+v", key, event)
		} else {
			told[key] = true
		}
	}
}

// atOnce is the time of a call that waits for no server, on a busy machine.
const atOnce = selectWithin / 2

// unavailableWithin fails the test unless a call is unavailable soon.
func unavailableWithin(t *testing.T, limit time.Duration, call func() error) {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); fault.CodeOf(err) != fault.Unavailable || took > limit {
		t.Errorf("after %v: %v (code %q), want unavailable within %v", took, err, fault.CodeOf(err), limit)
	}
}

// until tries a call until it succeeds.
func until(t *testing.T, call func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := 1; ; i++ {
		err := call()
		if err == nil {
			return
		}
		if pause(ctx, i) != nil {
			t.Fatal(err)
		}
	}
}

func TestAServerThatIsNotThereIsUnavailableAtOnceAndUsedWhenItComes(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	member := set.Primary(t)
	member.Kill(t)
	s := open(t, mongodbtest.In(t, set.URI(), "edge"))
	ensure := func() error { return s.Ensure(t.Context(), store.Collection{Name: "things"}) }
	insert := func() error {
		_, err := s.Apply(t.Context(), store.Insert{Collection: "things", Document: store.Document{"id": "1"}})
		return err
	}
	unavailableWithin(t, 2*selectWithin, ensure)
	for range 5 {
		unavailableWithin(t, atOnce, insert)
	}
	unavailableWithin(t, atOnce, func() error { return s.Ready(t.Context()) })
	member.Restart(t)
	until(t, insert) // which makes up for what Ensure could not do
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// things is a store on a set of its own, in which two kinds of write succeed: one by itself, and one in a transaction.
func things(t *testing.T, set *mongodbtest.Set) (s *Store, put, update func() error) {
	s = open(t, mongodbtest.In(t, set.URI(), "edge"))
	if err := s.Ensure(t.Context(), store.Collection{Name: "things"}); err != nil {
		t.Fatal(err)
	}
	apply := func(w store.Write) func() error {
		return func() error { _, err := s.Apply(t.Context(), w); return err }
	}
	put = apply(store.Put{Collection: "things", Document: store.Document{"id": "1"}})
	update = apply(store.Update{Collection: "things", Change: store.Change{Set: store.Document{"a": 1}}})
	until(t, put)
	until(t, update)
	return s, put, update
}

func TestAServerThatStandsStillIsNoticedInSecondsAndUsedWhenItGoesOn(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	s, put, update := things(t, set)
	member := set.Primary(t)
	member.Pause(t)
	var all sync.WaitGroup
	all.Go(func() { unavailableWithin(t, 7*time.Second, put) })
	all.Go(func() { unavailableWithin(t, 7*time.Second, update) })
	all.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		unavailableWithin(t, 2*time.Second, func() error { _, err := s.Count(ctx, "things", nil); return err })
	})
	all.Wait()
	for range 2 { // then it has been known for longer than anybody is to wait
		unavailableWithin(t, selectWithin+time.Second, put)
	}
	unavailableWithin(t, atOnce, put)
	unavailableWithin(t, atOnce, update)
	member.Resume(t)
	until(t, put)
	until(t, update)
}

func pausePrimary(t *testing.T, set *mongodbtest.Set) {
	_, put, _ := things(t, set)
	paused := set.Primary(t)
	paused.Pause(t)
	start := time.Now()
	until(t, put)
	t.Logf("written again after %v", time.Since(start).Round(time.Millisecond))
	paused.Resume(t)
}

func TestATransactionWhoseCommitIsNotAnsweredTakesNoLongerThanItsTime(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Members: 1})
	s := open(t, set.URI())
	if err := s.Ensure(t.Context(), store.Collection{Name: "paused"}); err != nil {
		t.Fatal(err)
	}
	member := set.Primary(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := s.run(ctx, "writing", func(ctx context.Context, client *mongo.Client) error {
		return s.transaction(ctx, func(ctx context.Context) error {
			_, err := s.in(client, &store.Collection{Name: "paused"}).InsertOne(ctx, byID("a"))
			member.Pause(t)
			return err
		})
	})
	took := time.Since(began)
	member.Resume(t)
	if fault.CodeOf(err) != fault.Unavailable || took > 2*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}
