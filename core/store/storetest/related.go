package storetest

import (
	"math"

	"github.com/onehost/edge/core/store"
)

func related() []test {
	return []test{
		{"a document is found by what it refers to", refersByID},
		{"either side may be a list, and null refers to nothing", refersByLists},
		{"references compare as values do", refersByValue},
		{"references lead on to further ones", refersOn},
		{"changes and claims follow references", changesByReference},
		{"a reference into the collection itself", refersToItself},
		{"which documents are changed is judged before the first one is", judgedFirst},
		{"many documents refer to many", refersMany},
		{"private collections refer to private ones only", refersPrivate},
	}
}

// library is authors and their books.
func library(s *scene) (authors, books string) {
	authors = s.with(
		doc{"id": "ada", "born": int64(1815), "keys": []any{"x", int64(1)}}, doc{"id": "bob", "born": int64(1900), "keys": []any{"y", nil}},
		doc{"id": "cyd", "keys": []any{}}, doc{"id": "dan", "born": int64(1900), "keys": "x", "more": doc{"key": "z"}}, doc{"id": "eve", "keys": nil},
	)
	books = s.with(
		doc{"id": "1", "by": "ada", "key": "x"}, doc{"id": "2", "by": "bob", "key": "y"}, doc{"id": "3", "by": []any{"ada", "bob"}, "key": []any{"x", "y"}}, doc{"id": "4", "by": "nobody", "key": 1.0},
		doc{"id": "5"}, doc{"id": "6", "by": []any{}, "key": []any{nil}}, doc{"id": "7", "by": doc{"id": "ada"}, "key": nil}, doc{"id": "8", "by": []any{nil, "cyd", int64(1), []any{"ada"}, doc{"id": "ada"}}, "key": "z"},
	)
	return authors, books
}

func refersByID(s *scene) {
	authors, books := library(s)
	by := func(f store.Filter) store.Filter { return store.Related{Field: "by", Collection: authors, Filter: f} }
	s.finds(books, by(nil), "1 2 3 8")
	s.finds(books, by(store.And{}), "1 2 3 8")
	s.finds(books, by(store.Or{}), "")
	s.finds(books, by(store.Eq("born", 1815)), "1 3")
	s.finds(books, by(store.Eq("born", 1900)), "2 3")
	s.finds(books, by(store.Null("born")), "8")
	s.finds(books, by(store.ID("ada")), "1 3")
	s.finds(books, store.Not{Filter: by(store.Eq("born", 1815))}, "2 4 5 6 7 8")
	s.finds(books, store.Not{Filter: by(nil)}, "4 5 6 7")
	s.finds(books, by(store.Not{Filter: store.Eq("born", 1815)}), "2 3 8")
	s.finds(books, store.Or{by(store.Eq("born", 1815)), store.Eq("id", "5")}, "1 3 5")
	s.finds(books, store.And{by(store.Eq("born", 1815)), by(store.Eq("born", 1900))}, "3")
	s.finds(books, store.And{by(nil), store.Not{Filter: store.Or{by(store.Eq("born", 1815)), store.Eq("id", "8")}}}, "2")
	s.is(s.ids(store.Query{Collection: books, Filter: by(nil), Sort: []store.Order{{Field: "key", Descending: true}}, Skip: 1, Limit: 2}), "2 1", "a page")
}

func refersByLists(s *scene) {
	authors, books := library(s)
	by := func(field string, f store.Filter) store.Filter {
		return store.Related{Field: "key", Collection: authors, By: field, Filter: f}
	}
	s.finds(books, by("keys", nil), "1 2 3 4")
	s.finds(books, by("keys", store.ID("ada")), "1 3 4")
	s.finds(books, by("keys", store.ID("bob")), "2 3")
	s.finds(books, by("keys", store.ID("dan")), "1 3")
	s.finds(books, by("keys", store.In{Field: "id", Values: []any{"cyd", "eve"}}), "")
	s.finds(books, by("more.key", nil), "8")
	s.finds(books, by("nothing", nil), "")
	s.finds(books, store.Not{Filter: by("keys", nil)}, "5 6 7 8")
	s.finds(authors, store.Related{Field: "keys", Collection: books, By: "key"}, "ada bob dan")
	s.finds(authors, store.Related{Field: "id", Collection: books, By: "by"}, "ada bob cyd")
	s.finds(authors, store.Related{Field: "more.key", Collection: books, By: "key", Filter: store.ID("8")}, "dan")
}

func refersByValue(s *scene) {
	values := []any{int64(1), 1.0, "1", true, []byte("1"), epoch(), int64(0), false, "", []byte{}, int64(1<<53 + 1), 0x1p53, int64(1 << 53), int64(math.MaxInt64), 0x1p63, doc{"a": int64(1)}, []any{[]any{int64(1)}}}
	var from, to []doc
	for i, v := range values {
		id := string(rune('a' + i))
		from, to = append(from, doc{"id": id, "v": v}), append(to, doc{"id": id, "v": v, "l": []any{v}})
	}
	a, b := s.with(from...), s.with(to...)
	for _, by := range []string{"v", "l"} {
		for i, want := range []string{"a b", "a b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l m", "l m", "n", "o", "", ""} {
			s.finds(a, store.Related{Field: "v", Collection: b, By: by, Filter: store.ID(string(rune('a' + i)))}, want)
		}
	}
}

func refersOn(s *scene) {
	authors, books := library(s)
	shelves := s.with(doc{"id": "A", "books": []any{"1", "2"}}, doc{"id": "B", "books": []any{"4", "5"}}, doc{"id": "C", "books": "3"}, doc{"id": "D", "books": []any{"8", "4"}})
	holds := func(f store.Filter) store.Filter { return store.Related{Field: "books", Collection: books, Filter: f} }
	by := func(f store.Filter) store.Filter { return store.Related{Field: "by", Collection: authors, Filter: f} }
	s.finds(shelves, holds(by(store.Eq("born", 1815))), "A C")
	s.finds(shelves, holds(store.Not{Filter: by(nil)}), "B D")
	s.finds(shelves, store.Not{Filter: holds(by(nil))}, "B")
	s.finds(shelves, holds(store.And{by(store.Eq("born", 1815)), by(store.Eq("born", 1900))}), "C")
	s.finds(shelves, holds(by(store.Related{Field: "id", Collection: books, By: "by", Filter: store.Eq("id", "3")})), "A C")
	s.finds(authors, store.Related{Field: "id", Collection: books, By: "by", Filter: store.Related{Field: "id", Collection: shelves, By: "books", Filter: store.ID("A")}}, "ada bob")
	s.finds(shelves, holds(store.Or{by(store.Null("born")), store.Eq("key", 1)}), "B D")
}

func changesByReference(s *scene) {
	authors, books := library(s)
	by := func(f store.Filter) store.Filter { return store.Related{Field: "by", Collection: authors, Filter: f} }
	touched := s.apply(
		store.Update{Collection: books, Filter: by(store.Eq("born", 1815)), Change: store.Change{Set: doc{"old": true}}, Must: 2},
		store.Update{Collection: authors, Filter: store.ID("ada"), Change: store.Change{Set: doc{"born": 1816}}},
		store.Update{Collection: books, Filter: by(store.Eq("born", 1815)), Change: store.Change{Set: doc{"old": false}}},
		store.Delete{Collection: books, Filter: store.Not{Filter: by(nil)}, Must: 4},
		store.Delete{Collection: authors, Filter: store.Not{Filter: store.Related{Field: "id", Collection: books, By: "by"}}},
	)
	s.is(touched, []int{2, 1, 0, 4, 2}, "touched")
	s.finds(books, store.Eq("old", true), "1 3")
	s.finds(authors, nil, "ada bob cyd")
	d, err := s.Claim(s.ctx, store.Query{Collection: books, Filter: by(store.Eq("born", 1900)), Sort: []store.Order{{Field: "id", Descending: true}}}, store.Change{Unset: []string{"old"}})
	s.must(err)
	s.is(d, doc{"id": "3", "by": []any{"ada", "bob"}, "key": []any{"x", "y"}}, "claimed")
	n, err := s.Count(s.ctx, books, by(store.Eq("born", 1900)))
	s.must(err)
	s.is(n, 2, "counted")
}

func refersToItself(s *scene) {
	name := s.with(doc{"id": "1", "up": "2"}, doc{"id": "2", "up": "3"}, doc{"id": "3", "up": "3"}, doc{"id": "4", "up": "9"}, doc{"id": "5"})
	up := func(f store.Filter) store.Filter { return store.Related{Field: "up", Collection: name, Filter: f} }
	s.finds(name, up(nil), "1 2 3")
	s.finds(name, up(up(store.ID("3"))), "1 2 3")
	s.finds(name, up(store.Not{Filter: up(store.ID("3"))}), "")
	s.finds(name, up(store.ID("2")), "1")
	s.finds(name, store.Related{Field: "id", Collection: name, By: "up"}, "2 3")
}

// judgedFirst has documents of which the first and the last one to change take away what others refer to.
func judgedFirst(s *scene) {
	name := s.with(doc{"id": "1", "key": "x", "up": "x"}, doc{"id": "2", "up": "x"}, doc{"id": "3", "up": "y"}, doc{"id": "4", "key": "y", "up": "y"})
	up := store.Related{Field: "up", Collection: name, By: "key"}
	s.is(s.apply(store.Update{Collection: name, Filter: up, Change: store.Change{Set: doc{"key": "z", "new": true}}}), []int{4}, "updated")
	s.finds(name, store.And{store.Eq("key", "z"), store.Eq("new", true)}, "1 2 3 4")
	s.apply(store.Put{Collection: name, Document: doc{"id": "1", "key": "z", "up": "z"}}, store.Put{Collection: name, Document: doc{"id": "2", "up": "z"}},
		store.Put{Collection: name, Document: doc{"id": "3", "up": "w"}}, store.Put{Collection: name, Document: doc{"id": "4", "key": "w", "up": "w"}})
	s.is(s.apply(store.Delete{Collection: name, Filter: up}), []int{4}, "deleted")
	s.finds(name, nil, "")
}

func refersMany(s *scene) {
	var from, to []doc
	for i := range 1_000 {
		from = append(from, doc{"id": id4(i), "to": []any{id4(i), id4(i / 2), "x"}})
		to = append(to, doc{"id": id4(i), "even": i%2 == 0})
	}
	a, b := s.with(from...), s.with(to...)
	n, err := s.Count(s.ctx, a, store.Related{Field: "to", Collection: b, Filter: store.Eq("even", false)})
	s.must(err)
	s.is(n, 750, "refer to odd ones")
}

func refersPrivate(s *scene) {
	open, private := s.with(doc{"id": "1", "to": "1"}), s.make(store.Collection{Private: true})
	other := s.make(store.Collection{Private: true})
	s.insert(private, doc{"id": "1", "to": "1"})
	s.insert(other, doc{"id": "1", "to": "1"})
	s.finds(private, store.Related{Field: "to", Collection: other}, "1")
	for _, pair := range [][2]string{{open, private}, {private, open}} {
		f := store.Not{Filter: store.And{store.Related{Field: "to", Collection: pair[1]}}}
		_, err := s.Count(s.ctx, pair[0], store.Related{Field: "to", Collection: pair[0], Filter: store.Or{f}})
		s.refused(err, "invalid", "a further reference")
		_, err = s.Count(s.ctx, pair[0], store.Related{Field: "to", Collection: pair[0], Filter: store.Related{Field: "to", Collection: s.newName()}})
		s.refused(err, "invalid", "a further reference to no collection")
		_, err = s.Find(s.ctx, store.Query{Collection: pair[0], Filter: f, Limit: 1})
		s.refused(err, "invalid", "Find")
		_, err = s.Count(s.ctx, pair[0], f)
		s.refused(err, "invalid", "Count")
		_, err = s.Apply(s.ctx, store.Delete{Collection: pair[0], Filter: f})
		s.refused(err, "invalid", "Apply")
		_, err = s.Claim(s.ctx, store.Query{Collection: pair[0], Filter: f}, store.Change{Set: doc{"a": 1}})
		s.refused(err, "invalid", "Claim")
	}
}
