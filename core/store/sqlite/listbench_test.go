package sqlite

import (
	"fmt"
	"testing"

	"github.com/onehost/edge/core/store"
)

// BenchmarkLists finds ten documents by what their lists have, among a thousand and among a hundred thousand, with a list index and without: what it takes
// is to be the same with one.
func BenchmarkLists(b *testing.B) {
	tags := func(n int) []any { return []any{fmt.Sprint("tag", n/10), fmt.Sprint("tag", n/10+1)} }
	for _, n := range []int{1_000, 100_000} {
		for _, listed := range []bool{true, false} {
			s := open(b, b.TempDir()+"/store.db")
			articles := store.Collection{Name: "articles", Indexes: []store.Index{{Fields: []string{"n"}, Unique: true}}}
			if listed {
				articles.Indexes = append(articles.Indexes, store.Index{Fields: []string{"tags"}, List: true})
			}
			if err := s.Ensure(b.Context(), articles, store.Collection{Name: "tags", Indexes: []store.Index{{Fields: []string{"slug"}, Unique: true}}}); err != nil {
				b.Fatal(err)
			}
			for first := 0; first < n; first += 500 {
				var writes []store.Write
				for i := first; i < first+500; i++ {
					d := delivery(fmt.Sprintf("%06d", i), i)
					d["n"], d["tags"] = int64(i), tags(i)
					writes = append(writes, store.Insert{Collection: "articles", Document: d})
					if i%10 == 0 {
						writes = append(writes, store.Insert{Collection: "tags", Document: store.Document{"id": fmt.Sprint("tag", i/10), "slug": fmt.Sprint("slug", i/10)}})
					}
				}
				if _, err := s.Apply(b.Context(), writes...); err != nil {
					b.Fatal(err)
				}
			}
			sorted := []store.Order{{Field: "n"}}
			for name, q := range map[string]func(i int) (store.Query, int){
				"has": func(i int) (store.Query, int) {
					return store.Query{Collection: "articles", Filter: store.Has{Field: "tags", Value: fmt.Sprint("tag", i)}, Sort: sorted}, 20
				},
				"referred to by": func(i int) (store.Query, int) {
					return store.Query{Collection: "tags", Filter: store.And{store.ID(fmt.Sprint("tag", i)), store.Related{Field: "id", Collection: "articles", By: "tags", Filter: store.Gte("n", 0)}}}, 1
				},
				"refers to": func(i int) (store.Query, int) {
					return store.Query{Collection: "articles", Filter: store.Related{Field: "tags", Collection: "tags", Filter: store.Eq("slug", fmt.Sprint("slug", i))}, Sort: sorted}, 20
				},
			} {
				b.Run(fmt.Sprintf("%s/%d/index=%v", name, n, listed), func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						q, want := q(1 + i*7%(n/10-2))
						q.Limit = 25
						if found, err := s.Find(b.Context(), q); err != nil || len(found) != want {
							b.Fatal(len(found), err)
						}
					}
				})
			}
		}
	}
}
