package target

import (
	"context"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestDrainEndsWithTheLastRequest(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a))
		pass(0)
		first, second := choose(t, app, Choice{}), choose(t, app, Choice{})
		g.one(group(b))
		pass(time.Minute)
		if s := g.status(t, a); s.State != Draining || s.Reason != DeregistrationInProgress || s.InFlight != 2 || s.EffectiveWeight != 0 {
			t.Errorf("%+v", s)
		}
		if got := picks(t, app, 10); got[a] != 0 {
			t.Errorf("a draining target got new requests: %v", got)
		}
		first.Done(Answered)
		pass(time.Minute)
		if second.Target.Context().Err() != nil || g.status(t, a).InFlight != 1 {
			t.Error("the other one was cut")
		}
		second.Done(Answered)
		pass(0)
		if s := g.status(t, a); s.Target != "" {
			t.Errorf("still listed: %+v", s)
		}
	})
}

func TestWhatDoesNotDrainInTimeIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a))
		pass(0)
		l := choose(t, app, Choice{})
		cfg := group(b)
		cfg.Drain = 20 * time.Second // the new configuration's holds
		g.one(cfg)
		pass(19 * time.Second)
		if l.Target.Context().Err() != nil {
			t.Fatal("cut too early")
		}
		pass(time.Second)
		if l.Target.Context().Err() == nil {
			t.Fatal("not cut")
		}
		l.Done(Unjudged)
		if l.Target.InFlight() != 0 {
			t.Error("in flight after the end")
		}
	})
}

func TestAGroupThatIsGoneServesWhoStillHoldsIt(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		old := g.one(group(a))
		pass(0)
		g.Plan(map[string]config.TargetGroup{"other": group(b)}).Commit()
		pass(lingering / 2)
		l, ok := old.Choose(Choice{}) // a request that matched its rule before the swap
		if !ok {
			t.Fatal("nobody")
		}
		pass(time.Minute)
		l.Done(Answered)
		pass(0)
		if _, ok := old.Choose(Choice{}); ok {
			t.Error("it still serves when it has drained")
		}
		if s := g.Status(); len(s) != 1 || s[0].Group != "other" {
			t.Errorf("%+v", s)
		}
	})
}

func TestAGroupThatComesBackWhileItDrains(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a))
		pass(0)
		l := choose(t, app, Choice{})
		g.Plan(nil).Commit()
		pass(time.Minute)
		if again := g.one(group(a)); again != app {
			t.Error("another group")
		}
		pass(0)
		if got := picks(t, app, 2); got[a] != 2 {
			t.Errorf("%v", got)
		}
		if n := len(g.Status()[0].Targets); n != 2 {
			t.Errorf("%d targets listed, want the new one and the draining one", n)
		}
		l.Done(Answered)
		pass(0)
		if n := len(g.Status()[0].Targets); n != 1 {
			t.Errorf("%d targets listed", n)
		}
	})
}

func TestDrainingTargetsAreNotChecked(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a))
		pass(0)
		l := choose(t, app, Choice{})
		g.one(group(b))
		checks := len(network.checks(a))
		pass(250 * time.Second)
		if n := len(network.checks(a)); n != checks {
			t.Errorf("%d checks while draining", n-checks)
		}
		l.Done(Answered)
	})
}

func TestOperatorDrainsAndAddsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a, b))
		pass(0)
		l := choose(t, app, Choice{})
		must(t, g.Drain("app", l.Target.String()))
		pass(0)
		if s := g.status(t, a); s.State != Draining || s.InFlight != 1 {
			t.Errorf("%+v", s)
		}
		if got := picks(t, app, 4); got[b] != 4 {
			t.Errorf("%v", got)
		}
		l.Done(Answered)
		pass(0)
		if s := g.status(t, a); s.State != Unused || s.Reason != NotRegistered {
			t.Errorf("%+v", s)
		}
		g.one(group(a, b)) // a reload that doesn't change the list leaves it so
		pass(0)
		if got := picks(t, app, 4); got[b] != 4 {
			t.Errorf("after a reload: %v", got)
		}
		must(t, g.Add("app", a, 3))
		pass(0)
		if got := picks(t, app, 4); got[a] != 3 || len(g.Status()[0].Targets) != 2 {
			t.Errorf("%v, %+v", got, g.Status()[0].Targets)
		}
		g.one(group(a, b, c)) // one that says nothing else of a leaves it so, too
		pass(0)
		if got := picks(t, app, 5); got[a] != 3 || got[b] != 1 || got[c] != 1 {
			t.Errorf("%v", got)
		}
	})
}

func TestOperatorChangesHoldUntilTheFileSaysElse(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a, b))
		must(t, g.Add("app", c, 1))
		must(t, g.Remove("app", a))
		must(t, g.Drain("app", b))
		pass(0)
		if got := picks(t, app, 3); got[c] != 3 {
			t.Errorf("%v", got)
		}
		changed := group(a, b, d) // d is new: a, b and c are none of this reload's business
		g.one(changed)
		pass(0)
		if got := picks(t, app, 4); got[c] != 2 || got[d] != 2 {
			t.Errorf("after a reload that adds another: %v", got)
		}
		changed.Targets[1].Weight = 2
		g.one(changed)
		pass(0)
		if got := picks(t, app, 4); got[b] != 2 || got[c] != 1 || got[d] != 1 || len(g.Status()[0].Targets) != 3 {
			t.Errorf("after a reload that changes what was drained: %v", got)
		}
		g.one(group(a, c)) // which names what was added, and drops b and d
		g.one(group(a))
		pass(0)
		if _, ok := app.Choose(Choice{}); ok || len(g.Status()[0].Targets) != 0 {
			t.Errorf("%+v", g.Status()[0].Targets)
		}
	})
}

func TestOperatorMistakes(t *testing.T) {
	g := run(t, Options{})
	g.one(unchecked(a))
	for name, err := range map[string]error{
		"no such group":     g.Add("nothing", a, 1),
		"not a URL":         g.Add("app", "a:80", 1),
		"weight":            g.Add("app", b, -1),
		"no such target":    g.Drain("app", b),
		"removed twice":     g.Remove("app", c),
		"drain of no group": g.Drain("nothing", a),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRunEndsEverything(t *testing.T) {
	g := NewGroups(Options{NewPool: newPool, Dial: newFakeNet().dial})
	app := g.one(group(a)) // before Run: it begins then
	must(t, g.Add("app", b, 1))
	l := choose(t, app, Choice{})
	other := choose(t, app, Choice{})
	g.one(group(b)) // a drains
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	cancel()
	must(t, <-ended)
	for _, l := range []Lease{l, other} {
		if l.Target.Pool().(*pool).closed.Load() != 1 || l.Target.Context().Err() == nil {
			t.Errorf("%s has not ended", l.Target)
		}
		l.Done(Unjudged)
	}
	if _, ok := app.Choose(Choice{}); ok {
		t.Error("a target after the end")
	}
	if g.Run(t.Context()) == nil {
		t.Error("Run twice")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
