package config

import (
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// rule finds what is wrong in one rule.
func (k *checker) rule(r *Rule, at path) {
	for _, key := range k.conditions {
		if k.given(at.to(key)) && !k.bad(at.to(key)) && isEmpty(r, key) {
			k.fail(at.to(key), "%s has no value; leave it out to match any", key)
		}
	}
	if r.Site != "" {
		k.refer("sites", "site", r.Site, slices.Collect(maps.Keys(k.Sites)), at.to("site"))
	}
	k.forward(r.Forward, at.to("forward"))
	k.limits(r.Limits, at.to("limits"))
	if r.Rewrite != nil {
		k.rewrite(r.Rewrite, at.to("rewrite"))
	}
	if r.Headers != nil {
		k.changes(r.Headers.Request, at.to("headers", "request"))
		k.changes(r.Headers.Response, at.to("headers", "response"))
	}
	if r.CORS != nil {
		k.cors(r.CORS, at.to("cors"))
	}
	if r.Auth != nil {
		k.auth(r.Auth, at.to("auth"))
	}
}

// isEmpty reports whether the condition with this key has no value.
func isEmpty(r *Rule, key string) bool {
	f, ok := shapeOf(reflect.TypeFor[Rule]()).lookup(key)
	return ok && reflect.ValueOf(r).Elem().FieldByIndex(f.index).Len() == 0
}

// refer notes that a rule uses something by its name.
func (k *checker) refer(key, kind, name string, known []string, at path) {
	if slices.Contains(known, name) {
		k.used[pathKey(key, name)] = true
		return
	}
	slices.Sort(known)
	message := "there is no " + kind + " " + k.Show(name, at...)
	switch near := nearest(name, known); {
	case near != "":
		message += "; did you mean " + quote(near) + "?"
	case len(known) == 0:
		message += "; " + key + " is empty"
	default:
		message += "; known are " + clip(strings.Join(known, ", "))
	}
	k.fail(at, "%s", message)
}

func (k *checker) forward(weights map[string]int, at path) {
	total, bad := 0, k.bad(at)
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		k.refer("target_groups", "target group", name, slices.Collect(maps.Keys(k.TargetGroups)), at.to(name))
		total += weights[name]
		bad = bad || k.bad(at.to(name))
	}
	switch {
	case weights != nil && len(weights) == 0 && !bad:
		k.fail(at, "forward needs a target group")
	case len(weights) > 0 && total == 0 && !bad:
		k.fail(at, "all weights are 0: nothing would be forwarded")
	}
}

func (k *checker) rewrite(r *Rewrite, at path) {
	switch {
	case !k.given(at.to("path")) && !k.given(at.to("host")):
		k.fail(at, "rewrite needs path or host")
	case r.Path != "" && r.Regex == "" && !k.given(at.to("regex")) && !strings.HasPrefix(r.Path, "/"):
		k.fail(at.to("path"), "the new path %s does not begin with /", k.Show(r.Path, at.to("path")...))
	}
}

// framing are fields that belong to a connection or to the framing of a message (RFC 9110, section 7.6.1; RFC 9112, section 6).
var framing = []string{"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

func (k *checker) changes(c FieldChanges, at path) {
	for key, names := range map[string][]string{
		"set": slices.Sorted(maps.Keys(c.Set)), "add": slices.Sorted(maps.Keys(c.Add)), "remove": c.Remove,
	} {
		for i, name := range names {
			here := at.to(key, name)
			if key == "remove" {
				here = at.to(key, i)
			}
			switch name = strings.ToLower(name); {
			case slices.Contains(framing, name):
				k.fail(here, "%s is edge's own business: it says how messages are framed", name)
			case name == "host":
				k.fail(here, "Host is changed by rewrite: {host: …}")
			}
		}
	}
}

func (k *checker) cors(c *CORS, at path) {
	if len(c.Origins) == 0 && k.given(at.to("origins")) {
		k.fail(at.to("origins"), "origins has no value")
	}
	if c.Credentials && slices.Contains(c.Origins, "*") {
		k.fail(at.to("credentials"), `browsers send no credentials where origins has "*"; list the origins`)
	}
	for i, origin := range c.Origins {
		if origin == "" || origin == "*" {
			continue
		}
		here := at.to("origins", i)
		u, err := url.Parse(strings.Replace(origin, "://*.", "://", 1))
		switch {
		case err != nil || u.Host == "":
			k.fail(here, "%s can't be read as an origin", k.Show(origin, here...))
		case strings.ToLower(origin) != origin:
			k.fail(here, "browsers write origins in lower case")
		default:
			k.originHost(u.Hostname(), here)
		}
	}
}

func (k *checker) originHost(name string, at path) {
	if _, err := netip.ParseAddr(name); err == nil {
		return
	}
	if err := checkName(name); err != nil {
		k.fail(at, "an origin has a hostname: %s", err)
	}
}

func (k *checker) auth(a *Auth, at path) {
	if len(a.Basic) == 0 && k.given(at.to("basic")) {
		k.fail(at.to("basic"), "basic has no name and password")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Basic)) {
		here := at.to("basic", name)
		if secret := a.Basic[name]; secret != "" && !strings.HasPrefix(secret, "$2") && !k.places[pathKey(here...)].secret {
			k.warn(here, "the password stands in the file as it is; write its bcrypt hash, ${credential:NAME} or ${file:PATH}")
		}
	}
}
