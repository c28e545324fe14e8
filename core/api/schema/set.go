package schema

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// New makes a set of types and components, with the types that every api has. Of a Target, Component or Zone only the UID counts:
// it may be a stand-in, as &Type{UID: UserUID}. A type with the UID of user adds its attributes to that. What is given is copied.
// The error says all that is wrong with them.
func New(locales []string, types []*Type, components []*Component) (*Set, error) {
	b := newBuilder(locales)
	for _, t := range types {
		b.types = append(b.types, t.copied())
	}
	for _, c := range components {
		b.components = append(b.components, c.copied())
	}
	set := b.set()
	var errs []error
	for _, p := range b.problems {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return set, errors.Join(errs...)
}

// Unchecked makes a set of types and components as they are, the built-in ones among them: for who keeps what is no longer in force, and need not agree
// with what is. UIDs count as with New; an attribute that leads to what is not there is left out.
func Unchecked(locales []string, types []*Type, components []*Component) *Set {
	b := newBuilder(locales)
	for _, t := range types {
		b.types = append(b.types, t.copied())
	}
	for _, c := range components {
		b.components = append(b.components, c.copied())
	}
	lost := map[*Attribute]bool{}
	s := link(b.locales, b.types, b.components, func(a *Attribute, _, _ string, _ []string) { lost[a] = true })
	isLost := func(a *Attribute) bool { return lost[a] }
	for _, t := range s.types {
		t.Attributes = slices.DeleteFunc(t.Attributes, isLost)
	}
	for _, c := range s.components {
		c.Attributes = slices.DeleteFunc(c.Attributes, isLost)
	}
	return s
}

func (t *Type) copied() *Type {
	one := *t
	one.Attributes = copied(t.Attributes)
	return &one
}

func (c *Component) copied() *Component {
	one := *c
	one.Attributes = copied(c.Attributes)
	return &one
}

func copied(all []*Attribute) []*Attribute {
	list := make([]*Attribute, len(all))
	for i, a := range all {
		one := *a
		one.Zone = slices.Clone(a.Zone)
		list[i] = &one
	}
	return list
}

// A builder joins types and components to a set, and finds what is wrong with them.
type builder struct {
	locales    []string
	types      []*Type
	components []*Component

	at       map[any]place      // of a *Type, *Component or *Attribute that comes from a file
	of       map[*Attribute]any // the *Type or *Component that it is of
	problems []Problem
}

func newBuilder(locales []string) *builder {
	return &builder{locales: slices.Clone(locales), at: map[any]place{}, of: map[*Attribute]any{}}
}

// fail notes what is wrong with a *Type, *Component or *Attribute.
func (b *builder) fail(what any, format string, args ...any) {
	b.note(what, false, fmt.Sprintf(format, args...))
}

// warn notes what may be so, but not be meant.
func (b *builder) warn(what any, format string, args ...any) {
	b.note(what, true, fmt.Sprintf(format, args...))
}

func (b *builder) note(what any, warning bool, message string) {
	if len(b.problems) >= maxProblems {
		return
	}
	p := b.at[what].problem(message)
	if p.File == "" {
		p.Message = b.nameOf(what) + ": " + message
	}
	p.Warning = warning
	b.problems = append(b.problems, p)
}

func (b *builder) nameOf(what any) string {
	switch what := what.(type) {
	case *Type:
		return cmp.Or(what.Name, what.UID)
	case *Component:
		return what.UID
	case *Attribute:
		return b.nameOf(b.of[what]) + "." + what.Name
	}
	return "content types"
}

// set joins all, or returns nil when something is wrong.
func (b *builder) set() *Set {
	given := b.types
	b.types = nil
	own := builtin()
	for _, t := range given {
		if t.UID == UserUID {
			b.extended(own[0], t)
			continue
		}
		b.types = append(b.types, t)
	}
	b.types = append(b.types, own...)
	for _, t := range b.types {
		b.owns(t, t.Attributes)
	}
	for _, c := range b.components {
		b.owns(c, c.Attributes)
	}
	s := link(b.locales, b.types, b.components, b.unknown)
	b.names(s)
	for _, t := range s.types {
		b.attributes(t, t.Attributes)
	}
	for _, c := range s.components {
		b.attributes(c, c.Attributes)
	}
	b.relations(s)
	b.nesting(s)
	if slices.ContainsFunc(b.problems, func(p Problem) bool { return !p.Warning }) {
		return nil
	}
	return s
}

func (b *builder) owns(what any, all []*Attribute) {
	for _, a := range all {
		b.of[a] = what
	}
}

// link makes a set of types and components, in which UIDs lead to what they name. It tells what is not there.
func link(locales []string, types []*Type, components []*Component, unknown func(a *Attribute, what, uid string, known []string)) *Set {
	s := &Set{types: types, components: components, locales: locales}
	slices.SortStableFunc(s.types, func(a, b *Type) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(s.components, func(a, b *Component) int { return cmp.Compare(a.UID, b.UID) })
	byUID, parts := map[string]*Type{}, map[string]*Component{}
	for _, t := range s.types {
		byUID[t.UID] = t
	}
	for _, c := range s.components {
		parts[c.UID] = c
	}
	find := func(a *Attribute, uid string) *Component {
		if parts[uid] == nil {
			unknown(a, "component", uid, slices.Sorted(maps.Keys(parts)))
		}
		return parts[uid]
	}
	for _, all := range s.attributes() {
		for _, a := range all {
			switch a.Kind {
			case Media:
				a.Target = byUID[FileUID]
			case RelationTo:
				uid := ""
				if a.Target != nil {
					uid = a.Target.UID
				}
				if a.Target = byUID[uid]; a.Target == nil {
					unknown(a, "content type", uid, slices.Sorted(maps.Keys(byUID)))
				}
			case Part:
				uid := ""
				if a.Component != nil {
					uid = a.Component.UID
				}
				a.Component = find(a, uid)
			case Zone:
				for i, c := range a.Zone {
					a.Zone[i] = find(a, c.UID)
				}
				a.Zone = slices.DeleteFunc(a.Zone, func(c *Component) bool { return c == nil })
			default: // leads nowhere
			}
		}
	}
	return s
}

// attributes are those of all types and components.
func (s *Set) attributes() [][]*Attribute {
	var all [][]*Attribute
	for _, t := range s.types {
		all = append(all, t.Attributes)
	}
	for _, c := range s.components {
		all = append(all, c.Attributes)
	}
	return all
}

func (b *builder) unknown(a *Attribute, what, uid string, known []string) {
	if uid == "" {
		b.fail(a, "%s does not say which %s", a.Name, what)
		return
	}
	b.fail(a, "%s leads to %q, and there is no such %s%s", a.Name, clip(uid), what, meant(uid, known))
}
