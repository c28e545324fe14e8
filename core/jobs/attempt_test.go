package jobs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/storetest"
)

func fails(err error) doing {
	return func(context.Context, Run) (Result, error) { return Result{Output: "so it went"}, err }
}

func TestWhatFailsIsTriedAgainAfterPausesThatDoubleAndIsDead(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Retries = 3 }), fails(errBroken))
		after(time.Hour + 5*time.Second)
		wantOutcomes(t, n.Jobs, "retrying")
		after(10 * time.Minute)
		var pauses []time.Duration
		for i := 1; i < len(n.runs.at); i++ {
			pauses = append(pauses, n.runs.at[i].Sub(n.runs.at[i-1]).Round(time.Second/2))
		}
		if fmt.Sprint(pauses) != "[10s 20s 40s]" {
			t.Errorf("the pauses are %v", pauses)
		}
		wantOutcomes(t, n.Jobs, "dead")
		if h := history(t, n.Jobs)[0]; h.Attempt != 4 || h.Output != "so it went" || !strings.Contains(h.Error, "broken") || h.Ended.IsZero() || h.RequestID == "" || h.Host != "a" {
			t.Errorf("%+v", h)
		}
	})
}

// wait is an error that asks to be left alone.
type wait struct{ error }

func (wait) RetryAfter() time.Duration { return 15 * time.Minute }

func TestWhatAsksToBeLeftAloneIs(t *testing.T) {
	for _, err := range []error{wait{errBroken}, &Down{wait{errBroken}}} {
		bubble(t, func(t *testing.T, s *storetest.Memory) {
			n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Retries, j.Timeout = 3, time.Hour }), fails(err))
			after(time.Hour + 20*time.Minute)
			if len(n.runs.at) != 2 || n.runs.at[1].Sub(n.runs.at[0]).Round(time.Minute) != 15*time.Minute {
				t.Errorf("%v: attempts at %v", err, n.runs.at)
			}
		})
	}
}

func TestPausesEndAtAnHour(t *testing.T) {
	if got := backoff(10*time.Second, 100); got != time.Hour {
		t.Errorf("%v", got)
	}
}

func TestWhatCannotSucceedIsNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Retries = 3 }), fails(fmt.Errorf("as it is: %w", &Permanent{errBroken})))
		after(2 * time.Hour)
		wantOutcomes(t, n.Jobs, "dead")
		if h := history(t, n.Jobs)[0]; h.Attempt != 1 {
			t.Errorf("%+v", h)
		}
	})
}

func TestWhatIsDownSpendsNoRetry(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		var mu sync.Mutex
		err := error(&Down{errBroken})
		n := on(t, s, "a", every("0 1 * * *"), func(context.Context, Run) (Result, error) {
			mu.Lock()
			defer mu.Unlock()
			return Result{}, err
		})
		after(time.Hour + 5*time.Minute)
		wantOutcomes(t, n.Jobs, "retrying")
		mu.Lock()
		err = nil
		mu.Unlock()
		after(10 * time.Second)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestWhatIsDownIsGivenUpBeforeTheNextDueTime(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *"), fails(&Down{errBroken}))
		after(2*time.Minute + 58*time.Second)
		wantOutcomes(t, n.Jobs, "failed failed")
	})
}

func TestWhatIsDownIsGivenUpAfterTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *"), fails(&Down{errBroken}))
		after(time.Hour + 10*time.Minute)
		wantOutcomes(t, n.Jobs, "failed")
	})
}

func TestAPanicIsTheFailureOfItsRun(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *"), func(_ context.Context, r Run) (Result, error) {
			if r.Due.Minute() == 1 {
				panic("no")
			}
			return Result{}, nil
		})
		after(2*time.Minute + time.Second)
		wantOutcomes(t, n.Jobs, "failed succeeded")
		if h := history(t, n.Jobs)[1]; h.Error != "panic: no" || !strings.Contains(h.Output, "attempt_test.go") {
			t.Errorf("%+v", h)
		}
	})
}

func TestARunEndsWithItsTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Timeout = time.Minute }), takes(time.Hour))
		after(time.Hour + time.Minute + time.Second)
		wantOutcomes(t, n.Jobs, "failed")
		if h := history(t, n.Jobs)[0]; !strings.Contains(h.Error, "timeout of 1m0s") || h.Ended.Sub(h.Started) != time.Minute {
			t.Errorf("%+v", h)
		}
	})
}

func TestARunThatHangsIsLeftBehind(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		hang := make(chan struct{})
		defer close(hang)
		n := on(t, s, "a", every("* * * * *", func(j *config.Job) { j.Timeout = 10 * time.Second }), func(_ context.Context, r Run) (Result, error) {
			if r.Due.Minute() <= maxLeft {
				<-hang
			}
			return Result{}, nil
		})
		after(time.Minute + 16*time.Second)
		wantOutcomes(t, n.Jobs, "failed")
		after(maxLeft * time.Minute)
		if h := history(t, n.Jobs); h[0].Outcome != Dead || !strings.Contains(h[0].Error, "restart edge") || len(h) != maxLeft+1 {
			t.Errorf("%+v", h[0])
		}
		after(50 * time.Second)
		began := time.Now()
		n.end()
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("it took %v to end", took)
		}
	})
}

// heard is a Pinger.
type heard struct {
	mu   sync.Mutex
	said []string
}

func (h *heard) say(what string, r Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, fmt.Sprintf("%s %d", what, r.Attempt))
}
func (h *heard) Started(r Run)                              { h.say("start", r) }
func (h *heard) Succeeded(r Run, _ time.Duration, _ string) { h.say("success", r) }
func (h *heard) Failed(r Run, _ error, _ string)            { h.say("fail", r) }

func TestAWatcherHearsOfEachStartAndOfTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		h := &heard{}
		n := New(Options{Store: s, Host: "a", Log: quiet, Pinger: h, Runner: doing(func(_ context.Context, r Run) (Result, error) {
			if r.Due.Hour() == 1 || r.Attempt == 1 {
				return Result{}, errBroken
			}
			return Result{}, nil
		})})
		use(t, n, every("0 1,2 * * *", func(j *config.Job) { j.Retries = 1 }))
		(&node{Jobs: n}).start(t)
		after(3 * time.Hour)
		if got := strings.Join(h.said, ", "); got != "start 1, start 2, fail 2, start 1, start 2, success 2" {
			t.Error(got)
		}
		counts := n.Counts()[0]
		if counts.Runs[Dead] != 1 || counts.Runs[Succeeded] != 1 || counts.LastSuccess.IsZero() {
			t.Errorf("%+v", counts)
		}
	})
}

func TestOutputIsKeptToItsEnd(t *testing.T) {
	if got := tail(strings.Repeat("ü", 3000) + "\xff\x00!"); len(got) > maxOutput+8 || !strings.HasSuffix(got, "ü\uFFFD\uFFFD!") || !strings.HasPrefix(got, "ü") {
		t.Errorf("%d: %q", len(got), got[len(got)-10:])
	}
	if got := clip(strings.Repeat("é", 1000)); len(got) > maxError+2 {
		t.Errorf("%d", len(got))
	}
}

func TestHistoryComesInPages(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *"), works)
		after(7*time.Minute + time.Second)
		var seen []Record
		for f := (Filter{Limit: 3}); ; {
			page, err := n.History(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, page...)
			if len(page) < 3 {
				break
			}
			f.After = page[2].ID
		}
		if all := history(t, n.Jobs); len(seen) != 7 || fmt.Sprint(seen) != fmt.Sprint(all) || seen[0].Due.Before(seen[1].Due) {
			t.Errorf("%v\n%v", seen, all)
		}
	})
}
