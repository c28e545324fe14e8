package sqlite

import (
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
)

// plan is what SQLite says that it will do for a query.
func plan(t *testing.T, s *Store, q store.Query) string {
	t.Helper()
	q.Limit = 20
	col, known, err := s.use(t.Context(), q.Collection, q.Filter)
	if err != nil {
		t.Fatal(err)
	}
	l, err := leadOf(t.Context(), s.writer, col, time.Now(), q.Filter, q.Limit)
	if err != nil {
		t.Fatal(err)
	}
	sql, args, err := find(col, known, time.Now(), l, q)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	err = s.writer.rows(t.Context(), "EXPLAIN QUERY PLAN "+sql, args, func(r row) error {
		steps = append(steps, r.text(3))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

func TestAPrefixIsFoundWhateverComesAfterIt(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"s"}}}}); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"a", "a\x00", "a" + mark, "a" + mark + mark, "b", "A", ""} {
		if _, err := s.Apply(t.Context(), store.Insert{Collection: "a", Document: store.Document{"id": string(rune('0' + i)), "s": text}}); err != nil {
			t.Fatal(err)
		}
	}
	for value, want := range map[string]int{"a": 4, "": 7, "a" + mark: 2, "b": 1} {
		if n, err := s.Count(t.Context(), "a", store.Text{Field: "s", Op: store.Prefix, Value: value}); n != want || err != nil {
			t.Errorf("%d begin with %q, want %d: %v", n, value, want, err)
		}
	}
}

func TestIndexesAreUsed(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	err := s.Ensure(t.Context(), store.Collection{Name: "deliveries", Indexes: []store.Index{{Fields: []string{"state", "due"}}, {Fields: []string{"a.b"}}, {Fields: []string{"source", "event"}, Unique: true}}},
		store.Collection{Name: "sources", Indexes: []store.Index{{Fields: []string{"slug"}}}, Expire: "until"})
	if err != nil {
		t.Fatal(err)
	}
	due := store.And{store.Eq("state", "queued"), store.Lte("due", store.Now(0))}
	for name, test := range map[string]struct {
		q    store.Query
		want string
	}{
		"a claim": {store.Query{Collection: "deliveries", Filter: due, Sort: []store.Order{{Field: "due"}}},
			"SEARCH t0 USING INDEX deliveries(state,due) (<expr>=? AND <expr>>? AND <expr><?)"},
		"a claim from the end": {store.Query{Collection: "deliveries", Filter: store.Eq("state", "queued"), Sort: []store.Order{{Field: "due", Descending: true}}},
			"SEARCH t0 USING INDEX deliveries(state,due) (<expr>=?)"},
		"an id": {store.Query{Collection: "deliveries", Filter: store.ID("1")},
			"SEARCH t0 USING INDEX sqlite_autoindex_deliveries_1 (id=?)"},
		"some ids": {store.Query{Collection: "deliveries", Filter: store.In{Field: "id", Values: []any{"1", "2"}}},
			"SEARCH t0 USING INDEX sqlite_autoindex_deliveries_1 (id=?); LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:"},
		"all, by id": {store.Query{Collection: "deliveries"},
			"SCAN t0 USING INDEX sqlite_autoindex_deliveries_1"},
		"a unique index": {store.Query{Collection: "deliveries", Filter: store.And{store.Eq("source", "a"), store.Eq("event", "b")}},
			"SEARCH t0 USING INDEX deliveries(source,event) unique (<expr>=? AND <expr>=?)"},
		"a prefix": {store.Query{Collection: "deliveries", Filter: store.Text{Field: "a.b", Op: store.Prefix, Value: "x"}, Sort: []store.Order{{Field: "a.b"}}},
			"SEARCH t0 USING INDEX deliveries(a.b) (<expr>>? AND <expr><?)"},
		"numbers above one": {store.Query{Collection: "deliveries", Filter: store.Gt("a.b", 1), Sort: []store.Order{{Field: "a.b"}}},
			"SEARCH t0 USING INDEX deliveries(a.b) (<expr>>? AND <expr><?)"},
		"what expires": {store.Query{Collection: "sources", Filter: store.Lt("until", store.Now(0)), Sort: []store.Order{{Field: "until"}}},
			"SEARCH t0 USING INDEX sources(until) (<expr>>? AND <expr><?)"},
	} {
		if got := plan(t, s, test.q); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	related := store.Query{Collection: "deliveries", Filter: store.And{store.Eq("state", "queued"), store.Related{Field: "source", Collection: "sources", By: "slug", Filter: store.Related{Field: "parents", Collection: "sources"}}}}
	got := plan(t, s, related)
	if !strings.Contains(got, "USING INDEX sources(slug) (<expr>=?)") || !strings.Contains(got, "USING COVERING INDEX sqlite_autoindex_sources_1 (id=?)") || !strings.Contains(got, "deliveries(state,due)") {
		t.Errorf("related documents: %s", got)
	}
	related.Filter = store.Related{Field: "id", Collection: "sources", By: "children"}
	if got := plan(t, s, related); !strings.Contains(got, "deliveries_1 (id=?)") {
		t.Errorf("related by lists: %s", got)
	}
}

func TestListIndexesAreUsed(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	err := s.Ensure(t.Context(),
		store.Collection{Name: "articles", Indexes: []store.Index{{Fields: []string{"n"}, Unique: true}, {Fields: []string{"tags"}, List: true}}},
		store.Collection{Name: "tags", Indexes: []store.Index{{Fields: []string{"slug"}, Unique: true}, {Fields: []string{"kind", "n"}}}})
	if err != nil {
		t.Fatal(err)
	}
	has := func(v string) store.Filter { return store.Has{Field: "tags", Value: v} }
	const looked = "SEARCH articles(tags) list USING PRIMARY KEY (value=?)"
	by := []store.Order{{Field: "n"}}
	for name, test := range map[string]struct {
		q    store.Query
		want []string
	}{
		"a value":                        {store.Query{Collection: "articles", Filter: has("x"), Sort: by}, []string{"SEARCH t0 USING INDEX sqlite_autoindex_articles_1 (id=?)", looked}},
		"one of some":                    {store.Query{Collection: "articles", Filter: store.Or{has("x"), has("y"), has("z")}, Sort: by}, []string{"SEARCH t0 USING INDEX sqlite_autoindex_articles_1 (id=?)", looked}},
		"a value and more":               {store.Query{Collection: "articles", Filter: store.And{has("x"), store.Gt("n", 1)}, Sort: by}, []string{"SEARCH t0 USING INDEX sqlite_autoindex_articles_1 (id=?)", looked}},
		"who refers by a list":           {store.Query{Collection: "tags", Filter: store.And{store.ID("x"), store.Related{Field: "id", Collection: "articles", By: "tags", Filter: store.Gt("n", 1)}}}, []string{"SEARCH t2 USING PRIMARY KEY (value=?)", "SEARCH t1 USING INDEX sqlite_autoindex_articles_1 (id=?)"}},
		"who refers to one of a few":     {store.Query{Collection: "articles", Filter: store.Related{Field: "tags", Collection: "tags", Filter: store.And{store.Eq("slug", "x"), store.Eq("kind", "y")}}, Sort: by}, []string{"SEARCH t0 USING INDEX sqlite_autoindex_articles_1 (id=?)", "SEARCH t1 USING INDEX tags(slug) unique (<expr>=?)", looked}},
		"who is referred to by a few":    {store.Query{Collection: "tags", Filter: store.Related{Field: "id", Collection: "articles", By: "tags", Filter: store.Eq("n", 1)}}, []string{"SEARCH t0 USING INDEX sqlite_autoindex_tags_1 (id=?)", "SEARCH t1 USING INDEX articles(n) unique (<expr>=?)"}},
		"who refers to some, but not to": {store.Query{Collection: "articles", Filter: store.Related{Field: "tags", Collection: "tags", Filter: store.Eq("kind", "y")}, Sort: by}, []string{"SCAN t0 USING INDEX articles(n)", "SEARCH t2 USING INDEX sqlite_autoindex_tags_1 (id=?)"}},
	} {
		got := plan(t, s, test.q)
		for _, step := range test.want {
			if !strings.Contains(got, step) {
				t.Errorf("%s: %s, want %s", name, got, step)
			}
		}
	}
}

func TestAListIndexThatAnotherProcessHasRemovedIsDoneWithout(t *testing.T) {
	path := t.TempDir() + "/store.db"
	s, other := open(t, path), open(t, path)
	with := store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"l"}, List: true}}}
	if err := s.Ensure(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), store.Insert{Collection: "a", Document: store.Document{"id": "1", "l": []any{"x"}}}); err != nil {
		t.Fatal(err)
	}
	has := store.Has{Field: "l", Value: "x"}
	for name, read := range map[string]func() (int, error){
		"find": func() (int, error) {
			found, err := s.Find(t.Context(), store.Query{Collection: "a", Filter: has, Limit: 1})
			return len(found), err
		},
		"count": func() (int, error) { return s.Count(t.Context(), "a", has) },
		"update": func() (int, error) {
			touched, err := s.Apply(t.Context(), store.Update{Collection: "a", Filter: has})
			return len(touched), err
		},
	} {
		for _, c := range []store.Collection{with, {Name: "a"}} {
			if err := other.Ensure(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if n, err := read(); n != 1 || err != nil {
				t.Errorf("%s: %d %v", name, n, err)
			}
		}
	}
}
