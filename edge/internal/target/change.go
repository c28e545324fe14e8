package target

import (
	"errors"
	"fmt"
	"slices"
)

// What a change may name that is not there.
var (
	ErrNoGroup  = errors.New("there is no target group")
	ErrNoTarget = errors.New("no target")
)

// Changes by an operator, without a new configuration. They hold until one is committed that says something else of the very
// target, or takes its group away: what a file says as it did before leaves them as they are.

// Add registers a target, or gives one that is registered another weight. One that an operator has drained is used again.
func (g *Groups) Add(group, url string, weight int) error {
	addr, err := ParseAddress(url)
	if err != nil {
		return err
	}
	if weight < 0 || weight > MaxWeight {
		return fmt.Errorf("a weight is 0 to %d", MaxWeight)
	}
	g.mu.Lock()
	defer g.unlock()
	in, err := g.named(group)
	if err != nil {
		return err
	}
	if t := in.find(addr.String()); t != nil {
		t.weight = weight
	} else {
		in.forgetDrained(hasKey(addr.String()))
		in.targets = append(in.targets, g.newTarget(in, url, addr, weight, in.settings.Health))
	}
	in.rebuild()
	return nil
}

// Drain takes a target out of use: it gets no new requests, finishes those that it has, and stays listed.
func (g *Groups) Drain(group, url string) error { return g.take(group, url, true) }

// Remove deregisters a target: it gets no new requests, finishes those that it has, and is gone.
func (g *Groups) Remove(group, url string) error { return g.take(group, url, false) }

func (g *Groups) take(group, url string, keepListed bool) error {
	addr, err := ParseAddress(url)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.unlock()
	from, err := g.named(group)
	if err != nil {
		return err
	}
	t := from.find(addr.String())
	switch {
	case t != nil:
		t.drained = keepListed
		from.targets = slices.DeleteFunc(slices.Clone(from.targets), func(o *Target) bool { return o == t })
		from.rebuild()
		g.drain(t, 0)
		return nil
	case !keepListed && from.forgetDrained(hasKey(addr.String())):
		return nil
	}
	return fmt.Errorf("target group %q has %w %s", group, ErrNoTarget, url)
}

// named returns a group of the configuration. The caller holds mu.
func (g *Groups) named(name string) (*Group, error) {
	if group := g.groups[name]; group != nil && !group.gone {
		return group, nil
	}
	return nil, fmt.Errorf("%w %q", ErrNoGroup, name)
}

func hasKey(key string) func(*Target) bool {
	return func(t *Target) bool { return t.key == key }
}

// forgetDrained stops listing such targets as an operator has drained, as soon as they have ended. It reports whether
// there was one. The caller holds Groups.mu.
func (g *Group) forgetDrained(such func(*Target) bool) bool {
	found := false
	for _, t := range g.leaving {
		if t.drained && such(t) {
			t.drained, found = false, true
		}
	}
	g.leaving = slices.DeleteFunc(g.leaving, func(t *Target) bool { return !t.drained && t.health.state == Unused })
	return found
}
