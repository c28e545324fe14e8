package target

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onehost/edge/core/config"
)

// MaxWeight is a target's greatest weight.
const MaxWeight = 999

// Check finds what is wrong with the target groups of a configuration: what only this room can judge.
func Check(cfg *config.Config) []config.Problem {
	var problems []config.Problem
	for _, name := range slices.Sorted(maps.Keys(cfg.TargetGroups)) {
		group := cfg.TargetGroups[name]
		first := map[string]int{}
		for i, t := range group.Targets {
			addr, err := ParseAddress(t.URL)
			if err != nil {
				problems = append(problems, cfg.Problem(err.Error(), "target_groups", name, "targets", i))
				continue
			}
			if t.Weight < 0 || t.Weight > MaxWeight {
				problems = append(problems, cfg.Problem(fmt.Sprintf("a weight is 0 to %d", MaxWeight), "target_groups", name, "targets", i, "weight"))
			}
			if before, twice := first[addr.String()]; twice {
				problems = append(problems, cfg.Problem(fmt.Sprintf("%s is a target of this group already (number %d)", t.URL, before+1), "target_groups", name, "targets", i))
				continue
			}
			first[addr.String()] = i
		}
	}
	return problems
}
