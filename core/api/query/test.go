package query

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// shape is what an operator takes.
type shape uint8

const (
	takesValue  shape = iota // of the attribute's kind
	takesText                // a piece of a text, whatever the kind
	takesValues              // any number of values
	takesPair                // two values
	takesFlag                // yes or no
)

// shapes are what the operators take.
var shapes = map[Op]shape{
	Eq: takesValue, Ne: takesValue, Lt: takesValue, Lte: takesValue, Gt: takesValue, Gte: takesValue,
	Eqi: takesText, Nei: takesText, Contains: takesText, NotContains: takesText, Containsi: takesText, NotContainsi: takesText,
	StartsWith: takesText, StartsWithi: takesText, EndsWith: takesText, EndsWithi: takesText,
	In: takesValues, NotIn: takesValues, Between: takesPair, Null: takesFlag, NotNull: takesFlag,
}

// test reads what an operator takes.
func (r *reader) test(p Path, in scope, op Op, n *qs.Node, w way) (Expr, error) {
	if err := r.spend(); err != nil {
		return nil, err
	}
	kind := kindOf(p)
	if !suits(kind, op) {
		return nil, invalidValue("filters", w.path, "The operator %s can't be used with %s, which is %s", op, w.path, kind)
	}
	switch shapes[op] {
	case takesFlag:
		return Test{p, op, []any{n.Kind == qs.Text && truth(n.Text) || n.Kind >= qs.List}}, nil
	case takesValues:
		return r.anyOf(p, in, op, n, w)
	case takesPair:
		return r.between(p, in, n, w)
	case takesValue, takesText:
	}
	if items, ok := list(n); ok {
		return r.either(p, in, op, items, w)
	}
	if n.Kind == qs.Object {
		return nil, invalidValue("filters", w.path, "The operator %s of %s needs a value", op, w.path)
	}
	if n.Kind == qs.Null {
		return r.null(p, op, w)
	}
	p, v, err := r.read(p, in, op, n, w)
	if err != nil {
		return nil, err
	}
	return Test{p, op, []any{v}}, nil
}

// suits reports whether values of the kind have what the operator asks for.
func suits(k schema.Kind, op Op) bool {
	switch {
	case k == schema.JSON || k == schema.Blocks:
		return op == Null || op == NotNull
	case shapes[op] == takesText:
		return textual(k)
	}
	return true
}

// null reads an operator with null for a value.
func (r *reader) null(p Path, op Op, w way) (Expr, error) {
	if op == Eq || op == Eqi {
		return Test{p, Null, []any{true}}, nil
	}
	if op == Ne || op == Nei {
		return Test{p, NotNull, []any{true}}, nil
	}
	return nil, invalidValue("filters", w.path, "The operator %s of %s needs a value", op, w.path)
}

// spend counts a condition.
func (r *reader) spend() error {
	if r.conditions++; r.conditions > maxConditions {
		return problem.Validation("There are more than %d conditions in the filters", maxConditions)
	}
	return nil
}

// anyOf reads the values of $in and $notIn. A null among them is none: clients write an empty list as one.
func (r *reader) anyOf(p Path, in scope, op Op, n *qs.Node, w way) (Expr, error) {
	items, ok := list(n)
	if !ok {
		items = []*qs.Node{n}
	}
	if len(items) > maxValues {
		return nil, invalidValue("filters", w.path, "The operator %s of %s has more than %d values", op, w.path, maxValues)
	}
	test := Test{p, op, make([]any, 0, len(items))}
	for i, item := range items {
		if item.Kind == qs.Null {
			continue
		}
		leave := func() {}
		if ok {
			leave = r.enter(i)
		}
		q, v, err := r.read(p, in, op, item, w)
		if err = r.place(err); err != nil {
			return nil, err
		}
		leave()
		test.Path = q
		test.Values = append(test.Values, v)
	}
	return test, nil
}

func (r *reader) between(p Path, in scope, n *qs.Node, w way) (Expr, error) {
	if n.Kind != qs.List || len(n.Items) != 2 {
		return nil, invalidValue("filters", w.path, "The operator $between of %s needs two values", w.path)
	}
	test := Test{p, Between, make([]any, 2)}
	for i, item := range n.Items {
		leave := r.enter(i)
		var err error
		if _, test.Values[i], err = r.read(p, in, Between, item, w); err != nil {
			return nil, r.place(err)
		}
		leave()
	}
	return test, nil
}

// either reads more than one value of an operator that takes one: it holds for one of them, as in Strapi.
func (r *reader) either(p Path, in scope, op Op, items []*qs.Node, w way) (Expr, error) {
	one := Or{}
	for i, item := range items {
		leave := r.enter(i)
		if item.Kind >= qs.List {
			return nil, r.place(invalidValue("filters", w.path, "The operator %s of %s needs a value", op, w.path))
		}
		e, err := r.test(p, in, op, item, w)
		if err = r.place(err); err != nil {
			return nil, err
		}
		leave()
		one = append(one, e)
	}
	if len(one) == 1 {
		return one[0], nil
	}
	return one, nil
}

// read reads one value. A value of who asks may be compared with another field than the one that is named: users are known by their documentId.
func (r *reader) read(p Path, in scope, op Op, n *qs.Node, w way) (Path, any, error) {
	if n.Kind != qs.Text {
		return p, nil, invalidValue("filters", w.path, "The operator %s of %s needs a value", op, w.path)
	}
	if len(n.Text) > maxText {
		return p, nil, invalidValue("filters", w.path, "The value at %s has more than %d bytes", w.path, maxText)
	}
	if r.config != nil {
		if q, v, err := r.stand(p, in, op, n.Text, w); v != nil || err != nil {
			return q, v, err
		}
	}
	if shapes[op] == takesText {
		return p, n.Text, nil
	}
	kind := kindOf(p)
	v, err := convert(n.Text, kind, w.path)
	switch {
	case r.config == nil:
	case err != nil:
		// The value is not repeated: it may come from a secret.
		err = invalidValue("filters", w.path, "%s is %s, and the value is none", w.path, kind)
	case kind == schema.Enumeration && !slices.Contains(p.Last.Enum, n.Text):
		err = invalidValue("filters", w.path, "%s has other values: %s", w.path, strings.Join(p.Last.Enum, ", "))
	}
	return p, v, err
}
