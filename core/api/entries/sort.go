package entries

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// pageInOrder returns the rows of a page in an order that leads to other entries, which no store knows: all that meet the condition are put in order here,
// and the page is read then.
func (r *reading) pageInOrder(ctx context.Context, t *schema.Type, f store.Filter, q *query.Query) (found []store.Document, total int, err error) {
	total, err = r.store.Count(ctx, rows.Name(t), f)
	if err != nil {
		return nil, 0, err
	}
	if total > MaxOrdered {
		return nil, 0, problem.Validation("%d entries can't be sorted by what they refer to; %d are the most: filter them", total, MaxOrdered)
	}
	fields := append(system[:len(system):len(system)], sortFields(q.Sort)...)
	matching, err := r.get(ctx, store.Query{Collection: rows.Name(t), Filter: f, Limit: MaxOrdered, Fields: fields})
	if err != nil {
		return nil, 0, err
	}
	all := r.entries(t, matching, nil)
	rank, err := r.ranks(ctx, all, q.Sort)
	if err != nil {
		return nil, 0, err
	}
	sortByRank(all, rank)
	start := min(q.Page.Start, len(all))
	page := all[start : start+max(0, min(q.Page.Limit, len(all)-start))]
	if !q.Page.Count {
		total = -1
	}
	found, err = r.inOrder(ctx, t, page, fieldsOf(q))
	return found, total, err
}

// inOrder reads the rows of entries, in their order.
func (r *reading) inOrder(ctx context.Context, t *schema.Type, page []*Entry, fields []string) ([]store.Document, error) {
	if len(page) == 0 {
		return nil, nil
	}
	ids, place := make([]any, len(page)), make(map[string]int, len(page))
	for i, e := range page {
		ids[i] = e.Row.ID()
		place[e.Row.ID()] = i
	}
	found, err := r.get(ctx, store.Query{Collection: rows.Name(t), Filter: store.In{Field: "id", Values: ids}, Limit: len(ids), Fields: fields})
	slices.SortFunc(found, func(a, b store.Document) int { return cmp.Compare(place[a.ID()], place[b.ID()]) })
	return found, err
}

// sortFields are the fields of rows in which what is sorted by begins.
func sortFields(sort []query.Order) []string {
	fields := make([]string, 0, len(sort))
	for _, o := range sort {
		if len(o.Path.Through) > 0 {
			fields = append(fields, o.Path.Through[0].Name)
		} else {
			fields = append(fields, rows.Field(o.Path))
		}
	}
	return fields
}

// ranks puts entries in an order, by their number where it says nothing more, and returns the place of each. Where an order leads to many values the least of them counts,
// or, descending, the greatest.
func (r *reading) ranks(ctx context.Context, all []*Entry, sort []query.Order) (map[*Entry]int, error) {
	keys := make(map[*Entry][]any, len(all))
	for _, e := range all {
		keys[e] = make([]any, len(sort))
	}
	for i, o := range sort {
		values, err := r.values(ctx, all, o)
		if err != nil {
			return nil, err
		}
		for j, e := range all {
			keys[e][i] = values[j]
		}
	}
	ordered := slices.Clone(all)
	slices.SortFunc(ordered, func(a, b *Entry) int {
		for i, o := range sort {
			c := store.CompareValues(keys[a][i], keys[b][i])
			if o.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.Row.Int(rows.Number), b.Row.Int(rows.Number))
	})
	rank := make(map[*Entry]int, len(all))
	for i, e := range ordered {
		rank[e] = i
	}
	return rank, nil
}

func sortByRank(list []*Entry, rank map[*Entry]int) {
	slices.SortFunc(list, func(a, b *Entry) int { return cmp.Compare(rank[a], rank[b]) })
}

// values are what an order compares of each entry.
func (r *reading) values(ctx context.Context, from []*Entry, o query.Order) ([]any, error) {
	values := make([]any, len(from))
	way := slices.IndexFunc(o.Path.Through, func(a *schema.Attribute) bool { return a.Refers() })
	if way < 0 {
		for i, e := range from {
			for _, v := range valuesAt(e.Row, o.Path.Through, rows.Field(o.Path)) {
				values[i] = better(values[i], v, o.Descending)
			}
		}
		return values, nil
	}
	if way > 0 && slices.ContainsFunc(o.Path.Through[:way], func(a *schema.Attribute) bool { return a.Many() }) {
		return nil, problem.Validation("%s belongs to one of many components: nothing can be sorted by it", o.Path.Through[way].Name)
	}
	rest := o
	a := o.Path.Through[way]
	rest.Path.Through = o.Path.Through[way+1:]
	there, err := r.followSorted(ctx, a, inside(from, o.Path.Through[:way]), rest)
	if err != nil {
		return nil, err
	}
	next, err := r.values(ctx, there.all, rest)
	if err != nil {
		return nil, err
	}
	of := make(map[*Entry]any, len(next))
	for i, e := range there.all {
		of[e] = next[i]
	}
	for i, list := range there.to {
		for _, e := range list {
			values[i] = better(values[i], of[e], o.Descending)
		}
	}
	return values, nil
}

func (r *reading) followSorted(ctx context.Context, a *schema.Attribute, from []*Entry, rest query.Order) (reached, error) {
	if !r.sees(a) {
		return reached{to: make([][]*Entry, len(from))}, nil
	}
	f, err := r.allowed(a.Target, nil, access.Find)
	if err != nil {
		return reached{}, err
	}
	s := step{attribute: a, filter: f, fields: append(system[:len(system):len(system)], sortFields([]query.Order{rest})...), limit: MaxOrdered - 1}
	if !a.Owner() {
		s.fields = append(s.fields, a.MappedBy)
	}
	there, err := r.follow(ctx, s, from)
	if err == nil && there.more {
		err = problem.Validation("%s leads to %d entries and more, which is too much to sort by: filter them", a.Name, MaxOrdered)
	}
	return there, err
}

// inside are the components to which attributes lead, with a place for each entry.
func inside(from []*Entry, way []*schema.Attribute) []*Entry {
	if len(way) == 0 {
		return from
	}
	path := make([]string, len(way))
	for i, a := range way {
		path[i] = a.Name
	}
	parts := make([]*Entry, len(from))
	for i, e := range from {
		row, _ := e.Row.At(strings.Join(path, ".")).(store.Document)
		parts[i] = &Entry{Component: way[len(way)-1].Component, Row: row, locale: e.locale}
	}
	return parts
}

// valuesAt are the values of a field of a row, or of its components.
func valuesAt(row store.Document, way []*schema.Attribute, field string) []any {
	if len(way) == 0 {
		return []any{row[field]}
	}
	switch v := row[way[0].Name].(type) {
	case store.Document:
		return valuesAt(v, way[1:], field)
	case []any:
		var all []any
		for _, one := range v {
			if part, ok := one.(store.Document); ok {
				all = append(all, valuesAt(part, way[1:], field)...)
			}
		}
		return all
	}
	return nil
}

// better is the value of two that counts. Null is none.
func better(a, b any, descending bool) any {
	switch c := store.CompareValues(a, b); {
	case a == nil:
		return b
	case b == nil:
		return a
	case descending == (c < 0) && c != 0:
		return b
	}
	return a
}
