package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/storetest"
)

func TestEachDueTimeHasOneRunOnThreeHosts(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		var nodes []*node
		for _, host := range []string{"a", "b", "c"} {
			nodes = append(nodes, on(t, s, host, every("* * * * *"), works))
		}
		after(10*time.Minute + time.Second)
		wantOutcomes(t, nodes[0].Jobs, "succeeded succeeded succeeded succeeded succeeded succeeded succeeded succeeded succeeded succeeded")
		n := 0
		for _, one := range nodes {
			for i, r := range one.runs.list() {
				n++
				if late := one.runs.at[i].Sub(r.Due); late < 0 || late > 10*time.Millisecond || r.Attempt != 1 || r.Trigger != Scheduled || r.RequestID == "" {
					t.Errorf("%v late: %+v", late, r)
				}
			}
		}
		if n != 10 {
			t.Errorf("%d runs, want 10", n)
		}
	})
}

func TestAJobThatIsNewHasMissedNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("2000-01-01T00:00:00Z", func(j *config.Job) { j.Missed = "all" }), works)
		after(time.Hour)
		wantOutcomes(t, n.Jobs, "")
	})
}

func TestWhatWasMissedIsDoneAsTheJobSays(t *testing.T) {
	for missed, want := range map[string]string{
		"skip": "succeeded missed succeeded",
		"once": "succeeded succeeded succeeded",
		"all":  "succeeded missed succeeded succeeded succeeded succeeded succeeded",
	} {
		t.Run(missed, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *storetest.Memory) {
				jobs := every("*/10 * * * *", func(j *config.Job) { j.Missed, j.MissedLimit, j.Grace = missed, 4, time.Minute })
				n := on(t, s, "a", jobs, takes(time.Second))
				after(11 * time.Minute)
				n.end()
				after(time.Hour + 4*time.Minute) // 01:15: those from 00:20 to 01:10 were missed
				n = on(t, s, "a", jobs, takes(time.Second))
				after(10 * time.Minute)
				wantOutcomes(t, n.Jobs, want)
				if st := status(t, n.Jobs); st.Missed != 6 || n.Counts()[0].Missed != 6 || st.Late {
					t.Errorf("%+v, %+v", st, n.Counts())
				}
			})
		})
	}
}

func TestWithinGraceNothingWasMissed(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		jobs := every("*/10 * * * *", func(j *config.Job) { j.Missed = "skip" })
		n := on(t, s, "a", jobs, works)
		after(9 * time.Minute)
		n.end()
		after(2*time.Minute - time.Second) // 59 s after it was due
		n = on(t, s, "a", jobs, works)
		after(time.Second)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestWhileTheStoreIsAwayIsMissed(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *", func(j *config.Job) { j.Grace = 10 * time.Second }), works)
		after(90 * time.Second)
		s.SetUnavailable(true)
		after(4 * time.Minute)
		s.SetUnavailable(false)
		after(50 * time.Second) // 06:20
		wantOutcomes(t, n.Jobs, "succeeded succeeded succeeded")
		h := history(t, n.Jobs)
		if h[1].Trigger != CatchUp || h[1].Missed != 4 || h[1].Due.Minute() != 5 {
			t.Errorf("%+v", h[1])
		}
	})
}

func TestJitterDelaysAndLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *", func(j *config.Job) { j.Jitter, j.Overlap = 5*time.Minute, "queue" }), works)
		after(30 * time.Minute)
		seen, spread := make(map[time.Time]bool), make(map[time.Duration]bool)
		for i, r := range n.runs.list() {
			late := n.runs.at[i].Sub(r.Due)
			if seen[r.Due] || late < 0 || late > 10*time.Minute {
				t.Errorf("%v late: %+v", late, r)
			}
			seen[r.Due], spread[late.Truncate(time.Second)] = true, true
		}
		if len(seen) < 24 || len(spread) < 5 {
			t.Errorf("%d due times have run, %d different delays", len(seen), len(spread))
		}
	})
}

func TestTheClockIsSetBackAndNothingRunsTwiceOrIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("*/10 * * * *"), works)
		after(5 * time.Minute)
		set := func(by time.Duration) {
			s.SetClock(func() time.Time { return time.Now().Add(by) })
			n.Jobs.clock.mu.Lock()
			n.Jobs.clock.wall = func() time.Time { return time.Now().Round(0).Add(by) }
			n.Jobs.clock.mu.Unlock()
		}
		set(time.Hour) // 01:05: 00:10 to 01:00 were missed, the last has a run
		after(6 * time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded succeeded") // and 01:10
		set(0)                                         // 00:11
		after(time.Hour + 10*time.Minute)              // 01:21
		wantOutcomes(t, n.Jobs, "succeeded succeeded succeeded succeeded succeeded succeeded succeeded")
		if got := len(n.runs.list()); got != 7 { // 00:20, :30, :40, :50, 01:20 as well
			t.Errorf("%d runs", got)
		}
	})
}

func TestAChangedScheduleIsNotDueForWhatWas(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 1 * * *"), works)
		after(90 * time.Minute)
		use(t, n.Jobs, every("10 1 * * *"))
		after(time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded")
		use(t, n.Jobs, every("40 1 * * *"))
		after(10 * time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded succeeded")
	})
}

func TestAJobThatComesBackHasMissedNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("0 * * * *"), works)
		after(90 * time.Minute)
		use(t, n.Jobs, nil)
		after(3 * time.Hour)
		use(t, n.Jobs, every("0 * * * *"))
		after(time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestAnInvalidJobChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *"), works)
		if err := n.Use(map[string]config.Job{"work": {Schedule: "nonsense"}}); err == nil {
			t.Error("it is taken")
		}
		after(90 * time.Second)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestPauseSurvivesARestartAndIsNotMadeUpFor(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("*/10 * * * *", func(j *config.Job) { j.Missed = "all" }), works)
		after(time.Minute)
		if err := n.Pause(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Minute)
		n.end()
		n = on(t, s, "a", every("*/10 * * * *", func(j *config.Job) { j.Missed = "all" }), works)
		after(time.Hour)
		if st := status(t, n.Jobs); st.Paused.IsZero() || st.Silent || st.Late || !st.Next.IsZero() {
			t.Errorf("%+v", st)
		}
		if err := n.Resume(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Minute)
		wantOutcomes(t, n.Jobs, "succeeded")
	})
}

func TestStatusSaysWhatIsLateAndWhatIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		jobs := every("*/10 * * * *", func(j *config.Job) { j.Expect, j.Overlap = time.Hour, "queue" })
		n := on(t, s, "a", jobs, func(context.Context, Run) (Result, error) { return Result{}, errBroken })
		after(50 * time.Minute)
		if st := status(t, n.Jobs); st.Silent || st.Late || st.Failures != 5-1 && st.Failures != 5 || st.Last.Error != errBroken.Error() {
			t.Errorf("%+v", st)
		}
		after(11 * time.Minute)
		if st := status(t, n.Jobs); !st.Silent || st.Late {
			t.Errorf("%+v", st)
		}
		n.end()
		watch := New(Options{Store: s, Runner: doing(works), Host: "b", Log: quiet})
		use(t, watch, jobs)
		after(10*time.Minute + time.Second) // 01:11:01: 01:10 did not start
		if st := status(t, watch); !st.Late || st.LateBy != time.Minute+time.Second {
			t.Errorf("%+v", st)
		}
	})
}

func TestNobodyIsToldThatAPausedJobWasMissed(t *testing.T) {
	bubble(t, func(t *testing.T, s *storetest.Memory) {
		n := on(t, s, "a", every("* * * * *"), works)
		after(30 * time.Second)
		if err := n.Pause(t.Context(), "work"); err != nil {
			t.Fatal(err)
		}
		n.end()
		after(10 * time.Minute)
		var said bytes.Buffer
		n.log = slog.New(slog.NewTextHandler(&said, nil))
		use(t, n.Jobs, every("* * * * *"))
		n.start(t)
		after(10 * time.Minute)
		n.end()
		if said.Len() > 0 {
			t.Error(said.String())
		}
	})
}
