package storetest

import (
	"math"
	"time"

	"github.com/onehost/edge/core/store"
)

func writes() []test {
	return []test{
		{"Insert adds a document, and a taken id is a conflict", inserts},
		{"Put adds or replaces", puts},
		{"Update changes all that meet its condition", updates},
		{"Delete removes all that meet its condition", deletes},
		{"a change sets, removes and adds", changes},
		{"Add counts from null, and refuses what is no whole number or too large", adds},
		{"Now in a change is the store's time", timeInChanges},
		{"Must is how many, or a conflict and nothing done", musts},
	}
}

func inserts(s *scene) {
	name := s.make(store.Collection{})
	s.is(s.apply(store.Insert{Collection: name, Document: doc{"id": "1", "a": int64(1)}}), []int{1}, "touched")
	_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "1", "a": int64(2)}})
	s.duplicate(err, name)
	s.is(s.get(name, "1"), doc{"id": "1", "a": int64(1)}, "got")
	s.apply(store.Delete{Collection: name, Filter: store.ID("1")})
	s.insert(name, doc{"id": "1", "a": int64(3)})
	s.is(s.get(name, "1"), doc{"id": "1", "a": int64(3)}, "got")
}

func puts(s *scene) {
	name := s.make(store.Collection{})
	s.is(s.apply(store.Put{Collection: name, Document: doc{"id": "1", "a": int64(1), "b": int64(1)}}), []int{1}, "touched")
	s.is(s.apply(store.Put{Collection: name, Document: doc{"id": "1", "a": int64(2)}}), []int{1}, "touched")
	s.is(s.get(name, "1"), doc{"id": "1", "a": int64(2)}, "got")
	s.is(s.apply(store.Put{Collection: name, Document: doc{"id": "1", "a": int64(2)}}), []int{1}, "touched by the same")
	s.finds(name, nil, "1")
}

func updates(s *scene) {
	name := s.with(doc{"id": "1", "a": int64(1)}, doc{"id": "2", "a": int64(1)}, doc{"id": "3", "a": int64(2)})
	set := store.Change{Set: doc{"a": int64(2), "b": "new"}}
	s.is(s.apply(store.Update{Collection: name, Filter: store.Eq("a", 1), Change: set}), []int{2}, "touched")
	s.is(s.apply(store.Update{Collection: name, Filter: store.Eq("a", 1), Change: set}), []int{0}, "touched where none is left")
	s.is(s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"a": int64(2)}}}), []int{3}, "touched though it is so already")
	s.is(s.apply(store.Update{Collection: name}), []int{3}, "touched by no change")
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1", "a": int64(2), "b": "new"}, {"id": "2", "a": int64(2), "b": "new"}, {"id": "3", "a": int64(2)}}, "found")
}

func deletes(s *scene) {
	name := s.with(doc{"id": "1", "a": int64(1)}, doc{"id": "2", "a": int64(1)}, doc{"id": "3", "a": int64(2)}, doc{"id": "4"})
	s.is(s.apply(store.Delete{Collection: name, Filter: store.Eq("a", 1)}), []int{2}, "touched")
	s.finds(name, nil, "3 4")
	s.is(s.apply(store.Delete{Collection: name, Filter: store.ID("1")}), []int{0}, "touched")
	s.is(s.apply(store.Delete{Collection: name}), []int{2}, "touched")
	s.finds(name, nil, "")
	_, err := s.Get(s.ctx, name, "3")
	s.refused(err, "not_found", "Get of what is deleted")
}

func changes(s *scene) {
	start := doc{"id": "1", "a": int64(1), "b": doc{"c": int64(1)}, "l": []any{int64(1)}}
	for _, c := range []struct {
		change store.Change
		want   doc
	}{
		{store.Change{}, start},
		{store.Change{Set: doc{"a": 1.0}}, doc{"id": "1", "a": 1.0, "b": doc{"c": int64(1)}, "l": []any{int64(1)}}},
		{store.Change{Set: doc{"a": nil, "b": nil, "x": nil}}, doc{"id": "1", "l": []any{int64(1)}}},
		{store.Change{Unset: []string{"a", "l", "x"}}, doc{"id": "1", "b": doc{"c": int64(1)}}},
		{store.Change{Set: doc{"b": doc{"d": doc{}}}}, doc{"id": "1", "a": int64(1), "b": doc{"d": doc{}}, "l": []any{int64(1)}}},
		{store.Change{Set: doc{"b": doc{}, "l": []any{}}}, doc{"id": "1", "a": int64(1), "b": doc{}, "l": []any{}}},
		{store.Change{Set: doc{"b": doc{"$inc": doc{"a": int64(1)}, "a.b": "$a"}, "s": "$a", "t": "$$ROOT", "l": []any{"$a", doc{"$literal": nil}}}},
			doc{"id": "1", "a": int64(1), "b": doc{"$inc": doc{"a": int64(1)}, "a.b": "$a"}, "s": "$a", "t": "$$ROOT", "l": []any{"$a", doc{"$literal": nil}}}},
		{store.Change{Set: doc{"x": "y"}, Unset: []string{"l", "b"}, Add: map[string]int64{"a": -3, "n": 2}}, doc{"id": "1", "x": "y", "a": int64(-2), "n": int64(2)}},
	} {
		name := s.with(start, doc{"id": "2"})
		s.apply(store.Update{Collection: name, Filter: store.ID("1"), Change: c.change})
		s.is(s.get(name, "1"), c.want, "%s", Describe(c.change))
		s.is(s.get(name, "2"), doc{"id": "2"}, "the other one")
		s.apply(store.Put{Collection: name, Document: start})
		claimed, err := s.Claim(s.ctx, store.Query{Collection: name}, c.change)
		s.must(err)
		s.is(claimed, c.want, "claimed: %s", Describe(c.change))
		s.is(s.get(name, "1"), c.want, "got after a claim: %s", Describe(c.change))
	}
}

func adds(s *scene) {
	name := s.with(doc{"id": "1", "n": int64(math.MaxInt64 - 1), "m": int64(math.MinInt64 + 1), "f": 1.0, "s": "1", "b": true, "l": []any{}, "d": doc{}, "t": epoch(), "y": []byte{1}})
	add := func(field string, n int64) error {
		_, err := s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Add: map[string]int64{field: n}}})
		return err
	}
	s.must(add("n", 1))
	s.must(add("m", -1))
	s.must(add("new", math.MaxInt64))
	s.must(add("least", math.MinInt64))
	s.must(add("zero", 0))
	for field, n := range map[string]int64{"n": 1, "m": -1, "new": 1, "least": -1, "f": 1, "s": 1, "b": 1, "l": 1, "d": 1, "t": 1, "y": 1} {
		before := s.get(name, "1")
		s.refused(add(field, n), "invalid", "Add to %s", field)
		s.refused(add(field, n*math.MaxInt64), "invalid", "Add much to %s", field)
		_, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Add: map[string]int64{field: n}, Set: doc{"x": 1}})
		s.refused(err, "invalid", "Add to %s by Claim", field)
		s.is(s.get(name, "1"), before, "after a refused Add to %s", field)
	}
	s.refused(add("f", 0), "invalid", "Add of 0 to a float")
	s.must(add("n", math.MinInt64))
	s.must(add("m", math.MaxInt64))
	d := s.get(name, "1")
	s.is(doc{"n": d["n"], "m": d["m"], "new": d["new"], "least": d["least"], "zero": d["zero"]},
		doc{"n": int64(-1), "m": int64(-1), "new": int64(math.MaxInt64), "least": int64(math.MinInt64), "zero": int64(0)}, "sums")
}

func timeInChanges(s *scene) {
	name := s.with(doc{"id": "1", "t": "x"}, doc{"id": "2"})
	c := store.Change{Set: doc{"t": store.Now(0), "u": store.Now(0), "later": store.Now(time.Hour + 1500*time.Microsecond), "before": store.Now(-time.Hour)}}
	s.is(s.apply(store.Update{Collection: name, Change: c}), []int{2}, "touched")
	for _, d := range s.find(store.Query{Collection: name}) {
		s.timely(d)
	}
	d, err := s.Claim(s.ctx, store.Query{Collection: name, Filter: store.Lte("t", store.Now(0))}, c)
	s.must(err)
	s.timely(d)
	s.is(s.get(name, d.ID()), d, "got after a claim")
}

// timely fails the test when d's times are not now, as far as two clocks agree, or not normal.
func (s *scene) timely(d doc) {
	s.Helper()
	t := d.Time("t")
	if off := time.Since(t).Abs(); off > time.Minute || t.Location() != time.UTC || t.Nanosecond()%1e6 != 0 {
		s.Errorf("now is %s, a store says %s", now(), Describe(t))
	}
	s.is(d["u"], t, "another Now of the same change")
	if later := d.Time("later").Sub(t); later != time.Hour+time.Millisecond && later != time.Hour+2*time.Millisecond {
		s.Errorf("1h1.5ms later is %s later", later)
	}
	s.is(d["before"], t.Add(-time.Hour), "an hour before")
}

func musts(s *scene) {
	name := s.with(doc{"id": "1", "v": int64(1)}, doc{"id": "2", "v": int64(1)}, doc{"id": "3"})
	one, none := store.Eq("v", 1), store.Eq("v", 7)
	set := store.Change{Set: doc{"x": true}}
	for _, w := range []store.Write{
		store.Update{Collection: name, Filter: one, Change: set, Must: 1}, store.Update{Collection: name, Filter: one, Change: set, Must: 3}, store.Update{Collection: name, Filter: none, Change: set, Must: 1},
		store.Delete{Collection: name, Filter: one, Must: 1}, store.Delete{Collection: name, Filter: one, Must: 3}, store.Delete{Collection: name, Filter: none, Must: 1},
		store.Update{Collection: name, Filter: store.And{store.ID("1"), store.Eq("v", 2)}, Change: set, Must: 1}, store.Delete{Collection: name, Filter: store.ID("nobody"), Must: 1},
	} {
		_, err := s.Apply(s.ctx, store.Insert{Collection: name, Document: doc{"id": "new"}}, w)
		s.refused(err, "conflict", "%s", Describe(w))
	}
	s.finds(name, nil, "1 2 3")
	s.finds(name, store.Eq("x", true), "")
	s.is(s.apply(store.Update{Collection: name, Filter: one, Change: set, Must: 2}, store.Delete{Collection: name, Filter: store.Eq("x", true), Must: 2}), []int{2, 2}, "touched")
	s.finds(name, nil, "3")
}
