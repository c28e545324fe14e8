package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A checker finds what is wrong between settings that are each right by themselves.
type checker struct {
	*Config
	partial    bool // something could not be decoded: what is missing may stand in the file all the same
	problems   []Problem
	conditions []field         // of a rule
	used       map[string]bool // path keys of the sites and target groups that a rule refers to

	siteNames, groupNames, functionNames, formNames, webhookNames, pluginNames, jobNames []string // sorted
}

// check returns what is wrong between settings. Parts of the Config that could not be decoded are left out of it.
func check(c *Config, partial bool) []Problem {
	k := &checker{
		Config: c, partial: partial, used: map[string]bool{},
		siteNames: slices.Sorted(maps.Keys(c.Sites)), groupNames: slices.Sorted(maps.Keys(c.TargetGroups)),
		functionNames: slices.Sorted(maps.Keys(c.Functions)), formNames: slices.Sorted(maps.Keys(c.Forms)),
		webhookNames: slices.Sorted(maps.Keys(c.Webhooks)), pluginNames: slices.Sorted(maps.Keys(c.Plugins)),
		jobNames: slices.Sorted(maps.Keys(c.Jobs)),
	}
	for _, f := range shapeOf(reflect.TypeFor[Rule]()).fields {
		if f.condition {
			k.conditions = append(k.conditions, f)
		}
	}
	k.store()
	k.listen()
	k.tls()
	k.sites()
	for _, name := range k.groupNames {
		k.group(name, c.TargetGroups[name])
	}
	k.api()
	k.functions()
	k.forms()
	k.webhooks()
	k.plugins()
	k.jobs()
	k.mail()
	k.names()
	for _, name := range slices.Sorted(maps.Keys(c.Hosts)) {
		k.host(name, c.Hosts[name])
	}
	if !k.partial {
		k.unused()
	}
	return k.problems
}

// A path leads to a setting, as in Config.Problem.
type path []any

func (p path) to(more ...any) path { return slices.Concat(p, more) }

func (k *checker) fail(at path, format string, args ...any) {
	k.note(k.Problem(fmt.Sprintf(format, args...), at...))
}

func (k *checker) warn(at path, format string, args ...any) {
	k.note(k.Warning(fmt.Sprintf(format, args...), at...))
}

func (k *checker) note(p Problem) {
	if !k.full() {
		k.problems = append(k.problems, p)
	}
}

// full reports whether there are so many problems that more help nobody.
func (k *checker) full() bool { return len(k.problems) >= maxProblems }

// given reports whether a setting stands in a file, even if it could not be read.
func (k *checker) given(at path) bool {
	_, ok := k.places[pathKey(at...)]
	return ok
}

// bad reports whether a setting stands in a file and could not be read.
func (k *checker) bad(at path) bool { return k.places[pathKey(at...)].bad }

func (k *checker) listen() {
	at := path{"listen"}
	first := map[string]string{}
	for _, list := range []struct {
		key       string
		addresses []string
	}{{"http", k.Listen.HTTP}, {"https", k.Listen.HTTPS}, {"metrics", []string{k.Listen.Metrics}}} {
		for i, address := range list.addresses {
			here := at.to(list.key, i)
			if list.key == "metrics" {
				here = at.to(list.key)
			}
			if key, taken := first[address]; taken && !strings.HasSuffix(address, ":0") {
				k.fail(here, "%s is an address of %s already", k.Show(address, here...), key)
			}
			if address != "" {
				first[address] = list.key
			}
		}
	}
	if len(k.Listen.HTTP)+len(k.Listen.HTTPS) == 0 {
		k.fail(at.to("https"), "there is no address that visitors could come to: http and https are both empty")
	}
	for i, prefix := range k.Listen.TrustedProxies {
		if prefix.IsValid() && prefix.Bits() == 0 {
			k.warn(at.to("trusted_proxies", i), "everybody is trusted to say who they are: any visitor can forge the client address")
		}
	}
}

func (k *checker) sites() {
	for _, name := range k.siteNames {
		sources := k.Sites[name].CSP.Sources
		for _, directive := range slices.Sorted(maps.Keys(sources)) {
			here := path{"sites", name, "csp", directive}
			if len(sources[directive]) == 0 && !k.bad(here) {
				k.fail(here, "%s has no source; leave it out", directive)
			}
		}
	}
}

func (k *checker) group(name string, g TargetGroup) {
	at := path{"target_groups", name}
	seen := map[string]int{}
	for i, target := range g.Targets {
		here := at.to("targets", i)
		if first, ok := seen[target.URL]; ok && target.URL != "" {
			k.fail(here, "%s is a target of the group already, as item %d", k.Show(target.URL, here...), first+1)
			continue
		}
		seen[target.URL] = i
	}
	if len(g.Targets) == 0 && !k.given(at.to("targets")) {
		k.warn(at, "the target group has no targets; `edge targets add` can add some while edge runs")
	}
	if g.Health.Timeout > g.Health.Interval {
		k.warn(at.to("health", "timeout"), "timeout is longer than interval: a check may still wait when the next one is due")
	}
	if g.SlowStart > 0 && g.Algorithm == "least_outstanding" {
		k.warn(at.to("slow_start"), "slow_start has no effect with algorithm: least_outstanding")
	}
	if s := g.Stickiness; s != nil && s.For > 0 && s.For < time.Second {
		k.fail(at.to("stickiness", "for"), "a cookie lasts a second at least")
	}
}

// names finds names that two hosts or aliases have.
func (k *checker) names() {
	if len(k.Hosts) == 0 && !k.partial {
		k.warn(path{"hosts"}, "there are no hosts: every request gets 404")
	}
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(k.Hosts)) {
		for i, alias := range k.Hosts[name].Aliases {
			here := path{"hosts", name, "aliases", i}
			_, isHost := k.Hosts[alias]
			other, isAlias := owner[alias]
			switch {
			case alias == "":
			case isHost:
				k.fail(here, "%s is a host already", k.Show(alias, here...))
			case isAlias:
				k.fail(here, "%s is an alias of %s already", k.Show(alias, here...), k.Show(other, "hosts", other))
			default:
				owner[alias] = name
			}
		}
	}
}

func (k *checker) host(name string, h Host) {
	at := path{"hosts", name}
	if len(h.Aliases) > 0 && strings.HasPrefix(name, "*") {
		k.fail(at.to("aliases"), "aliases are redirected to the host, and %s is not one name", k.Show(name, at...))
	}
	k.certificate(name, h, at)
	k.limits(at.to("limits"))
	for i := range h.Rules {
		k.rule(&h.Rules[i], at.to("rules", i))
	}
	if h.Default != nil {
		k.rule(h.Default, at.to("default"))
	}
}

func (k *checker) limits(at path) {
	if k.given(at.to("burst")) && !k.given(at.to("rate")) {
		k.fail(at.to("burst"), "burst needs rate")
	}
}

// unused warns of what no rule refers to.
func (k *checker) unused() {
	for _, name := range k.siteNames {
		if !k.used[pathKey("sites", name)] {
			k.warn(path{"sites", name}, "no rule serves site %s", k.Show(name, "sites", name))
		}
	}
	for _, name := range k.groupNames {
		if !k.used[pathKey("target_groups", name)] {
			k.warn(path{"target_groups", name}, "no rule forwards to target group %s", k.Show(name, "target_groups", name))
		}
	}
	if k.API != nil && !k.used[pathKey("api")] {
		k.warn(path{"api"}, "no rule leads to the content API; add one such as {path: /api/*, api: true}, or a host with default: {api: true}")
	}
	if len(k.formNames) > 0 && !k.used[pathKey("forms")] {
		k.warn(path{"forms"}, "no rule takes the forms; add one such as {path: /forms/*, forms: true}")
	}
	if len(k.webhookNames) > 0 && !k.used[pathKey("webhooks")] {
		k.warn(path{"webhooks"}, "no rule takes the webhooks; add one such as {path: /webhooks/*, webhooks: true}, or a host with default: {webhooks: true}")
	}
}
