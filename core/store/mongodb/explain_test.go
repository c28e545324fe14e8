package mongodb

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/onehost/edge/core/store"
)

// jobs is a collection with a thousand documents and the indexes of something that is claimed.
func jobs(t *testing.T) *Store {
	s := opened(t)
	people := store.Collection{Name: "people", Indexes: []store.Index{{Fields: []string{"city"}}}}
	c := store.Collection{Name: "jobs", Indexes: []store.Index{
		{Fields: []string{"state", "due"}}, {Fields: []string{"name"}}, {Fields: []string{"owner"}}, {Fields: []string{"at.place"}},
		{Fields: []string{"source", "event"}, Unique: true}, {Fields: []string{"tags"}, List: true},
	}}
	if err := s.Ensure(t.Context(), c, people); err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for i := range 1000 {
		writes = append(writes, store.Insert{Collection: "jobs", Document: store.Document{
			"id": fmt.Sprint(i), "state": []string{"waiting", "done"}[i%2], "due": time.Unix(int64(i), 0), "name": fmt.Sprintf("job %03d", i),
			"owner": fmt.Sprint(i % 10), "at": store.Document{"place": int64(i)}, "source": "s", "event": int64(i), "tags": []any{fmt.Sprint("tag ", i), fmt.Sprint("tag ", i+1)},
		}})
	}
	if _, err := s.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := s.Apply(t.Context(), store.Put{Collection: "people", Document: store.Document{"id": fmt.Sprint(i), "city": "c"}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// explained is what the server says of how it carried a query out.
type explained struct {
	text              string
	keys, docs, found int
}

func explain(t *testing.T, s *Store, q store.Query) explained {
	t.Helper()
	c, err := s.use(t.Context(), q.Collection, q.Filter)
	if err != nil {
		t.Fatal(err)
	}
	tr := s.translator(c)
	keys, computed := tr.sortKeys(q.Sort)
	command := bson.D{{Key: "find", Value: q.Collection}, {Key: "filter", Value: tr.condition(withoutRelated(q.Filter))}, {Key: "sort", Value: keys}, {Key: "limit", Value: 20}}
	if hasRelated(q.Filter) || computed != nil {
		stages := append(append(tr.stages(q.Filter), computed...), bson.D{{Key: "$sort", Value: keys}}, bson.D{{Key: "$limit", Value: 20}})
		command = bson.D{{Key: "aggregate", Value: q.Collection}, {Key: "pipeline", Value: stages}, {Key: "cursor", Value: bson.D{}}}
	}
	var raw bson.Raw
	err = s.run(t.Context(), "explaining", func(ctx context.Context, client *mongo.Client) error {
		raw, err = s.in(client, c).Database().RunCommand(ctx, bson.D{{Key: "explain", Value: command}, {Key: "verbosity", Value: "executionStats"}}).Raw()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e := explained{text: raw.String()}
	stats := raw.Lookup("executionStats")
	if stats.IsZero() {
		stats = raw.Lookup("stages", "0", "$cursor", "executionStats")
	}
	number := func(name string) int { n, _ := stats.Document().Lookup(name).AsInt64OK(); return int(n) }
	e.keys, e.docs, e.found = number("totalKeysExamined"), number("totalDocsExamined"), number("nReturned")
	return e
}

func withoutRelated(f store.Filter) store.Filter {
	if hasRelated(f) {
		return nil
	}
	return f
}

func TestIndexesAreUsed(t *testing.T) {
	s := jobs(t)
	waiting := store.Eq("state", "waiting")
	for name, test := range map[string]struct {
		q    store.Query
		keys int // that may be looked at
	}{
		"what is due":             {store.Query{Filter: store.And{waiting, store.Lte("due", store.Now(0))}, Sort: []store.Order{{Field: "due"}}}, 21},
		"what is due in a while":  {store.Query{Filter: store.And{waiting, store.Lte("due", store.Now(time.Hour))}, Sort: []store.Order{{Field: "due"}}}, 21},
		"nothing is due":          {store.Query{Filter: store.And{waiting, store.Gt("due", store.Now(0))}, Sort: []store.Order{{Field: "due"}}}, 1},
		"a range":                 {store.Query{Filter: store.And{waiting, store.Gte("due", time.Unix(100, 0)), store.Lt("due", time.Unix(110, 0))}}, 6},
		"the order of an index":   {store.Query{Sort: []store.Order{{Field: "state"}, {Field: "due"}}}, 20},
		"the newest first":        {store.Query{Filter: waiting, Sort: []store.Order{{Field: "due", Descending: true}}}, 20},
		"the newest of all first": {store.Query{Sort: []store.Order{{Field: "state", Descending: true}, {Field: "due", Descending: true}}}, 20},
		"equal ones by id":        {store.Query{Filter: store.Eq("owner", "3"), Sort: []store.Order{{Field: "owner"}}}, 20},
		"the start of a text":     {store.Query{Filter: store.Text{Field: "name", Op: store.Prefix, Value: "job 10"}, Sort: []store.Order{{Field: "name"}}}, 11},
		"a whole text":            {store.Query{Filter: store.Text{Field: "name", Op: store.Whole, Value: "job 100"}}, 1},
		"one of several":          {store.Query{Filter: store.In{Field: "name", Values: []any{"job 100", "job 200"}}}, 4},
		"a path":                  {store.Query{Filter: store.Eq("at.place", 7)}, 1},
		"null in an index":        {store.Query{Filter: store.Null("owner")}, 1},
		"both of a unique index":  {store.Query{Filter: store.And{store.Eq("source", "s"), store.Eq("event", 7)}}, 1},
		"an id":                   {store.Query{Filter: store.And{store.ID("7"), waiting}}, 1},
		"what a list has":         {store.Query{Filter: store.Has{Field: "tags", Value: "tag 7"}}, 2},
		"what lists have":         {store.Query{Filter: store.Or{store.Has{Field: "tags", Value: "tag 7"}, store.Has{Field: "tags", Value: "tag 9"}, store.Has{Field: "tags", Value: "none"}}}, 8},
		"what others are related": {store.Query{Filter: store.And{store.Eq("name", "job 100"), store.Related{Field: "owner", Collection: "people", Filter: store.Eq("city", "c")}}}, 1},
	} {
		test.q.Collection = "jobs"
		e := explain(t, s, test.q)
		sorted := test.q.Sort != nil && strings.Contains(e.text, `"stage": "SORT"`)
		if e.keys > test.keys || e.docs > test.keys || sorted || strings.Contains(e.text, "COLLSCAN") {
			t.Errorf("%s: %d keys and %d documents were looked at to find %d, sorted: %v; want %d at most and no sort:\n%.2000s", name, e.keys, e.docs, e.found, sorted, test.keys, e.text)
		}
	}
}

func TestWhoIsReferredToByAListIsFoundByItsIndex(t *testing.T) {
	s := jobs(t)
	e := explain(t, s, store.Query{Collection: "people", Filter: store.And{store.Eq("city", "c"), store.Related{Field: "id", Collection: "jobs", By: "tags", Filter: store.Eq("state", "waiting")}}})
	if !strings.Contains(e.text, `"indexesUsed": ["list tags"]`) || strings.Contains(e.text, `"collectionScans": {"$numberLong":"1`) {
		t.Errorf("%.6000s", e.text)
	}
}
