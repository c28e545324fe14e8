package storetest

import (
	"fmt"
	"time"

	"github.com/onehost/edge/core/store"
)

func listIndexes() []test {
	return []test{
		{"a list index finds what a list has", listsHave},
		{"a list index is in step with every write", listsInStep},
		{"a list index is made of what is there, and goes", listsMade},
		{"a field may have a list index and another one", listsBeside},
		{"many values of many lists are found", listsOfMany},
	}
}

// listed are list indexes of fields.
func listed(fields ...string) []store.Index {
	indexes := make([]store.Index, len(fields))
	for i, field := range fields {
		indexes[i] = store.Index{Fields: []string{field}, List: true}
	}
	return indexes
}

// withLists has each test done a second time, in collections with list indexes.
func withLists(tests []test) []test {
	all := tests
	for _, one := range tests {
		all = append(all, test{one.name + ", with list indexes", func(s *scene) {
			s.lists = listed("by", "key", "keys", "more.key", "parents", "refs", "up", "to", "v", "a", "b", "a.b.c", "l", "x", "from", "d")
			one.run(s)
		}})
	}
	return all
}

func listsHave(s *scene) {
	name := s.make(store.Collection{Indexes: listed("l", "d.l", "docs.l")})
	s.insert(name,
		doc{"id": "1", "l": []any{"a", "b", "a"}}, doc{"id": "2", "l": "a"}, doc{"id": "3", "l": []any{int64(1), true, epoch(), []byte("x"), nil}}, doc{"id": "4", "l": []any{1.0, []any{"a"}, doc{"a": "a"}, "[\"a\"]"}},
		doc{"id": "5", "l": []any{}}, doc{"id": "6", "l": doc{"a": "a"}}, doc{"id": "7", "d": doc{"l": []any{"a"}}}, doc{"id": "8", "docs": []any{doc{"l": []any{"a"}}, doc{"l": "a"}}, "d": []any{doc{"l": "a"}}}, doc{"id": "9"},
	)
	has := func(v any) store.Filter { return store.Has{Field: "l", Value: v} }
	s.finds(name, has("a"), "1")
	s.finds(name, has("b"), "1")
	s.finds(name, has(1), "3 4")
	s.finds(name, has(true), "3")
	s.finds(name, has(epoch()), "3")
	s.finds(name, has([]byte("x")), "3")
	s.finds(name, has("[\"a\"]"), "4")
	s.finds(name, has("x"), "")
	s.finds(name, store.Not{Filter: has(1)}, "1 2 5 6 7 8 9")
	s.finds(name, store.Or{has("a"), store.ID("9"), has(1), store.Has{Field: "d.l", Value: "a"}}, "1 3 4 7 9")
	s.finds(name, store.And{store.Or{has("a"), has(true)}, store.Or{has("b"), has("x")}}, "1")
	s.finds(name, store.Not{Filter: store.Or{has("a"), has("b"), has(1)}}, "2 5 6 7 8 9")
	s.finds(name, store.Has{Field: "docs.l", Value: "a"}, "")
	s.finds(name, store.Some{Field: "docs", Filter: store.Has{Field: "l", Value: "a"}}, "8")
	s.finds(name, store.Eq("l", "a"), "2")
	s.finds(name, store.Null("l"), "7 8 9")
	s.is(s.ids(store.Query{Collection: name, Filter: store.Or{has("a"), has(1)}, Sort: []store.Order{{Field: "id", Descending: true}}, Skip: 1, Limit: 1}), "3", "a page")
}

func listsInStep(s *scene) {
	name := s.make(store.Collection{Feed: time.Hour, Indexes: listed("l")})
	has := func(v any) store.Filter { return store.Has{Field: "l", Value: v} }
	s.insert(name, doc{"id": "1", "l": []any{"a", "b"}}, doc{"id": "2"})
	s.apply(store.Put{Collection: name, Document: doc{"id": "1", "l": []any{"b", "c"}}}, store.Put{Collection: name, Document: doc{"id": "3", "l": []any{"a"}}})
	s.finds(name, has("a"), "3")
	s.finds(name, has("b"), "1")
	s.finds(name, has("c"), "1")
	touched := s.apply(store.Update{Collection: name, Filter: store.Not{Filter: has("c")}, Change: store.Change{Set: doc{"l": []any{"x", "y"}}}}, store.Update{Collection: name, Filter: has("x"), Change: store.Change{Set: doc{"n": 1}}})
	s.is(touched, []int{2, 2}, "touched")
	s.finds(name, has("a"), "")
	s.finds(name, store.Or{has("x"), has("b")}, "1 2 3")
	if _, err := s.Claim(s.ctx, store.Query{Collection: name, Filter: has("x")}, store.Change{Unset: []string{"l"}}); err != nil {
		s.Error(err)
	}
	s.finds(name, has("x"), "3")
	touched = s.apply(store.Delete{Collection: name, Filter: has("b")}, store.Insert{Collection: name, Document: doc{"id": "1", "l": []any{"z"}}})
	s.is(touched, []int{1, 1}, "touched")
	s.finds(name, has("b"), "")
	s.finds(name, has("z"), "1")
	_, err := s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Set: doc{"l": []any{"new"}}}}, store.Insert{Collection: name, Document: doc{"id": "1"}})
	s.duplicate(err, name)
	s.finds(name, has("new"), "")
	s.finds(name, has("z"), "1")
	s.is(s.apply(store.Delete{Collection: name}), []int{3}, "touched")
	s.finds(name, has("z"), "")
}

func listsMade(s *scene) {
	c := store.Collection{Name: s.newName()}
	has := store.Has{Field: "l", Value: "a"}
	s.must(s.Ensure(s.ctx, c))
	s.insert(c.Name, doc{"id": "1", "l": []any{"a"}}, doc{"id": "2", "l": "a"}, doc{"id": "3", "m": []any{"a"}})
	for range 2 {
		for _, c.Indexes = range [][]store.Index{listed("l"), listed("l", "m"), listed("m"), nil, {{Fields: []string{"m"}, List: true}, {Fields: []string{"n"}}}} {
			s.must(s.Ensure(s.ctx, c))
			s.finds(c.Name, has, "1")
			s.finds(c.Name, store.Has{Field: "m", Value: "a"}, "3")
			s.apply(store.Put{Collection: c.Name, Document: doc{"id": "1", "l": []any{"b", "a"}}}, store.Update{Collection: c.Name, Filter: store.ID("2"), Change: store.Change{Add: map[string]int64{"n": 1}}})
		}
	}
	s.must(s.Check(s.ctx))
}

// listsBeside: what the other index needs, holds.
func listsBeside(s *scene) {
	name := s.make(store.Collection{Indexes: append(listed("a", "u", "e"), store.Index{Fields: []string{"a"}}, store.Index{Fields: []string{"u"}, Unique: true}), Expire: "e"})
	s.insert(name, doc{"id": "1", "a": "x", "u": "x"}, doc{"id": "2", "a": "y"})
	_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "3", "u": "x"}})
	s.duplicate(err, name, "u")
	s.finds(name, store.Has{Field: "a", Value: "x"}, "")
	s.finds(name, store.Eq("a", "x"), "1")
	s.finds(name, store.Related{Field: "a", Collection: name, By: "u"}, "1")
	s.finds(name, store.Related{Field: "u", Collection: name, By: "a", Filter: store.Eq("u", "x")}, "1")
}

func listsOfMany(s *scene) {
	name := s.make(store.Collection{Indexes: listed("l")})
	documents, or := make([]doc, 500), make(store.Or, 500)
	for i := range documents {
		var list []any
		for n := range 40 {
			list = append(list, int64(i*20+n)) // each shares half of them with the one after it
		}
		documents[i], or[i] = doc{"id": id4(i), "l": list}, store.Has{Field: "l", Value: i * 20}
	}
	s.insert(name, documents...)
	s.finds(name, store.Has{Field: "l", Value: 30}, "0000 0001")
	s.is(len(s.find(store.Query{Collection: name, Filter: or})), 500, "documents")
	s.finds(name, store.Or{or[0], or[2], store.Has{Field: "l", Value: fmt.Sprint(20)}}, "0000 0001 0002")
}
