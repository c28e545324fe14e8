package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

func sorts() []test {
	return []test{
		{"values of all kinds have one order", sortsKinds},
		{"documents that are equal come by id, byte by byte, in the direction of the last order", sortsTies},
		{"several fields sort one after the other, each up or down", sortsSeveral},
		{"pages neither lose nor repeat a document", pages},
		{"no more documents come after the one that brings them to the bytes asked for", boundsBytes},
		{"only the fields asked for come, and id", projects},
	}
}

func id4(i int) string { return fmt.Sprintf("%04d", i) }

func sortsKinds(s *scene) {
	equal := []any{nil, doc{}, []any{}, []any{int64(9)}, doc{"z": int64(1)}}
	rising := []any{
		-1e300, int64(-1), int64(0), 5e-324, 0.5, int64(1), 1.5, int64(2), int64(10), int64(1 << 53), int64(1<<53 + 1), 0x1p53 + 4, 1e300,
		"", "\x00", "\x00\x00", "\x00a", "\x01", "10", "9", "A", "Z", "a", "a\x00", "a\x00b", "a\x01", "aa", "b", "e\u0301", "z", "é", "\uffff", "\U00010000", "😀", "\U0010FFFE",
		[]byte{}, []byte{0}, []byte{2}, []byte{255}, []byte{0, 0}, []byte{0, 1}, []byte{1, 0}, []byte{0, 0, 0},
		false, true, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), epoch(), epoch().Add(time.Millisecond), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	all := slices.Concat(equal, rising)
	name := s.make(store.Collection{})
	var up []string
	for i := range all {
		at := (i*7 + 3) % len(all) // not in their order
		s.insert(name, doc{"id": id4(at), "v": all[at], "d": doc{"v": all[at]}})
		up = append(up, id4(i))
	}
	down := slices.Clone(up)
	slices.Reverse(down)
	for _, field := range []string{"v", "d.v"} {
		s.is(s.ids(store.Query{Collection: name, Sort: []store.Order{{Field: field}}}), strings.Join(up, " "), "sorted by %s", field)
		s.is(s.ids(store.Query{Collection: name, Sort: []store.Order{{Field: field, Descending: true}}}), strings.Join(down, " "), "sorted down by %s", field)
	}
}

func sortsTies(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"v"}}}})
	for _, id := range []string{"b", "B", "10", "9", "é", "z", "a", "😀", "\uffff", "a a", "a\x01", "aa"} {
		s.insert(name, doc{"id": id, "v": int64(1), "l": []any{doc{"v": id}}})
	}
	up := []string{"10", "9", "B", "a", "a\x01", "a a", "aa", "b", "z", "é", "\uffff", "😀"}
	down := slices.Clone(up)
	slices.Reverse(down)
	sorted := func(want []string, sorts ...[]store.Order) {
		s.Helper()
		for _, sort := range sorts {
			var ids []string
			for _, d := range s.find(store.Query{Collection: name, Sort: sort}) {
				ids = append(ids, d.ID())
			}
			s.is(strings.Join(ids, "|"), strings.Join(want, "|"), "sorted by %v", sort)
			d, err := s.Claim(s.ctx, store.Query{Collection: name, Sort: sort}, store.Change{})
			s.must(err)
			s.is(d.ID(), want[0], "claimed by %v", sort)
		}
	}
	sorted(up, nil, []store.Order{{Field: "v"}}, []store.Order{{Field: "l"}}, []store.Order{{Field: "id"}}, []store.Order{{Field: "v", Descending: true}, {Field: "none"}}, []store.Order{{Field: "id"}, {Field: "v", Descending: true}})
	sorted(down, []store.Order{{Field: "v", Descending: true}}, []store.Order{{Field: "none", Descending: true}}, []store.Order{{Field: "l.v", Descending: true}},
		[]store.Order{{Field: "v"}, {Field: "none", Descending: true}}, []store.Order{{Field: "id", Descending: true}, {Field: "v"}})
}

func sortsSeveral(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"a", "b"}}}})
	for i, d := range []doc{{"a": int64(1), "b": "x"}, {"a": 1.0, "b": "y"}, {"a": int64(2), "b": "x"}, {"b": "x"}, {"a": int64(1)}, {"a": int64(2), "b": "y"}, {}, {"a": "1", "b": "x"}} {
		d["id"] = fmt.Sprint(i)
		s.insert(name, d)
	}
	for want, sort := range map[string][]store.Order{
		"6 3 4 0 1 2 5 7": {{Field: "a"}, {Field: "b"}}, "3 6 1 0 4 5 2 7": {{Field: "a"}, {Field: "b", Descending: true}},
		"7 2 5 4 0 1 6 3": {{Field: "a", Descending: true}, {Field: "b"}}, "7 5 2 1 0 4 3 6": {{Field: "a", Descending: true}, {Field: "b", Descending: true}},
		"4 6 0 2 3 7 1 5": {{Field: "b"}}, "6 3 4 1 0 5 2 7": {{Field: "a"}, {Field: "a", Descending: true}},
		"7 6 5 4 3 2 1 0": {{Field: "id", Descending: true}, {Field: "a"}}, "7 5 2 4 1 0 6 3": {{Field: "a", Descending: true}, {Field: "id", Descending: true}},
	} {
		s.is(s.ids(store.Query{Collection: name, Sort: sort}), want, "sorted by %v", sort)
	}
	many := make([]store.Order, store.MaxSort-1)
	for i := range many {
		many[i] = store.Order{Field: fmt.Sprint("x", i), Descending: i%2 == 0}
	}
	s.is(s.ids(store.Query{Collection: name, Sort: append(many, store.Order{Field: "b", Descending: true})}), "5 1 7 3 2 0 6 4", "sorted by many")
}

func pages(s *scene) {
	var documents []doc
	for i := range 257 {
		documents = append(documents, doc{"id": id4(i * 7919 % 1009), "v": int64(i % 5)})
	}
	name := s.with(documents...)
	for _, sort := range [][]store.Order{nil, {{Field: "v"}}, {{Field: "v", Descending: true}}, {{Field: "none"}}} {
		all := s.ids(store.Query{Collection: name, Sort: sort})
		var pages []string
		for skip := 0; ; skip += 50 {
			page := s.ids(store.Query{Collection: name, Sort: sort, Skip: skip, Limit: 50})
			if page == "" {
				break
			}
			pages = append(pages, page)
		}
		if got := strings.Join(pages, " "); got != all || len(pages) != 6 {
			s.Errorf("%d pages by %v: %s, want %s", len(pages), sort, got, all)
		}
	}
	q := store.Query{Collection: name, Filter: store.Eq("v", 2), Limit: 3, Skip: 49}
	s.is(len(s.find(q)), 2, "the last page of some")
	q.Skip = 1 << 40
	s.is(len(s.find(q)), 0, "a page far behind the last")
}

func boundsBytes(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"n"}}}})
	one := store.Size(doc{"id": "1", "n": int64(1), "l": []any{}, "text": strings.Repeat("x", 1000)})
	for i := range 9 {
		s.insert(name, doc{"id": fmt.Sprint(i), "n": int64(i), "l": []any{}, "text": strings.Repeat("x", 1000)})
	}
	for _, c := range []struct {
		q    store.Query
		want string
	}{
		{store.Query{MaxBytes: 1}, "0"}, {store.Query{MaxBytes: one}, "0"}, {store.Query{MaxBytes: one + 1}, "0 1"}, {store.Query{MaxBytes: 3 * one, Skip: 2}, "2 3 4"},
		{store.Query{MaxBytes: 9*one - 1}, "0 1 2 3 4 5 6 7 8"}, {store.Query{MaxBytes: 1 << 40}, "0 1 2 3 4 5 6 7 8"}, {store.Query{MaxBytes: 3 * one, Limit: 2}, "0 1"},
		{store.Query{MaxBytes: 2 * one, Sort: []store.Order{{Field: "n", Descending: true}}}, "8 7"}, {store.Query{MaxBytes: 2 * one, Sort: []store.Order{{Field: "l"}}}, "0 1"},
		{store.Query{MaxBytes: 2 * one, Filter: store.Gt("id", "3")}, "4 5"}, {store.Query{MaxBytes: 1, Filter: store.ID("none")}, ""},
		{store.Query{MaxBytes: one, Fields: []string{"n"}}, "0 1 2 3 4 5 6 7 8"}, {store.Query{MaxBytes: 3 * store.Size(doc{"id": "1"}), Fields: []string{}}, "0 1 2"},
	} {
		c.q.Collection = name
		s.is(s.ids(c.q), c.want, "%s", Describe(c.q))
	}
	s.must(claimed(s.Claim(s.ctx, store.Query{Collection: name, MaxBytes: 1}, store.Change{})))
}

func claimed(_ doc, err error) error { return err }

func projects(s *scene) {
	d := doc{"id": "1", "a": int64(1), "b": doc{"c": []any{nil}}, "l": []any{}, "n": nil}
	name := s.with(d)
	for _, c := range []struct {
		fields []string
		want   doc
	}{
		{nil, doc{"id": "1", "a": int64(1), "b": doc{"c": []any{nil}}, "l": []any{}}}, {[]string{}, doc{"id": "1"}}, {[]string{"id"}, doc{"id": "1"}}, {[]string{"a"}, doc{"id": "1", "a": int64(1)}},
		{[]string{"b", "l", "none", "n"}, doc{"id": "1", "b": doc{"c": []any{nil}}, "l": []any{}}}, {[]string{"a", "a", "id", "id"}, doc{"id": "1", "a": int64(1)}},
	} {
		q := store.Query{Collection: name, Fields: c.fields, Filter: store.Eq("a", 1), Sort: []store.Order{{Field: "b.c"}}}
		s.is(s.find(q), []doc{c.want}, "fields %q", c.fields)
	}
}
