package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// brisk is a pace at which a test need not wait long for what is left behind.
var brisk = pace{hold: 4 * time.Second, beat: 500 * time.Millisecond, look: 500 * time.Millisecond}

// ledger is what hosts say of runs, and sees whether one runs again after its success was written down.
type ledger struct {
	t    testing.TB
	mu   sync.Mutex
	done map[string]int
	ran  int
}

func (l *ledger) Started(r Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ran++
	if l.done[r.ID] > 0 {
		l.t.Errorf("%s runs again, and its success was written down", r.ID)
	}
}

func (l *ledger) Succeeded(r Run, _ time.Duration, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done[r.ID]++; l.done[r.ID] > 1 {
		l.t.Errorf("%s has succeeded twice", r.ID)
	}
}

func (l *ledger) Failed(r Run, err error, _ string) { l.t.Errorf("%s: %v", r.ID, err) }

// many are jobs that are due each second until end, and lose nothing.
func many(n int, end time.Time) map[string]config.Job {
	jobs := make(map[string]config.Job)
	for i := range n {
		jobs[fmt.Sprintf("job-%d", i)] = every("@every 1s", func(j *config.Job) {
			j.Missed, j.MissedLimit, j.Overlap, j.End = "all", 1000, "queue", end.Format(time.RFC3339)
		})["work"]
	}
	return jobs
}

// wantEachOnce waits until each due time of all jobs has succeeded.
func wantEachOnce(t *testing.T, s store.Store, jobs map[string]config.Job, end time.Time, least int) int {
	t.Helper()
	j := New(Options{Store: s, Runner: doing(works), Host: "reader", Log: quiet})
	use(t, j, jobs)
	due := 0
	for deadline := time.Now().Add(80 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		records, err := j.History(context.Background(), Filter{Limit: store.MaxFind})
		if err != nil {
			t.Fatal(err)
		}
		succeeded := make(map[string]bool)
		for _, r := range records {
			switch {
			case r.Outcome == Succeeded:
				succeeded[r.ID] = true
			case r.State == Ended:
				t.Fatalf("%+v", r)
			}
		}
		missing := ""
		due = 0
		for name, b := range j.jobs {
			d, err := s.Get(context.Background(), jobsCollection, name)
			if err != nil { // no host has begun yet
				missing = name
				continue
			}
			dues, _ := b.Between(d.Time("since"), end, 10_000)
			due += len(dues)
			for _, at := range dues {
				if !succeeded[runID(name, at)] {
					missing = runID(name, at)
				}
			}
		}
		if missing == "" && len(succeeded) == due && due >= least && time.Now().After(end) {
			return due
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d due times %d have succeeded, not %s", due, len(succeeded), missing)
		}
	}
}

func TestAThousandDueTimesOnThreeHostsThatDieHaveOneSuccessEach(t *testing.T) {
	t.Parallel()
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := enginetest.Opened(t, address(t))
			end := time.Now().Add(24 * time.Second).Truncate(time.Second)
			jobs, l := many(50, end), &ledger{t: t, done: make(map[string]int)}
			ctx, stop := context.WithCancel(t.Context())
			var hosts sync.WaitGroup
			for _, host := range []string{"a", "b", "c"} {
				hosts.Go(func() {
					for life := 0; ctx.Err() == nil; life++ {
						live(ctx, t, s, host, jobs, l, &hosts)
					}
				})
			}
			defer hosts.Wait()
			defer stop()
			n := wantEachOnce(t, s, jobs, end, 1000)
			stop()
			hosts.Wait()
			t.Logf("%d due times, %d attempts", n, l.ran)
		})
	}
}

// live is one life of a host. It ends as with SIGSTOP: nothing it says is heard any more, until others have taken what it had; then all that it has to say comes too late.
func live(ctx context.Context, t *testing.T, s store.Store, host string, jobs map[string]config.Job, l *ledger, under *sync.WaitGroup) {
	n := &node{link: &link{Store: s}}
	n.Jobs = New(Options{Store: n.link, Host: host, Log: quiet, Pinger: l, Runner: doing(func(context.Context, Run) (Result, error) {
		time.Sleep(rand.N(30 * time.Millisecond))
		return Result{}, nil
	})})
	n.pace = brisk
	use(t, n.Jobs, jobs)
	n.start(t)
	select {
	case <-ctx.Done():
		n.end()
		return
	case <-time.After(2*time.Second + rand.N(4*time.Second)):
	}
	n.link.broken.Store(true)
	under.Go(func() {
		select {
		case <-ctx.Done():
		case <-time.After(brisk.hold + rand.N(2*time.Second)):
		}
		n.link.broken.Store(false)
		n.end()
	})
}
