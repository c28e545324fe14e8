package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// about says in words for people what a rule does.
type about struct {
	action   string
	location func(*exchange.Request) string // where a request is sent; nil unless the action is a redirect
	redirect *redirect                      // nil unless the action is one
	forms    map[string]config.Form         // nil unless the action takes them
	webhooks map[string]config.Webhook      // nil unless the action takes them
	prefix   string                         // of the content API; "" unless the action leads there
	rewrite  string
	headers  []string
	cors     string
	auth     string
}

func (c *compiler) describe(r *config.Rule, path []any) about {
	a := about{action: c.describeAction(r, path)}
	if r.API {
		a.prefix = c.cfg.API.Prefix
	}
	if r.Forms {
		a.forms = c.cfg.Forms
	}
	if r.Webhooks {
		a.webhooks = c.cfg.Webhooks
	}
	if w := r.Rewrite; w != nil {
		a.rewrite = c.describeRewrite(w, at(path, "rewrite"))
	}
	if h := r.Headers; h != nil {
		a.headers = append(describeChanges("request", &h.Request), describeChanges("response", &h.Response)...)
	}
	if r.CORS != nil {
		a.cors = "for " + strings.Join(r.CORS.Origins, ", ")
		if r.CORS.Credentials {
			a.cors += ", with credentials"
		}
	}
	if r.Auth != nil {
		a.auth = fmt.Sprintf("basic, %d names", len(r.Auth.Basic))
		if len(r.Auth.Basic) == 1 {
			a.auth = "basic, 1 name"
		}
	}
	return a
}

// describeChanges names the fields and leaves out their values, which may be secret.
func describeChanges(side string, c *config.FieldChanges) []string {
	var changes []string
	for _, name := range c.Remove {
		changes = append(changes, side+": remove "+name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		changes = append(changes, side+": set "+name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		changes = append(changes, side+": add "+name)
	}
	return changes
}

func (c *compiler) describeAction(r *config.Rule, path []any) string {
	switch {
	case r.Site != "":
		return "site " + r.Site
	case len(r.Forward) > 0:
		return describeForward(r.Forward)
	case r.API:
		return "content API below " + c.cfg.API.Prefix
	case r.Forms:
		return "forms " + strings.Join(slices.Sorted(maps.Keys(c.cfg.Forms)), ", ")
	case r.Webhooks:
		return "webhooks " + strings.Join(slices.Sorted(maps.Keys(c.cfg.Webhooks)), ", ")
	case r.Function != "":
		return "function " + r.Function
	case r.Redirect != nil:
		return fmt.Sprintf("redirect %d to %s", r.Redirect.Status, c.cfg.Show(r.Redirect.To, at(path, "redirect", "to")...))
	case r.Respond != nil:
		return fmt.Sprintf("respond %d, %s, %d bytes", r.Respond.Status, r.Respond.Type, len(r.Respond.Body))
	}
	return "none"
}

// describeForward is "forward a 90%, b 10%", the largest share first.
func describeForward(weights map[string]int) string {
	groups := slices.SortedFunc(maps.Keys(weights), func(a, b string) int {
		if weights[a] != weights[b] {
			return weights[b] - weights[a]
		}
		return strings.Compare(a, b)
	})
	if len(groups) == 1 {
		return "forward " + groups[0]
	}
	total := 0
	for _, w := range weights {
		total += w
	}
	shares := make([]string, len(groups))
	for i, g := range groups {
		shares[i] = g + " 0%"
		if total > 0 {
			share := fmt.Sprintf("%.1f", 100*float64(weights[g])/float64(total))
			shares[i] = g + " " + strings.TrimSuffix(share, ".0") + "%"
		}
	}
	return "forward " + strings.Join(shares, ", ")
}

func (c *compiler) describeRewrite(w *config.Rewrite, path []any) string {
	_, show := c.inside(path)
	var parts []string
	if w.Path != "" {
		parts = append(parts, "path to "+show(w.Path, "path"))
	}
	if w.Host != "" {
		parts = append(parts, "host to "+show(w.Host, "host"))
	}
	text := strings.Join(parts, ", ")
	if w.Regex != "" {
		text += " where it matches " + show(w.Regex, "regex")
	}
	return text
}
