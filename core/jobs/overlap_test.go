package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func overlapping(how string) map[string]config.Job {
	return every("* * * * *", func(j *config.Job) { j.Overlap = how })
}

func TestADueTimeThatFindsARunIsTreatedAsTheJobSays(t *testing.T) {
	for how, want := range map[string]string{
		"skip":    "succeeded skipped skipped running skipped",
		"queue":   "succeeded running waiting waiting waiting",
		"replace": "replaced replaced replaced replaced running",
	} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *storetest.Memory) {
				a := on(t, s, "a", overlapping(how), takes(150*time.Second))
				on(t, s, "b", overlapping(how), takes(150*time.Second))
				after(5*time.Minute + 11*time.Second)
				wantOutcomes(t, a.Jobs, want)
			})
		})
	}
}

func TestAReplacedRunOnAnotherHostStopsWithItsNextRenewal(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		a := on(t, s, "a", every("2000-01-01T00:01:00Z"), takes(time.Hour))
		after(90 * time.Second)
		on(t, s, "b", overlapping("replace"), takes(time.Hour))
		after(39 * time.Second) // 02:09
		wantOutcomes(t, a.Jobs, "replaced running")
		if r := history(t, a.Jobs)[0]; r.Started.Sub(r.Due) > a.pace.beat+time.Second {
			t.Errorf("%+v", r)
		}
	})
}

func TestARunWhoseHostIsGoneGoesOnElsewhereAndWhatTheOldOneSaysDoesNotCount(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		late := make(chan error)
		a := on(t, s, "a", every("0 1 * * *"), func(context.Context, Run) (Result, error) { return Result{Output: "late"}, <-late })
		after(time.Hour + time.Second)
		b := on(t, s, "b", every("0 1 * * *"), takes(time.Second))
		a.link.broken.Store(true) // as SIGSTOP and a broken network do
		after(27 * time.Second)
		h := history(t, b.Jobs)
		if len(h) != 1 || h[0].Outcome != Succeeded || h[0].Host != "b" || h[0].Attempt != 2 {
			t.Fatalf("%+v", h)
		}
		a.link.broken.Store(false)
		late <- nil
		after(time.Minute)
		if got := history(t, b.Jobs); len(got) != 1 || got[0] != h[0] {
			t.Errorf("%+v", got)
		}
		if st := status(t, b.Jobs); st.Run != nil || a.Counts()[0].Runs[Succeeded] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhoCannotRenewStopsBeforeOthersBegin(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		stopped := make(chan time.Time, 1)
		a := on(t, s, "a", every("0 1 * * *"), func(ctx context.Context, _ Run) (Result, error) {
			<-ctx.Done()
			stopped <- time.Now()
			return Result{}, ctx.Err()
		})
		after(time.Hour + time.Second)
		b := on(t, s, "b", every("0 1 * * *"), works)
		a.link.broken.Store(true)
		after(30 * time.Second)
		if at := <-stopped; len(b.runs.at) != 1 || !at.Before(b.runs.at[0]) {
			t.Errorf("it stopped at %v, and others began at %v", at, b.runs.at)
		}
		a.link.broken.Store(false)
	})
}

func TestAProcessThatEndsHandsItsRunsOver(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		a := on(t, s, "a", every("0 1 * * *"), takes(time.Minute))
		after(time.Hour + time.Second)
		b := on(t, s, "b", every("0 1 * * *"), works)
		began := time.Now()
		a.end()
		if took := time.Since(began); took < drain || took > drain+time.Second {
			t.Errorf("it ended after %v", took)
		}
		after(5 * time.Second)
		wantOutcomes(t, b.Jobs, "succeeded")
		if st := status(t, b.Jobs); st.Failures != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestARunThatKillsItsHostsIsLostInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *"), takes(time.Hour))
		after(time.Hour)
		for range maxLosses + 1 {
			n.link.broken.Store(true)
			end := n.end
			go end() // it is dead: what it says can't be heard
			n = on(t, s, "a", every("0 1 * * *"), takes(time.Hour))
			after(26 * time.Second)
		}
		wantOutcomes(t, n.Jobs, "lost")
		after(time.Minute)
		if st := status(t, n.Jobs); st.Run != nil || st.Failures != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAPersonRunsAJobNow(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 0 1 1 *"), takes(time.Minute))
		after(time.Second)
		if err := n.Pause(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		id, err := n.RunNow(t.Context(), "work")
		if err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		r, err := n.Get(t.Context(), id)
		if err != nil || r.State != Running || r.Trigger != Manual {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = n.RunNow(t.Context(), "work")
		if busy, ok := errors.AsType[*Busy](err); !ok || busy.Run != id || busy.Host != "a" || !errors.Is(err, fault.Conflict) {
			t.Errorf("%v", err)
		}
		after(time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded")
		if _, err := n.RunNow(t.Context(), "other"); !errors.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		if st := status(t, n.Jobs); st.Paused.IsZero() || st.Run != nil {
			t.Errorf("%+v", st)
		}
	})
}

func TestWhatWaitsOfAPausedJobGoesOnWhenItIsResumed(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		broken := true
		n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Retries = 1 }), func(context.Context, Run) (Result, error) {
			if broken {
				return Result{}, errBroken
			}
			return Result{}, nil
		})
		after(time.Hour + time.Second)
		if err := n.Pause(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		broken = false
		after(time.Hour)
		wantOutcomes(t, n.Jobs, "retrying")
		if err := n.Resume(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		after(5 * time.Second)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestAJobThatIsPausedGivesWayToAPerson(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *", func(j *config.Job) { j.Retries = 1 }), func(_ context.Context, r Run) (Result, error) {
			if r.Trigger == Manual {
				return Result{}, nil
			}
			return Result{}, errBroken
		})
		after(time.Hour + time.Second)
		if err := n.Pause(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if _, err := n.RunNow(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		after(5 * time.Second)
		wantOutcomes(t, n.Jobs, "replaced succeeded")
	})
}

func TestWhatWaitsOfAJobThatIsGoneIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", overlapping("queue"), takes(150*time.Second))
		after(130 * time.Second)
		use(t, n.Jobs, nil)
		after(5 * time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded skipped")
	})
}

func TestARunThatNobodyKnowsTheJobOfIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		a := on(t, s, "a", overlapping("queue"), takes(time.Hour))
		after(130 * time.Second)
		a.link.broken.Store(true)
		go a.end()
		n := on(t, s, "b", nil, works)
		after(9 * time.Minute)
		wantOutcomes(t, n.Jobs, "running waiting")
		after(2 * time.Minute)
		wantOutcomes(t, n.Jobs, "skipped skipped")
	})
}

func TestARecordThatAPersonRemovedBlocksNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", overlapping("queue"), takes(90*time.Second))
		after(130 * time.Second)
		if _, err := s.Apply(t.Context(), store.Delete{Collection: runsCollection, Filter: store.Eq("job", "work")}); err != nil {
			t.Fatal(err)
		}
		after(5 * time.Minute)
		if got := len(history(t, n.Jobs)); got < 3 {
			t.Errorf("%d runs", got)
		}
	})
}

func TestWhatComesTooLateIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		a := New(Options{Store: s, Host: "a", Log: quiet, Runner: doing(works)})
		use(t, a, every("* * * * *"))
		if err := a.agree(t.Context()); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		held, err := a.next(t.Context(), a.jobs["work"])
		if err != nil || held == nil {
			t.Fatal(held, err)
		}
		b := on(t, s, "b", every("* * * * *"), takes(time.Hour))
		after(26 * time.Second)
		if held.settle(t.Context(), verdict{outcome: Succeeded}) {
			t.Error("it counts")
		}
		held.release()
		if h := history(t, b.Jobs); len(h) != 1 || h[0].State != Running || h[0].Host != "b" || h[0].Attempt != 2 || status(t, b.Jobs).Run == nil {
			t.Errorf("%+v", h)
		}
	})
}
