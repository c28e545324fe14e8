package target

import (
	"context"
	"slices"
	"time"
)

// lingering is how long the targets of a group that is gone can still be chosen by requests that hold the
// configuration which had it.
const lingering = 2 * time.Second

// retire stops checking t and takes it out of the running. The caller holds mu.
func (g *Groups) retire(t *Target) {
	if t.draining.Swap(true) {
		return
	}
	t.unwatch()
	t.forgetEjection()
	t.health.become(Draining, DeregistrationInProgress, "Target deregistration is in progress.")
}

// drain lets t finish what it has, for at most its group's drain; it ends as soon as nothing is in flight, but not
// before linger is over. The caller holds mu, releases it with unlock, and has published a view without t: a Choose
// that still finds t in an older view and comes too late looks again.
func (g *Groups) drain(t *Target, linger time.Duration) {
	limit := max(t.group.settings.Drain, linger)
	g.retire(t)
	t.group.leaving = append(t.group.leaving, t)
	if !g.spawn(func(ctx context.Context) { t.finish(ctx, linger, limit) }) {
		g.ending = append(g.ending, t)
	}
}

// finish waits for t's requests, ends t and takes it from its group.
func (t *Target) finish(ctx context.Context, linger, limit time.Duration) {
	defer t.left()
	if linger > 0 {
		wait(ctx, linger)
	}
	timer := time.NewTimer(limit - linger)
	defer timer.Stop()
	for !t.inFlight.CompareAndSwap(0, closed) {
		select {
		case <-t.idle:
			continue
		case <-timer.C:
			t.groups.options.Log.Warn("target did not drain in time: its requests are cut", "group", t.group.name,
				"target", t.name, "in_flight", t.InFlight(), "drain", limit)
		case <-ctx.Done():
		}
		break
	}
	t.end()
}

// left takes t, which has ended, from its group, and the group from Groups when it was its last.
func (t *Target) left() {
	g, group := t.groups, t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.drained {
		t.health.become(Unused, NotRegistered, "Drained by an operator; add the target to use it again.")
		return
	}
	group.leaving = slices.DeleteFunc(group.leaving, func(o *Target) bool { return o == t })
	if group.gone && len(group.leaving) == 0 && g.groups[group.name] == group {
		delete(g.groups, group.name)
	}
}

// leave lets go of a whole group. The caller holds mu.
func (g *Groups) leave(group *Group) {
	group.gone = true // first: its view stays
	group.forgetDrained(func(*Target) bool { return true })
	for _, t := range group.targets {
		g.drain(t, lingering)
	}
	group.targets, group.configured = nil, nil
	if len(group.leaving) == 0 {
		delete(g.groups, group.name)
	}
}

// wait waits for d or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
