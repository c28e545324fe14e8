package storetest

import (
	"fmt"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func limits() []test {
	return []test{
		{"a document of 15 MiB is kept, and not a byte more", largestDocument},
		{"ten thousand documents are found at once", largestFind},
		{"a condition has its limits", largestFilter},
		{"a sort has its limit", largestSort},
	}
}

func largestDocument(s *scene) {
	name := s.make(store.Collection{})
	d := doc{"id": "1", "s": "", "b": []byte{}}
	room := store.MaxDocument - store.Size(d)
	d["b"] = []byte(strings.Repeat("\x00\xff", room/4))
	d["s"] = strings.Repeat("x", store.MaxDocument-store.Size(d))
	if store.Size(d) != store.MaxDocument {
		s.Fatalf("the document has %d bytes", store.Size(d))
	}
	s.insert(name, d)
	s.is(s.get(name, "1"), d, "got")
	_, err := s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Set: doc{"s": d.String("s") + "x"}}})
	s.refused(err, fault.TooLarge, "Update to a byte more")
	_, err = s.Apply(s.ctx, store.Update{Collection: name, Change: store.Change{Add: map[string]int64{"n": 1}}})
	s.refused(err, fault.TooLarge, "Update by a field more")
	_, err = s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{"t": store.Now(0)}})
	s.refused(err, fault.TooLarge, "Claim by a field more")
	for _, w := range []store.Write{store.Insert{Collection: name, Document: doc{"id": "12", "b": d["b"], "s": d["s"]}}, store.Put{Collection: name, Document: doc{"id": "1", "b": d["b"], "s": d["s"], "n": 1}}} {
		_, err = s.Apply(s.ctx, w)
		s.refused(err, fault.TooLarge, "%T of more", w)
	}
	s.is(s.find(store.Query{Collection: name, Filter: store.Text{Field: "s", Op: store.Suffix, Value: "xx"}, Fields: []string{"b"}}), []doc{{"id": "1", "b": d["b"]}}, "found")
}

func largestFind(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"n"}}}})
	var documents []doc
	for i := range store.MaxFind + 1 {
		documents = append(documents, doc{"id": store.NewID(), "n": int64(-i)})
	}
	s.insert(name, documents...)
	found := s.find(store.Query{Collection: name, Sort: []store.Order{{Field: "n", Descending: true}}})
	if len(found) != store.MaxFind || !Same(found[0], documents[0]) || !Same(found[store.MaxFind-1], documents[store.MaxFind-1]) {
		s.Errorf("%d documents", len(found))
	}
	found = s.find(store.Query{Collection: name, Skip: store.MaxFind, Limit: 5})
	s.is(found, documents[store.MaxFind:], "the last one")
	n, err := s.Count(s.ctx, name, store.Lt("n", 0))
	s.must(err)
	s.is(n, store.MaxFind, "counted")
	s.is(s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"x": true}}}), []int{store.MaxFind + 1}, "updated")
	s.is(s.apply(store.Delete{Collection: name}), []int{store.MaxFind + 1}, "deleted")
}

func largestFilter(s *scene) {
	name := s.with(doc{"id": "1"})
	many, values := make(store.Or, store.MaxNodes), make([]any, store.MaxValues+1)
	for i := range many {
		many[i] = store.Null("a")
	}
	deep := store.Null("a")
	for range store.MaxNesting {
		deep = store.Not{Filter: deep}
	}
	for _, f := range []store.Filter{many, deep, store.In{Field: "a", Values: values}, store.Some{Field: "a", Filter: many}, store.Related{Field: "a", Collection: name, Filter: deep},
		store.Text{Field: "a", Op: store.Contains, Value: strings.Repeat("x", store.MaxText+1)}} {
		_, err := s.Count(s.ctx, name, f)
		s.refused(err, fault.TooLarge, "a condition of too many")
		_, err = s.Apply(s.ctx, store.Delete{Collection: name, Filter: f})
		s.refused(err, fault.TooLarge, "a Delete by too many")
	}
	s.finds(name, nil, "1")
}

func largestSort(s *scene) {
	name := s.with(doc{"id": "1", "f7": int64(2)}, doc{"id": "2", "f7": int64(1)})
	var sort []store.Order
	for i := range store.MaxSort {
		sort = append(sort, store.Order{Field: fmt.Sprint("f", i)})
	}
	s.is(s.ids(store.Query{Collection: name, Sort: sort}), "2 1", "sorted by %d fields", len(sort))
	sort = append(sort, store.Order{Field: "id"})
	_, err := s.Find(s.ctx, store.Query{Collection: name, Sort: sort, Limit: 1})
	s.refused(err, fault.TooLarge, "Find sorted by %d fields", len(sort))
	_, err = s.Claim(s.ctx, store.Query{Collection: name, Sort: sort}, store.Change{})
	s.refused(err, fault.TooLarge, "Claim sorted by %d fields", len(sort))
}
