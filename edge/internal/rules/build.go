package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// Build compiles the hosts and rules of cfg into a table. Its error joins every [config.Problem] that is not a warning, and
// what actions refuses.
func Build(cfg *config.Config, actions Actions) (*Table, error) {
	c := &compiler{cfg: cfg, actions: actions, gate: newGate()}
	table := c.table()
	var failed []error
	for _, p := range c.problems {
		if !p.Warning {
			failed = append(failed, p)
		}
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	return table, nil
}

// Check returns what is wrong with the hosts and rules of cfg, and warns of rules that no request can get.
func Check(cfg *config.Config) []config.Problem {
	c := &compiler{cfg: cfg, actions: Offline{}, gate: newGate()}
	table := c.table()
	for _, h := range table.hosts {
		c.warnUnreachable(h)
	}
	return c.problems
}

// Offline are actions that can be explained and not served: they answer 503.
type Offline struct{}

// Site returns a handler that answers 503.
func (Offline) Site(string) (exchange.Handler, error) { return exchange.HandlerFunc(offline), nil }

// Forward returns a handler that answers 503.
func (Offline) Forward(map[string]int) (exchange.Handler, error) {
	return exchange.HandlerFunc(offline), nil
}

// API returns a handler that answers 503.
func (Offline) API() (exchange.Handler, error) { return exchange.HandlerFunc(offline), nil }

// Forms returns a handler that answers 503.
func (Offline) Forms() (exchange.Handler, error) { return exchange.HandlerFunc(offline), nil }

// Webhooks returns a handler that answers 503.
func (Offline) Webhooks() (exchange.Handler, error) { return exchange.HandlerFunc(offline), nil }

// Function returns a handler that answers 503.
func (Offline) Function(string, *Route) (exchange.Handler, error) {
	return exchange.HandlerFunc(offline), nil
}

// Draining reports false.
func (Offline) Draining() bool { return false }

func offline(x *exchange.Exchange) { reply.Error(x, 503, "offline") }

// A compiler makes a table and collects what is wrong on the way.
type compiler struct {
	cfg      *config.Config
	actions  Actions
	gate     *gate
	names    map[string]*Host // names and aliases so far
	problems []config.Problem
}

func (c *compiler) wrong(message string, path ...any) {
	c.problems = append(c.problems, c.cfg.Problem(message, path...))
}

func (c *compiler) warn(message string, path ...any) {
	c.problems = append(c.problems, c.cfg.Warning(message, path...))
}

// inside returns a wrong for the keys below path, and a show.
func (c *compiler) inside(path []any) (wrong func(message, key string), show func(text, key string) string) {
	return func(message, key string) { c.wrong(message, at(path, key)...) },
		func(text, key string) string { return c.cfg.Show(text, at(path, key)...) }
}

// place is FILE:LINE of path.
func (c *compiler) place(path ...any) string {
	p := c.cfg.Problem("", path...)
	if p.File == "" {
		return ""
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

func (c *compiler) table() *Table {
	t := &Table{names: map[string]*Host{}, wildcards: map[string]*Host{}}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Hosts)) {
		h := &Host{Name: name, Index: len(t.hosts)}
		t.hosts = append(t.hosts, h)
		if rest, wildcard := strings.CutPrefix(name, "*."); wildcard {
			t.wildcards[rest] = h
		} else if name == "*" {
			t.other = h
		} else {
			t.names[name] = h
		}
	}
	for _, h := range t.hosts {
		for i, name := range c.cfg.Hosts[h.Name].Aliases {
			if other := t.names[name]; other != nil {
				c.wrong(fmt.Sprintf("alias %s is host %s or an alias of it already", name, other.Name), "hosts", h.Name, "aliases", i)
				continue
			}
			t.names[name] = h
		}
	}
	c.names = t.names
	for _, h := range t.hosts {
		c.host(h)
	}
	return t
}

func (c *compiler) host(h *Host) {
	cfg := c.cfg.Hosts[h.Name]
	h.Plain, h.Limits, h.Place = cfg.TLS.Off, cfg.Limits, c.place("hosts", h.Name)
	var secure *hsts
	if cfg.HSTS > 0 {
		h.hsts = "max-age=" + strconv.FormatInt(int64(cfg.HSTS/time.Second), 10)
		secure = &hsts{h.hsts}
	}
	for i := range cfg.Rules {
		rule := c.rule(h, secure, &cfg.Rules[i], strconv.Itoa(i+1), "hosts", h.Name, "rules", i)
		h.ordered = append(h.ordered, rule)
	}
	if cfg.Default == nil {
		c.wrong("the host needs a default: what is done with requests that no rule takes", "hosts", h.Name)
		cfg.Default = &config.Rule{Respond: &config.Respond{Status: 404}}
	}
	h.def = c.rule(h, secure, cfg.Default, "default", "hosts", h.Name, "default")
	if len(h.def.conditions) > 0 {
		c.wrong("default takes every request that no rule takes; a condition belongs to a rule", "hosts", h.Name, "default")
	}
	c.builtIn(h, &cfg, secure)
	c.checkLoops(h)
}

// builtIn adds the rules that cfg's health, aliases and maintenance make.
func (c *compiler) builtIn(h *Host, cfg *config.Host, secure *hsts) {
	add := func(name, describe string, action exchange.Handler) *Rule {
		rule := &Rule{Name: name, Index: len(h.rules), Place: c.place("hosts", h.Name, name), Handler: action}
		if secure != nil {
			rule.Handler = &pipeline{hsts: secure, action: action}
		}
		rule.about.action = describe
		h.rules = append(h.rules, rule)
		return rule
	}
	if cfg.Health != "" {
		path, err := exchange.NormalPath(cfg.Health)
		if err != nil {
			c.wrong("health: "+err.Error(), "hosts", h.Name, "health")
		}
		h.health = path
		h.healthRule = add("health", "respond 200, or 503 while draining", newHealth(c.actions.Draining))
	}
	if len(cfg.Aliases) > 0 {
		if strings.HasPrefix(h.Name, "*") {
			c.wrong("a wildcard host can't have aliases: there is no one name to redirect them to", "hosts", h.Name, "aliases")
		}
		h.aliases = map[string]bool{}
		for _, name := range cfg.Aliases {
			h.aliases[name] = true
		}
		a := &alias{host: bracketed(h.Name), port: c.cfg.Listen.PublicPort}
		h.aliasRule = add("alias", "redirect to "+h.Name+" (301, or 308 unless GET or HEAD)", a)
		h.aliasRule.Place = c.place("hosts", h.Name, "aliases")
		h.aliasRule.about.location = a.location
	}
	if cfg.Maintenance {
		h.maintenance = add("maintenance", "respond 503, down for maintenance", exchange.HandlerFunc(reply.Maintenance))
	}
}

// rule compiles one rule, adds it to h and returns it.
func (c *compiler) rule(h *Host, secure *hsts, cfg *config.Rule, name string, path ...any) *Rule {
	rule := &Rule{Name: name, Index: len(h.rules), Limits: cfg.Limits, Place: c.place(path...)}
	h.rules = append(h.rules, rule)
	rule.conditions = c.conditions(cfg, path)
	p := &pipeline{
		hsts:     secure,
		response: c.fieldChanges(cfg.Headers, false, path),
		request:  c.fieldChanges(cfg.Headers, true, path),
	}
	if cfg.CORS != nil {
		p.cors = c.cors(cfg.CORS, path)
	}
	if cfg.Auth != nil {
		p.auth = c.auth(h, cfg.Auth, path)
	}
	if cfg.Rewrite != nil {
		wrong, show := c.inside(at(path, "rewrite"))
		p.rewrite = newRewrite(cfg.Rewrite, wrong, show)
	}
	rule.about = c.describe(cfg, path)
	p.action = c.action(h, rule, cfg, path)
	rule.Handler = p
	if p.isEmpty() {
		rule.Handler = p.action
	}
	return rule
}

// at returns path with more behind it, in memory of its own.
func at(path []any, more ...any) []any { return append(slices.Clone(path), more...) }

// action makes the one action of a rule.
func (c *compiler) action(h *Host, rule *Rule, cfg *config.Rule, path []any) exchange.Handler {
	var handler exchange.Handler
	var err error
	var key string
	count := 0
	if cfg.Site != "" {
		count++
		key = "site"
		handler, err = c.actions.Site(cfg.Site)
	}
	if cfg.Forward != nil {
		count++
		key = "forward"
		handler, err = c.actions.Forward(cfg.Forward)
	}
	if cfg.API {
		count++
		key = "api"
		handler, err = c.actions.API()
	}
	if cfg.Forms {
		count++
		key = "forms"
		handler, err = c.actions.Forms()
	}
	if cfg.Webhooks {
		count++
		key = "webhooks"
		handler, err = c.actions.Webhooks()
	}
	if cfg.Function != "" {
		count++
		key = "function"
		handler, err = c.actions.Function(cfg.Function, newRoute(cfg))
	}
	if cfg.Redirect != nil {
		count++
		d, ok := c.redirect(h, cfg.Redirect, path)
		if ok {
			rule.about.redirect = d
		}
		rule.about.location = func(r *exchange.Request) string { u := d.location(r); return u.String() }
		handler = d
	}
	if cfg.Respond != nil {
		count++
		handler = c.respond(cfg.Respond, path)
	}
	if err != nil {
		c.wrong(key+": "+err.Error(), at(path, key)...)
	}
	if count != 1 {
		c.wrong("a rule needs exactly one action: site, forward, forms, webhooks, function, redirect or respond", path...)
		return exchange.HandlerFunc(offline)
	}
	return handler
}

func (c *compiler) respond(cfg *config.Respond, path []any) exchange.Handler {
	if err := checkFieldValue(cfg.Type); err != nil {
		c.wrong("respond: type "+err.Error(), at(path, "respond", "type")...)
	}
	if (cfg.Status == 204 || cfg.Status == 304) && cfg.Body != "" {
		c.warn(fmt.Sprintf("respond: an answer with status %d has no body; this one is never sent", cfg.Status), at(path, "respond", "body")...)
	}
	return reply.Fixed(cfg.Status, cfg.Type, cfg.Body)
}

// conditions compiles the conditions of a rule, those first that are cheap to decide.
func (c *compiler) conditions(cfg *config.Rule, path []any) []condition {
	var all []condition
	if len(cfg.Method) > 0 {
		all = append(all, c.method(cfg, path))
	}
	if len(cfg.Path) > 0 {
		all = append(all, &pathCondition{c.globs(pathGlob, "path", cfg.Path, at(path, "path"))})
	}
	if len(cfg.SourceIP) > 0 {
		all = append(all, &sourceCondition{prefixes: cfg.SourceIP})
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Header)) {
		where := at(path, "header", name)
		if err := checkConditionName(name); err != nil {
			c.wrong(fmt.Sprintf("header: %q %v", name, err), where...)
		}
		all = append(all, &headerCondition{name, c.globs(valueGlob, "header "+name, cfg.Header[name], where)})
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Query)) {
		where := at(path, "query", key)
		g, err := valueGlob(key)
		if err != nil {
			c.wrong(fmt.Sprintf("query: %q %v", key, err), where...)
			continue
		}
		g.shown = key
		all = append(all, &queryCondition{g, c.globs(valueGlob, "query "+key, cfg.Query[key], where)})
	}
	if len(cfg.PathRegex) > 0 {
		all = append(all, c.regex(cfg.PathRegex, at(path, "path_regex")))
	}
	return all
}

func (c *compiler) globs(compile func(string) (*glob, error), what string, texts []string, path []any) []*glob {
	var globs []*glob
	if len(texts) == 0 {
		c.wrong(what+`: needs a value; "*" takes any`, path...)
	}
	for i, text := range texts {
		shown := c.cfg.Show(text, at(path, i)...)
		g, err := compile(text)
		if err != nil {
			c.wrong(what+": "+shown+" "+err.Error(), at(path, i)...)
			continue
		}
		g.shown = shown
		globs = append(globs, g)
	}
	return globs
}
