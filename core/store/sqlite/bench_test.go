package sqlite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
)

// delivery is a document of about 1 KiB, such as the inbox keeps.
func delivery(id string, i int) store.Document {
	return store.Document{
		"id": id, "state": "waiting", "due": time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC), "source": "github", "attempts": int64(0),
		"headers": store.Document{"content-type": "application/json", "x-request-id": id, "user-agent": "hooks/1.0"}, "body": strings.Repeat("payload ", 95),
	}
}

// BenchmarkBesideRaw does each thing through the store and with plain SQL on a file of the same kind, in turns, and reports how much of raw speed is
// left: raw/ours. Plain SQL has texts made into documents, and documents into texts, in the same way.
func BenchmarkBesideRaw(b *testing.B) {
	ctx := context.Background()
	s, other := open(b, b.TempDir()+"/store.db"), open(b, b.TempDir()+"/store.db")
	raw := other.writer
	for _, one := range []*Store{s, other} {
		if err := one.Ensure(ctx, store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"state", "due"}}}}); err != nil {
			b.Fatal(err)
		}
		var writes []store.Write
		for i := range 1000 {
			writes = append(writes, store.Insert{Collection: "a", Document: delivery(fmt.Sprintf("%04d", i), i)})
		}
		if _, err := one.Apply(ctx, writes...); err != nil {
			b.Fatal(err)
		}
	}
	const extract = "json_extract(doc,'$.\"%s\"')"
	state, due := fmt.Sprintf(extract, "state"), fmt.Sprintf(extract, "due")
	at := func(i int) string { return operand(time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC)).(string) }
	documents := func(sql string, args ...any) error {
		return raw.rows(ctx, sql, args, func(r row) error {
			_, err := decode(r.text(0), r.text(1))
			return err
		})
	}
	compare(b, "insert", 1, func(int) error {
		_, err := s.Apply(ctx, store.Insert{Collection: "a", Document: delivery(store.NewID(), 5000)})
		return err
	}, func(int) error {
		id := store.NewID()
		return raw.exec(ctx, "INSERT INTO a(id,doc) VALUES(?,?)", id, encode(delivery(id, 5000)))
	})
	compare(b, "insert by 64", 64, func(int) error {
		_, err := s.Apply(ctx, store.Insert{Collection: "a", Document: delivery(store.NewID(), 5000)})
		return err
	}, func(n int) error { // one transaction, without anybody who waits for it
		if n%64 != 0 {
			return nil
		}
		if err := raw.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		for range 64 {
			id := store.NewID()
			if err := raw.exec(ctx, "INSERT INTO a(id,doc) VALUES(?,?)", id, encode(delivery(id, 5000))); err != nil {
				return err
			}
		}
		return raw.exec(ctx, "COMMIT")
	})
	compare(b, "get", 1, func(i int) error {
		_, err := s.Get(ctx, "a", fmt.Sprintf("%04d", i*7%1000))
		return err
	}, func(i int) error {
		return documents("SELECT id,doc FROM a WHERE id=?", fmt.Sprintf("%04d", i*7%1000))
	})
	compare(b, "find 20", 1, func(i int) error {
		_, err := s.Find(ctx, store.Query{Collection: "a", Filter: store.And{store.Eq("state", "waiting"), store.Gte("due", time.Date(2024, 1, 1, 0, 0, i%900, 0, time.UTC))}, Sort: []store.Order{{Field: "due"}}, Limit: 20})
		return err
	}, func(i int) error {
		return documents("SELECT id,doc FROM a WHERE "+state+"=? AND "+due+">=? ORDER BY "+due+",id LIMIT 20", "waiting", at(i%900))
	})
	compare(b, "claim", 1, func(i int) error {
		_, err := s.Claim(ctx, store.Query{Collection: "a", Filter: store.And{store.Eq("state", "waiting"), store.Lte("due", store.Now(0))}, Sort: []store.Order{{Field: "due"}}}, store.Change{Set: store.Document{"due": store.Now(0)}})
		return err
	}, func(i int) error {
		if err := raw.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		var id string
		err := raw.rows(ctx, "SELECT id,doc FROM a WHERE "+state+"=? AND "+due+"<=? ORDER BY "+due+",id LIMIT 1", []any{"waiting", operand(time.Now().UTC())}, func(r row) error {
			id = r.text(0)
			_, err := decode(id, r.text(1))
			return err
		})
		if err != nil {
			return err
		}
		if err := raw.exec(ctx, "UPDATE a SET doc=json_set(doc,'$.due',?) WHERE id=?", operand(time.Now().UTC()), id); err != nil {
			return err
		}
		return raw.exec(ctx, "COMMIT")
	})
}

// compare lets so many at a time do a thing in both ways, in turns of 64 each.
func compare(b *testing.B, name string, at int, ours, raw func(int) error) {
	b.Run(name, func(b *testing.B) {
		var spent [2]time.Duration
		for i := 0; i < b.N; i += 64 {
			for k, do := range []func(int) error{ours, raw} {
				start := time.Now()
				var all sync.WaitGroup
				for w := range at {
					all.Go(func() {
						for n := w; n < 64; n += at {
							if err := do(i + n); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				spent[k] += time.Since(start)
			}
		}
		rounds := float64((b.N + 63) / 64 * 64)
		b.ReportMetric(float64(spent[0])/rounds, "ours-ns/op")
		b.ReportMetric(float64(spent[1])/rounds, "raw-ns/op")
		b.ReportMetric(float64(spent[1])/float64(spent[0]), "raw/ours")
		b.ReportMetric(0, "ns/op")
	})
}
