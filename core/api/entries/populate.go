package entries

import (
	"context"
	"slices"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// fillAll fills in what was asked for with a page of entries, which must not come to more than there is room for.
func (r *reading) fillAll(ctx context.Context, of []*Entry, populate []query.Populate) error {
	if err := r.fill(ctx, of, populate); err != nil || len(populate) == 0 {
		return err
	}
	if weigh(of) > maxBytes {
		return tooMuch()
	}
	return nil
}

// weigh is how many bytes entries have with what is filled in, about: more than maxBytes is one more.
func weigh(all []*Entry) int {
	sum := 0
	for _, e := range all {
		sum = min(sum+e.weigh(), maxBytes+1)
	}
	return sum
}

// weigh is that of one entry, found out once for all that lead to it.
func (e *Entry) weigh() int {
	switch {
	case e == nil:
		return 0
	case e.weight > 0:
		return e.weight
	}
	sum := store.Size(e.Row)
	for _, v := range e.Filled {
		switch v := v.(type) {
		case *Entry:
			sum += v.weigh()
		case []*Entry:
			sum += weigh(v)
		}
	}
	e.weight = min(sum, maxBytes+1)
	return e.weight
}

// fill fills in what attributes of these entries, or components, lead to. It takes a call of the store for each attribute, and not for each entry.
func (r *reading) fill(ctx context.Context, of []*Entry, populate []query.Populate) error {
	if len(of) == 0 {
		return nil
	}
	for i := range populate {
		p := &populate[i]
		var err error
		switch a := p.Attribute; {
		case a.Kind == schema.Part:
			err = r.fillComponents(ctx, of, p)
		case a.Kind == schema.Zone:
			err = r.fillZone(ctx, of, p)
		case !r.sees(a): // as if it had not been asked for
		case p.Count:
			err = r.fillCount(ctx, of, p)
		default:
			err = r.fillReferences(ctx, of, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sees reports whether what an attribute leads to may be seen at all. Media belong to the entries that show them, as in Strapi.
func (r *reading) sees(a *schema.Attribute) bool {
	return r.scope == nil || a.Kind == schema.Media || r.scope.May(a.Target, access.Find)
}

// stepOf is the step that p asks for.
func (r *reading) stepOf(p *query.Populate) (s step, inMemory bool, err error) {
	a := p.Attribute
	s = step{attribute: a, asked: p.Query.Fields, limit: MaxFilled, fields: fieldsOf(&p.Query)}
	if s.filter, err = r.allowed(a.Target, p.Query.Filter, access.Find); err != nil {
		return s, false, err
	}
	if len(p.Query.Sort) > 0 {
		order, ok := rows.Order(p.Query.Sort)
		s.sort, inMemory = order, !ok
	}
	if s.fields != nil && !a.Owner() {
		s.fields = append(s.fields, a.MappedBy)
	}
	if s.fields != nil && inMemory {
		s.fields = append(s.fields, sortFields(p.Query.Sort)...)
	}
	return s, inMemory, nil
}

func (r *reading) fillReferences(ctx context.Context, of []*Entry, p *query.Populate) error {
	s, inMemory, err := r.stepOf(p)
	if err != nil {
		return err
	}
	there, err := r.follow(ctx, s, of)
	if err != nil {
		return err
	}
	page := p.Query.Page
	if there.more && !inMemory && page.Limit > 0 && !p.Attribute.Owner() {
		if there, err = r.followEach(ctx, s, of, page); err != nil {
			return err
		}
	}
	if inMemory {
		rank, err := r.ranks(ctx, there.all, p.Query.Sort)
		if err != nil {
			return err
		}
		for _, list := range there.to {
			sortByRank(list, rank)
		}
	}
	many := p.Attribute.Many()
	for i, e := range of {
		list := there.to[i]
		switch {
		case many:
			e.put(p.Attribute.Name, within(list, page))
		case len(list) > 0:
			e.put(p.Attribute.Name, list[0])
		default:
			e.put(p.Attribute.Name, (*Entry)(nil))
		}
	}
	return r.fill(ctx, there.all, p.Query.Populate)
}

// within returns a page of a list, never nil. Without a limit it goes to the end.
func within(list []*Entry, p query.Page) []*Entry {
	start := min(max(p.Start, 0), len(list))
	end := len(list)
	if p.Limit > 0 {
		end = min(end, start+min(p.Limit, len(list)))
	}
	if start == end {
		return []*Entry{}
	}
	return list[start:end]
}

// followEach takes a step from one entry after the other, no further than its page goes: where all together lead to too many, each gets the first of its own.
func (r *reading) followEach(ctx context.Context, s step, from []*Entry, p query.Page) (reached, error) {
	all := reached{to: make([][]*Entry, len(from))}
	for i := range from {
		s.limit = min(p.Start+p.Limit, MaxFilled-len(all.all))
		if s.limit <= 0 {
			all.more = true
			break
		}
		one, err := r.follow(ctx, s, from[i:i+1])
		if err != nil {
			return reached{}, err
		}
		all.to[i] = one.to[0]
		all.all = append(all.all, one.all...)
	}
	return all, nil
}

// fillCount fills in how many there are.
func (r *reading) fillCount(ctx context.Context, of []*Entry, p *query.Populate) error {
	a := p.Attribute
	f, err := r.allowed(a.Target, p.Query.Filter, access.Find)
	if err != nil {
		return err
	}
	if a.Owner() {
		there, err := r.follow(ctx, step{attribute: a, filter: f, fields: system, limit: MaxFilled}, of)
		if err != nil {
			return err
		}
		if !there.more {
			for i, e := range of {
				e.put(a.Name, Count(len(there.to[i])))
			}
			return nil
		}
	}
	for _, e := range of {
		n, err := r.store.Count(ctx, rows.Name(a.Target), rows.Both(r.leads(a, e), f))
		if err != nil {
			return err
		}
		e.put(a.Name, Count(n))
	}
	return nil
}

// leads is the condition on rows that an attribute of one entry leads to them.
func (r *reading) leads(a *schema.Attribute, from *Entry) store.Filter {
	if !a.Owner() {
		view := r.view
		view.Locale = from.locale
		owner := a.Target.Attribute(a.MappedBy)
		return rows.Both(rows.RefersTo(owner, []any{from.Row.String(rows.DocumentID)}), view.Filter(a.Target))
	}
	refs := leadsTo(from.Row[a.Name])
	ids := make([]any, 0, len(refs))
	for _, reference := range refs[:min(len(refs), store.MaxValues)] {
		ids = append(ids, r.rowAt(a.Target, reference, from))
	}
	return store.In{Field: "id", Values: ids}
}

func (r *reading) fillComponents(ctx context.Context, of []*Entry, p *query.Populate) error {
	a := p.Attribute
	var all []*Entry
	part := func(e *Entry, v any) *Entry {
		row, ok := v.(store.Document)
		if !ok {
			return nil
		}
		c := &Entry{Component: a.Component, Row: row, Fields: p.Query.Fields, locale: e.locale}
		all = append(all, c)
		return c
	}
	for _, e := range of {
		if !a.Repeatable {
			e.put(a.Name, part(e, e.Row[a.Name]))
			continue
		}
		list := []*Entry{}
		for _, v := range e.Row.List(a.Name) {
			if c := part(e, v); c != nil {
				list = append(list, c)
			}
		}
		if p.Count {
			e.put(a.Name, Count(len(list)))
			continue
		}
		e.put(a.Name, list)
	}
	return r.fill(ctx, all, p.Query.Populate)
}

// fillZone fills in the components of a dynamic zone: those that are asked for, or all.
func (r *reading) fillZone(ctx context.Context, of []*Entry, p *query.Populate) error {
	a := p.Attribute
	all := make(map[*schema.Component][]*Entry)
	for _, e := range of {
		list := []*Entry{}
		for _, v := range e.Row.List(a.Name) {
			row, _ := v.(store.Document)
			i := slices.IndexFunc(a.Zone, func(c *schema.Component) bool { return c.UID == row.String(rows.Component) })
			if i < 0 {
				continue
			}
			c := a.Zone[i]
			one := &Entry{Component: c, Row: row, Fields: p.Query.Fields, locale: e.locale}
			if p.On != nil {
				if p.On[c] == nil {
					continue
				}
				one.Fields = p.On[c].Fields
			}
			all[c] = append(all[c], one)
			list = append(list, one)
		}
		if p.Count {
			e.put(a.Name, Count(len(list)))
			continue
		}
		e.put(a.Name, list)
	}
	for _, c := range a.Zone {
		if q := p.On[c]; q != nil {
			if err := r.fill(ctx, all[c], q.Populate); err != nil {
				return err
			}
		}
	}
	return nil
}
