package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/onehost/edge/core/store"
)

// articles is a store of so many articles, the half of them drafts. What they have is counted from the last one.
func articles(t testing.TB, n int) *Store {
	s := open(t, t.TempDir()+"/store.db")
	err := s.Ensure(t.Context(), store.Collection{Name: "articles", Indexes: []store.Index{
		{Fields: []string{"n"}, Unique: true}, {Fields: []string{"status", "n"}}, {Fields: []string{"doc"}}, {Fields: []string{"status", "title"}, Unique: true},
		{Fields: []string{"status", "views", "n"}}, {Fields: []string{"status", "at", "n"}}, {Fields: []string{"status", "kind", "n"}}, {Fields: []string{"tags"}, List: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for i := range n {
		k := (n - 1 - i) / 2
		writes = append(writes, store.Insert{Collection: "articles", Document: store.Document{
			"id": fmt.Sprintf("%06d", i), "n": i, "status": []string{"draft", "published"}[i%2], "doc": fmt.Sprint("d", k), "title": fmt.Sprintf("t%06d", k), "views": k,
			"at": time.Unix(int64(k), 0), "kind": []string{"x", "y", "z"}[k%3], "tags": []any{fmt.Sprint("g", k/10), fmt.Sprint("g", k/10+1), "all"},
		}})
	}
	for part := range slices.Chunk(writes, store.MaxWrites) {
		if _, err := s.Apply(t.Context(), part...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// finds are conditions on articles, with how many of the published ones meet them.
func finds() map[string]struct {
	filter store.Filter
	n      int
} {
	has := func(v string) store.Filter { return store.Has{Field: "tags", Value: v} }
	return map[string]struct {
		filter store.Filter
		n      int
	}{
		"a value of a list":           {has("g3"), 20},
		"one of some values":          {store.Or{has("g3"), has("g4"), has("g7")}, 25},
		"a value that all have":       {has("all"), 25},
		"a value and more":            {store.And{has("g3"), store.Gt("views", 30)}, 9},
		"one of some":                 {store.In{Field: "views", Values: []any{7, 9, 9.0, "9", -1}}, 2},
		"one of some that many are":   {store.In{Field: "kind", Values: []any{"x", "y"}}, 25},
		"one of some, of unique ones": {store.In{Field: "title", Values: []any{"t000007", "t000009"}}, 2},
		"one of some, or null":        {store.And{store.In{Field: "views", Values: []any{7, nil}}, store.Lt("views", 20)}, 1},
		"one of some, without status": {store.In{Field: "doc", Values: []any{"d7", "d8"}}, 2},
		"one and the status":          {store.Eq("doc", "d7"), 1},
		"one of none":                 {store.In{Field: "doc"}, 0},
		"between numbers":             {store.And{store.Gte("views", 10), store.Lte("views", 19)}, 10},
		"between times":               {store.And{store.Gt("at", time.Unix(10, 0)), store.Lt("at", time.Unix(19, 0))}, 8},
		"between texts":               {store.And{store.Gte("title", "t000010"), store.Lt("title", "t000019")}, 9},
		"between one side and it":     {store.And{store.Lt("views", 30), store.Lt("views", 19), store.Gt("views", 3), store.Gte("views", 9)}, 10},
	}
}

func published(f store.Filter) store.Query {
	return store.Query{Collection: "articles", Filter: store.And{store.Eq("status", "published"), f}, Sort: []store.Order{{Field: "n"}}, Limit: 25}
}

// steps is how many SQLite takes for a query, which is what it costs on any machine.
func steps(t *testing.T, s *Store, q store.Query) (n, found int) {
	t.Helper()
	all, err := s.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.readers.idle {
		for _, one := range c.statements {
			n += one.Status(sqlite3.STMTSTATUS_VM_STEP, true)
		}
	}
	return n, len(all)
}

func TestWhatAnIndexLeadsToTakesAsLongWhateverThereIs(t *testing.T) {
	small, large := articles(t, 2000), articles(t, 10_000)
	for name, test := range finds() {
		few, found := steps(t, small, published(test.filter))
		many, foundToo := steps(t, large, published(test.filter))
		if many > few*2 {
			t.Errorf("%s: %d steps of 10,000, %d of 2,000: %s", name, many, few, plan(t, large, published(test.filter)))
		}
		if found != test.n || foundToo != test.n {
			t.Errorf("%s: %d and %d are found, want %d", name, found, foundToo, test.n)
		}
	}
}

func TestWhatLeadsIsAConditionAsAnyOther(t *testing.T) {
	s := articles(t, 2000)
	all := finds()
	other := all["one of none"]
	other.filter = store.And{store.Gte("title", "t000010"), store.Lt("title", 19)}
	all["between different kinds"] = other
	for name, test := range all {
		// A condition within two Nots doesn't lead.
		filter := store.And{store.Eq("status", "published"), store.Not{Filter: store.Not{Filter: store.And{test.filter, store.Or{store.And{}, store.Null("x")}}}}}
		q := published(test.filter)
		q.Limit = 2000
		led, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		q.Filter = filter
		other, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(led, other, func(a, b store.Document) bool { return a.ID() == b.ID() })
		if n, err := s.Count(t.Context(), "articles", published(test.filter).Filter); !same || n != len(other) || err != nil {
			t.Errorf("%s: %d are found and %d counted, and it should be %d: %v", name, len(led), n, len(other), err)
		}
	}
}
