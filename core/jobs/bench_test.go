package jobs

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/enginetest"
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
	for engine, address := range engines.Addresses() {
		for _, hosts := range []int{1, 3} {
			b.Run(fmt.Sprintf("%s/hosts=%d", engine, hosts), func(b *testing.B) {
				s := enginetest.Opened(b, address(b))
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

// BenchmarkTenThousand starts with 10,000 jobs that are due once a day, for the first time and again, and is idle for a while.
func BenchmarkTenThousand(b *testing.B) {
	jobs := make(map[string]config.Job)
	for i := range 10_000 {
		jobs[fmt.Sprintf("job-%d", i)] = every(fmt.Sprintf("%d %d * * *", i%60, (time.Now().UTC().Hour()+2+i%20)%24))["work"]
	}
	for engine, address := range engines.Addresses() {
		b.Run(engine, func(b *testing.B) {
			s := enginetest.Opened(b, address(b))
			for _, which := range []string{"first", "again"} {
				before, began := inUse(), time.Now()
				j := New(Options{Store: s, Host: which, Log: quiet, Runner: doing(works)})
				use(b, j, jobs)
				b.ReportMetric(float64(time.Since(began).Milliseconds()), which+"-parse-ms")
				n := &node{Jobs: j}
				n.start(b)
				for len(lineOf(j)) < len(jobs) {
					time.Sleep(time.Millisecond)
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), which+"-start-ms")
				b.ReportMetric(float64(inUse()-before)/10_000, which+"-B/job")
				if which == "again" {
					var was, is syscall.Rusage
					_ = syscall.Getrusage(syscall.RUSAGE_SELF, &was)
					time.Sleep(10 * time.Second)
					_ = syscall.Getrusage(syscall.RUSAGE_SELF, &is)
					b.ReportMetric(float64(is.Utime.Nano()+is.Stime.Nano()-was.Utime.Nano()-was.Stime.Nano())/1e8, "idle-cpu-%")
				}
				n.end()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("cron", func(b *testing.B) {
		before, began := inUse(), time.Now()
		c := cron.New()
		for _, job := range jobs {
			if _, err := c.AddFunc(job.Schedule, func() {}); err != nil {
				b.Fatal(err)
			}
		}
		c.Start()
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "start-ms")
		b.ReportMetric(float64(inUse()-before)/10_000, "B/job")
		<-c.Stop().Done()
		b.ReportMetric(0, "ns/op")
	})
}

func lineOf(j *Jobs) line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.line
}

// inUse is how many bytes are in use.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
