package target

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
)

// A Group is a set of targets that a request may be forwarded to. It stays the same over all configurations that
// have a group of its name.
type Group struct {
	groups *Groups
	name   string
	view   atomic.Pointer[view]
	turn   atomic.Uint64 // round robin's position

	// Under Groups.mu.
	settings   config.TargetGroup
	configured []config.Target // as in the file, whatever an operator has changed since
	targets    []*Target       // registered
	leaving    []*Target       // draining, or drained and still listed
	gone       bool            // not in the configuration any more
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// CookieName returns the name of the stickiness cookie, "" when stickiness is off.
func (g *Group) CookieName() string {
	if s := g.view.Load().sticky; s != nil {
		return s.name
	}
	return ""
}

// A view is what Choose needs to know, made anew when something changes and never changed itself.
type view struct {
	algorithm string
	slowStart time.Duration // 0 when it does not apply
	sticky    *stickiness   // nil: off

	eligible []*Target       // who may get a request
	slots    []*Target       // the same ones in the order of their turns, each as often as its weight says
	trials   []*Target       // half-open
	stuck    map[tag]*Target // who may get a request of a visitor that is stuck to it
	failOpen bool            // nobody is healthy, so all are eligible
}

// rebuild publishes a new view. The caller holds Groups.mu.
//
// Eligible are the healthy ones that are not ejected; if there are none, the healthy ones (the last one is never
// ejected); if there are none, all (ALB's fail-open) or nobody, as when_all_unhealthy says.
func (g *Group) rebuild() {
	if g.gone {
		return // the last view serves the requests that still hold the old configuration
	}
	v := &view{algorithm: g.settings.Algorithm, sticky: newStickiness(g.settings.Stickiness)}
	if v.algorithm != leastOutstanding {
		v.slowStart = g.settings.SlowStart
	}
	usable := func(t *Target) bool { return t.health.fit() && t.ejection.phase == in }
	v.eligible = g.having(usable)
	if len(v.eligible) > 0 {
		v.trials = g.having(func(t *Target) bool { return t.health.fit() && t.ejection.phase == halfOpen })
	} else {
		usable = func(t *Target) bool { return t.health.fit() }
		v.eligible = g.having(usable)
	}
	if len(v.eligible) == 0 && g.settings.WhenAllUnhealthy != fail {
		usable = func(*Target) bool { return true }
		v.eligible = g.having(usable)
		v.failOpen = len(v.eligible) > 0
	}
	v.slots = schedule(v.eligible)
	if v.sticky != nil {
		v.stuck = make(map[tag]*Target, len(g.targets))
		for _, t := range g.targets {
			if usable(t) {
				v.stuck[t.tag] = t // of whatever weight: 0 means nobody new
			}
		}
	}
	g.view.Store(v)
}

// having returns the registered targets with a weight that are so.
func (g *Group) having(so func(*Target) bool) []*Target {
	var found []*Target
	for _, t := range g.targets {
		if t.weight > 0 && so(t) {
			found = append(found, t)
		}
	}
	return found
}

// canSpare reports whether somebody is left when t is ejected. The caller holds Groups.mu.
func (g *Group) canSpare(t *Target) bool {
	return slices.ContainsFunc(g.targets, func(o *Target) bool {
		return o != t && o.weight > 0 && o.health.fit() && o.ejection.phase == in
	})
}

// startsSlow reports whether a target that becomes healthy now enters slow start: when at least one other is healthy
// and not in slow start itself. Those that are registered together into an empty group don't (see Target.founder).
// The caller holds Groups.mu.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#slow-start-mode
func (g *Group) startsSlow(t *Target) bool {
	return g.settings.SlowStart > 0 && g.settings.Algorithm != leastOutstanding &&
		slices.ContainsFunc(g.targets, func(o *Target) bool {
			return o != t && o.health.fit() && o.warmth(g.settings.SlowStart) == 1
		})
}

// find returns the registered target with this key, or nil. The caller holds Groups.mu.
func (g *Group) find(key string) *Target {
	for _, t := range g.targets {
		if t.key == key {
			return t
		}
	}
	return nil
}
