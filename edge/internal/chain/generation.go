package chain

import (
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/rules"
)

// A generation is a table with what the chain keeps for each of its hosts and rules, found by their index. A request stays with the
// generation that it began with.
type generation struct {
	table *rules.Table
	hosts []hostState
}

// A hostState is what the chain keeps for one host.
type hostState struct {
	host    *rules.Host
	metrics *hostMetrics
	limiter *limiter
	rules   []*limiter
}

// newGeneration makes the generation after old, which may be nil, and carries over what didn't change.
func newGeneration(table *rules.Table, old *generation, metrics *Metrics) *generation {
	before := make(map[string]*hostState)
	if old != nil {
		for i := range old.hosts {
			before[old.hosts[i].host.Name] = &old.hosts[i]
		}
	}
	hosts := table.Hosts()
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	counts := metrics.serve(names)
	g := &generation{table: table, hosts: make([]hostState, len(hosts))}
	for i, h := range hosts {
		g.hosts[i] = newHostState(h, before[h.Name], counts[i])
	}
	return g
}

func newHostState(h *rules.Host, old *hostState, metrics *hostMetrics) hostState {
	s := hostState{host: h, metrics: metrics}
	var oldRules []*limiter
	var oldLimiter *limiter
	if old != nil {
		oldLimiter, oldRules = old.limiter, old.rules
	}
	s.limiter = newLimiter(h.Limits, oldLimiter)
	rules := h.Rules()
	limits := make([]config.Limits, len(rules))
	for i, r := range rules {
		limits[i] = r.Limits
	}
	s.rules = newRuleLimiters(limits, oldRules)
	return s
}

// newRuleLimiters makes the limiters of a host's rules. Rules have no names that stay: one put before them moves all others.
// So each takes over from the next old one with the same limits; what has changed then takes over from who stood in its place.
func newRuleLimiters(limits []config.Limits, old []*limiter) []*limiter {
	made := make([]*limiter, len(limits))
	taken := make([]bool, len(old))
	next := 0
	for i, l := range limits {
		for j := next; j < len(old); j++ {
			if old[j] != nil && old[j].limits == l {
				made[i], taken[j], next = newLimiter(l, old[j]), true, j+1
				break
			}
		}
	}
	for i, l := range limits {
		if made[i] != nil {
			continue
		}
		var from *limiter
		if i < len(old) && !taken[i] {
			from = old[i]
		}
		made[i] = newLimiter(l, from)
	}
	return made
}
