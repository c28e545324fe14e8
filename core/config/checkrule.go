package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// rule finds what is wrong in one rule with what it refers to. The rest of what rules mean is judged where they are compiled.
func (k *checker) rule(r *Rule, at path) {
	for _, f := range k.conditions {
		here := at.to(f.name)
		if k.given(here) && !k.bad(here) && reflect.ValueOf(r).Elem().FieldByIndex(f.index).Len() == 0 {
			k.fail(here, "%s has no value; leave it out to match any", f.name)
		}
	}
	if r.Site != "" {
		k.refer("sites", "site", r.Site, k.siteNames, at.to("site"))
	}
	if r.Function != "" {
		k.refer("functions", "function", r.Function, k.functionNames, at.to("function"))
	}
	if k.given(at.to("api")) && !k.bad(at.to("api")) {
		k.takesAPI(r.API, at.to("api"))
	}
	if k.given(at.to("forms")) && !k.bad(at.to("forms")) {
		k.takes("forms", "form", r.Forms, len(k.formNames), at.to("forms"))
	}
	if k.given(at.to("webhooks")) && !k.bad(at.to("webhooks")) {
		k.takes("webhooks", "source", r.Webhooks, len(k.webhookNames), at.to("webhooks"))
	}
	k.forward(r.Forward, at.to("forward"))
	k.limits(at.to("limits"))
	if r.Auth != nil {
		k.auth(r.Auth, at.to("auth"))
	}
}

// takes finds what is wrong in a rule that takes all the forms, or all the webhooks.
func (k *checker) takes(key, kind string, said bool, known int, at path) {
	k.used[pathKey(key)] = true
	switch {
	case !said:
		k.fail(at, "%s can only be true; leave it out for another action", key)
	case known == 0 && !k.bad(path{key}):
		k.fail(at, "there are no %s: describe a %s below %s", key, kind, key)
	}
}

// refer notes that a rule uses something by its name. known is sorted.
func (k *checker) refer(key, kind, name string, known []string, at path) {
	if _, found := slices.BinarySearch(known, name); found {
		k.used[pathKey(key, name)] = true
		return
	}
	if k.full() || k.bad(path{key}) { // bad: it may be among what could not be read
		return
	}
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
		k.refer("target_groups", "target group", name, k.groupNames, at.to(name))
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

// auth warns of passwords that whoever may read the file can read.
func (k *checker) auth(a *Auth, at path) {
	for _, name := range slices.Sorted(maps.Keys(a.Basic)) {
		here := at.to("basic", name)
		if secret := a.Basic[name]; secret != "" && !strings.HasPrefix(secret, "$2") && !k.places[pathKey(here...)].secret {
			k.warn(here, "the password stands in the file as it is; write its bcrypt hash, ${credential:NAME} or ${file:PATH}")
		}
	}
}
