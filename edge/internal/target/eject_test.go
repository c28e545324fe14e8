package target

import (
	"bytes"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// fails makes target want fail a request with o; it is chosen by trying until it is its turn.
func fails(t *testing.T, g *Group, want string, o Outcome) {
	t.Helper()
	for range 100 {
		l := choose(t, g, Choice{})
		if l.Target.String() == want {
			l.Done(o)
			return
		}
		l.Done(Answered)
	}
	t.Fatalf("%s is never chosen", want)
}

func TestEjectionBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(unchecked(a, b))
		fails(t, app, a, ConnectFailed)
		pause := time.Second
		for range 8 {
			if got := picks(t, app, 10); got[a] != 0 {
				t.Fatalf("pause %v: an ejected target was chosen: %v", pause, got)
			}
			if until := g.status(t, a).EjectedUntil; until == nil || !until.Equal(time.Now().Add(pause)) {
				t.Fatalf("pause %v: ejected until %v", pause, until)
			}
			pass(pause - time.Millisecond)
			if got := picks(t, app, 10); got[a] != 0 {
				t.Fatalf("pause %v: chosen too early: %v", pause, got)
			}
			pass(time.Millisecond)
			l := choose(t, app, Choice{})
			if l.Target.String() != a {
				t.Fatalf("pause %v: not tried when its time was over", pause)
			}
			if got := picks(t, app, 10); got[a] != 0 {
				t.Fatalf("pause %v: a second one during the trial: %v", pause, got)
			}
			l.Done(ConnectFailed)
			pause = min(2*pause, time.Minute)
		}
		if s := g.status(t, a); s.ConnectErrors != 9 {
			t.Errorf("%d connect errors", s.ConnectErrors)
		}
		pass(pause)
		fails(t, app, a, Answered)
		if got := picks(t, app, 10); got[a] != 5 {
			t.Errorf("not reinstated: %v", got)
		}
		fails(t, app, a, ConnectFailed)
		pass(time.Second) // from the beginning again
		fails(t, app, a, Answered)
	})
}

func TestATrialThatSaysNothingLeavesItToTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(unchecked(a, b))
		fails(t, app, a, ConnectFailed)
		pass(time.Second)
		for range 3 {
			l := choose(t, app, Choice{})
			if l.Target.String() != a {
				t.Fatal("not tried")
			}
			l.Done(Unjudged)
		}
	})
}

func TestALongTrialReinstatesWhenItIsReached(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(unchecked(a, b))
		fails(t, app, a, ConnectFailed)
		pass(time.Second)
		l := choose(t, app, Choice{}) // a WebSocket
		l.Reached()
		if got := picks(t, app, 10); got[a] != 5 {
			t.Errorf("%v", got)
		}
		l.Done(Answered)
	})
}

func TestTheLastTargetIsNeverEjected(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(unchecked(a, b))
		fails(t, app, a, ConnectFailed)
		fails(t, app, b, ConnectFailed)
		if s := g.status(t, b); s.EjectedUntil != nil {
			t.Errorf("%+v", s)
		}
		if got := picks(t, app, 10); got[b] != 10 {
			t.Errorf("%v", got)
		}
	})
}

func TestEjectedIsBetterThanUnhealthy(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a, b)
		cfg.Health.Interval = time.Hour
		cfg.WhenAllUnhealthy = "fail"
		app := g.one(cfg)
		pass(0)
		for range 10 { // a's pause grows beyond b's next check
			fails(t, app, a, ConnectFailed)
			for g.status(t, a).EjectedUntil != nil {
				pass(time.Second)
			}
		}
		fails(t, app, a, ConnectFailed)
		g.mu.Lock()
		app.find(b).health.become(Unhealthy, FailedHealthChecks, "")
		app.rebuild()
		g.mu.Unlock()
		if got := picks(t, app, 4); got[a] != 4 {
			t.Errorf("%v", got)
		}
	})
}

func TestAPassedHealthCheckEndsAnEjection(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a, b)
		cfg.Health.Interval = 5 * time.Second
		app := g.one(cfg)
		pass(10 * time.Second)
		for range 5 {
			fails(t, app, a, ConnectFailed)
			for g.status(t, a).EjectedUntil != nil {
				pass(10 * time.Millisecond)
			}
		}
		began := time.Now()
		fails(t, app, a, ConnectFailed) // 32s
		for picks(t, app, 2)[a] == 0 {
			pass(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

func TestEjectionSaysWhy(t *testing.T) {
	var log bytes.Buffer
	groups := NewGroups(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	plan := groups.Plan(map[string]config.TargetGroup{"app": unchecked(a, b)})
	defer plan.Abandon()
	choose(t, plan.Group("app"), Choice{}).Failed(syscall.ECONNREFUSED)
	if !strings.Contains(log.String(), `error="connection refused"`) {
		t.Errorf("%s", &log)
	}
}
