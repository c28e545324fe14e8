package storetest

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
)

// Benchmark measures what every engine has to do often, with documents of 1 KiB: durable inserts by one writer and by 64, reading one
// document, finding twenty by an index among ten thousand, and claiming.
func Benchmark(b *testing.B, e Engine) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("insert by %d", writers), func(b *testing.B) {
			s := prepared(b, e, 0)
			benchmarkTogether(b, writers, func(int) error {
				_, err := s.Apply(b.Context(), store.Insert{Collection: "jobs", Document: job(store.NewID(), 0)})
				return err
			})
		})
	}
	b.Run("get", func(b *testing.B) {
		s := prepared(b, e, 1_000)
		benchmarkTogether(b, 1, func(i int) error {
			_, err := s.Get(b.Context(), "jobs", id4(i%1_000))
			return err
		})
	})
	b.Run("find 20 by an index", func(b *testing.B) {
		s := prepared(b, e, 10_000)
		benchmarkTogether(b, 1, func(i int) error {
			found, err := s.Find(b.Context(), store.Query{
				Collection: "jobs", Filter: store.And{store.Eq("state", "waiting"), store.Gte("due", moment(i%9_000))}, Sort: []store.Order{{Field: "due"}}, Limit: 20,
			})
			if err == nil && len(found) != 20 {
				err = fmt.Errorf("%d documents", len(found))
			}
			return err
		})
	})
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("claim by %d", workers), func(b *testing.B) {
			s := prepared(b, e, 1_000)
			benchmarkTogether(b, workers, func(int) error {
				_, err := s.Claim(b.Context(), // the same ones again and again: what was claimed comes last
					store.Query{Collection: "jobs", Filter: store.And{store.Eq("state", "waiting"), store.Lte("due", store.Now(0))}, Sort: []store.Order{{Field: "due"}}},
					store.Change{Set: doc{"due": store.Now(0)}, Add: map[string]int64{"attempts": 1}})
				return err
			})
		})
	}
}

// prepared is a store with so many jobs in it.
func prepared(b *testing.B, e Engine, jobs int) store.Store {
	b.Helper()
	s := e.Open(b)
	if err := s.Ensure(b.Context(), store.Collection{Name: "jobs", Indexes: []store.Index{{Fields: []string{"state", "due"}}}}); err != nil {
		b.Fatal(err)
	}
	var writes []store.Write
	for i := range jobs {
		writes = append(writes, store.Insert{Collection: "jobs", Document: job(id4(i), i)})
		if len(writes) == store.MaxWrites || i == jobs-1 {
			if _, err := s.Apply(b.Context(), writes...); err != nil {
				b.Fatal(err)
			}
			writes = nil
		}
	}
	return s
}

func moment(i int) time.Time { return time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC) }

// job is a document of about 1 KiB.
func job(id string, i int) doc {
	return doc{
		"id": id, "state": "waiting", "due": moment(i), "attempts": int64(0), "weight": math.Sqrt2, "tags": []any{"a", "b"},
		"request": doc{"method": "POST", "path": "/hooks/orders", "body": []byte(strings.Repeat("body", 125))}, "note": strings.Repeat("text", 75),
	}
}

// benchmarkTogether shares the b.N operations among so many goroutines.
func benchmarkTogether(b *testing.B, goroutines int, operation func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N) && !b.Failed(); i = next.Add(1) {
				if err := operation(int(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}
