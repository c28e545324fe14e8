package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func insert(collection, id string) store.Write {
	return store.Insert{Collection: collection, Document: store.Document{"id": id, "n": 1}}
}

func TestManyWritersShareTheirSyncs(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	const writers, each = 64, 20
	before := s.commits.Load()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if _, err := s.Apply(t.Context(), insert("a", fmt.Sprintf("%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if commits := s.commits.Load() - before; commits > writers*each/8 {
		t.Errorf("%d commits for %d inserts", commits, writers*each)
	} else {
		t.Logf("%d commits for %d inserts", commits, writers*each)
	}
}

// TestOneCallOfABatchDoesNotHurtAnother holds the turn until all wait, so that they are carried out in one transaction.
func TestOneCallOfABatchDoesNotHurtAnother(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}, Feed: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), insert("a", "0")); err != nil {
		t.Fatal(err)
	}
	before := s.commits.Load()
	s.turn <- struct{}{}
	calls := make(map[string]error)
	var mu sync.Mutex
	var all sync.WaitGroup
	apply := func(name string, ctx context.Context, writes ...store.Write) {
		n := len(s.queue)
		all.Go(func() {
			_, err := s.Apply(ctx, writes...)
			mu.Lock()
			calls[name] = err
			mu.Unlock()
		})
		for len(s.queue) == n {
			time.Sleep(time.Millisecond)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	apply("first", t.Context(), insert("a", "1"))
	apply("conflict", t.Context(), insert("a", "2"), insert("a", "0"))
	apply("gone", gone, insert("a", "3"))
	apply("broken", t.Context(), insert("a", "4"), store.Insert{Collection: "a", Document: store.Document{"id": "end"}})
	apply("last", t.Context(), insert("a", "5"))
	leave()
	for done := false; !done; {
		mu.Lock()
		_, done = calls["gone"]
		mu.Unlock()
	}
	<-s.turn
	all.Wait()
	for name, want := range map[string]fault.Code{"first": "", "conflict": fault.Conflict, "gone": fault.Unavailable, "broken": "", "last": ""} {
		if got := fault.CodeOf(calls[name]); got != want {
			t.Errorf("%s: %v, want %q", name, calls[name], want)
		}
	}
	found, err := s.Find(t.Context(), store.Query{Collection: "a", Limit: 10})
	var ids string
	for _, d := range found {
		ids += d.ID() + " "
	}
	if err != nil || ids != "0 1 4 5 end " {
		t.Errorf("there are %s %v", ids, err)
	}
	if n := s.commits.Load() - before; n != 1 {
		t.Errorf("%d commits", n)
	}
}

// TestACallThatEndsTheTransactionIsTheOnlyOneThatFails has one call of a batch roll back all of it, as a full disk does.
func TestACallThatEndsTheTransactionIsTheOnlyOneThatFails(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	new := func(run func(*tx) error) *call { return &call{ctx: t.Context(), run: run, done: make(chan struct{})} }
	tries := 0
	put := func(id string) *call {
		return new(func(tx *tx) error { return tx.put(tx.collections["a"], id, []byte("{}")) })
	}
	calls := []*call{put("1"), new(func(tx *tx) error {
		tries++
		return errors.Join(errors.New("broken"), tx.conn.exec(tx.ctx, "ROLLBACK"))
	}), put("2")}
	if err := s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.carryOut(calls)
	if calls[0].err != nil || calls[1].err == nil || calls[2].err != nil || tries != 2 {
		t.Errorf("%v, %v after %d tries, %v", calls[0].err, calls[1].err, tries, calls[2].err)
	}
	if n, err := s.Count(t.Context(), "a", nil); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestACallThatFailsHalfwayLeavesNothing has calls fail before and after they have changed something, alone and among others. What fails at once costs the others nothing.
func TestACallThatFailsHalfwayLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a", Feed: time.Hour}); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		fail func(*tx) error
		runs int
	}{
		"at once":     {func(*tx) error { return broken }, 1},
		"after a row": {func(tx *tx) error { return errors.Join(broken, tx.put(tx.collections["a"], "lost", []byte("{}"))) }, 2},
		"after a table is made": {func(tx *tx) error {
			return errors.Join(broken, tx.ensure(newCollection(store.Collection{Name: "lost"})))
		}, 2},
		"in the midst of a table": {func(tx *tx) error {
			tx.shaped = true
			return errors.Join(broken, tx.conn.exec(tx.ctx, `CREATE TABLE "lost"(id)`))
		}, 2},
	} {
		for _, others := range []int{0, 2} {
			runs := 0
			new := func(run func(*tx) error) *call { return &call{ctx: t.Context(), run: run, done: make(chan struct{})} }
			calls := []*call{new(func(tx *tx) error { runs++; return test.fail(tx) })}
			for i := range others {
				calls = append(calls, new(func(tx *tx) error { return tx.put(tx.collections["a"], fmt.Sprint(name, i), []byte("{}")) }))
			}
			before, _ := s.Count(t.Context(), "a", nil)
			if err := s.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.carryOut(calls)
			if want := min(test.runs, 1+others); !errors.Is(calls[0].err, broken) || runs != want {
				t.Errorf("%s: %v after %d tries, %d are enough", name, calls[0].err, runs, want)
			}
			if after, err := s.Count(t.Context(), "a", nil); after-before != others || err != nil {
				t.Errorf("%s: %d others have written %d, %v", name, others, after-before, err)
			}
			if there, err := s.writer.number(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name='lost'"); there != 0 || err != nil || s.written.collections["lost"] != nil {
				t.Errorf("%s: a table is left, %v", name, err)
			}
		}
	}
	if n, err := s.writer.number(t.Context(), "SELECT count(*) FROM _events WHERE id='lost'"); n != 0 || err != nil {
		t.Errorf("%d events are told, %v", n, err)
	}
}

func TestAPanicOfOneWriterLeavesTheStoreToOthers(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	writer := s.writer
	func() {
		defer func() { _ = recover() }()
		_ = s.submit(t.Context(), 0, func(*tx) error { panic("no memory") })
	}()
	if err := writer.close(); err != nil { // as the end of its memory would be
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), insert("a", "1")); err != nil {
		t.Error(err)
	}
}

func TestWhatCouldNotBeEnsuredIsMadeUpFor(t *testing.T) {
	s := open(t, filled(t))
	other, err := connect(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.close() }()
	if err := other.exec(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	if err := s.Ensure(soon(), store.Collection{Name: "b"}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Ensure: %v", err)
	}
	if _, err := s.Get(t.Context(), "a", "7"); err != nil {
		t.Errorf("another collection: %v", err)
	}
	if _, err := s.Count(soon(), "b", nil); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("too early: %v", err)
	}
	if err := other.exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), insert("b", "1")); err != nil {
		t.Error(err)
	}
}

func TestALongQueryIsInterruptedAndWritesGoOn(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for i := range store.MaxWrites {
		writes = append(writes, insert("a", fmt.Sprint(i)))
	}
	if _, err := s.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	// Every document is compared with every other, and with every other of those.
	slow := store.Related{Field: "n", Collection: "a", By: "n", Filter: store.Some{Field: "l", Filter: store.And{}}}
	var f store.And
	for range 200 {
		f = append(f, store.Not{Filter: slow})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Count(ctx, "a", f)
	if fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("a query: %v after %v", err, time.Since(start))
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Apply(ctx, store.Delete{Collection: "a", Filter: f})
	if fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a delete: %v", err)
	}
	if n, err := s.Count(t.Context(), "a", nil); n != store.MaxWrites || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := s.Apply(t.Context(), insert("a", "after")); err != nil {
		t.Error(err)
	}
}

// TestASlowReaderDoesNotBringBackAnOlderCatalog has a reader come with what it has read before a change.
func TestASlowReaderDoesNotBringBackAnOlderCatalog(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	before := s.catalog.Load()
	if err := s.Ensure(t.Context(), store.Collection{Name: "a", Expire: "e"}); err != nil {
		t.Fatal(err)
	}
	s.learn(before)
	if s.catalog.Load().collections["a"].Expire != "e" || s.written != s.catalog.Load() {
		t.Error("an older catalog took the place of a newer one")
	}
}

func TestOneReaderIsEnoughForOneWhoReads(t *testing.T) {
	s := open(t, filled(t))
	read := func() {
		if _, err := s.Get(t.Context(), "a", "7"); err != nil {
			t.Error(err)
		}
	}
	read()
	if err := s.read(t.Context(), func(*conn) error { read(); return nil }); err != nil {
		t.Error(err)
	}
	between := time.Now()
	for range 5 {
		read()
	}
	if n := len(s.readers.idle); n != 2 {
		t.Errorf("%d connections were opened for two at a time", n)
	}
	if err := s.readers.retire(between); err != nil || len(s.readers.idle) != 1 {
		t.Errorf("%d are left of one in use and one idle, %v", len(s.readers.idle), err)
	}
	read()
}
