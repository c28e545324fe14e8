package rules

import (
	"slices"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// warnUnreachable warns of rules that no request can get because an earlier one takes all of theirs.
func (c *compiler) warnUnreachable(h *Host) {
	for i, rule := range h.ordered {
		for _, earlier := range h.ordered[:i] {
			if len(earlier.conditions) == 0 || !earlier.takesAllOf(rule) {
				continue // that a rule has no conditions is warned of where it stands
			}
			c.warn("no request gets this rule: rule "+earlier.Name+" ("+earlier.Place+") takes all of them", "hosts", h.Name, "rules", i)
			break
		}
	}
}

// takesAllOf reports whether rule holds wherever other does. It may say no where yes is true, never the other way.
func (rule *Rule) takesAllOf(other *Rule) bool {
	return !slices.ContainsFunc(rule.conditions, func(c condition) bool {
		return !slices.ContainsFunc(other.conditions, c.covers)
	})
}

// maxHops is how often a redirect may lead to its own rule before it is taken for a circle. Browsers give up at 20.
const maxHops = 8

// checkLoops refuses redirects that lead back to their own rule: /old/* to /old/new. ALB refuses only those that change
// nothing. Rules whose conditions are about more than the path and the method GET are left to the guard that
// every redirect has when it runs.
func (c *compiler) checkLoops(h *Host) {
	for _, rule := range h.rules {
		d := rule.about.redirect
		if d == nil || !d.staysOn(h) || !rule.onlyPath() {
			continue
		}
		if circle := h.circle(rule, d); circle != nil {
			path := []any{"hosts", h.Name, "rules", rule.Index, "redirect", "to"}
			if rule == h.def {
				path = []any{"hosts", h.Name, "default", "redirect", "to"}
			}
			c.wrong("redirect: leads back to its own rule, in a circle: "+strings.Join(circle, " → "), path...)
		}
	}
}

// staysOn reports whether d leads to h by the protocol that visitors come by, without changing host or port.
func (d *redirect) staysOn(h *Host) bool {
	whole := *d
	whole.path = template{{literal: "/"}, {keyword: "path"}}
	return whole.changesNothing(h)
}

// onlyPath reports whether the rule takes or leaves a GET by its path alone.
func (rule *Rule) onlyPath() bool {
	return !slices.ContainsFunc(rule.conditions, func(c condition) bool {
		switch c := c.(type) {
		case *pathCondition, *regexCondition:
			return false
		case *methodCondition:
			return !slices.Contains(c.methods, "GET")
		default:
			return true
		}
	})
}

// circle follows d from a path that rule takes. It returns the first of the places if they never leave the rule.
func (h *Host) circle(rule *Rule, d *redirect) []string {
	name := strings.Replace(h.Name, "*", "x", 1)
	for _, start := range rule.samplePaths() {
		r := exchange.Request{Method: "GET", Scheme: "https", Hostname: name, RawPath: start}
		if h.Plain {
			r.Scheme = "http"
		}
		places := []string{start}
		for range maxHops {
			u := d.location(&r)
			path, err := exchange.NormalPath(u.path)
			r.RawPath, r.Path = u.path, path
			if err != nil || !h.mustTake(rule, &r) {
				places = nil
				break
			}
			if !slices.Contains(places, r.RawPath) && len(places) < 3 {
				places = append(places, r.RawPath)
			}
		}
		if places != nil {
			return append(places, "…")
		}
	}
	return nil
}

// mustTake reports whether rule takes r for certain: by its path, with no earlier rule that could take it.
func (h *Host) mustTake(rule *Rule, r *exchange.Request) bool {
	if h.healthRule != nil && r.Path == h.health {
		return false
	}
	for _, earlier := range h.ordered {
		if earlier == rule {
			break
		}
		if earlier.pathHolds(r) {
			return false
		}
	}
	return rule.pathHolds(r)
}

func (rule *Rule) pathHolds(r *exchange.Request) bool {
	for _, c := range rule.conditions {
		switch c.(type) {
		case *pathCondition, *regexCondition:
			if !c.holds(r) {
				return false
			}
		}
	}
	return true
}

// samplePaths returns a path for each pattern of the rule, or one that may not even match if it has none.
func (rule *Rule) samplePaths() []string {
	var samples []string
	for _, c := range rule.conditions {
		if p, ok := c.(*pathCondition); ok {
			for _, g := range p.globs {
				samples = append(samples, g.sample())
			}
		}
	}
	if samples == nil {
		samples = []string{"/x"}
	}
	return samples
}

// sample returns a path that g matches.
func (g *glob) sample() string {
	var b []byte
	for _, t := range g.tokens() {
		if t >= anyByte {
			t = 'x'
		}
		b = append(b, byte(t))
	}
	if !strings.HasPrefix(string(b), "/") {
		return "/" + string(b)
	}
	return string(b)
}
