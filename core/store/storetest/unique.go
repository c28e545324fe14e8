package storetest

import (
	"errors"
	"math"
	"slices"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func codeOf(name string) fault.Code { return fault.Code(name) }

// duplicate fails the test unless err says which index of which collection has such a document already; without fields, the id.
func (s *scene) duplicate(err error, collection string, fields ...string) {
	s.Helper()
	s.refused(err, fault.Conflict, "a duplicate")
	d, ok := errors.AsType[*store.Duplicate](err)
	if !ok || d.Collection != collection || !slices.Equal(d.Fields, fields) {
		s.Errorf("%#v is not a duplicate of %q in %s", err, fields, collection)
	}
}

func uniqueIndexes() []test {
	return []test{
		{"no two documents have the same values, and the error names them", uniqueValues},
		{"values are the same when they compare equal", uniqueEquals},
		{"documents in which one of the fields is null are not compared", uniqueNulls},
		{"what a document leaves another one may take", uniqueMoves},
		{"a change of many that would end well is done, or meets a neighbour and does nothing", uniqueNeighbours},
		{"of many who insert the same one wins", uniqueRace},
		{"an index holds no lists and no documents", indexedLists},
		{"an index may be on the id and on anything else at once", indexedOddly},
	}
}

func uniqueValues(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"a"}, Unique: true}, {Fields: []string{"b", "c"}, Unique: true}, {Fields: []string{"d"}}, {Fields: []string{"c"}}}})
	s.insert(name, doc{"id": "1", "a": "x", "b": int64(1), "c": int64(1), "d": "x"}, doc{"id": "2", "a": "y", "b": int64(1), "c": int64(2), "d": "x"})
	for _, c := range []struct {
		w      store.Write
		fields []string
	}{
		{store.Insert{Collection: name, Document: doc{"id": "3", "a": "x"}}, []string{"a"}},
		{store.Insert{Collection: name, Document: doc{"id": "3", "b": int64(1), "c": int64(2)}}, []string{"b", "c"}},
		{store.Put{Collection: name, Document: doc{"id": "3", "a": "y"}}, []string{"a"}},
		{store.Put{Collection: name, Document: doc{"id": "2", "a": "x"}}, []string{"a"}},
		{store.Update{Collection: name, Filter: store.ID("2"), Change: store.Change{Set: doc{"a": "x"}}}, []string{"a"}},
		{store.Update{Collection: name, Change: store.Change{Set: doc{"c": 7}}}, []string{"b", "c"}},
		{store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Add: map[string]int64{"c": 1}}}, []string{"b", "c"}},
		{store.Insert{Collection: name, Document: doc{"id": "1"}}, nil},
	} {
		_, err := s.Apply(s.ctx, c.w)
		s.duplicate(err, name, c.fields...)
	}
	s.insert(name, doc{"id": "3", "a": "X", "b": int64(2), "c": int64(1), "d": "x"})
	s.apply(store.Put{Collection: name, Document: doc{"id": "3", "a": "X", "b": int64(2), "c": int64(1)}})
	s.finds(name, nil, "1 2 3")
}

func uniqueEquals(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}})
	different := []any{
		int64(1), "1", true, []byte("1"), []byte{1}, false, int64(0), "", []byte{}, epoch(), "a", "A", "a ", "a\x00", "é", "e\u0301", int64(1<<53 + 1), 0x1p53, int64(math.MaxInt64), 0x1p63, 0.5, "0.5", "null", "true",
	}
	for i, v := range different {
		s.insert(name, doc{"id": id4(i), "u": v})
	}
	for _, v := range append(different, 1.0, 0.0, int64(1<<53), math.Copysign(0, -1), epoch().Add(999)) {
		_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "new", "u": v}})
		if s.duplicate(err, name, "u"); err == nil {
			s.Fatalf("%s was there already", Describe(v))
		}
	}
}

func uniqueNulls(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"a", "b"}, Unique: true}, {Fields: []string{"c"}, Unique: true}}})
	s.insert(name,
		doc{"id": "1"}, doc{"id": "2"}, doc{"id": "3", "a": nil, "b": nil, "c": nil}, doc{"id": "4", "a": int64(1)}, doc{"id": "5", "a": int64(1)}, doc{"id": "6", "b": int64(1)}, doc{"id": "7", "b": int64(1), "c": ""},
		doc{"id": "8", "a": int64(1), "b": int64(1), "c": int64(0)}, doc{"id": "9", "a": int64(1), "b": 1.5, "c": int64(1)},
	)
	_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "new", "a": 1.0, "b": int64(1)}})
	s.duplicate(err, name, "a", "b")
	_, err = s.Apply(s.ctx, store.Update{Collection: name, Filter: store.ID("4"), Change: store.Change{Set: doc{"b": int64(1)}}})
	s.duplicate(err, name, "a", "b")
}

func uniqueMoves(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}})
	s.insert(name, doc{"id": "1", "u": "x"})
	s.apply(store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Set: doc{"u": "y"}}}, store.Insert{Collection: name, Document: doc{"id": "2", "u": "x"}})
	s.apply(store.Delete{Collection: name, Filter: store.ID("1")}, store.Update{Collection: name, Change: store.Change{Set: doc{"u": "y"}}})
	s.apply(store.Update{Collection: name, Change: store.Change{Unset: []string{"u"}}}, store.Insert{Collection: name, Document: doc{"id": "3", "u": "y"}})
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "2"}, {"id": "3", "u": "y"}}, "found")
}

func uniqueNeighbours(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"n"}, Unique: true}}})
	s.insert(name, doc{"id": "1", "n": int64(1)}, doc{"id": "2", "n": int64(2)}, doc{"id": "3", "n": int64(3)})
	for _, plus := range []int64{1, -1} {
		before := s.find(store.Query{Collection: name})
		_, err := s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Add: map[string]int64{"n": plus}}})
		if err != nil {
			s.duplicate(err, name, "n")
			plus = 0
		}
		for _, d := range before {
			s.is(s.get(name, d.ID()).Int("n"), d.Int("n")+plus, "after %v", err)
		}
	}
}

func uniqueRace(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}})
	s.together(8, func(who int) error {
		for i := range 10 {
			_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": id4(i*100 + who), "u": i}})
			if err != nil && !errors.Is(err, fault.Conflict) {
				return err
			}
		}
		return nil
	})
	s.is(len(s.find(store.Query{Collection: name})), 10, "one of each")
}

func indexedLists(s *scene) {
	name := s.make(store.Collection{Expire: "e", Indexes: []store.Index{{Fields: []string{"a"}}, {Fields: []string{"b.c", "b.d.e"}}, {Fields: []string{"u"}, Unique: true}}})
	s.insert(name, doc{"id": "1"})
	for _, c := range []struct {
		field string
		v     any
	}{
		{"a", []any{}}, {"a", []any{int64(1)}}, {"a", doc{}}, {"b", []any{}}, {"b", []any{doc{"c": int64(1)}}}, {"b", doc{"c": []any{}}}, {"b", doc{"c": doc{}}}, {"b", doc{"d": []any{}}},
		{"b", doc{"d": doc{"e": doc{"f": nil}}}}, {"u", []any{int64(1)}}, {"u", doc{"a": int64(1)}}, {"e", []any{epoch()}}, {"e", doc{}},
	} {
		for _, w := range []store.Write{
			store.Insert{Collection: name, Document: doc{"id": "2", c.field: c.v}}, store.Put{Collection: name, Document: doc{"id": "1", c.field: c.v}},
			store.Update{Collection: name, Change: store.Change{Set: doc{c.field: c.v}}}, store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Set: doc{c.field: c.v}}},
		} {
			_, err := s.Apply(s.ctx, w)
			s.refused(err, fault.Invalid, "%s", Describe(w))
		}
		_, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{c.field: c.v}})
		s.refused(err, fault.Invalid, "a claim that sets %s to %s", c.field, Describe(c.v))
	}
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1"}}, "found")
	kept := doc{"id": "1", "b": doc{"c": int64(1), "d": "text", "x": []any{doc{}}}, "x": []any{}, "e": "no time"}
	s.apply(store.Put{Collection: name, Document: kept})
	s.is(s.get(name, "1"), kept, "got")
}

func indexedOddly(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{
		{Fields: []string{"id"}}, {Fields: []string{"a", "id"}}, {Fields: []string{"a-b"}}, {Fields: []string{"_", "A", "a"}}, {Fields: []string{"select"}, Unique: true}, {Fields: []string{"a.b.c"}}, {Fields: []string{"id", "a"}, Unique: true},
	}})
	s.insert(name, doc{"id": "1", "a": int64(1), "A": int64(2), "a-b": int64(3), "_": int64(4), "select": "x"}, doc{"id": "2", "a": int64(1), "select": "y"}, doc{"id": "3"})
	s.finds(name, store.And{store.Eq("a", 1), store.Gt("id", "1")}, "2")
	s.finds(name, store.Eq("A", 2), "1")
	s.finds(name, store.Eq("a-b", 3), "1")
	s.finds(name, store.Null("a.b.c"), "1 2 3")
	_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "4", "select": "x"}})
	s.duplicate(err, name, "select")
}
