package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/deploy/lambda/internal/database"
	"github.com/onehost/edge/deploy/lambda/internal/functiontest"
	"github.com/onehost/edge/deploy/lambda/internal/setting"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }

// both runs a test with each of the databases.
func both(t *testing.T, test func(t *testing.T, open func() *Ledger)) {
	functiontest.Both(t, &shared, func(t *testing.T, key, value string) {
		test(t, func() *Ledger {
			s := setting.New(func(name string) string { return map[string]string{key: value}[name] })
			db, err := database.Open(t.Context(), s)
			if err != nil || s.Err() != nil {
				t.Fatal(err, s.Err())
			}
			t.Cleanup(func() {
				if err := db.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			return New(db, "test")
		})
	})
}

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).AddDate(10, 0, 0) // MongoDB removes what has expired by its own clock

func TestASubmissionHasOneOwnerAndIsDoneOnce(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		l := open()
		begin := func(id string, after time.Duration, want State) {
			t.Helper()
			if got, err := l.Begin(t.Context(), id, start.Add(after)); got != want || err != nil {
				t.Fatalf("%s after %v is %v, %v; want %v", id, after, got, err, want)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		begin("a", 0, Fresh)
		begin("a", time.Second, Busy)
		begin("b", time.Second, Fresh)
		begin("a", 2*lease, Again)
		begin("a", 2*lease+time.Second, Busy)
		must(l.Drop(t.Context(), "a"))
		begin("a", 2*lease+time.Second, Fresh)
		must(l.End(t.Context(), "a"))
		must(l.Drop(t.Context(), "a"))
		begin("a", 9*lease, Over)
	})
}

func TestASubmissionIsItsOwnersUntilAfterTheDeadline(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		l := open()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		now := time.Now()
		if got, err := l.Begin(ctx, "a", now); got != Fresh || err != nil {
			t.Fatal(got, err)
		}
		if got, err := l.Begin(ctx, "a", now.Add(20*time.Second)); got != Busy || err != nil {
			t.Error("at the deadline:", got, err)
		}
		if got, err := l.Begin(ctx, "a", now.Add(20*time.Second+spare)); got != Again || err != nil {
			t.Error("after it:", got, err)
		}
	})
}

func TestLimitsHold(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		l := open()
		gap := Limit{Key: "a", Most: 1, Within: 10 * time.Minute}
		day := Limit{Key: "a", Most: 3, Within: 24 * time.Hour}
		for _, step := range []struct {
			after time.Duration
			want  time.Duration // the limit that is reached, 0 for none
		}{
			{0, 0},
			{10*time.Minute - time.Millisecond, gap.Within},
			{10 * time.Minute, 0},
			{time.Hour, 0},
			{23 * time.Hour, day.Within},
			{24 * time.Hour, 0},
			{24*time.Hour + 10*time.Minute, 0},
			{24*time.Hour + 20*time.Minute, day.Within},
			{25 * time.Hour, 0},
		} {
			_, reached, err := l.Take(t.Context(), start.Add(step.after), gap, day)
			if err != nil || (reached == nil) != (step.want == 0) || reached != nil && reached.Within != step.want {
				t.Errorf("after %v: %+v, %v; want %v", step.after, reached, err, step.want)
			}
		}
		if _, reached, err := l.Take(t.Context(), start, Limit{Key: "b", Most: 1, Within: time.Hour}); reached != nil || err != nil {
			t.Error("another key:", reached, err)
		}
	})
}

func TestAFixedLimitBeginsAnewWithEachDay(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		l := open()
		limit := Limit{Key: "all", Most: 2, Within: 24 * time.Hour, Fixed: true}
		for _, step := range []struct {
			after time.Duration
			ok    bool
		}{{0, true}, {time.Hour, true}, {11 * time.Hour, false}, {12 * time.Hour, true}, {13 * time.Hour, true}, {14 * time.Hour, false}} {
			if _, reached, err := l.Take(t.Context(), start.Add(step.after), limit); (reached == nil) != step.ok || err != nil {
				t.Errorf("after %v: %v, %v", step.after, reached, err)
			}
		}
	})
}

func TestWhatIsGivenBackMayBeTakenAgain(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		l := open()
		limits := []Limit{{Key: "a", Most: 1, Within: time.Hour}, {Key: "all", Most: 1, Within: 24 * time.Hour, Fixed: true}}
		taken, reached, err := l.Take(t.Context(), start, limits...)
		if reached != nil || err != nil {
			t.Fatal(reached, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := taken.Give(gone); err != nil {
			t.Fatal("a deadline that has passed keeps from giving back:", err)
		}
		if _, reached, err := l.Take(t.Context(), start.Add(1), limits...); reached != nil || err != nil {
			t.Error("it was not given back:", reached, err)
		}
		other := Limit{Key: "b", Most: 1, Within: time.Hour}
		if _, reached, err := l.Take(t.Context(), start, other, limits[1]); reached == nil || err != nil {
			t.Fatal("the limit of all does not hold:", err)
		}
		if _, reached, err := l.Take(t.Context(), start.Add(2), other); reached != nil || err != nil {
			t.Error("what was taken before the limit that was reached is still taken:", reached, err)
		}
	})
}

func TestOfManyAtOnceOnlyAsManyAsMayGetThrough(t *testing.T) {
	both(t, func(t *testing.T, open func() *Ledger) {
		var ledgers []*Ledger
		for range 4 {
			ledgers = append(ledgers, open())
		}
		var begun, took atomic.Int32
		var working sync.WaitGroup
		for i := range 50 {
			working.Go(func() {
				l := ledgers[i%len(ledgers)]
				state, err := l.Begin(t.Context(), "one", start)
				if err != nil {
					t.Error(err)
				} else if state == Fresh {
					begun.Add(1)
				}
				taken, _, err := l.Take(t.Context(), start, Limit{Key: "one", Most: 3, Within: time.Hour})
				if err != nil {
					t.Error(err)
				} else if taken != nil {
					took.Add(1)
				}
			})
		}
		working.Wait()
		if begun.Load() != 1 || took.Load() != 3 {
			t.Errorf("%d began and %d took, want 1 and 3", begun.Load(), took.Load())
		}
	})
}
