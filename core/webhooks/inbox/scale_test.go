package inbox

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// fill puts many deliveries into a store, as Keep would have: as many behind one key of stripe as are of github, of which half are due and half wait for a later attempt.
func fill(t testing.TB, i *Inbox, s store.Store, from, many int) {
	t.Helper()
	if err := i.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for n := from; n < many; n++ {
		d := sent("github", n)
		if n%2 == 0 {
			d = lined("a", n)
		}
		d.ID = fmt.Sprintf("%020d", n)
		d, doc := i.begun(d)
		switch {
		case n%4 == 1:
			doc["next"] = d.At.Add(time.Hour)
		case n%2 == 1 || n == 0:
			doc["next"] = d.At.Add(-headStart)
		}
		if writes = append(writes, store.Insert{Collection: collection, Document: doc}); len(writes) == store.MaxWrites || n == many-1 {
			if _, err := s.Apply(patient(t), writes...); err != nil {
				t.Fatal(err)
			}
			writes = nil
		}
	}
}

// median is how long something takes for half of so many times, at most.
func median(t testing.TB, times int, do func(n int)) time.Duration {
	t.Helper()
	took := make([]time.Duration, times)
	for n := range took {
		begin := time.Now()
		do(n)
		took[n] = time.Since(begin)
	}
	slices.Sort(took)
	return took[times/2]
}

// costs are what has to be flat, and how long it takes.
func costs(t testing.TB, i *Inbox, times int) map[string]time.Duration {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]time.Duration{
		"take and settle": median(t, times, func(int) {
			taken, err := i.Take(patient(t), "github", hold)
			must(err)
			must(i.Settle(patient(t), taken, Result{State: Done}))
		}),
		"take and settle in a line": median(t, times, func(int) {
			taken, err := i.Take(patient(t), "stripe", hold)
			must(err)
			must(i.Settle(patient(t), taken, Result{State: Done}))
		}),
		"keep": median(t, times, func(n int) {
			_, _, err := i.Keep(patient(t), Delivery{Source: "github", EventID: fmt.Sprint("more", n, time.Now())})
			must(err)
		}),
		"keep in a line": median(t, times, func(n int) {
			_, _, err := i.Keep(patient(t), Delivery{Source: "stripe", Key: "a", EventID: fmt.Sprint("more", n, time.Now())})
			must(err)
		}),
		"look": median(t, times, func(int) {
			_, err := i.Due(patient(t), "github")
			must(err)
		}),
		"list": median(t, times, func(int) {
			_, err := i.List(patient(t), Filter{Limit: 20})
			must(err)
		}),
		"count": median(t, times, func(int) {
			_, err := i.Counts(patient(t))
			must(err)
		}),
	}
}

func TestABacklogCostsNothing(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := enginetest.Opened(t, address(t))
			i := on(s)
			fill(t, i, s, 0, 2_000)
			few := costs(t, i, 15)
			backlog := 200_000
			if raced {
				backlog = 20_000 // all but the store takes long
			}
			begin := time.Now()
			fill(t, i, s, 2_000, backlog)
			t.Logf("filled in %v", time.Since(begin))
			many := costs(t, i, 15)
			for what, took := range many {
				t.Logf("%s: %v, with %d %v", what, few[what], backlog, took)
				if took > 5*few[what]+50*time.Millisecond {
					t.Errorf("%s takes %v with few and %v with %d", what, few[what], took, backlog)
				}
			}
		})
	}
}

// BenchmarkBacklog says what things cost with a million deliveries; EDGE_BENCH_BACKLOG has it run.
func BenchmarkBacklog(b *testing.B) {
	if os.Getenv("EDGE_BENCH_BACKLOG") == "" {
		b.Skip("EDGE_BENCH_BACKLOG=1 has it fill a store with 1,000,000 deliveries")
	}
	for name, address := range engines.Addresses() {
		b.Run(name, func(b *testing.B) {
			s := enginetest.Opened(b, address(b))
			i := on(s)
			fill(b, i, s, 0, 1_000_000)
			for what, took := range costs(b, i, 51) {
				b.Logf("%s: %v", what, took)
			}
			b.ReportMetric(0, "ns/op") // the figures are in the log
		})
	}
}

// BenchmarkKeep says how many deliveries are kept in a second, beside how many documents of the same kind the store takes without an index.
func BenchmarkKeep(b *testing.B) {
	for name, address := range engines.Addresses() {
		for _, together := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s by %d", name, together), func(b *testing.B) {
				s := enginetest.Opened(b, address(b))
				i := on(s)
				i.Use(map[string]config.Webhook{"github": {Plugin: "planner", MaxKept: 1_000_000}})
				if err := s.Ensure(b.Context(), store.Collection{Name: "bare"}, Collection()); err != nil {
					b.Fatal(err)
				}
				keep := func() error {
					_, _, err := i.Keep(b.Context(), typical())
					return err
				}
				insert := func() error {
					_, doc := i.begun(typical())
					_, err := s.Apply(b.Context(), store.Insert{Collection: "bare", Document: doc})
					return err
				}
				var kept, inserted time.Duration
				for n := 0; b.Loop(); n++ {
					inserted += inTurn(b, together, insert)
					kept += inTurn(b, together, keep)
				}
				b.ReportMetric(float64(b.N*rounds*together)/kept.Seconds(), "kept/s")
				b.ReportMetric(float64(b.N*rounds*together)/inserted.Seconds(), "inserted/s")
				b.ReportMetric(inserted.Seconds()/kept.Seconds(), "kept/inserted")
			})
		}
	}
}

const rounds = 20

// inTurn has several do something, rounds times each, and returns how long it took.
func inTurn(b *testing.B, together int, do func() error) time.Duration {
	begin := time.Now()
	var all sync.WaitGroup
	var failed atomic.Bool
	for range together {
		all.Go(func() {
			for range rounds {
				if err := do(); err != nil && !failed.Swap(true) {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(begin)
}

// typical is a delivery of 4 KiB as GitHub sends it.
func typical() Delivery {
	d := Delivery{Source: "github", EventID: store.NewID(), Type: "push", Method: "POST", Path: "/github", Client: "192.0.2.1", RequestID: store.NewID(), Body: make([]byte, 4<<10)}
	for _, name := range []string{"Host", "User-Agent", "Content-Length", "Accept", "Content-Type", "X-GitHub-Delivery", "X-GitHub-Event", "X-Hub-Signature", "X-Hub-Signature-256"} {
		d.Header = append(d.Header, Field{name, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"})
	}
	return d
}
