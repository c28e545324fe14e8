package target

import "time"

// A target that can't be connected to is left out for a moment without waiting for a health check, and longer each
// time. When that time is over it is half-open: one request may try it, and its outcome decides.
const (
	firstEjection   = time.Second
	longestEjection = time.Minute
)

// ejection is under Groups.mu.
type ejection struct {
	phase phase
	times int // in a row
	since time.Time
	until time.Time
	timer *time.Timer
}

type phase uint8

const (
	in phase = iota
	ejected
	halfOpen
)

// judge takes the outcome of a request to t into account. why is for the log, of what could not be connected.
func (g *Groups) judge(t *Target, o Outcome, trial bool, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case t.draining.Load():
	case o == Answered && t.ejection.phase == halfOpen:
		g.reinstate(t)
	case o == ConnectFailed && (t.ejection.phase == halfOpen || (t.ejection.phase == in && t.group.canSpare(t))):
		g.eject(t, why)
	}
	if trial {
		t.trial.Store(false)
	}
}

// eject takes t out. The caller holds mu.
func (g *Groups) eject(t *Target, why error) {
	e := &t.ejection
	pause := min(firstEjection<<min(e.times, 10), longestEjection)
	now := time.Now()
	e.phase, e.times, e.since, e.until = ejected, e.times+1, now, now.Add(pause)
	e.timer = time.AfterFunc(pause, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if e.phase == ejected && !time.Now().Before(e.until) && !t.draining.Load() {
			e.phase = halfOpen
			t.group.rebuild()
		}
	})
	t.troubled.Store(true)
	t.group.rebuild()
	g.options.Log.Warn("target ejected: can't connect", "group", t.group.name, "target", t.name, "for", pause, "error", why)
}

// reinstate takes t in again. The caller holds mu.
func (g *Groups) reinstate(t *Target) {
	t.forgetEjection()
	t.group.rebuild()
	g.options.Log.Info("target reinstated", "group", t.group.name, "target", t.name)
}

// forgetEjection: the caller holds mu.
func (t *Target) forgetEjection() {
	if t.ejection.timer != nil {
		t.ejection.timer.Stop()
	}
	t.ejection = ejection{}
	t.troubled.Store(false)
}
