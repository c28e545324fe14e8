package storetest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

func filters() []test {
	return []test{
		{"fields compare with values of every kind", compares},
		{"whole numbers and others compare exactly", comparesNumbers},
		{"every condition holds or does not, and Not turns it around", negations},
		{"And of none always holds, Or of none never", empties},
		{"a path leads through documents, and to null through anything else", paths},
		{"Has looks into lists and nowhere else", lists},
		{"Some looks at one document of a list at a time", someOf},
		{"Now is the time at which the store looks", timeInFilters},
		{"conditions may be nested and many", manyConditions},
		{"no value is taken for anything but a value", hostile},
	}
}

func epoch() time.Time { return time.UnixMilli(0).UTC() }

// everyKind is a collection with a document of every kind of value in v, in the order of their ids.
func everyKind(s *scene) (name string, but func(ids string) string) {
	documents := []doc{
		{"id": "by0", "v": []byte{}}, {"id": "by01", "v": []byte{0, 1}}, {"id": "by1", "v": []byte{1}}, {"id": "by2", "v": []byte{2}},
		{"id": "d0", "v": doc{}}, {"id": "d1", "v": doc{"x": int64(1)}}, {"id": "dv", "v": doc{"v": int64(1)}},
		{"id": "f1", "v": 1.0}, {"id": "f15", "v": 1.5}, {"id": "fm", "v": -1e300}, {"id": "i0", "v": int64(0)}, {"id": "i1", "v": int64(1)}, {"id": "im1", "v": int64(-1)},
		{"id": "l0", "v": []any{}}, {"id": "l1", "v": []any{int64(1)}}, {"id": "la", "v": []any{"a"}}, {"id": "ln", "v": []any{nil}}, {"id": "lx", "v": []any{[]any{int64(1)}, true}},
		{"id": "no", "v": false}, {"id": "none"}, {"id": "null", "v": nil}, {"id": "s", "v": ""}, {"id": "s1", "v": "1"}, {"id": "sA", "v": "A"}, {"id": "sa", "v": "a"}, {"id": "sb", "v": "b"},
		{"id": "t0", "v": epoch()}, {"id": "t1", "v": epoch().Add(time.Millisecond)}, {"id": "t2", "v": time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}, {"id": "yes", "v": true},
	}
	var all []string
	for _, d := range documents {
		all = append(all, d.ID())
	}
	return s.with(documents...), func(ids string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(strings.Fields(ids), id) }), " ")
	}
}

func compares(s *scene) {
	name, but := everyKind(s)
	for _, c := range []struct {
		op   store.Op
		v    any
		want string
	}{
		{"=", nil, "none null"}, {"=", 1, "f1 i1"}, {"=", 1.0, "f1 i1"}, {"=", 1.5, "f15"}, {"=", "", "s"}, {"=", "a", "sa"}, {"=", "1", "s1"}, {"=", []byte{}, "by0"},
		{"=", []byte{0, 1}, "by01"}, {"=", false, "no"}, {"=", true, "yes"}, {"=", epoch(), "t0"}, {"=", 2, ""}, {"=", []byte(nil), "by0"}, {"=", epoch().Add(time.Hour), ""},
		{"<", 1, "fm i0 im1"}, {"<=", 1, "f1 fm i0 i1 im1"}, {">", 1, "f15"}, {">=", 1.0, "f1 f15 i1"}, {"<", 1.25, "f1 fm i0 i1 im1"}, {">", -1e301, "f1 f15 fm i0 i1 im1"},
		{"<", "b", "s s1 sA sa"}, {"<=", "A", "s s1 sA"}, {">", "", "s1 sA sa sb"}, {">=", "a", "sa sb"}, {"<", "", ""},
		{"<", []byte{0, 0}, "by0 by1 by2"}, {"<=", []byte{1}, "by0 by1"}, {">", []byte{1}, "by01 by2"}, {">=", []byte{0, 1}, "by01"},
		{"<", true, "no"}, {"<=", true, "no yes"}, {">", false, "yes"}, {">", true, ""}, {">=", false, "no yes"},
		{"<", epoch(), "t2"}, {"<=", epoch(), "t0 t2"}, {">", epoch(), "t1"}, {">=", epoch(), "t0 t1"},
	} {
		f := store.Compare{Field: "v", Op: c.op, Value: c.v}
		s.finds(name, f, c.want)
		s.finds(name, store.Not{Filter: f}, but(c.want))
		s.finds(name, store.Some{Field: "v", Filter: f}, "")
	}
	for _, c := range []struct {
		values []any
		want   string
	}{
		{nil, ""}, {[]any{nil}, "none null"}, {[]any{1, "a", nil, true}, "f1 i1 none null sa yes"}, {[]any{1, 1.0, 1}, "f1 i1"},
		{[]any{[]byte{1}, epoch(), 7, "7"}, "by1 t0"}, {[]any{false, 0.0, ""}, "i0 no s"},
	} {
		f := store.In{Field: "v", Values: c.values}
		s.finds(name, f, c.want)
		s.finds(name, store.Not{Filter: f}, but(c.want))
	}
	s.finds(name, store.Eq("v.v", 1), "dv")
	s.finds(name, nil, but(""))
}

func comparesNumbers(s *scene) {
	name := s.with(
		doc{"id": "f53", "v": 0x1p53}, doc{"id": "f63", "v": 0x1p63}, doc{"id": "fm63", "v": -0x1p63}, doc{"id": "fmin", "v": -0x1p63 - 0x1p11}, doc{"id": "half", "v": 0.5},
		doc{"id": "i0", "v": int64(0)}, doc{"id": "i53", "v": int64(1 << 53)}, doc{"id": "i53+", "v": int64(1<<53 + 1)},
		doc{"id": "max", "v": int64(math.MaxInt64)}, doc{"id": "max-", "v": int64(math.MaxInt64 - 1)}, doc{"id": "min", "v": int64(math.MinInt64)}, doc{"id": "tiny", "v": 5e-324},
	)
	for _, c := range []struct {
		op   store.Op
		v    any
		want string
	}{
		{"=", 0x1p53, "f53 i53"}, {"=", 1 << 53, "f53 i53"}, {"=", 1<<53 + 1, "i53+"}, {"=", math.MaxInt64, "max"}, {"=", 0x1p63, "f63"}, {"=", math.MinInt64, "fm63 min"},
		{"=", -0x1p63, "fm63 min"}, {"=", 5e-324, "tiny"}, {"<", 0.5, "fm63 fmin i0 min tiny"}, {"<", -0x1p63, "fmin"}, {"<", math.MinInt64, "fmin"}, {">", math.MaxInt64, "f63"},
		{">=", 0x1p63, "f63"}, {"<", 0x1p63, "f53 fm63 fmin half i0 i53 i53+ max max- min tiny"}, {">", 0x1p53, "f63 i53+ max max-"}, {"<=", 1<<53 + 1, "f53 fm63 fmin half i0 i53 i53+ min tiny"},
		{">", math.MaxInt64 - 1, "f63 max"}, {">", 0, "f53 f63 half i53 i53+ max max- tiny"}, {"<", 1, "fm63 fmin half i0 min tiny"},
	} {
		s.finds(name, store.Compare{Field: "v", Op: c.op, Value: c.v}, c.want)
		if c.op == store.Equal {
			s.finds(name, store.In{Field: "v", Values: []any{c.v}}, c.want)
		}
	}
	lists := s.with(doc{"id": "f", "l": []any{0x1p53}}, doc{"id": "i", "l": []any{int64(1 << 53)}}, doc{"id": "i+", "l": []any{int64(1<<53 + 1)}})
	s.finds(lists, store.Has{Field: "l", Value: 1 << 53}, "f i")
	s.finds(lists, store.Has{Field: "l", Value: 0x1p53}, "f i")
	s.finds(lists, store.Has{Field: "l", Value: 1<<53 + 1}, "i+")
	s.is(s.ids(store.Query{Collection: name, Sort: []store.Order{{Field: "v"}}}), "fmin fm63 min i0 tiny half f53 i53 i53+ max- max f63", "sorted")
}

func negations(s *scene) {
	name, but := everyKind(s)
	for f, want := range map[store.Filter]string{
		store.Null("v"):                        "none null",
		store.Null("v.x"):                      but("d1"),
		store.Has{Field: "v", Value: 1}:        "l1",
		store.Has{Field: "v.x", Value: 1}:      "",
		store.Text{Field: "v", Op: "contains"}: "s s1 sA sa sb",
		store.Some{Field: "v", Filter: store.Not{Filter: store.Null("x")}}: "",
	} {
		s.finds(name, f, want)
		s.finds(name, store.Not{Filter: f}, but(want))
		s.finds(name, store.Not{Filter: store.Not{Filter: f}}, want)
		s.finds(name, store.Or{f, store.Not{Filter: f}}, but(""))
		s.finds(name, store.And{f, store.Not{Filter: f}}, "")
	}
	s.finds(name, store.Not{Filter: store.Or{store.Gt("v", 0), store.Lt("v", 1), store.Null("v")}}, but("f1 f15 fm i0 i1 im1 none null"))
	s.finds(name, store.Not{Filter: store.And{store.Gte("v", 0), store.Lte("v", 1)}}, but("f1 i0 i1"))
	s.finds(name, store.Not{Filter: store.And{store.Ne("v", 1), store.Ne("v", nil)}}, "f1 i1 none null")
}

func empties(s *scene) {
	name := s.with(doc{"id": "1"}, doc{"id": "2", "v": int64(1)})
	never, always := store.Or{}, store.And{}
	s.finds(name, always, "1 2")
	s.finds(name, never, "")
	s.finds(name, store.And(nil), "1 2")
	s.finds(name, store.Or(nil), "")
	s.finds(name, store.Not{Filter: always}, "")
	s.finds(name, store.Not{Filter: never}, "1 2")
	s.finds(name, store.And{always, store.Or{never, store.Eq("v", 1)}}, "2")
	s.finds(name, store.Or{never, store.And{never}, store.And{store.Or{}}}, "")
	s.finds(name, store.In{Field: "v", Values: []any{}}, "")
	s.finds(name, store.Not{Filter: store.In{Field: "v"}}, "1 2")
	s.is(s.apply(store.Update{Collection: name, Filter: never}, store.Delete{Collection: name, Filter: never}), []int{0, 0}, "touched")
}

func paths(s *scene) {
	name := s.with(
		doc{"id": "deep", "a": doc{"b": doc{"c": int64(1)}}}, doc{"id": "list", "a": []any{doc{"b": doc{"c": int64(1)}}}}, doc{"id": "within", "a": doc{"b": []any{doc{"c": int64(1)}}}},
		doc{"id": "text", "a": `{"b":{"c":1}}`}, doc{"id": "null", "a": doc{"b": doc{"c": nil}}}, doc{"id": "dotted", "a": doc{"b.c": int64(1)}}, doc{"id": "values", "a": doc{"b": doc{"c": []any{int64(1)}}}},
		doc{"id": "number", "a": int64(1)}, doc{"id": "none"}, doc{"id": "id", "a": doc{"id": "deep"}},
	)
	const null = "dotted id list none null number text within"
	s.finds(name, store.Eq("a.b.c", 1), "deep")
	s.finds(name, store.Ne("a.b.c", 1), "dotted id list none null number text values within")
	s.finds(name, store.Null("a.b.c"), null)
	s.finds(name, store.In{Field: "a.b.c", Values: []any{nil}}, null)
	s.finds(name, store.Not{Filter: store.Null("a.b.c")}, "deep values")
	s.finds(name, store.Gt("a.b.c", 0), "deep")
	s.finds(name, store.Has{Field: "a.b.c", Value: 1}, "values")
	s.finds(name, store.Null("a.b"), "dotted id list none number text")
	s.finds(name, store.Null("a"), "none")
	s.finds(name, store.Eq("a.id", "deep"), "id")
	s.finds(name, store.Null("id"), "")
	s.finds(name, store.Eq("id", "id"), "id")
	s.finds(name, store.Gte("id", "text"), "text values within")
	s.finds(name, store.Null("id.a"), "deep dotted id list none null number text values within")
}

func lists(s *scene) {
	name := s.with(
		doc{"id": "1", "l": []any{int64(1), "a", 1.5}}, doc{"id": "2", "l": []any{1.0}}, doc{"id": "3", "l": int64(1)}, doc{"id": "4", "l": doc{"0": int64(1)}}, doc{"id": "5", "l": []any{[]any{int64(1)}}},
		doc{"id": "6", "l": []any{doc{"l": int64(1)}, true, epoch(), []byte{1}}}, doc{"id": "7", "d": doc{"l": []any{"a"}}}, doc{"id": "8", "d": []any{doc{"l": []any{"a"}}}}, doc{"id": "9", "l": "a"},
	)
	s.finds(name, store.Has{Field: "l", Value: 1}, "1 2")
	s.finds(name, store.Has{Field: "l", Value: 1.0}, "1 2")
	s.finds(name, store.Has{Field: "l", Value: "a"}, "1")
	s.finds(name, store.Has{Field: "l", Value: "1"}, "")
	s.finds(name, store.Has{Field: "l", Value: true}, "6")
	s.finds(name, store.Has{Field: "l", Value: epoch()}, "6")
	s.finds(name, store.Has{Field: "l", Value: []byte{1}}, "6")
	s.finds(name, store.Has{Field: "d.l", Value: "a"}, "7")
	s.finds(name, store.Not{Filter: store.Has{Field: "l", Value: 1}}, "3 4 5 6 7 8 9")
	s.finds(name, store.And{store.Has{Field: "l", Value: 1}, store.Has{Field: "l", Value: "a"}}, "1")
	s.finds(name, store.Gt("l", 0), "3")
	s.finds(name, store.Text{Field: "l", Op: store.Contains, Value: "a"}, "9")
}

func someOf(s *scene) {
	name := s.with(
		doc{"id": "1", "l": []any{doc{"a": int64(1), "b": int64(2)}, doc{"a": int64(3)}}}, doc{"id": "2", "l": []any{doc{"a": int64(1)}, doc{"b": int64(2)}}}, doc{"id": "3", "l": doc{"a": int64(1), "b": int64(2)}},
		doc{"id": "4", "l": []any{[]any{doc{"a": int64(1)}}}}, doc{"id": "5", "l": []any{int64(1), "a", nil}}, doc{"id": "6", "l": []any{}}, doc{"id": "7"}, doc{"id": "8", "l": []any{nil, doc{}}},
		doc{"id": "9", "d": doc{"l": []any{doc{"id": "x", "a": doc{"b": "text"}, "m": []any{doc{"n": int64(1)}}, "v": []any{"v"}}}}},
	)
	some := func(field string, f store.Filter) store.Filter { return store.Some{Field: field, Filter: f} }
	s.finds(name, some("l", store.Eq("a", 1)), "1 2")
	s.finds(name, some("l", store.And{store.Eq("a", 1), store.Eq("b", 2)}), "1")
	s.finds(name, store.And{some("l", store.Eq("a", 1)), some("l", store.Eq("b", 2))}, "1 2")
	s.finds(name, some("l", store.Or{store.Eq("a", 3), store.Eq("b", 2)}), "1 2")
	s.finds(name, some("l", store.Ne("a", 1)), "1 2 8")
	s.finds(name, store.Not{Filter: some("l", store.Eq("a", 1))}, "3 4 5 6 7 8 9")
	s.finds(name, some("l", store.Null("a")), "2 8")
	s.finds(name, some("l", store.And{}), "1 2 8")
	s.finds(name, some("l", store.Or{}), "")
	s.finds(name, some("l", store.Not{Filter: store.And{}}), "")
	s.finds(name, some("l", store.Gt("a", 1)), "1")
	s.finds(name, some("l", store.In{Field: "a", Values: []any{nil, 3}}), "1 2 8")
	s.finds(name, some("d.l", store.Eq("a.b", "text")), "9")
	s.finds(name, some("d.l", store.Text{Field: "a.b", Op: store.Suffix, Value: "XT", Fold: true}), "9")
	s.finds(name, some("d.l", store.Eq("id", "x")), "9")
	s.finds(name, some("d.l", store.Eq("id", "9")), "")
	s.finds(name, some("d.l", store.Has{Field: "v", Value: "v"}), "9")
	s.finds(name, some("d.l", some("m", store.Eq("n", 1))), "9")
	s.finds(name, some("d.l", store.Not{Filter: some("m", store.Eq("n", 2))}), "9")
	s.finds(name, some("d.l", store.And{some("m", store.Ne("n", 2)), store.Null("l")}), "9")
	s.finds(name, some("d", store.And{}), "")
}

func timeInFilters(s *scene) {
	name := s.with(
		doc{"id": "1", "t": now().Add(-time.Hour), "l": []any{doc{"t": now().Add(-time.Hour)}}}, doc{"id": "2", "t": now().Add(time.Hour), "l": []any{doc{"t": now().Add(time.Hour)}}},
		doc{"id": "3"}, doc{"id": "4", "t": "2000-01-01"}, doc{"id": "5", "t": int64(0)},
	)
	s.finds(name, store.Lt("t", store.Now(0)), "1")
	s.finds(name, store.Lte("t", store.Now(0)), "1")
	s.finds(name, store.Gt("t", store.Now(0)), "2")
	s.finds(name, store.Gte("t", store.Now(-2*time.Hour)), "1 2")
	s.finds(name, store.Lt("t", store.Now(2*time.Hour)), "1 2")
	s.finds(name, store.Gt("t", store.Now(2*time.Hour)), "")
	s.finds(name, store.Eq("t", store.Now(0)), "")
	s.finds(name, store.Not{Filter: store.Lt("t", store.Now(0))}, "2 3 4 5")
	s.finds(name, store.Some{Field: "l", Filter: store.Lt("t", store.Now(0))}, "1")
	s.finds(name, store.Related{Field: "id", Collection: name, Filter: store.Lt("t", store.Now(0))}, "1")
	s.is(s.apply(store.Delete{Collection: name, Filter: store.Lt("t", store.Now(0))}), []int{1}, "deleted")
}

func manyConditions(s *scene) {
	name := s.with(doc{"id": "1", "v": int64(1), "l": []any{doc{"v": int64(1)}}}, doc{"id": "2", "v": int64(2)})
	var all store.Or
	for n := range store.MaxNodes - 2 {
		all = append(all, store.Eq("v", n+2))
	}
	s.finds(name, all, "2")
	s.finds(name, store.Not{Filter: all}, "1")
	deep := func(leaf store.Filter, wrap func(store.Filter) store.Filter) store.Filter {
		for range store.MaxNesting - 2 {
			leaf = wrap(leaf)
		}
		return leaf
	}
	s.finds(name, deep(store.Eq("v", 1), func(f store.Filter) store.Filter { return store.Not{Filter: f} }), "1")
	s.finds(name, deep(store.Eq("v", 1), func(f store.Filter) store.Filter { return store.And{f} }), "1")
	s.finds(name, deep(store.Eq("v", 1), func(f store.Filter) store.Filter { return store.Or{f} }), "1")
	s.finds(name, deep(store.Eq("v", 1), func(f store.Filter) store.Filter { return store.Some{Field: "l", Filter: f} }), "")
	values := make([]any, store.MaxValues)
	for i := range values {
		values[i] = i + 2
	}
	s.finds(name, store.In{Field: "v", Values: values}, "2")
	s.finds(name, store.Not{Filter: store.In{Field: "v", Values: values}}, "1")
}

func hostile(s *scene) {
	var documents []doc
	for i, v := range strange() {
		documents = append(documents, doc{"id": string(rune('A'+i/26)) + string(rune('a'+i%26)), "v": v, "l": []any{v}})
	}
	name := s.with(documents...)
	for _, d := range documents {
		s.finds(name, store.Eq("v", d["v"]), d.ID())
		s.finds(name, store.In{Field: "v", Values: []any{d["v"]}}, d.ID())
		s.finds(name, store.Has{Field: "l", Value: d["v"]}, d.ID())
	}
}
