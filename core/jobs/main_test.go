package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(engines.Around(m))
}

var quiet = slog.New(slog.DiscardHandler)

// doing is a Runner.
type doing func(ctx context.Context, r Run) (Result, error)

func (d doing) Run(ctx context.Context, r Run) (Result, error) { return d(ctx, r) }

// works succeeds at once.
func works(context.Context, Run) (Result, error) { return Result{}, nil }

// takes succeeds after a while.
func takes(d time.Duration) doing {
	return func(ctx context.Context, _ Run) (Result, error) {
		select {
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-time.After(d):
			return Result{}, nil
		}
	}
}

// link is one host's way to the store, which can break without the others noticing.
type link struct {
	store.Store
	broken atomic.Bool
}

func (l *link) through(ctx context.Context) error {
	if l.broken.Load() {
		<-ctx.Done()
		return fmt.Errorf("%w: %w", fault.Unavailable, ctx.Err())
	}
	return nil
}

func (l *link) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Store.Apply(ctx, writes...)
}

func (l *link) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Store.Claim(ctx, q, c)
}

func (l *link) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Store.Find(ctx, q)
}

// node is one host.
type node struct {
	*Jobs
	link *link
	end  func() // ends Run as a process that is told to, and waits
	runs *runs
}

// runs is what a host's Runner was asked for.
type runs struct {
	mu  sync.Mutex
	all []Run
	at  []time.Time
}

func (r *runs) add(run Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.at = append(r.all, run), append(r.at, time.Now())
}

func (r *runs) list() []Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Run(nil), r.all...)
}

// on starts a host with jobs in a store, until the test ends.
func on(t testing.TB, s store.Store, host string, jobs map[string]config.Job, do doing) *node {
	t.Helper()
	n := &node{link: &link{Store: s}, runs: &runs{}}
	n.Jobs = New(Options{Store: n.link, Host: host, Log: quiet, Runner: doing(func(ctx context.Context, r Run) (Result, error) {
		n.runs.add(r)
		return do(ctx, r)
	})})
	use(t, n.Jobs, jobs)
	n.start(t)
	return n
}

// start runs the host.
func (n *node) start(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.end)
}

func use(t testing.TB, j *Jobs, jobs map[string]config.Job) {
	t.Helper()
	if err := j.Use(jobs); err != nil {
		t.Fatal(err)
	}
}

// every is a job that is due every minute, for about as long as it is handled.
func every(schedule string, changes ...func(*config.Job)) map[string]config.Job {
	j := config.Job{
		Schedule: schedule, Timezone: "UTC", Plugin: "planner", Missed: "once", MissedLimit: 10, Grace: time.Minute, Overlap: "skip",
		Timeout: 10 * time.Minute, Backoff: 10 * time.Second, Retention: 30 * 24 * time.Hour,
	}
	for _, change := range changes {
		change(&j)
	}
	return map[string]config.Job{"work": j}
}

func history(t testing.TB, j *Jobs) []Record {
	t.Helper()
	h, err := j.History(context.Background(), Filter{Job: "work", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// status is the one of the job.
func status(t testing.TB, j *Jobs) Status {
	t.Helper()
	all, err := j.Status(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0]
}

// outcomes says what became of the runs, the first due first.
func outcomes(t testing.TB, j *Jobs) string {
	t.Helper()
	var said []string
	for _, r := range history(t, j) {
		what := string(r.Outcome)
		if r.State != Ended {
			what = string(r.State)
		}
		said = append([]string{what}, said...)
	}
	return strings.Join(said, " ")
}

func wantOutcomes(t testing.TB, j *Jobs, want string) {
	t.Helper()
	if got := outcomes(t, j); got != want {
		t.Errorf("the runs are %q, want %q", got, want)
		for _, r := range history(t, j) {
			t.Logf("%+v", r)
		}
	}
}

// bubble is a test with a clock of its own, which begins at 2000-01-01T00:00:00Z, and a store.
func bubble(t *testing.T, test func(t *testing.T, s *storetest.Memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, storetest.NewMemory()) })
}

// after lets time pass, and whatever happens then end.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var errBroken = errors.New("it is broken")
