package migrate

import (
	"fmt"
	"slices"

	"github.com/onehost/edge/core/api/schema"
)

// A comparison finds what is between what is kept and a new set.
type comparison struct {
	was     kept
	to      *schema.Set
	parts   map[string]map[string]converter // of components, by UID and attribute
	works   []*work
	summary []string
	refused []string
}

func (c *comparison) say(format string, args ...any) {
	c.summary = append(c.summary, fmt.Sprintf(format, args...))
}

// compare goes through all types.
func (c *comparison) compare() {
	c.parts = map[string]map[string]converter{}
	for _, t := range c.to.Types() {
		switch before := c.ever(t.Name); {
		case before != nil:
			c.compareType(before, t)
		case !t.Builtin:
			c.say("%s is new", t.Name)
		}
	}
	if c.was.now == nil {
		return
	}
	for _, t := range c.was.now.Types() {
		if c.to.Type(t.Name) == nil {
			c.say("%s is removed: its entries stay in the store, unseen, until there is a type of this name again", t.Name)
		}
	}
}

func (c *comparison) ever(name string) *schema.Type {
	if c.was.ever == nil {
		return nil
	}
	return c.was.ever.Type(name)
}

// now is the type as it is in force; nil if it is not.
func (c *comparison) now(name string) *schema.Type {
	if c.was.now == nil {
		return nil
	}
	return c.was.now.Type(name)
}

func (c *comparison) compareType(before, t *schema.Type) {
	w := newWork(before, t, c.was.ever.Locales()[0], c.to.Locales()[0])
	now := c.now(t.Name)
	if now == nil {
		c.say("%s is back, with the entries that it had", t.Name)
		now = &schema.Type{}
	} else {
		c.removed(t.Name, now.Attributes, t.Attributes)
	}
	c.options(before, t)
	for _, a := range t.Attributes {
		path := t.Name + "." + a.Name
		inForce := now.Attribute(a.Name)
		old := before.Attribute(a.Name)
		if inForce == nil && now.Name != "" {
			c.appeared(path, a, old != nil)
		}
		if old == nil {
			continue
		}
		w.converts(old, a, c.attribute(path, old, a))
		if inForce != nil {
			c.tightened(path, inForce, a)
		}
		if a.Unique && (inForce == nil || !inForce.Unique) {
			w.unique = append(w.unique, a)
		}
		if exclusive(a) && (inForce == nil || !exclusive(inForce)) {
			w.exclusive = append(w.exclusive, a)
		}
	}
	c.works = append(c.works, w)
}

// exclusive reports whether an entry belongs to one other at most.
func exclusive(a *schema.Attribute) bool { return a.Relation == schema.OneToOne && a.InversedBy != "" }

func (c *comparison) removed(of string, now, to []*schema.Attribute) {
	for _, a := range now {
		if !slices.ContainsFunc(to, func(b *schema.Attribute) bool { return a.Name == b.Name }) && a.MappedBy == "" {
			c.say("%s.%s is removed: its values stay, unseen, until there is an attribute of this name again", of, a.Name)
		}
	}
}

func (c *comparison) appeared(path string, a *schema.Attribute, before bool) {
	switch {
	case before:
		c.say("%s is back, with the values that it had", path)
	case a.Required:
		c.say("%s is new and required: entries that are there have none, and get one when they are next written", path)
	case a.Default != nil:
		c.say("%s is new: entries that are there have none, and do not get the default", path)
	default:
		c.say("%s is new", path)
	}
}

// options says what else changes of a type.
func (c *comparison) options(was, t *schema.Type) {
	switch {
	case t.Drafts && !was.Drafts:
		c.say("%s has drafts: what is there is published, and gets a draft beside it", t.Name)
	case was.Drafts && !t.Drafts:
		c.say("%s has no drafts any more: what is published stays", t.Name)
	}
	switch {
	case t.Localized && !was.Localized:
		c.say("%s is localized: what is there is in %s", t.Name, c.to.Locales()[0])
	case was.Localized && !t.Localized:
		c.say("%s is not localized any more", t.Name)
	case t.Localized:
		for _, locale := range c.was.ever.Locales() {
			if !slices.Contains(c.to.Locales(), locale) {
				c.say("%s: what is in %s stays, unseen, as the language is not configured any more", t.Name, locale)
			}
		}
	}
	if was.Plural != t.Plural && !t.Single && c.now(t.Name) != nil {
		c.say("%s: its path was /%s and is /%s", t.Name, was.Plural, t.Plural)
	}
	if was.Single != t.Single {
		c.say("%s is a %s now", t.Name, map[bool]string{true: "single type", false: "collection type"}[t.Single])
	}
}

// attribute finds what has to become of the values of an attribute.
func (c *comparison) attribute(path string, was, to *schema.Attribute) converter {
	switch {
	case was.Scalar() && to.Scalar():
		if was.Kind == to.Kind && len(without(was.Enum, to.Enum)) == 0 {
			return nil
		}
		c.changes(path, was.Kind, to.Kind)
		return scalar(was, to)
	case was.Refers() && to.Refers():
		return c.reference(path, was, to)
	case was.Kind == schema.Part && to.Kind == schema.Part:
		return c.component(path, was, to)
	case was.Kind == schema.Zone && to.Kind == schema.Zone:
		return c.zone(was, to)
	case was.MappedBy != "": // nothing is kept with it
		return nil
	}
	c.changes(path, was.Kind, to.Kind)
	return refuse(fmt.Sprintf("is %s and can't become %s; empty it first, or give the new attribute another name", was.Kind, to.Kind))
}

func (c *comparison) changes(path string, was, to schema.Kind) {
	if was != to {
		c.say("%s was %s and is %s", path, was, to)
	}
}

func (c *comparison) reference(path string, was, to *schema.Attribute) converter {
	switch {
	case was.MappedBy != "":
		return nil
	case to.MappedBy != "":
		return refuse(fmt.Sprintf("has references that would be kept with %s.%s now; empty it first, or leave mappedBy on that side", to.Target.Name, to.MappedBy))
	case was.Target.Name != to.Target.Name:
		return refuse(fmt.Sprintf("has references to %s, and would lead to %s; empty it first, or give the new attribute another name", was.Target.Name, to.Target.Name))
	case was.Many() == to.Many():
		return nil
	case to.Many():
		c.say("%s has a list now: of the one that there was", path)
		return list(nil)
	}
	c.say("%s has one value now: of the list that there was", path)
	return single(nil)
}

func (c *comparison) component(path string, was, to *schema.Attribute) converter {
	if was.Component.UID != to.Component.UID {
		return refuse(fmt.Sprintf("has components %s, and would have %s; empty it first, or give the new attribute another name", was.Component.UID, to.Component.UID))
	}
	inner := part(c.partOf(to.Component))
	switch {
	case to.Repeatable && !was.Repeatable:
		c.say("%s is repeatable now", path)
	case was.Repeatable && !to.Repeatable:
		c.say("%s is not repeatable any more", path)
		return single(inner)
	case inner == nil || !to.Repeatable:
		return inner
	}
	return list(inner)
}

// zone converts components that may still be there, and refuses those that may not.
func (c *comparison) zone(was, to *schema.Attribute) converter {
	components, some := map[string]converter{}, false
	for _, one := range to.Zone {
		components[one.UID] = part(c.partOf(one))
		some = some || components[one.UID] != nil
	}
	for _, one := range was.Zone {
		_, stays := components[one.UID]
		some = some || !stays
	}
	if !some {
		return nil
	}
	return zone(components)
}

// partOf finds what has to become of the attributes of a component.
func (c *comparison) partOf(to *schema.Component) map[string]converter {
	if known, ok := c.parts[to.UID]; ok {
		return known
	}
	attributes := map[string]converter{}
	c.parts[to.UID] = attributes
	was := c.was.ever.Component(to.UID)
	if was == nil {
		return attributes
	}
	now := c.was.now.Component(to.UID)
	if now != nil {
		c.removed(to.UID, now.Attributes, to.Attributes)
	}
	for _, a := range to.Attributes {
		path := to.UID + "." + a.Name
		old := was.Attribute(a.Name)
		if now != nil && now.Attribute(a.Name) == nil {
			c.appeared(path, a, old != nil)
		}
		if old == nil {
			continue
		}
		if convert := c.attribute(path, old, a); convert != nil {
			attributes[a.Name] = convert
		}
		if now != nil && now.Attribute(a.Name) != nil {
			c.tightened(path, now.Attribute(a.Name), a)
		}
	}
	return attributes
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// tightened warns of rules that what is kept need not meet.
func (c *comparison) tightened(path string, was, to *schema.Attribute) {
	rule := func(is bool, name string) {
		if is {
			c.say("warning: %s: %s holds for what is written from now on; what is kept may not meet it", path, name)
		}
	}
	rule(to.Required && !was.Required, "required")
	rule(raised(was.Min, to.Min), "min")
	rule(lowered(was.Max, to.Max), "max")
	rule(raised(was.MinLength, to.MinLength), "the least length")
	rule(lowered(was.MaxLength, to.MaxLength), "the greatest length")
	rule(to.Regex != nil && (was.Regex == nil || was.Regex.String() != to.Regex.String()), "regex")
	rule(to.Kind == schema.Media && len(to.Allowed) > 0 && (len(was.Allowed) == 0 || len(without(was.Allowed, to.Allowed)) > 0), "allowedTypes")
	if was.Localized && !to.Localized {
		c.say("warning: %s is the same in all languages from now on; entries that differ in it stay so until they are written", path)
	}
}

func raised[T int | float64](was, to *T) bool { return to != nil && (was == nil || *to > *was) }

func lowered[T int | float64](was, to *T) bool { return to != nil && (was == nil || *to < *was) }
