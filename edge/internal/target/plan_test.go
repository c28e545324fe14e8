package target

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// pool is what proxy would keep for a target.
type pool struct {
	target *Target
	closed atomic.Int32
}

func (p *pool) Close() error {
	p.closed.Add(1)
	return nil
}

func newPool(t *Target) io.Closer { return &pool{target: t} }

func TestWhatDidNotChangeIsCarriedOver(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a, b))
		pass(0)
		var held []Lease
		for range 2 {
			held = append(held, choose(t, app, Choice{}))
		}
		before, checks := g.status(t, a), len(network.checks(a))

		if again := g.one(weighted(group(c, a), 1, 3)); again != app {
			t.Error("the group is another one")
		}
		pass(0)
		after := g.status(t, a)
		if after.State != Healthy || after.Since != before.Since || after.InFlight != 1 || after.Requests != 1 || after.Weight != 3 {
			t.Errorf("was %+v, is %+v", before, after)
		}
		if len(network.checks(a)) != checks {
			t.Error("a reload caused a health check")
		}
		if got := picks(t, app, 4); got[a] != 3 || got[c] != 1 {
			t.Errorf("%v", got)
		}
		for _, l := range held {
			l.Done(Answered)
		}
	})
}

func TestPlanChangesNothingUntilCommit(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(group(a))
		pass(0)
		p := g.Plan(map[string]config.TargetGroup{"app": group(b), "new": group(c)})
		if not := p.Wait(t.Context()); len(not) > 0 {
			t.Errorf("not healthy: %v", not)
		}
		if got := picks(t, app, 3); got[a] != 3 {
			t.Errorf("before the commit: %v", got)
		}
		if got := picks(t, p.Group("new"), 3); got[c] != 3 {
			t.Errorf("a new group: %v", got)
		}
		p.Commit()
		if got := picks(t, app, 3); got[b] != 3 {
			t.Errorf("after the commit: %v", got)
		}
	})
}

func TestWaitSaysWhoIsNotHealthy(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(b, answers(500))
		p := g.Plan(map[string]config.TargetGroup{"app": group(a, b)})
		defer p.Abandon()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		not := p.Wait(ctx)
		if want := []string{"app http://b:80: Health checks failed with these codes: [500]"}; !slices.Equal(not, want) {
			t.Errorf("got %q, want %q", not, want)
		}
		if waited := time.Since(began); waited != 30*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestWaitEndsWhenTheLastIsHealthy(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(b, nil)
		time.AfterFunc(2500*time.Millisecond, func() { network.set(b, answers(200)) })
		began := time.Now()
		p := g.Plan(map[string]config.TargetGroup{"app": group(a, b)})
		if not := p.Wait(t.Context()); len(not) > 0 || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", not, time.Since(began))
		}
		p.Commit()
	})
}

func TestAbandonEndsWhatWasStarted(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		g.options.NewPool = newPool
		app := g.one(group(a))
		pass(0)
		p := g.Plan(map[string]config.TargetGroup{"app": group(a, b), "new": group(c)})
		pass(0)
		fresh := p.fresh
		p.Abandon()
		checks := len(network.checks(b)) + len(network.checks(c))
		pass(10 * time.Minute)
		if n := len(network.checks(b)) + len(network.checks(c)); n != checks {
			t.Error("an abandoned target is still checked")
		}
		for _, target := range fresh {
			if target.Pool().(*pool).closed.Load() != 1 {
				t.Errorf("%s: pool not closed", target)
			}
		}
		if got := picks(t, app, 2); got[a] != 2 || len(g.Status()) != 1 {
			t.Errorf("%v, %+v", got, g.Status())
		}
	})
}

func TestAPoolLivesAndDiesWithItsTarget(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		g.options.NewPool = newPool
		app := g.one(group(a, b))
		pass(0)
		l := choose(t, app, Choice{})
		kept := l.Target.Pool().(*pool)
		if kept.target != l.Target {
			t.Error("a pool of another target")
		}
		g.one(group(b, c))
		pass(time.Minute)
		if kept.closed.Load() != 0 || l.Target.Context().Err() != nil {
			t.Error("closed while a request was in flight")
		}
		l.Done(Answered)
		pass(0)
		if kept.closed.Load() != 1 || l.Target.Context().Err() == nil {
			t.Error("not closed when the last request had ended")
		}
	})
}

// Requests that begin at any moment of a thousand reloads find a target, on the table that they hold or the next one.
func TestReloadsLoseNoRequestAndLeakNothing(t *testing.T) {
	g := run(t, Options{NewPool: newPool, Dial: newFakeNet().dial})
	configs := []map[string]config.TargetGroup{
		{"app": unchecked(a), "one": unchecked(a)},
		{"app": unchecked(b), "two": unchecked(a, b)},
		{"app": weighted(unchecked(c, b), 1, 5), "one": unchecked(a, c)},
	}
	var table atomic.Pointer[[]*Group] // as a request sees it: the groups of one configuration
	swap := func(i int) {
		p := g.Plan(configs[i%len(configs)])
		var groups []*Group
		for name := range configs[i%len(configs)] {
			groups = append(groups, p.Group(name))
		}
		if i%2 == 0 {
			p.Commit()
			table.Store(&groups)
		} else {
			table.Store(&groups)
			p.Commit()
		}
	}
	swap(0)
	stop := make(chan struct{})
	var lost, done atomic.Int64
	var visitors sync.WaitGroup
	for range 2 {
		visitors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, group := range *table.Load() {
					l, ok := group.Choose(Choice{})
					if !ok {
						lost.Add(1)
						continue
					}
					if l.Target.Pool().(*pool).closed.Load() != 0 {
						lost.Add(1)
					}
					l.Done(Outcome(done.Add(1) % 3))
				}
			}
		})
	}
	for i := range 1000 {
		swap(i)
		if i%10 == 0 {
			g.Plan(configs[(i+1)%len(configs)]).Abandon()
		}
		if i%100 == 0 {
			g.Status()
			runtime.Gosched()
		}
	}
	close(stop)
	visitors.Wait()
	t.Logf("%d requests", done.Load())
	if lost.Load() > 0 {
		t.Errorf("%d requests found nobody or were cut", lost.Load())
	}
	for _, s := range g.Status() {
		for _, target := range s.Targets {
			if target.InFlight != 0 {
				t.Errorf("%s %s: %d in flight", s.Group, target.Target, target.InFlight)
			}
		}
	}
}
