package target

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"time"
)

// Options are what Groups need from the rest of the program. All may be left out.
type Options struct {
	Log *slog.Logger
	// CookieKey authenticates stickiness cookies. Keep it, so that they are good after a restart. Default: a new one.
	CookieKey []byte
	// NewPool makes what proxy keeps for a target: its connections. It is made with the target and closed when the
	// target has ended, which must cut what is still under way. NewPool runs under a lock: it must not call Groups.
	NewPool func(*Target) io.Closer
	// Dial connects to targets, for health checks and for Target.Dial. Default: a net.Dialer with a timeout of 10s.
	Dial DialFunc
	// Rand returns random bits. Default: math/rand/v2.
	Rand func() uint64
}

// Groups are all target groups, carried over all configurations.
type Groups struct {
	options Options
	cookies *cookies

	mu      sync.Mutex
	groups  map[string]*Group // those that are gone, too, until they are drained
	running context.Context   // Run's, nil before it
	stopped bool
	waiting []func(context.Context) // work for Run to begin with
	ending  []*Target               // to be ended when mu is released
	work    sync.WaitGroup
}

// NewGroups returns Groups without a group. Plan adds some.
func NewGroups(o Options) *Groups {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.CookieKey) == 0 {
		o.CookieKey = make([]byte, 32)
		rand.Read(o.CookieKey) // never fails (crypto/rand)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	if o.Rand == nil {
		o.Rand = mathrand.Uint64
	}
	return &Groups{options: o, cookies: newCookies(o.CookieKey), groups: map[string]*Group{}}
}

// Run checks the targets' health and drains those that are gone, until ctx is done. Then every target ends, so let
// the fronts drain first. It returns when all that it started has ended. It is called once.
func (g *Groups) Run(ctx context.Context) error {
	g.mu.Lock()
	if g.running != nil {
		g.mu.Unlock()
		return errors.New("target: Run was called twice")
	}
	g.running = ctx
	for _, f := range g.waiting {
		g.work.Go(func() { f(ctx) })
	}
	g.waiting = nil
	g.mu.Unlock()

	<-ctx.Done()

	g.mu.Lock()
	g.stopped = true
	for _, group := range g.groups {
		for _, t := range group.targets {
			g.discard(t)
		}
	}
	g.unlock()
	g.work.Wait()
	return nil
}

// spawn lets Run run f; at once, or when Run begins. It reports false when Run has ended. The caller holds mu.
func (g *Groups) spawn(f func(context.Context)) bool {
	switch {
	case g.stopped:
		return false
	case g.running == nil:
		g.waiting = append(g.waiting, f)
	default:
		g.work.Go(func() { f(g.running) })
	}
	return true
}

// newTarget makes a target and starts to check it. The caller holds mu.
func (g *Groups) newTarget(group *Group, name string, addr Address, weight int, h healthSettings) *Target {
	t := &Target{
		groups: g, group: group, name: name, addr: addr, key: addr.String(), weight: weight, settings: h,
		recheck: make(chan struct{}, 1),
		idle:    make(chan struct{}, 1),
		ready:   make(chan struct{}),
	}
	t.tag = g.cookies.tag(group.name, t.key)
	t.cut, t.cutNow = context.WithCancel(context.Background())
	t.watched, t.unwatch = context.WithCancel(t.cut)
	t.health = health{state: Initial, reason: RegistrationInProgress, description: "Registered; the first health check is due.", since: time.Now()}
	if h.Off {
		t.healthOff()
	}
	if g.options.NewPool != nil {
		t.pool = g.options.NewPool(t)
	}
	if !g.spawn(t.watch) {
		g.discard(t)
	}
	return t
}

// lot returns a random number in [0, 1).
func (g *Groups) lot() float64 { return float64(g.options.Rand()>>11) / (1 << 53) }

// discard ends a target at once. The caller holds mu and releases it with unlock.
func (g *Groups) discard(t *Target) {
	g.retire(t)
	g.ending = append(g.ending, t)
}

// unlock releases mu and ends the targets that were discarded under it.
func (g *Groups) unlock() {
	ending := g.ending
	g.ending = nil
	g.mu.Unlock()
	for _, t := range ending {
		t.end()
	}
}
