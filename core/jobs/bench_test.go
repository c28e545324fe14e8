package jobs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// report reports how late runs were.
func report(b *testing.B, late []time.Duration) {
	slices.Sort(late)
	if len(late) == 0 {
		b.Fatal("nothing has run")
	}
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(late[len(late)-1].Microseconds())/1000, "max-ms")
	b.ReportMetric(float64(len(late)), "runs")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLateness has 100 jobs due in each second, all at its begin, for 10 seconds.
func BenchmarkLateness(b *testing.B) {
	for engine, address := range addresses {
		for _, hosts := range []int{1, 3} {
			b.Run(fmt.Sprintf("%s/hosts=%d", engine, hosts), func(b *testing.B) {
				s := opened(b, address(b))
				jobs := many(100, time.Now().Add(11*time.Second))
				var mu sync.Mutex
				var late []time.Duration
				var nodes []*node
				for i := range hosts {
					nodes = append(nodes, on(b, s, fmt.Sprint(i), jobs, func(_ context.Context, r Run) (Result, error) {
						mu.Lock()
						defer mu.Unlock()
						late = append(late, time.Since(r.Due))
						return Result{}, nil
					}))
				}
				time.Sleep(11500 * time.Millisecond)
				for _, n := range nodes {
					n.end()
				}
				report(b, late)
			})
		}
	}
	b.Run("cron", func(b *testing.B) {
		c := cron.New(cron.WithSeconds())
		var mu sync.Mutex
		var late []time.Duration
		for range 100 {
			if _, err := c.AddFunc("* * * * * *", func() {
				mu.Lock()
				defer mu.Unlock()
				late = append(late, time.Since(time.Now().Truncate(time.Second)))
			}); err != nil {
				b.Fatal(err)
			}
		}
		c.Start()
		time.Sleep(10500 * time.Millisecond)
		<-c.Stop().Done()
		report(b, late)
	})
}
