// Package storetest is what every engine of package store has to show: [Run] is the suite that all pass, [Benchmark] what they cost, and
// [Memory] a store in memory that does everything in the plainest way: the suite compares engines with it, and other rooms stand on it in
// their tests.
//
// In come tests of what package store's comments promise. What only one engine promises is tested where that engine is.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Engine is how the suite gets at an engine.
type Engine struct {
	// Open returns a store with nothing in it, which is closed when the test ends.
	Open func(tb testing.TB) store.Store

	// Again opens once more, as another process would, what a store of Open keeps; closed when the test ends. Nil where that can't be.
	Again func(tb testing.TB, s store.Store) store.Store

	// Forget has the store drop what has happened so far in a collection that has a feed. Nil where that can't be hurried.
	Forget func(tb testing.TB, s store.Store, collection string)
}

type (
	doc = store.Document

	// test is one sentence of the suite.
	test struct {
		name string
		run  func(*scene)
	}

	// scene is what a test works with.
	scene struct {
		*testing.T
		store.Store
		engine Engine
		ctx    context.Context
		names  *atomic.Int64
		lists  []store.Index // what collections have that are made to hold documents
	}
)

// patience is how long a test may take: nothing in the suite waits so long unless it is broken.
const patience = 60 * time.Second

// Run tests all that package store promises. Most tests share one store, at the same time, in collections of their own.
func Run(t *testing.T, e Engine) {
	shared, names := e.Open(t), new(atomic.Int64)
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"values", values()}, {"filters", withLists(filters())}, {"text", text()}, {"related", withLists(related())}, {"sort and pages", sorts()},
		{"writes", writes()}, {"batches", batches()}, {"claims", claims()}, {"unique indexes", uniqueIndexes()}, {"list indexes", listIndexes()},
		{"collections", ensures()}, {"feeds", feeds()}, {"errors", failures()}, {"limits", limits()}, {"model", model()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					test.run(&scene{t, shared, e, ctx, names, nil})
				})
			}
		})
	}
}

// make brings a collection into being under a name that no other test has, and returns it.
func (s *scene) make(c store.Collection) string {
	s.Helper()
	c.Name = s.newName()
	s.must(s.Ensure(s.ctx, c))
	return c.Name
}

func (s *scene) newName() string { return fmt.Sprintf("test-%d", s.names.Add(1)) }

// with makes a collection that holds documents.
func (s *scene) with(documents ...doc) string {
	s.Helper()
	name := s.make(store.Collection{Indexes: s.lists})
	s.insert(name, documents...)
	return name
}

func (s *scene) insert(collection string, documents ...doc) {
	s.Helper()
	for some := range slices.Chunk(documents, store.MaxWrites) {
		writes := make([]store.Write, len(some))
		for i, d := range some {
			writes[i] = store.Insert{Collection: collection, Document: d}
		}
		s.apply(writes...)
	}
}

func (s *scene) apply(writes ...store.Write) []int {
	s.Helper()
	touched, err := s.Apply(s.ctx, writes...)
	s.must(err)
	return touched
}

func (s *scene) get(collection, id string) doc {
	s.Helper()
	d, err := s.Get(s.ctx, collection, id)
	s.must(err)
	return d
}

func (s *scene) find(q store.Query) []doc {
	s.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxFind
	}
	found, err := s.Find(s.ctx, q)
	s.must(err)
	return found
}

// ids are those of what a query finds, with a space between any two.
func (s *scene) ids(q store.Query) string {
	s.Helper()
	var ids []string
	for _, d := range s.find(q) {
		ids = append(ids, d.ID())
	}
	return strings.Join(ids, " ")
}

// finds fails the test unless exactly the documents of these ids meet the condition, by Find and by Count.
func (s *scene) finds(collection string, f store.Filter, want string) {
	s.Helper()
	if got := s.ids(store.Query{Collection: collection, Filter: f}); got != want {
		s.Errorf("%s finds %q, want %q", Describe(f), got, want)
	}
	if n, err := s.Count(s.ctx, collection, f); err != nil || n != len(strings.Fields(want)) {
		s.Errorf("%s counts %d, %v, want %d", Describe(f), n, err, len(strings.Fields(want)))
	}
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// refused fails the test unless err has the code.
func (s *scene) refused(err error, want fault.Code, what string, args ...any) {
	s.Helper()
	if got := fault.CodeOf(err); err == nil || got != want {
		s.Errorf("%s: %v (code %q), want %q", fmt.Sprintf(what, args...), err, got, want)
	}
}

// is fails the test unless got is exactly want.
func (s *scene) is(got, want any, what string, args ...any) {
	s.Helper()
	if !Same(got, want) {
		s.Errorf("%s: %s, want %s", fmt.Sprintf(what, args...), Describe(got), Describe(want))
	}
}

// now is a moment as a store keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
