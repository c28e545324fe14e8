package entries

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
)

// idle is a store that keeps nothing of what it is given.
type idle struct{ store.Store }

func (idle) Apply(context.Context, ...store.Write) ([]int, error) { return nil, nil }

// maxAllocations of one create with drafts, beside the store's own: about a third more than it takes.
const maxAllocations = 230

func TestCreatingTakesFewAllocations(t *testing.T) {
	memory := storetest.NewMemory()
	d := newDesk(t, memory)
	d.create(t, d.article, anything, `{"title": "first"}`)
	data := sent(t, `{"title": "new", "views": 5, "body": "text"}`)
	on := New(Options{Store: idle{memory}, Log: quiet, History: time.Hour})
	on.Use(d.set)
	ctx := patient(t)
	n := testing.AllocsPerRun(300, func() {
		if _, err := on.Create(ctx, d.article, data, anything); err != nil {
			t.Fatal(err)
		}
	})
	if n > maxAllocations {
		t.Errorf("%.0f allocations, %d are the most", n, maxAllocations)
	}
}

// BenchmarkCreateWithDrafts tells the processor's time of one create, with all that SQLite and the history take.
func BenchmarkCreateWithDrafts(b *testing.B) {
	d := newDesk(b, enginetest.Opened(b, engines.Addresses()["sqlite"](b)))
	ctx := b.Context()
	b.ReportAllocs()
	before := ownTime()
	n := make(chan int, 1)
	n <- 0
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := <-n
			n <- i + 1
			if _, err := d.Create(ctx, d.article, map[string]any{"title": fmt.Sprint("title ", i), "body": "text"}, anything); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((ownTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// ownTime is the time that this process has had of the processors.
func ownTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
