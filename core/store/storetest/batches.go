package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/onehost/edge/core/store"
)

func batches() []test {
	return []test{
		{"writes are carried out in their order, and each sees those before it", batchInOrder},
		{"all writes of all collections are done or none", allOrNone},
		{"no writes are no error", noWrites},
		{"a thousand writes are one batch", fullBatch},
		{"readers see all of a batch or nothing", wholeBatches},
		{"one read sees one moment of several collections", oneMoment},
		{"what was done is seen by the next call", readsOwnWrites},
		{"changes of one document from many at once all count", counts},
		{"of many who change a version one wins", compareAndSwap},
	}
}

func batchInOrder(s *scene) {
	a, b := s.with(), s.with(doc{"id": "1", "n": int64(1)})
	touched := s.apply(
		store.Insert{Collection: a, Document: doc{"id": "1", "n": int64(1)}},
		store.Update{Collection: a, Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1},
		store.Put{Collection: b, Document: doc{"id": "2", "n": int64(2)}},
		store.Update{Collection: b, Filter: store.Related{Field: "id", Collection: a}, Change: store.Change{Set: doc{"seen": true}}},
		store.Delete{Collection: a, Filter: store.Eq("n", 2), Must: 1},
		store.Insert{Collection: a, Document: doc{"id": "1", "n": int64(5)}},
		store.Put{Collection: a, Document: doc{"id": "1", "n": int64(6)}},
		store.Update{Collection: b, Filter: store.Eq("n", 2), Change: store.Change{Unset: []string{"n"}}},
		store.Update{Collection: b, Filter: store.Null("n"), Change: store.Change{Set: doc{"n": int64(3)}}},
	)
	s.is(touched, []int{1, 1, 1, 1, 1, 1, 1, 1, 1}, "touched")
	s.is(s.find(store.Query{Collection: a}), []doc{{"id": "1", "n": int64(6)}}, "found")
	s.is(s.find(store.Query{Collection: b}), []doc{{"id": "1", "n": int64(1), "seen": true}, {"id": "2", "n": int64(3)}}, "found")
}

func allOrNone(s *scene) {
	a := s.with(doc{"id": "1", "n": int64(1)}, doc{"id": "2", "n": "text"})
	b := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}})
	s.insert(b, doc{"id": "1", "u": "x"}, doc{"id": "5", "u": "w"})
	good := []store.Write{
		store.Insert{Collection: a, Document: doc{"id": "3"}}, store.Put{Collection: a, Document: doc{"id": "1"}}, store.Delete{Collection: a, Filter: store.ID("2")},
		store.Update{Collection: a, Change: store.Change{Set: doc{"x": true}}}, store.Insert{Collection: b, Document: doc{"id": "2", "u": "y"}},
	}
	for code, bad := range map[string]store.Write{
		"conflict: id":          store.Insert{Collection: b, Document: doc{"id": "1"}},
		"conflict: index":       store.Insert{Collection: b, Document: doc{"id": "9", "u": "x"}},
		"conflict: put":         store.Put{Collection: b, Document: doc{"id": "9", "u": "y"}},
		"conflict: update":      store.Update{Collection: b, Change: store.Change{Set: doc{"u": "z"}}},
		"conflict: must":        store.Delete{Collection: b, Must: 7},
		"invalid: document":     store.Insert{Collection: a, Document: doc{"id": ""}},
		"invalid: sum":          store.Update{Collection: b, Change: store.Change{Add: map[string]int64{"u": 1}}},
		"invalid: list":         store.Put{Collection: b, Document: doc{"id": "3", "u": []any{}}},
		"invalid: listed later": store.Update{Collection: b, Change: store.Change{Set: doc{"u": doc{}}}},
		"invalid: filter":       store.Delete{Collection: b, Filter: store.Eq("a..b", 1)},
		"invalid: collection":   store.Delete{Collection: "test-nowhere"},
		"too_large: document":   store.Insert{Collection: a, Document: doc{"id": "4", "v": make([]byte, store.MaxDocument)}},
	} {
		want, _, _ := strings.Cut(code, ":")
		_, err := s.Apply(s.ctx, append(good[:len(good):len(good)], bad)...)
		s.refused(err, codeOf(want), "%s", code)
		_, err = s.Apply(s.ctx, append([]store.Write{good[0], bad}, good[1:]...)...)
		s.refused(err, codeOf(want), "%s, early", code)
	}
	s.is(s.find(store.Query{Collection: a}), []doc{{"id": "1", "n": int64(1)}, {"id": "2", "n": "text"}}, "found in a")
	s.is(s.find(store.Query{Collection: b}), []doc{{"id": "1", "u": "x"}, {"id": "5", "u": "w"}}, "found in b")
}

func noWrites(s *scene) {
	touched, err := s.Apply(s.ctx)
	s.must(err)
	s.is(len(touched), 0, "touched")
}

func fullBatch(s *scene) {
	name := s.make(store.Collection{})
	all := make([]store.Write, store.MaxWrites)
	for i := range all {
		all[i] = store.Insert{Collection: name, Document: doc{"id": id4(i), "n": i % 2}}
	}
	s.is(len(s.apply(all...)), store.MaxWrites, "touched")
	_, err := s.Apply(s.ctx, append(all, store.Delete{Collection: name})...)
	s.refused(err, "too_large", "1001 writes")
	n, err := s.Count(s.ctx, name, store.Eq("n", 1))
	s.must(err)
	s.is(n, store.MaxWrites/2, "counted")
}

// while runs f again and again as long as work is being done, and fails the test with the first error of either.
func (s *scene) while(work func() error, f func() error) {
	s.Helper()
	done, failed := make(chan struct{}), make(chan error, 1)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					if n > 0 {
						return
					}
				default:
				}
				if err := f(); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	err := work()
	close(done)
	all.Wait()
	select {
	case failure := <-failed:
		err = errors.Join(err, failure)
	default:
	}
	s.must(err)
}

const rounds = 60 // enough for readers and a writer to meet

func wholeBatches(s *scene) {
	name := s.with(doc{"id": "a", "n": int64(0)}, doc{"id": "b", "n": int64(0)})
	s.while(func() error {
		for i := range rounds {
			var err error
			if i%2 == 0 {
				_, err = s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 2})
			} else {
				_, err = s.Apply(s.ctx,
					store.Update{Collection: name, Filter: store.ID("b"), Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1},
					store.Delete{Collection: name, Filter: store.ID("a"), Must: 1}, store.Insert{Collection: name, Document: doc{"id": "a", "n": int64(i + 1)}})
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		found, err := s.Find(s.ctx, store.Query{Collection: name, Limit: 3})
		if err == nil && (len(found) != 2 || found[0]["n"] != found[1]["n"]) {
			err = fmt.Errorf("a part of a batch was seen: %s", Describe(found))
		}
		return err
	})
}

func oneMoment(s *scene) {
	a, b := s.with(doc{"id": "1", "to": int64(0)}), s.with(doc{"id": "1", "key": int64(0)})
	s.while(func() error {
		for range rounds {
			add := func(field string) store.Change { return store.Change{Add: map[string]int64{field: 1}} }
			if _, err := s.Apply(s.ctx, store.Update{Collection: a, Change: add("to")}, store.Update{Collection: b, Change: add("key")}); err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		n, err := s.Count(s.ctx, a, store.Not{Filter: store.Related{Field: "to", Collection: b, By: "key"}})
		if err == nil && n != 0 {
			err = errors.New("one read saw two collections at two moments")
		}
		return err
	})
}

func readsOwnWrites(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"n"}}}})
	for i := range 30 {
		s.apply(store.Put{Collection: name, Document: doc{"id": "1", "n": int64(i)}})
		s.is(s.get(name, "1").Int("n"), int64(i), "got")
		s.finds(name, store.Eq("n", i), "1")
	}
}

func counts(s *scene) {
	name := s.with(doc{"id": "1"})
	s.together(8, func(int) error {
		for range 10 {
			if _, err := s.Apply(s.ctx, store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	s.is(s.get(name, "1"), doc{"id": "1", "n": int64(80)}, "got")
}

func compareAndSwap(s *scene) {
	name := s.with(doc{"id": "1", "version": int64(0)})
	wins := make([]int, 8)
	s.together(len(wins), func(who int) error {
		for version := range 5 {
			_, err := s.Apply(s.ctx, store.Update{Collection: name, Filter: store.And{store.ID("1"), store.Eq("version", version)}, Change: store.Change{Add: map[string]int64{"version": 1}}, Must: 1})
			switch {
			case err == nil:
				wins[who]++
			case !errors.Is(err, codeOf("conflict")):
				return err
			}
		}
		return nil
	})
	sum := 0
	for _, n := range wins {
		sum += n
	}
	s.is(s.get(name, "1").Int("version"), int64(sum), "the version")
	if sum < 1 || sum > 5 {
		s.Errorf("%d changes of 5 versions", sum)
	}
}

// together runs f n times at once and fails the test with their errors.
func (s *scene) together(n int, f func(who int) error) {
	s.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	s.must(errors.Join(errs...))
}
