package target

import (
	"cmp"
	"slices"
	"time"
)

// GroupStatus is what an operator sees of a group.
type GroupStatus struct {
	Group     string         `json:"group"`
	Algorithm string         `json:"algorithm"`
	FailOpen  bool           `json:"fail_open"` // no target is healthy, so all get requests
	Gone      bool           `json:"gone"`      // not in the configuration any more, draining
	Targets   []TargetStatus `json:"targets"`   // registered ones first, in the order of the file
}

// TargetStatus is what an operator sees of a target. Times in milliseconds are for people who compare, not for sums.
type TargetStatus struct { //nolint:revive // beside GroupStatus, a bare Status would not say whose
	Target          string     `json:"target"`
	State           State      `json:"state"`
	Reason          Reason     `json:"reason,omitempty"`
	Description     string     `json:"description,omitempty"`
	Since           time.Time  `json:"since"` // of State
	InFlight        int        `json:"in_flight"`
	Weight          int        `json:"weight"`
	EffectiveWeight float64    `json:"effective_weight"` // 0 when it gets no requests now; less than Weight in slow start
	Requests        uint64     `json:"requests"`
	ConnectErrors   uint64     `json:"connect_errors"`
	LastCheck       *time.Time `json:"last_check,omitempty"`
	LastCheckMS     float64    `json:"last_check_ms,omitempty"`
	EjectedUntil    *time.Time `json:"ejected_until,omitempty"`
}

// Status returns all groups, by name.
func (g *Groups) Status() []GroupStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]GroupStatus, 0, len(g.groups))
	for _, group := range g.groups {
		all = append(all, group.status())
	}
	slices.SortFunc(all, func(a, b GroupStatus) int { return cmp.Compare(a.Group, b.Group) })
	return all
}

// status: the caller holds Groups.mu.
func (g *Group) status() GroupStatus {
	v := g.view.Load()
	s := GroupStatus{Group: g.name, Algorithm: v.algorithm, FailOpen: v.failOpen, Gone: g.gone, Targets: []TargetStatus{}}
	for _, t := range g.targets {
		s.Targets = append(s.Targets, t.status(v))
	}
	for _, t := range g.leaving {
		s.Targets = append(s.Targets, t.status(v))
	}
	return s
}

// status: the caller holds Groups.mu.
func (t *Target) status(v *view) TargetStatus {
	h := &t.health
	s := TargetStatus{
		Target: t.name, State: h.state, Reason: h.reason, Description: h.description, Since: h.since,
		InFlight: t.InFlight(), Weight: t.weight, Requests: t.requests.Load(), ConnectErrors: t.connectErrors.Load(),
	}
	if !t.draining.Load() && slices.Contains(v.eligible, t) {
		s.EffectiveWeight = float64(t.weight)
		if v.slowStart > 0 {
			s.EffectiveWeight *= t.warmth(v.slowStart)
		}
	}
	if !h.checked.IsZero() {
		at := h.checked
		s.LastCheck, s.LastCheckMS = &at, float64(h.took.Microseconds())/1000
	}
	if t.ejection.phase == ejected {
		until := t.ejection.until
		s.EjectedUntil = &until
	}
	return s
}
