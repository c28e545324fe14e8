package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func ensures() []test {
	return []test{
		{"nothing can be done with a collection before it is ensured", unknownCollections},
		{"what is described is what Collections returns", describes},
		{"documents stay when a collection is ensured once more", ensuresAgain},
		{"indexes are added and removed as described", indexesChange},
		{"a unique index that what is there contradicts is a conflict", ensureConflict},
		{"an index on what holds a list or a document is a conflict", ensureNested},
		{"many may ensure the same at once", ensuresTogether},
		{"a collection's name is that of nothing else", collectionNames},
		{"what has expired is removed, and nothing else", expires},
		{"another one who opens the store sees the same", opensAgain},
		{"a store that is fine says so", checks},
	}
}

func unknownCollections(s *scene) {
	known, name := s.with(doc{"id": "1", "to": "1"}), s.newName()
	calls := map[string]func() error{
		"Get":   func() error { _, err := s.Get(s.ctx, name, "1"); return err },
		"Find":  func() error { _, err := s.Find(s.ctx, store.Query{Collection: name, Limit: 1}); return err },
		"Count": func() error { _, err := s.Count(s.ctx, name, nil); return err },
		"Insert": func() error {
			_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "1"}})
			return err
		},
		"Put": func() error {
			_, err := s.Apply(s.ctx, store.Put{Collection: name, Document: doc{"id": "1"}})
			return err
		},
		"Update": func() error { _, err := s.Apply(s.ctx, store.Update{Collection: name}); return err },
		"Delete": func() error { _, err := s.Apply(s.ctx, store.Delete{Collection: name}); return err },
		"Claim":  func() error { _, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{}); return err },
		"Watch":  func() error { _, err := s.Watch(s.ctx, name, ""); return err },
		"Related": func() error {
			_, err := s.Find(s.ctx, store.Query{Collection: known, Limit: 1, Filter: store.Related{Field: "to", Collection: name}})
			return err
		},
		"Related in Delete": func() error {
			_, err := s.Apply(s.ctx, store.Delete{Collection: known, Filter: store.Not{Filter: store.Related{Field: "to", Collection: name}}})
			return err
		},
	}
	for what, call := range calls {
		s.refused(call(), fault.Invalid, "%s", what)
	}
	for _, hostile := range []string{"", "$where", "a.$b", `"; drop table`, "'", "sqlite_schema", "A", "a b", "a\x00", "system.users", "é", "../x", strings.Repeat("n", store.MaxName+1)} {
		name = hostile
		for what, call := range calls {
			s.refused(call(), fault.Invalid, "%s of %q", what, hostile)
		}
		s.refused(s.Ensure(s.ctx, store.Collection{Name: hostile}), fault.Invalid, "Ensure of %q", hostile)
	}
	s.finds(known, nil, "1")
}

// described returns what the store says about a collection, nil if nothing.
func (s *scene) described(name string) *store.Collection {
	s.Helper()
	all, err := s.Collections(s.ctx)
	s.must(err)
	if !slices.IsSortedFunc(all, func(a, b store.Collection) int { return strings.Compare(a.Name, b.Name) }) {
		s.Errorf("collections are not sorted by name: %v", all)
	}
	for _, c := range all {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

func sameCollection(a, b store.Collection) bool {
	return a.Name == b.Name && a.Expire == b.Expire && a.Feed == b.Feed && a.Private == b.Private &&
		slices.EqualFunc(a.Indexes, b.Indexes, func(a, b store.Index) bool {
			return a.Unique == b.Unique && a.List == b.List && slices.Equal(a.Fields, b.Fields)
		})
}

func describes(s *scene) {
	for _, c := range []store.Collection{
		{}, {Indexes: []store.Index{{Fields: []string{"b", "a.c"}}, {Fields: []string{"a"}, Unique: true}, {Fields: []string{"l.m"}, List: true}}}, {Expire: "e", Feed: 90 * time.Minute}, {Private: true, Feed: time.Second},
	} {
		c.Name = s.newName()
		if got := s.described(c.Name); got != nil {
			s.Errorf("%s is there already: %v", c.Name, got)
		}
		s.must(s.Ensure(s.ctx, c, store.Collection{Name: c.Name + "-other"}))
		if got := s.described(c.Name); got == nil || !sameCollection(*got, c) {
			s.Errorf("%v is described as %v", c, got)
		}
		if s.described(c.Name+"-other") == nil {
			s.Errorf("the second collection of one call is not there")
		}
		c.Expire, c.Feed, c.Indexes = "f", time.Hour, []store.Index{{Fields: []string{"d"}}}
		s.must(s.Ensure(s.ctx, c))
		if got := s.described(c.Name); got == nil || !sameCollection(*got, c) {
			s.Errorf("%v is described as %v after a change", c, got)
		}
	}
	s.must(s.Ensure(s.ctx))
}

func ensuresAgain(s *scene) {
	c := store.Collection{Name: s.newName(), Indexes: []store.Index{{Fields: []string{"a"}}, {Fields: []string{"u"}, Unique: true}}, Expire: "e"}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "1", "a": int64(1), "u": "x"})
	for range 3 {
		s.must(s.Ensure(s.ctx, c))
		_, err := s.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": "2", "u": "x"}})
		s.duplicate(err, c.Name, "u")
	}
	s.is(s.find(store.Query{Collection: c.Name, Filter: store.Eq("a", 1)}), []doc{{"id": "1", "a": int64(1), "u": "x"}}, "found")
}

func indexesChange(s *scene) {
	c := store.Collection{Name: s.newName(), Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}, {Fields: []string{"a"}}}}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "1", "u": "x", "a": int64(1), "l": []any{}})
	c.Indexes = []store.Index{{Fields: []string{"a"}, Unique: true}, {Fields: []string{"u"}}}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "2", "u": "x"})
	_, err := s.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": "3", "a": int64(1)}})
	s.duplicate(err, c.Name, "a")
	c.Indexes = nil
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "3", "a": int64(1), "u": []any{}})
	s.finds(c.Name, nil, "1 2 3")
	s.finds(c.Name, store.Eq("u", "x"), "1 2")
	c.Indexes = []store.Index{{Fields: []string{"a", "u"}}}
	s.apply(store.Delete{Collection: c.Name, Filter: store.ID("3")})
	s.must(s.Ensure(s.ctx, c))
	_, err = s.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": "3", "u": []any{}}})
	s.refused(err, fault.Invalid, "a list where there is an index now")
	s.finds(c.Name, store.And{store.Eq("a", 1), store.Eq("u", "x")}, "1")
}

func ensureConflict(s *scene) {
	c := store.Collection{Name: s.newName(), Indexes: []store.Index{{Fields: []string{"a"}}}}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "1", "u": int64(1)}, doc{"id": "2", "u": 1.0}, doc{"id": "3"}, doc{"id": "4"})
	c.Indexes = []store.Index{{Fields: []string{"u"}, Unique: true}}
	s.refused(s.Ensure(s.ctx, c), fault.Conflict, "Ensure")
	s.finds(c.Name, store.Eq("u", 1), "1 2")
	s.apply(store.Update{Collection: c.Name, Filter: store.ID("2"), Change: store.Change{Set: doc{"u": 2}}})
	s.must(s.Ensure(s.ctx, c))
	_, err := s.Apply(s.ctx, store.Update{Collection: c.Name, Filter: store.ID("2"), Change: store.Change{Set: doc{"u": 1}}})
	s.duplicate(err, c.Name, "u")
}

func ensureNested(s *scene) {
	described := store.Collection{Name: s.newName()}
	s.must(s.Ensure(s.ctx, described))
	s.insert(described.Name, doc{"id": "1", "list": []any{}, "doc": doc{"n": int64(1)}, "docs": []any{doc{"n": int64(1)}}}, doc{"id": "2"})
	for _, c := range []store.Collection{
		{Expire: "list"}, {Expire: "doc"}, {Indexes: []store.Index{{Fields: []string{"id", "list"}}}}, {Indexes: []store.Index{{Fields: []string{"doc"}}}}, {Indexes: []store.Index{{Fields: []string{"docs.n"}}}},
		{Indexes: []store.Index{{Fields: []string{"none"}}, {Fields: []string{"list"}, Unique: true}}},
	} {
		c.Name = described.Name
		s.refused(s.Ensure(s.ctx, c), fault.Conflict, "Ensure of %v", c)
	}
	s.must(s.Ensure(s.ctx, described))
	described.Indexes = []store.Index{{Fields: []string{"doc.n"}}}
	s.must(s.Ensure(s.ctx, described))
	s.finds(described.Name, store.Eq("doc.n", 1), "1")
	s.apply(store.Update{Collection: described.Name, Change: store.Change{Unset: []string{"list"}}})
	described.Indexes = []store.Index{{Fields: []string{"list"}, Unique: true}}
	s.must(s.Ensure(s.ctx, described))
}

func ensuresTogether(s *scene) {
	stores := []store.Store{s.Store}
	if s.engine.Again != nil {
		stores = append(stores, s.engine.Again(s.T, s.Store))
	}
	c := store.Collection{Name: s.newName(), Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}, {Fields: []string{"a", "b"}}}, Expire: "e", Feed: time.Hour}
	s.together(6, func(who int) error {
		one := stores[who%len(stores)]
		if err := one.Ensure(s.ctx, c); err != nil {
			return err
		}
		_, err := one.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": id4(who), "u": who}})
		return err
	})
	s.is(len(s.find(store.Query{Collection: c.Name})), 6, "documents")
	_, err := s.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": "new", "u": 0}})
	s.duplicate(err, c.Name, "u")
}

func collectionNames(s *scene) {
	names := []string{"select", "table", "documents", "collections", "meta", "events", "feed", "a-b", "a_b", "a1", "schema", "local", "admin", "config", "system", "indexes", "x" + strings.Repeat("n", store.MaxName-1)}
	for _, name := range names {
		s.must(s.Ensure(s.ctx, store.Collection{Name: name, Feed: time.Hour, Indexes: []store.Index{{Fields: []string{strings.Repeat("n", store.MaxName), "a-b"}}}}))
		s.insert(name, doc{"id": "1", "name": name})
	}
	for _, name := range names {
		s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1", "name": name}}, "found in %s", name)
		s.apply(store.Delete{Collection: name})
	}
}

func expires(s *scene) {
	s.Store = s.engine.Open(s.T)
	running := s.running()
	defer running()
	name := s.make(store.Collection{Expire: "until", Feed: time.Hour})
	feed, err := s.Watch(s.ctx, name, "")
	s.must(err)
	defer feed.Close()
	s.insert(name,
		doc{"id": "future", "until": now().Add(time.Hour)}, doc{"id": "none"}, doc{"id": "number", "until": int64(1)}, doc{"id": "past", "until": now().Add(-time.Second)},
		doc{"id": "soon", "until": now().Add(time.Second)}, doc{"id": "text", "until": "2000-01-01T00:00:00Z"}, doc{"id": "within", "in": doc{"until": epoch()}},
	)
	var gone []string
	for len(gone) < 2 {
		event, err := feed.Next(s.ctx)
		s.must(err)
		if event.Kind == store.Deleted {
			gone = append(gone, event.ID)
		}
	}
	slices.Sort(gone)
	s.is(strings.Join(gone, " "), "past soon", "removed")
	s.finds(name, nil, "future none number text within")
}

// running starts the store's own work; what is returned ends it, and waits.
func (s *scene) running() (stop func()) {
	ctx, cancel := withCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Store.Run(ctx) }()
	return func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil && ctx.Err() == nil {
				s.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			s.Error("Run has not ended")
		}
	}
}

func opensAgain(s *scene) {
	if s.engine.Again == nil {
		s.Skip("the engine can't be opened again")
	}
	c := store.Collection{Name: s.newName(), Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "1", "u": "x"})
	other := *s
	other.Store = s.engine.Again(s.T, s.Store)
	if got := other.described(c.Name); got == nil || !sameCollection(*got, c) {
		s.Errorf("%v is described as %v", c, got)
	}
	s.must(other.Ensure(s.ctx, c))
	s.is(other.get(c.Name, "1"), doc{"id": "1", "u": "x"}, "got by the other")
	_, err := other.Apply(s.ctx, store.Insert{Collection: c.Name, Document: doc{"id": "2", "u": "x"}})
	other.duplicate(err, c.Name, "u")
	other.apply(store.Update{Collection: c.Name, Change: store.Change{Add: map[string]int64{"n": 1}}})
	s.apply(store.Update{Collection: c.Name, Filter: store.Eq("n", 1), Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1})
	s.is(other.get(c.Name, "1").Int("n"), int64(2), "the sum of both")
}

func checks(s *scene) {
	s.Store = s.engine.Open(s.T) // nobody else makes indexes meanwhile
	s.insert(s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"b", "a.c"}}, {Fields: []string{"a"}, Unique: true}}}), doc{"id": "1", "a": "x"}, doc{"id": "2", "b": 1})
	s.must(s.Ready(s.ctx))
	s.must(s.Check(s.ctx))
}
