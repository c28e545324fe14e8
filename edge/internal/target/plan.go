package target

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/onehost/edge/core/config"
)

// A Plan is a configuration that is being prepared: its new targets are checked already, and nothing is gone yet.
// It ends with Commit or Abandon.
type Plan struct {
	groups  *Groups
	config  map[string]config.TargetGroup
	planned map[string]*Group
	fresh   []*Target
}

// Plan prepares a configuration. New targets are checked at once and then every second until they are first healthy.
// cfg is valid (see Check) and not changed any more.
func (g *Groups) Plan(cfg map[string]config.TargetGroup) *Plan {
	g.mu.Lock()
	defer g.unlock()
	p := &Plan{groups: g, config: cfg, planned: map[string]*Group{}}
	for _, name := range slices.Sorted(maps.Keys(cfg)) {
		c := cfg[name]
		group := g.groups[name]
		isNew := group == nil
		if isNew {
			group = &Group{groups: g, name: name, settings: c}
		}
		p.planned[name] = group
		first := len(p.fresh)
		if isNew || !slices.Equal(group.configured, c.Targets) {
			p.startNew(group, c)
		}
		if isNew { // it can be used before Commit: nobody else knows it
			group.targets = slices.Clone(p.fresh[first:])
			for _, t := range group.targets {
				t.founder = true
			}
			group.rebuild()
		}
	}
	return p
}

// startNew makes the targets of c that group doesn't have. The caller holds Groups.mu.
func (p *Plan) startNew(group *Group, c config.TargetGroup) {
	for _, ct := range c.Targets {
		addr, err := ParseAddress(ct.URL)
		if err != nil {
			p.groups.options.Log.Error("target left out", "group", group.name, "error", err)
			continue
		}
		if group.find(addr.String()) == nil && !slices.Contains(group.configured, ct) {
			p.target(group, addr, ct, c.Health)
		}
	}
}

// target returns the plan's new target of that address, making it if need be. The caller holds Groups.mu.
func (p *Plan) target(group *Group, addr Address, c config.Target, h config.Health) *Target {
	for _, t := range p.fresh {
		if t.group == group && t.key == addr.String() {
			return t
		}
	}
	t := p.groups.newTarget(group, c.URL, addr, c.Weight, h)
	p.fresh = append(p.fresh, t)
	return t
}

// Group returns the group of that name in the planned configuration, nil if there is none.
// A new one can be used at once, one that stays changes with Commit.
func (p *Plan) Group(name string) *Group { return p.planned[name] }

// Wait waits until all new targets are healthy, or ctx is done. It returns those that are not, each as
// "GROUP TARGET: why", for a warning.
func (p *Plan) Wait(ctx context.Context) []string {
	for _, t := range p.fresh {
		select {
		case <-t.ready:
		case <-ctx.Done():
		}
	}
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	var not []string
	for _, t := range p.fresh {
		if !t.health.fit() {
			not = append(not, t.group.name+" "+t.name+": "+t.health.description)
		}
	}
	return not
}

// Commit makes the planned configuration the one that holds: new targets get requests, those that are gone drain.
//
// Requests that still hold a group which is gone are served by its last targets for a moment, so it does not matter
// whether the table of rules is swapped just before or just after.
func (p *Plan) Commit() {
	g := p.groups
	g.mu.Lock()
	defer g.unlock()
	for name, c := range p.config {
		group := p.planned[name]
		if other := g.groups[name]; other != nil && other != group {
			g.leave(other) // of a plan that was committed since this one was made
		}
		g.groups[name] = group
		p.commitGroup(group, c)
	}
	for name, group := range g.groups {
		if _, stays := p.config[name]; !stays && !group.gone {
			g.leave(group)
		}
	}
	p.endUnused()
}

// commitGroup: the caller holds Groups.mu.
func (p *Plan) commitGroup(group *Group, c config.TargetGroup) {
	var dropped []*Target
	group.settings = c
	if group.gone || !slices.Equal(group.configured, c.Targets) {
		group.gone = false
		dropped = p.setTargets(group, c)
		group.configured = slices.Clone(c.Targets)
	}
	for _, t := range group.targets {
		t.setHealth(c.Health)
	}
	group.rebuild()
	for _, t := range dropped {
		p.groups.drain(t, 0)
	}
}

// setTargets makes group's targets those of the file, the same ones where it has them, and returns those that it has no
// more. What the file says as it did before is left as an operator wants it: drained, removed, or of another weight;
// and so are the targets that only he has named. The caller holds Groups.mu.
func (p *Plan) setTargets(group *Group, c config.TargetGroup) (dropped []*Target) {
	before, after := byKey(group.configured), byKey(c.Targets)
	group.forgetDrained(func(t *Target) bool { return before[t.key] != after[t.key] })
	var targets, kept, added []*Target
	for _, ct := range c.Targets {
		addr, err := ParseAddress(ct.URL)
		if err != nil {
			continue
		}
		unchanged := before[addr.String()] == ct
		t := group.find(addr.String())
		switch {
		case t != nil:
			kept = append(kept, t)
		case unchanged: // drained or removed
			continue
		default:
			t = p.target(group, addr, ct, c.Health)
			added = append(added, t)
		}
		if !unchanged {
			t.weight = ct.Weight
		}
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	for _, t := range group.targets {
		_, configured := before[t.key]
		switch {
		case slices.Contains(kept, t):
		case configured:
			dropped = append(dropped, t)
		default:
			kept, targets = append(kept, t), append(targets, t)
		}
	}
	group.targets = kept
	founding, slow := len(kept) == 0, group.startsSlow(nil)
	group.targets = targets
	for _, t := range added {
		t.founder = founding && !t.health.entered
		t.warmSince.Store(0) // slow start begins with the first request it may get, not while it was planned
		if slow && t.health.fit() {
			t.warmSince.Store(time.Now().UnixNano())
		}
	}
	return dropped
}

// byKey returns the targets of a file by their key. Those with a bad address are left out.
func byKey(targets []config.Target) map[string]config.Target {
	all := make(map[string]config.Target, len(targets))
	for _, t := range targets {
		if addr, err := ParseAddress(t.URL); err == nil {
			all[addr.String()] = t
		}
	}
	return all
}

// Abandon forgets the plan and ends what it started.
func (p *Plan) Abandon() {
	p.groups.mu.Lock()
	defer p.groups.unlock()
	p.endUnused()
}

// endUnused ends the new targets that no group has taken. The caller holds Groups.mu.
func (p *Plan) endUnused() {
	used := map[*Target]bool{}
	for group := range maps.Values(p.groups.groups) {
		for _, t := range group.targets {
			used[t] = true
		}
	}
	for _, t := range p.fresh {
		if !used[t] || p.groups.stopped {
			p.groups.discard(t)
		}
	}
}
