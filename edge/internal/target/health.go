package target

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/onehost/edge/core/config"
)

// healthSettings are a group's, held by each target.
type healthSettings = config.Health

// beforeFirstHealthy is how often a target is checked that has never been healthy.
const beforeFirstHealthy = time.Second

// restBetweenChecks is left to a target whose checks take as long as their interval.
const restBetweenChecks = 10 * time.Millisecond

// health is what the checks have found. It is under Groups.mu.
type health struct {
	state       State
	reason      Reason
	description string
	since       time.Time // of state
	entered     bool      // was healthy once: from then on the thresholds hold
	passes      int       // in a row
	failures    int       // in a row
	checked     time.Time // when the last check began, zero before the first
	took        time.Duration
}

// fit reports whether a target in this state gets requests.
func (h *health) fit() bool { return h.state == Healthy || h.state == Unavailable }

func (h *health) become(s State, r Reason, description string) {
	if h.state != s {
		h.state, h.since = s, time.Now()
	}
	h.reason, h.description = r, description
}

// watch checks t's health until nobody wants to know it any more.
func (t *Target) watch(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(t.watched, stop)() //nolint:contextcheck // two contexts end this: Run's, and the target's own
	timer := time.NewTimer(0)
	defer timer.Stop()
	phased := false // whether t has its own phase within the interval, so that many targets are not checked in one moment
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.recheck:
			phased = false
		case <-timer.C:
		}
		settings := t.beginCheck()
		if settings.Off {
			timer.Stop()
			continue
		}
		began := time.Now()
		entered := t.record(ctx, t.check(ctx, settings), began, settings)
		pause := settings.Interval
		switch {
		case !entered:
			pause = min(pause, beforeFirstHealthy)
		case !phased:
			phased = true
			pause = time.Duration(t.groups.lot() * float64(pause))
		}
		timer.Reset(max(restBetweenChecks, pause-time.Since(began)))
	}
}

// beginCheck returns the settings for a check.
func (t *Target) beginCheck() healthSettings {
	t.groups.mu.Lock()
	defer t.groups.mu.Unlock()
	if h := &t.health; h.reason == RegistrationInProgress {
		h.become(Initial, InitialHealthChecking, "Initial health checks in progress.")
	}
	return t.settings
}

// record takes a check's result into account and reports whether the target was ever healthy.
func (t *Target) record(ctx context.Context, r result, began time.Time, s healthSettings) (entered bool) {
	g := t.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	h := &t.health
	if t.draining.Load() || t.settings.Off {
		return h.entered
	}
	h.checked, h.took = began, time.Since(began)
	was := h.state
	h.count(r, s)
	if r.pass && t.ejection.phase != in && began.After(t.ejection.since) {
		t.forgetEjection() // it can be connected to again
		t.group.rebuild()
	}
	if h.state == was {
		return h.entered
	}
	level := slog.LevelInfo
	if h.state == Healthy {
		t.becameHealthy()
	} else {
		t.warmSince.Store(0)
		level = slog.LevelWarn
	}
	t.group.rebuild()
	g.options.Log.Log(ctx, level, "target health changed", "group", t.group.name, "target", t.name,
		"from", was, "to", h.state, "reason", h.reason, "description", h.description)
	return h.entered
}

// becameHealthy: the caller holds Groups.mu.
func (t *Target) becameHealthy() {
	t.health.entered = true
	t.warmSince.Store(0)
	if !t.founder && t.group.startsSlow(t) {
		t.warmSince.Store(time.Now().UnixNano())
	}
	t.founder = false
	select {
	case <-t.ready:
	default:
		close(t.ready)
	}
}

// count applies ALB's thresholds: one pass to enter, then so many passes or failures in a row to change.
func (h *health) count(r result, s healthSettings) {
	switch {
	case r.inconclusive:
		return
	case r.pass:
		h.passes, h.failures = h.passes+1, 0
		if h.state != Healthy && (!h.entered || h.passes >= s.Healthy) {
			h.become(Healthy, "", "")
		}
	default:
		h.passes, h.failures = 0, h.failures+1
		switch {
		case h.state == Unhealthy || h.failures >= s.Unhealthy:
			h.become(Unhealthy, r.reason, r.description)
		case h.state == Initial:
			h.become(Initial, InitialHealthChecking, "Initial health checks in progress. Last one: "+r.description)
		}
	}
}

// setHealth changes how t is checked. What it was found to be holds until checks say something else.
// The caller holds Groups.mu.
func (t *Target) setHealth(s healthSettings) {
	was := t.settings
	t.settings = s
	switch {
	case s.Off && !was.Off:
		t.healthOff()
	case was.Off && !s.Off:
		t.health.become(Healthy, "", "")
		t.health.passes, t.health.failures = 0, 0
		poke(t.recheck)
	case s.Interval != was.Interval || s.Path != was.Path || !slices.Equal(s.Status, was.Status):
		poke(t.recheck)
	}
}

// healthOff: the caller holds Groups.mu, or nobody knows t yet.
func (t *Target) healthOff() {
	was := t.health.fit()
	t.health.become(Unavailable, HealthCheckDisabled, "Health checks are disabled for this target group.")
	if !was {
		t.becameHealthy()
	}
}
