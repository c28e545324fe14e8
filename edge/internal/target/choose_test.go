package target

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestRoundRobinIsSmooth(t *testing.T) {
	tests := []struct {
		weights []int
		round   string // one round of targets a, b, c
	}{
		{[]int{1, 1, 1}, "abc"},
		{[]int{2, 1, 1}, "abca"},
		{[]int{5, 1, 1}, "aaabcaa"},
		{[]int{4, 2, 0}, "abaaba"},
		{[]int{0, 0, 7}, "c"},
	}
	for _, test := range tests {
		g := NewGroups(Options{})
		app := g.one(weighted(unchecked(a, b, c), test.weights...))
		got := ""
		for range 2 * len(test.round) {
			l := choose(t, app, Choice{})
			got += l.Target.String()[len("http://"):][:1]
			l.Done(Answered)
		}
		if got != test.round+test.round {
			t.Errorf("%v: %s, want %s twice", test.weights, got, test.round)
		}
	}
}

func TestLargeWeightsAreRounded(t *testing.T) {
	g := NewGroups(Options{})
	var urls []string
	var weights []int
	for i := range 100 {
		urls = append(urls, fmt.Sprintf("http://t%d:80", i))
		weights = append(weights, 1000-i)
	}
	app := g.one(weighted(unchecked(urls...), weights...))
	if n := len(app.view.Load().slots); n > maxSlots {
		t.Fatalf("%d slots", n)
	}
	got := picks(t, app, 95050)
	for i, url := range urls {
		if math.Abs(float64(got[url])-float64(weights[i])) > 0.06*float64(weights[i]) {
			t.Errorf("%s: %d of 95050, want about %d", url, got[url], weights[i])
		}
	}
}

func TestWeightedRandom(t *testing.T) {
	g := NewGroups(Options{})
	cfg := weighted(unchecked(a, b, c), 6, 3, 1)
	cfg.Algorithm = "weighted_random"
	got := picks(t, g.one(cfg), 10000)
	for url, want := range map[string]int{a: 6000, b: 3000, c: 1000} {
		if math.Abs(float64(got[url]-want)) > 300 {
			t.Errorf("%s: %d, want about %d", url, got[url], want)
		}
	}
}

func TestLeastOutstanding(t *testing.T) {
	g := NewGroups(Options{})
	cfg := weighted(unchecked(a, b, c), 2, 1, 1)
	cfg.Algorithm = "least_outstanding"
	app := g.one(cfg)
	var held []Lease
	for range 40 {
		held = append(held, choose(t, app, Choice{}))
	}
	busy := map[string]int{}
	for _, l := range held {
		busy[l.Target.String()] = l.Target.InFlight()
	}
	if busy[a] != 20 || busy[b] != 10 || busy[c] != 10 {
		t.Errorf("in flight by capacity: %v", busy)
	}
	for _, l := range held {
		if l.Target.String() == b {
			l.Done(Answered)
		}
	}
	if l := choose(t, app, Choice{}); l.Target.String() != b {
		t.Errorf("the idle one was not chosen, but %s", l.Target)
	}
}

func TestLeastOutstandingTakesTurnsWhenAllAreIdle(t *testing.T) {
	g := NewGroups(Options{})
	cfg := unchecked(a, b, c)
	cfg.Algorithm = "least_outstanding"
	if got := picks(t, g.one(cfg), 30); got[a] != 10 || got[b] != 10 || got[c] != 10 {
		t.Errorf("%v", got)
	}
}

func TestARetryGoesToAnotherTarget(t *testing.T) {
	for _, algorithm := range []string{"round_robin", "least_outstanding", "weighted_random"} {
		g := NewGroups(Options{})
		cfg := weighted(unchecked(a, b, c), 100, 1, 1)
		cfg.Algorithm = algorithm
		app := g.one(cfg)
		for range 50 {
			var tried []*Target
			for range 3 {
				l := choose(t, app, Choice{Tried: tried})
				tried = append(tried, l.Target)
				l.Done(Unjudged)
			}
			if _, ok := app.Choose(Choice{Tried: tried}); ok {
				t.Fatalf("%s: a fourth of three", algorithm)
			}
			if tried[0] == tried[1] || tried[1] == tried[2] || tried[0] == tried[2] {
				t.Fatalf("%s: tried %v", algorithm, tried)
			}
		}
	}
}

func TestAChoiceThatComesTooLateLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *Groups
		cfg := unchecked(a)
		cfg.Algorithm = "weighted_random"
		reload := sync.OnceFunc(func() { // while Choose holds a view in which only a is
			cfg.Targets = unchecked(b).Targets
			g.one(cfg)
			synctest.Wait()
		})
		g = run(t, Options{Rand: func() uint64 { reload(); return 0 }})
		app := g.one(cfg)
		if l := choose(t, app, Choice{}); l.Target.String() != b {
			t.Errorf("got %s, which has ended", l.Target)
		}
	})
}

func TestAnEmptyGroupHasNobody(t *testing.T) {
	g := NewGroups(Options{})
	for _, cfg := range []config.TargetGroup{unchecked(), weighted(unchecked(a), 0)} {
		if l, ok := g.one(cfg).Choose(Choice{}); ok {
			t.Errorf("got %v", l.Target)
		}
	}
}

func TestSlowStart(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a)
		cfg.SlowStart = 100 * time.Second
		app := g.one(cfg)
		pass(0)
		if s := g.status(t, a); s.EffectiveWeight != 1 {
			t.Fatalf("the first target of a group starts slow: %+v", s)
		}
		share := func(after time.Duration, want float64) {
			t.Helper()
			pass(after)
			got := picks(t, app, 4000)
			// warm b gets w shares of 1+w
			if w := float64(got[b]) / float64(got[a]); math.Abs(w-want) > 0.1 {
				t.Errorf("share %.2f, want %.2f", w, want)
			}
		}
		cfg.Targets = group(a, b).Targets
		p := g.Plan(map[string]config.TargetGroup{"app": cfg})
		pass(10 * time.Second) // healthy while planned; the ramp begins when it gets requests
		p.Commit()
		share(0, 0)
		share(25*time.Second, 0.25)
		if s := g.status(t, b); math.Abs(s.EffectiveWeight-0.25) > 0.01 {
			t.Errorf("effective weight %.2f", s.EffectiveWeight)
		}
		share(50*time.Second, 0.75)
		share(25*time.Second, 1)

		network.set(b, nil)
		pass(90 * time.Second)
		share(0, 0)
		network.set(b, answers(200))
		for g.status(t, b).State != Healthy {
			pass(time.Second)
		}
		share(40*time.Second, 0.4) // again after recovery
	})
}

func TestSlowStartIsFairToTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a, c)
		cfg.SlowStart = 100 * time.Second
		app := g.one(cfg)
		pass(0)
		cfg.Targets = group(a, b, c).Targets
		g.one(cfg)
		pass(50 * time.Second)
		got := picks(t, app, 5000)
		if math.Abs(float64(got[a]-got[c])) > 200 || math.Abs(float64(got[b])-1000) > 200 {
			t.Errorf("a, c full and b half warm: %v", got)
		}
	})
}

func TestNoSlowStartWithoutAWarmTarget(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a)
		cfg.SlowStart = time.Hour
		g.one(cfg)
		pass(0)
		full := func(url string, want bool) {
			t.Helper()
			if s := g.status(t, url); (s.EffectiveWeight == 1) != want {
				t.Errorf("%+v", s)
			}
		}
		swap := func(urls ...string) {
			cfg.Targets = group(urls...).Targets
			p := g.Plan(map[string]config.TargetGroup{"app": cfg})
			pass(time.Second)
			p.Commit()
		}
		swap(b) // all are replaced at once
		full(b, true)
		swap(b, a)
		full(a, false)
		network.set(b, nil)
		pass(2 * time.Minute)
		swap(b, a, c) // a is in slow start itself
		full(c, true)
	})
}

func TestSlowStartNotWithLeastOutstanding(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a)
		cfg.SlowStart, cfg.Algorithm = 100*time.Second, "least_outstanding"
		app := g.one(cfg)
		pass(0)
		cfg.Targets = group(a, b).Targets
		g.one(cfg)
		pass(0)
		if got := picks(t, app, 100); got[b] != 50 {
			t.Errorf("%v", got)
		}
	})
}

func TestChooseDoesNotAllocate(t *testing.T) {
	for _, algorithm := range []string{"round_robin", "least_outstanding", "weighted_random"} {
		g := NewGroups(Options{})
		cfg := weighted(unchecked(a, b, c), 3, 2, 1)
		cfg.Algorithm = algorithm
		cfg.Stickiness = &config.Stickiness{Cookie: "S", For: time.Hour}
		app := g.one(cfg)
		cookie := cookieValue(choose(t, app, Choice{}).SetCookie(true))
		tried := []*Target{choose(t, app, Choice{}).Target}
		for name, ch := range map[string]Choice{"plain": {}, "sticky": {Cookie: cookie}, "retry": {Tried: tried}} {
			if n := testing.AllocsPerRun(1000, func() {
				l, _ := app.Choose(ch)
				l.Reached()
				l.Done(Answered)
			}); n > 0 && !raceEnabled {
				t.Errorf("%s, %s: %v allocations", algorithm, name, n)
			}
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	for _, algorithm := range []string{"round_robin", "least_outstanding", "weighted_random"} {
		for _, n := range []int{1, 10, 100} {
			g := NewGroups(Options{})
			var urls []string
			for i := range n {
				urls = append(urls, fmt.Sprintf("http://t%d:80", i))
			}
			cfg := unchecked(urls...)
			cfg.Algorithm = algorithm
			app := g.one(cfg)
			b.Run(fmt.Sprintf("%s/%d", algorithm, n), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						l, _ := app.Choose(Choice{})
						l.Done(Answered)
					}
				})
			})
		}
	}
}

func BenchmarkChooseSticky(b *testing.B) {
	g := NewGroups(Options{})
	cfg := unchecked(a, c)
	cfg.Stickiness = &config.Stickiness{Cookie: "S", For: time.Hour}
	app := g.one(cfg)
	l, _ := app.Choose(Choice{})
	cookie := cookieValue(l.SetCookie(true))
	b.ReportAllocs()
	for b.Loop() {
		l, _ := app.Choose(Choice{Cookie: cookie})
		l.Done(Answered)
	}
}

// cookieValue takes the value out of a Set-Cookie field.
func cookieValue(field string) string {
	pair, _, _ := strings.Cut(field, ";")
	_, value, _ := strings.Cut(pair, "=")
	return value
}
