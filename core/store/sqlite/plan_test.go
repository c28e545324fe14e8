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
	sql, args, err := find(col, known, time.Now(), q)
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
