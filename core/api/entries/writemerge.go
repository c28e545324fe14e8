package entries

import (
	"context"
	"fmt"
	"slices"

	"github.com/onehost/edge/core/api/input"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// maxReferences is how many entries one reference leads to at most.
const maxReferences = 10_000

// maxPasswords is how many passwords one change has hashed: each takes a processor for as long as a login does.
const maxPasswords = 10

// A merger makes what the store keeps of values: passwords become hashes, links become document ids, new components get numbers.
type merger struct {
	*job
	found *targets
	fresh []store.Document // components without a number

	hashed int // passwords
}

// merge sets values on what a version has, and returns what has to be done to other entries for their references.
func (j *job) merge(ctx context.Context, next store.Document, values input.Values, data map[string]any) ([]effect, error) {
	found, err := j.resolve(ctx, values, data)
	if err != nil {
		return nil, err
	}
	m := &merger{job: j, found: found}
	var effects []effect
	for _, a := range j.t.Attributes {
		v, set := values[a.Name]
		if !set {
			if a.Owner() && a.InversedBy != "" {
				effects = append(effects, effect{attribute: a}) // publishing may have something to do
			}
			continue
		}
		if links, ok := v.(*input.Links); ok {
			effects = append(effects, effect{a, links})
		}
		kept, err := m.value(ctx, a, v, next[a.Name])
		if err != nil {
			return nil, err
		}
		if next[a.Name] = kept; kept == nil {
			delete(next, a.Name)
		}
	}
	if len(m.fresh) > 0 {
		first, err := j.numbers.take(ctx, componentSequence, int64(len(m.fresh)))
		if err != nil {
			return nil, err
		}
		for i, part := range m.fresh {
			part[rows.Number] = first + int64(i)
		}
	}
	j.found = found
	return effects, nil
}

// value is what is kept of one value; old is what was kept.
func (m *merger) value(ctx context.Context, a *schema.Attribute, v, old any) (any, error) {
	switch v := v.(type) {
	case *input.Links:
		if !a.Owner() {
			return nil, nil
		}
		return m.found.kept(v, old)
	case input.Plain:
		if m.hashed++; m.hashed > maxPasswords {
			return nil, problem.Validation("There are more than %d passwords in one request", maxPasswords)
		}
		return m.passwords.Hash(ctx, string(v))
	case store.Document:
		if a.Kind != schema.Part {
			return v, nil
		}
		was, _ := old.(store.Document)
		return v, m.part(ctx, a.Component, v, was)
	case []any:
		if a.Kind != schema.Part && a.Kind != schema.Zone {
			return v, nil
		}
		return v, m.parts(ctx, a, v, old)
	}
	return v, nil
}

func (m *merger) parts(ctx context.Context, a *schema.Attribute, list []any, old any) error {
	had, _ := old.([]any)
	for _, v := range list {
		part, _ := v.(store.Document)
		c := a.Component
		if a.Kind == schema.Zone {
			c = m.set.Component(part.String(rows.Component))
		}
		if c == nil {
			continue
		}
		var was store.Document
		for _, one := range had {
			if d, _ := one.(store.Document); d != nil && d[rows.Number] == part[rows.Number] && d[rows.Component] == part[rows.Component] {
				was = d
			}
		}
		if err := m.part(ctx, c, part, was); err != nil {
			return err
		}
	}
	return nil
}

// part completes a component. One that the entry had keeps what was not sent; any other is new.
func (m *merger) part(ctx context.Context, c *schema.Component, part, was store.Document) error {
	if was == nil || was[rows.Number] != part[rows.Number] {
		was = nil
		m.fresh = append(m.fresh, part)
	}
	for _, a := range c.Attributes {
		v, set := part[a.Name]
		if !set {
			if v, had := was[a.Name]; had {
				part[a.Name] = v
			}
			continue
		}
		kept, err := m.value(ctx, a, v, was[a.Name])
		if err != nil {
			return err
		}
		if part[a.Name] = kept; kept == nil {
			delete(part, a.Name)
		}
	}
	for name, v := range was { // of attributes that are not among them any more
		if c.Attribute(name) == nil {
			part[name] = v
		}
	}
	return nil
}

// kept is what a reference leads to after a change: a document id, a list of them, or nil.
func (f *targets) kept(l *input.Links, old any) (any, error) {
	list := references(old)
	if l.Replace {
		list = nil
	}
	t := l.Attribute.Target
	for _, one := range l.Set {
		list = last(list, f.id(t, one))
	}
	for _, one := range l.Disconnect {
		if id := f.id(t, one); id != "" {
			list = slices.DeleteFunc(list, func(is string) bool { return is == id })
		}
	}
	for _, c := range l.Connect {
		var err error
		if list, err = f.connect(list, t, c); err != nil {
			return nil, err
		}
	}
	switch {
	case len(list) > maxReferences:
		return nil, problem.Validation("%s leads to %d entries: %d are the most", l.Attribute.Name, len(list), maxReferences)
	case len(list) == 0:
		return nil, nil
	case !l.Attribute.Many():
		return list[len(list)-1], nil
	}
	all := make([]any, len(list))
	for i, id := range list {
		all[i] = id
	}
	return all, nil
}

// last appends an id to a list that has it only there then.
func last(list []string, id string) []string {
	return append(slices.DeleteFunc(list, func(is string) bool { return is == id }), id)
}

// connect puts an entry where it is to be.
func (f *targets) connect(list []string, t *schema.Type, c input.Connect) ([]string, error) {
	id := f.id(t, c.Target)
	if c.Before == nil && c.After == nil && !c.Start {
		return last(list, id), nil
	}
	list = slices.DeleteFunc(list, func(is string) bool { return is == id })
	if c.Start {
		return slices.Insert(list, 0, id), nil
	}
	beside, after := c.Before, 0
	if beside == nil {
		beside, after = c.After, 1
	}
	i := slices.Index(list, f.id(t, *beside))
	if i < 0 {
		name := beside.DocumentID
		if name == "" {
			name = fmt.Sprint(beside.Number)
		}
		return nil, problem.Validation("There was a problem connecting relation with id %s. The relation with id %s needs to be connected first.", id, name)
	}
	return slices.Insert(list, i+after, id), nil
}

// references are the document ids that are kept of a reference: a copy.
func references(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, 0, len(v))
		for _, one := range v {
			if id, ok := one.(string); ok {
				list = append(list, id)
			}
		}
		return list
	}
	return nil
}
