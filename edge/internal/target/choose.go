package target

import (
	"cmp"
	"slices"
)

// Values of config.TargetGroup.
const (
	leastOutstanding = "least_outstanding"
	weightedRandom   = "weighted_random"
	fail             = "fail"
)

// Choice is what a request brings that matters for who gets it.
type Choice struct {
	Cookie string    // the value of the cookie called CookieName, "" for none
	Tried  []*Target // who has had this request already and failed
}

// Choose picks the target for a request and counts the request as in flight until the lease's Done.
// It reports false when there is nobody: no healthy target, or all of them have been tried.
func (g *Group) Choose(c Choice) (Lease, bool) {
	for {
		v := g.view.Load()
		l := Lease{sticky: v.sticky}
		if l.Target, l.cookie = g.stuckTo(v, c); l.Target == nil {
			l.cookie = v.sticky != nil
			if l.Target = v.trying(c.Tried); l.Target != nil {
				l.trial = true
			} else {
				l.Target = g.next(v, c.Tried)
			}
		}
		if l.Target == nil {
			return Lease{}, false
		}
		if l.Target.acquire() {
			l.Target.requests.Add(1)
			return l, true
		}
		if l.trial {
			l.Target.trial.Store(false)
		}
		if g.view.Load() == v { // a target ends only after a view without it was published, unless all has ended
			return Lease{}, false
		}
	}
}

// trying returns a half-open target that nobody else is trying.
func (v *view) trying(tried []*Target) *Target {
	for _, t := range v.trials {
		if !slices.Contains(tried, t) && t.trial.CompareAndSwap(false, true) {
			return t
		}
	}
	return nil
}

// next picks by the algorithm.
func (g *Group) next(v *view, tried []*Target) *Target {
	if len(v.eligible) == 0 {
		return nil
	}
	if v.algorithm == leastOutstanding {
		return g.leastBusy(v, tried)
	}
	// A slot whose target can't be taken is dropped and the next one drawn, so that what it loses goes to all others alike.
	for range 2*len(v.slots) + 8 {
		t := v.slots[g.draw(v)%uint64(len(v.slots))]
		if slices.Contains(tried, t) || (v.slowStart > 0 && g.tooCold(v, t)) {
			continue
		}
		return t
	}
	first := g.first(v)
	for i := range v.eligible {
		if t := v.eligible[(first+i)%len(v.eligible)]; !slices.Contains(tried, t) {
			return t
		}
	}
	return nil
}

func (g *Group) draw(v *view) uint64 {
	if v.algorithm == weightedRandom {
		return g.groups.options.Rand()
	}
	return g.turn.Add(1) - 1
}

// tooCold decides by lot whether t, being in slow start, lets this turn pass.
func (g *Group) tooCold(v *view, t *Target) bool {
	warmth := t.warmth(v.slowStart)
	return warmth < 1 && g.groups.lot() >= warmth
}

// leastBusy picks the target with the fewest requests for its weight; who begins takes turns.
func (g *Group) leastBusy(v *view, tried []*Target) *Target {
	var best *Target
	var bestLoad int64
	first := g.first(v)
	for i := range v.eligible {
		t := v.eligible[(first+i)%len(v.eligible)]
		if slices.Contains(tried, t) {
			continue
		}
		load := int64(t.InFlight()) + 1
		// Compare load/weight without dividing.
		if best == nil || load*int64(best.weight) < bestLoad*int64(t.weight) {
			best, bestLoad = t, load
		}
	}
	return best
}

// first returns where a search through the eligible ones begins: each time one further.
func (g *Group) first(v *view) int {
	return int((g.turn.Add(1) - 1) % uint64(len(v.eligible))) // less than a length
}

// maxSlots bounds the length of a schedule: above it weights are rounded.
const maxSlots = 4096

// schedule lists targets in the order of their turns: each as often as its weight says, evenly spread (smooth
// weighted round robin). A target of weight w has its k-th turn at (k+½)/w of the round.
func schedule(targets []*Target) []*Target {
	weights := make([]int, len(targets))
	sum, divisor := 0, 0
	for i, t := range targets {
		weights[i] = t.weight
		sum += t.weight
		divisor = gcd(divisor, t.weight)
	}
	type turn struct {
		at float64
		t  *Target
	}
	var turns []turn
	for i, t := range targets {
		w := weights[i] / divisor
		if limit := max(maxSlots, len(targets)); sum/divisor > limit {
			w = max(1, int(float64(weights[i])/float64(sum)*float64(limit)))
		}
		for k := range w {
			turns = append(turns, turn{(float64(k) + 0.5) / float64(w), t})
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	slots := make([]*Target, len(turns))
	for i := range turns {
		slots[i] = turns[i].t
	}
	return slots
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
