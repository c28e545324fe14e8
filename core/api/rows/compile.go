package rows

import (
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Compile returns the condition on rows of type t that e is on entries, for what a view shows; nil: all of them. That a row of t belongs to the view is not part of it.
// Of entries that e leads through, only those count that the view shows and that meet what only returns for their type (nil: all); only itself may be nil.
//
// A store's conditions hold or do not; those of a query say nothing of null either. So Not is carried down to the tests, as SQL's logic has it: the opposite of a
// test holds where the test does not, but for null. Through relations that is as in a join: both a test and its opposite look for one entry there.
//
// An error is a [problem.Error]: the condition is more than a store takes, or leads through a relation of one of many components.
func Compile(e query.Expr, t *schema.Type, v View, only func(*schema.Type) query.Expr) (store.Filter, error) {
	if e == nil {
		return nil, nil
	}
	c := compiler{view: v, only: only}
	f, err := c.compile(e, v.begin(t), false)
	if err != nil {
		return nil, err
	}
	if err := store.CheckFilter(f); err != nil {
		return nil, problem.Validation("The filters are more than can be looked for: %v", err)
	}
	return f, nil
}

type compiler struct {
	view View
	only func(*schema.Type) query.Expr
}

// place is where the paths of a condition begin.
type place struct {
	of     *schema.Type // nil: a component
	prefix string       // of fields: the components on the way, each with a dot
	within bool         // one of many components
	byID   bool         // rows there have the document id as their own
}

// begin is where a condition on rows of a type begins.
func (v View) begin(t *schema.Type) place { return place{of: t, byID: v.byID(t)} }

// field is the field in which a path ends. The id of a row is found more quickly than any other.
func (at place) field(p query.Path) string {
	if at.byID && p.Last == nil && p.System == query.DocumentID {
		return "id"
	}
	return at.prefix + Field(p)
}

func (c *compiler) compile(e query.Expr, at place, not bool) (store.Filter, error) {
	switch e := e.(type) {
	case query.And:
		return c.all(e, at, not, not)
	case query.Or:
		return c.all(e, at, not, !not)
	case query.Not:
		return c.compile(e.Expr, at, !not)
	case query.Some:
		return c.through(e.Through, at, func(at place) (store.Filter, error) { return c.compile(e.Expr, at, not) }, false)
	case query.Test:
		end := func(at place) (store.Filter, error) { return test(at, e, not) }
		return c.through(e.Path.Through, at, end, holdsForNothing(e, not))
	}
	return nil, problem.Validation("The filters can't be meant")
}

// all compiles conditions of which one must hold, or every one.
func (c *compiler) all(exprs []query.Expr, at place, not, one bool) (store.Filter, error) {
	filters := make([]store.Filter, 0, len(exprs))
	for _, e := range exprs {
		f, err := c.compile(e, at, not)
		if err != nil {
			return nil, err
		}
		if and, ok := f.(store.And); ok && !one {
			filters = append(filters, and...)
			continue
		}
		filters = append(filters, f)
	}
	switch {
	case len(filters) == 1:
		return filters[0], nil
	case one:
		return store.Or(filters), nil
	}
	return store.And(filters), nil
}

// through compiles a condition on what attributes lead to, one after the other. It holds when it does so for one of what is there; with none, also when nothing is.
func (c *compiler) through(way []*schema.Attribute, at place, end func(place) (store.Filter, error), none bool) (store.Filter, error) {
	if len(way) == 0 {
		return end(at)
	}
	a, next := way[0], place{prefix: at.prefix + way[0].Name + ".", within: at.within}
	switch {
	case a.Kind == schema.Zone:
		return nil, problem.Validation("%s is a dynamic zone: filters can't lead through it", a.Name)
	case a.Kind == schema.Part && !a.Repeatable:
		return c.through(way[1:], next, end, none)
	case a.Kind == schema.Part:
		inner, err := c.through(way[1:], place{within: true}, end, none)
		if err != nil {
			return nil, err
		}
		return orNone(none, inner, func(f store.Filter) store.Filter { return store.Some{Field: at.prefix + a.Name, Filter: f} }), nil
	case at.within:
		return nil, problem.Validation("%s belongs to one of many components: filters can't lead through it", a.Name)
	}
	inner, err := c.through(way[1:], c.view.begin(a.Target), end, none)
	if err != nil {
		return nil, err
	}
	seen, err := c.seen(a.Target)
	if err != nil {
		return nil, err
	}
	related := func(f store.Filter) store.Filter { return c.related(a, at, Both(seen, f)) }
	if id, ok := documentIDs(way[1:], inner); ok && a.Owner() {
		return Both(refersTo(at.prefix+a.Name, a.Many(), id), related(inner)), nil
	}
	return orNone(none, inner, related), nil
}

// orNone is that something there meets the condition, or, with none, that there is nothing.
func orNone(none bool, inner store.Filter, there func(store.Filter) store.Filter) store.Filter {
	if !none {
		return there(inner)
	}
	nothing := store.Not{Filter: there(store.And{})}
	if is, ok := inner.(store.Compare); ok && (is.Field == Number || isDocumentID(is.Field)) { // which what is there has
		return nothing
	}
	return store.Or{nothing, there(inner)}
}

// seen is the condition that an entry is there, in the view, and for who asks.
func (c *compiler) seen(t *schema.Type) (store.Filter, error) {
	f := c.view.Filter(t)
	if c.only == nil {
		return f, nil
	}
	only := c.only(t)
	if only == nil {
		return f, nil
	}
	// What the configuration says of who may see an entry may lead through what he may not.
	plain := compiler{view: c.view}
	mine, err := plain.compile(only, c.view.begin(t), false)
	return Both(f, mine), err
}

// related is that an attribute leads to an entry that meets a condition.
func (c *compiler) related(a *schema.Attribute, at place, f store.Filter) store.Filter {
	r := store.Related{Field: at.prefix + a.Name, Collection: Name(a.Target), Filter: f}
	if !a.Owner() {
		r.By, r.Field = a.MappedBy, DocumentID
		if at.byID {
			r.Field = "id"
		}
		return r
	}
	if !c.view.byID(a.Target) {
		r.By = DocumentID
	}
	return r
}

// documentIDs are what an entry's document id must be one of, if that is all that the condition on it says.
func documentIDs(rest []*schema.Attribute, f store.Filter) (ids []any, ok bool) {
	if len(rest) > 0 {
		return nil, false
	}
	switch f := f.(type) {
	case store.Compare:
		return []any{f.Value}, isDocumentID(f.Field) && f.Op == store.Equal && f.Value != nil
	case store.In:
		return f.Values, isDocumentID(f.Field) && len(f.Values) <= maxListed
	}
	return nil, false
}

func isDocumentID(field string) bool { return field == DocumentID || field == "id" }

// maxListed is for how many entries that must be referred to an index is used.
const maxListed = 20

// RefersTo is that an attribute that owns its references has one of these document ids: what an index knows.
func RefersTo(owner *schema.Attribute, documentIDs []any) store.Filter {
	return refersTo(owner.Name, owner.Many(), documentIDs)
}

func refersTo(field string, many bool, ids []any) store.Filter {
	if !many {
		return among(field, ids)
	}
	has := make(store.Or, len(ids))
	for i, id := range ids {
		has[i] = store.Has{Field: field, Value: id}
	}
	if len(has) == 1 {
		return has[0]
	}
	return has
}

// holdsForNothing reports whether a test, or its opposite, is that there is no value.
func holdsForNothing(t query.Test, not bool) bool {
	if len(t.Values) != 1 {
		return false
	}
	yes, _ := t.Values[0].(bool)
	switch t.Op {
	case query.Null:
		return yes != not
	case query.NotNull:
		return yes == not
	case query.Eq:
		return t.Values[0] == nil && !not
	case query.Ne:
		return t.Values[0] == nil && not
	default:
		return false
	}
}
