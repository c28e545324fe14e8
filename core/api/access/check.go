package access

import (
	"errors"
	"maps"
	"slices"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// Check finds what permissions and access name that is not there, and filters that can't be meant.
func Check(cfg *config.Config, set *schema.Set) (problems []config.Problem) {
	if cfg.API == nil {
		return nil
	}
	p := &Policy{set: set}
	for _, role := range slices.Sorted(maps.Keys(cfg.API.Permissions)) {
		if near := query.Near(role, []string{Public, Authenticated}); near != "" && role != Public && role != Authenticated {
			problems = append(problems, cfg.Warning(cfg.Show(role)+" is a role of its own"+near, "api", "permissions", role))
		}
		for i, text := range cfg.API.Permissions[role] {
			at := []any{"api", "permissions", role, i}
			if err := p.words(text, func(permit) {}); err != nil {
				problems = append(problems, cfg.Problem(cfg.Show(text, at...)+" "+err.Error(), at...))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.API.Access)) {
		at := []any{"api", "access", name}
		t := p.typeOf(name)
		if t == nil {
			problems = append(problems, cfg.Problem(cfg.Show(name)+" is no content type"+query.Near(name, p.types()), at...))
			continue
		}
		_, errs := p.rule(t, cfg.API.Access[name])
		for _, err := range errs {
			where := slices.Clone(at)
			if f, ok := errors.AsType[*query.FilterError](err); ok {
				where = append(where, f.Path...)
			}
			problems = append(problems, cfg.Problem(err.Error(), where...))
		}
	}
	return problems
}
