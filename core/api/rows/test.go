package rows

import (
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/store"
)

// opposites are operators that hold where another one does not, but for null.
var opposites = map[query.Op]query.Op{
	query.Ne: query.Eq, query.Nei: query.Eqi, query.NotIn: query.In, query.NotContains: query.Contains, query.NotContainsi: query.Containsi, query.NotNull: query.Null,
}

var comparisons = map[query.Op]store.Op{query.Lt: store.Less, query.Lte: store.LessOrEqual, query.Gt: store.Greater, query.Gte: store.GreaterOrEqual}

// textOps are operators that look for a text within another.
var textOps = map[query.Op]store.Text{
	query.Eqi:         {Op: store.Whole, Fold: true},
	query.Contains:    {Op: store.Contains},
	query.Containsi:   {Op: store.Contains, Fold: true},
	query.StartsWith:  {Op: store.Prefix},
	query.StartsWithi: {Op: store.Prefix, Fold: true},
	query.EndsWith:    {Op: store.Suffix},
	query.EndsWithi:   {Op: store.Suffix, Fold: true},
}

// arity is how many values an operator has.
func arity(op query.Op) (least, most int) {
	switch op {
	case query.In, query.NotIn:
		return 0, store.MaxValues
	case query.Between:
		return 2, 2
	default:
		return 1, 1
	}
}

// test compiles a test of a value, or its opposite, where the path ends.
func test(at place, t query.Test, not bool) (store.Filter, error) {
	if least, most := arity(t.Op); len(t.Values) < least || len(t.Values) > most {
		return nil, problem.Validation("%s of %s has %d values; it takes %d to %d", t.Op, Field(t.Path), len(t.Values), least, most)
	}
	for _, v := range t.Values {
		if _, unbound := v.(query.User); unbound {
			return nil, problem.Validation("%s of %s compares with nobody's value", t.Op, Field(t.Path))
		}
	}
	op := t.Op
	if opposite, ok := opposites[op]; ok {
		op, not = opposite, !not
	}
	field := at.field(t.Path)
	f, null, err := positive(field, op, t.Values)
	if err != nil || !not {
		return f, err
	}
	if null {
		return store.Not{Filter: f}, nil
	}
	return store.And{store.Ne(field, nil), store.Not{Filter: f}}, nil
}

// positive compiles a test, and reports whether it is one of null.
func positive(field string, op query.Op, values []any) (f store.Filter, null bool, err error) {
	if text, ok := textOps[op]; ok {
		f, err = textual(field, op, text, values[0])
		return f, false, err
	}
	if compare, ok := comparisons[op]; ok {
		return ordered(field, compare, values[0]), false, nil
	}
	switch op {
	case query.Eq:
		return store.Eq(field, values[0]), values[0] == nil, nil
	case query.In:
		return among(field, values), false, nil
	case query.Between:
		return store.And{ordered(field, store.LessOrEqual, values[1]), ordered(field, store.GreaterOrEqual, values[0])}, false, nil
	case query.Null:
		if yes, _ := values[0].(bool); !yes {
			return store.Ne(field, nil), true, nil
		}
		return store.Null(field), true, nil
	default:
		return nil, false, problem.Validation("%s is no operator", op)
	}
}

// ordered compares what has an order. Nothing is less or greater than null.
func ordered(field string, op store.Op, v any) store.Filter {
	if v == nil {
		return store.Or{}
	}
	return store.Compare{Field: field, Op: op, Value: v}
}

// among is that a value is one of a list, in which null is equal to nothing.
func among(field string, values []any) store.Filter {
	in := store.In{Field: field, Values: make([]any, 0, len(values))}
	for _, v := range values {
		if v != nil {
			in.Values = append(in.Values, v)
		}
	}
	if len(in.Values) == 1 {
		return store.Eq(field, in.Values[0])
	}
	return in
}

func textual(field string, op query.Op, like store.Text, v any) (store.Filter, error) {
	s, ok := v.(string)
	switch {
	case !ok && op == query.Eqi:
		return store.Eq(field, v), nil
	case !ok:
		return nil, problem.Validation("%s looks for a text", op)
	case len(s) > store.MaxText:
		return nil, problem.Validation("%s looks for a text of %d bytes; %d are the most", op, len(s), store.MaxText)
	}
	like.Field, like.Value = field, s
	return like, nil
}
