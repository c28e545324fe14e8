package mongodb

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func Benchmark(b *testing.B) { storetest.Benchmark(b, engine(shared.Set)) }

// pair is one operation by the store, and by the driver alone with the same promises of durability, on the same collection.
type pair struct {
	name      string
	workers   int
	ours, raw func(ctx context.Context, i int) error
}

// BenchmarkBesideTheDriver runs both in turns of some hundred operations, so that a noisy machine is as noisy for one as for the other.
func BenchmarkBesideTheDriver(b *testing.B) {
	s := opened(b)
	c := store.Collection{Name: "jobs", Indexes: []store.Index{{Fields: []string{"state", "due"}}}}
	if err := s.Ensure(b.Context(), c, store.Collection{Name: "inserts", Indexes: c.Indexes}); err != nil {
		b.Fatal(err)
	}
	var writes []store.Write
	for i := range store.MaxWrites {
		writes = append(writes, store.Insert{Collection: "jobs", Document: benchmarkJob(fmt.Sprint(i), i)})
	}
	if _, err := s.Apply(b.Context(), writes...); err != nil {
		b.Fatal(err)
	}
	for _, p := range pairs(s) {
		b.Run(fmt.Sprintf("%s by %d", p.name, p.workers), func(b *testing.B) {
			var ours, raw time.Duration
			const turn = 300
			for done := 0; done < b.N; done += turn {
				raw += timed(b, p.workers, turn, p.raw)
				ours += timed(b, p.workers, turn, p.ours)
			}
			b.ReportMetric(float64(ours.Microseconds())/float64(max(b.N, turn)), "µs/ours")
			b.ReportMetric(float64(raw.Microseconds())/float64(max(b.N, turn)), "µs/raw")
			b.ReportMetric(100*float64(raw)/float64(ours), "%-of-raw")
		})
	}
}

func benchmarkJob(id string, i int) store.Document {
	return store.Document{
		"id": id, "state": "waiting", "due": time.Unix(int64(i), 0), "attempts": 0, "tags": []any{"a", "b"},
		"request": store.Document{"method": "POST", "body": make([]byte, 800)}, "note": "text",
	}
}

func timed(b *testing.B, workers, n int, f func(context.Context, int) error) time.Duration {
	start := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := f(b.Context(), int(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

func pairs(s *Store) []pair {
	jobs := s.client.Database(s.address.database).Collection("jobs")
	inserts := s.client.Database(s.address.database).Collection("inserts")
	insert := func(ctx context.Context, i int) error {
		_, err := s.Apply(ctx, store.Insert{Collection: "inserts", Document: benchmarkJob(store.NewID(), i)})
		return err
	}
	insertRaw := func(ctx context.Context, i int) error {
		_, err := inserts.InsertOne(ctx, bson.D{
			{Key: "_id", Value: store.NewID()}, {Key: "state", Value: "waiting"}, {Key: "due", Value: time.Unix(int64(i), 0)}, {Key: "attempts", Value: int64(0)}, {Key: "tags", Value: bson.A{"a", "b"}},
			{Key: "request", Value: bson.D{{Key: "method", Value: "POST"}, {Key: "body", Value: make([]byte, 800)}}}, {Key: "note", Value: "text"},
		})
		return err
	}
	get := func(ctx context.Context, i int) error { _, err := s.Get(ctx, "jobs", fmt.Sprint(i)); return err }
	getRaw := func(ctx context.Context, i int) error {
		var d bson.M
		return jobs.FindOne(ctx, byID(fmt.Sprint(i))).Decode(&d)
	}
	byDue := []store.Order{{Field: "due"}}
	find := func(ctx context.Context, i int) error {
		_, err := s.Find(ctx, store.Query{Collection: "jobs", Filter: store.And{store.Eq("state", "waiting"), store.Gte("due", time.Unix(int64(i), 0))}, Sort: byDue, Limit: 20})
		return err
	}
	findRaw := func(ctx context.Context, i int) error {
		filter := bson.D{{Key: "state", Value: "waiting"}, {Key: "due", Value: bson.D{{Key: "$gte", Value: time.Unix(int64(i), 0)}}}}
		cursor, err := jobs.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "due", Value: 1}}).SetLimit(20))
		if err != nil {
			return err
		}
		var all []bson.M
		return cursor.All(ctx, &all)
	}
	claim := func(ctx context.Context, _ int) error {
		q := store.Query{Collection: "jobs", Filter: store.And{store.Eq("state", "waiting"), store.Lte("due", store.Now(0))}, Sort: byDue}
		_, err := s.Claim(ctx, q, store.Change{Set: store.Document{"due": store.Now(0)}, Add: map[string]int64{"attempts": 1}})
		return err
	}
	claimRaw := func(ctx context.Context, _ int) error {
		now := time.Now()
		filter := bson.D{{Key: "state", Value: "waiting"}, {Key: "due", Value: bson.D{{Key: "$lte", Value: now}}}}
		change := bson.D{{Key: "$set", Value: bson.D{{Key: "due", Value: now}}}, {Key: "$inc", Value: bson.D{{Key: "attempts", Value: 1}}}}
		var d bson.M
		return jobs.FindOneAndUpdate(ctx, filter, change, options.FindOneAndUpdate().SetSort(bson.D{{Key: "due", Value: 1}}).SetReturnDocument(options.After)).Decode(&d)
	}
	return []pair{{"insert", 1, insert, insertRaw}, {"insert", 64, insert, insertRaw}, {"get", 1, get, getRaw}, {"find 20", 1, find, findRaw}, {"claim", 1, claim, claimRaw}, {"claim", 16, claim, claimRaw}}
}
