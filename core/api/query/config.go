package query

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// A FilterError is what is wrong in a filter of the configuration.
type FilterError struct {
	Path    []any // keys, and places in lists, that lead to it
	Message string
}

func (e *FilterError) Error() string { return e.Message }

// A place is where in a filter of the configuration reading has come to.
type place struct{ path []any }

// enter goes to a key, or to a place in a list, and returns what goes back.
func (r *reader) enter(step any) (leave func()) {
	if r.config == nil {
		return func() {}
	}
	n := len(r.config.path)
	r.config.path = append(r.config.path, step)
	return func() { r.config.path = r.config.path[:n] }
}

// place says of an error in the configuration where it is. That of the innermost place counts.
func (r *reader) place(err error) error {
	var known *FilterError
	if err == nil || r.config == nil || errors.As(err, &known) {
		return err
	}
	message := err.Error()
	var p *problem.Error
	if errors.As(err, &p) {
		if key, ok := p.Details.(problem.Key); ok && strings.HasPrefix(message, "Invalid key") {
			message = fmt.Sprintf("%s can't be filtered by", key.Key)
		}
	}
	return &FilterError{Path: slices.Clone(r.config.path), Message: message}
}

// Filter reads a filter of the configuration: a tree of map[string]any, []any and plain values. A value may be [User], or $now. Nil, or a filter without
// conditions, is nil: all. An error is a [*FilterError].
func Filter(tree any, t *schema.Type, set *schema.Set) (Expr, error) {
	r := &reader{Options: Options{Set: set}, config: &place{}}
	if tree == nil {
		return nil, nil
	}
	n := node(tree)
	if n.Kind != qs.Object {
		return nil, &FilterError{Message: "a filter is written as {ATTRIBUTE: {$eq: VALUE}}"}
	}
	e, err := r.object(n, scope{t: t}, way{})
	if err != nil {
		return nil, r.place(err)
	}
	return e, nil
}

// node is a tree of the configuration as a query string would have it.
func node(tree any) *qs.Node {
	switch v := tree.(type) {
	case nil:
		return &qs.Node{}
	case []any:
		n := &qs.Node{Kind: qs.List}
		for _, item := range v {
			n.Items = append(n.Items, node(item))
		}
		return n
	case map[string]any:
		n := &qs.Node{Kind: qs.Object}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.Names, n.Items = append(n.Names, name), append(n.Items, node(v[name]))
		}
		return n
	}
	return &qs.Node{Kind: qs.Text, Text: fmt.Sprint(tree)}
}

// now stands for the time at which somebody asks, as values of a kind have it.
type now schema.Kind

// stand reads a value that stands for another one; nil if it is none.
func (r *reader) stand(p Path, in scope, op Op, text string, w way) (Path, any, error) {
	kind := kindOf(p)
	if text == "$now" {
		if kind != schema.DateTime && kind != schema.Date {
			return p, nil, invalidValue("filters", w.path, "$now is a time, and %s is not", w.path)
		}
		return p, now(kind), nil
	}
	name, ok := strings.CutPrefix(text, "$user.")
	if !ok {
		if len(text) > 1 && text[0] == '$' && (text[1]|0x20 >= 'a' && text[1]|0x20 <= 'z') { // a text like that would let nobody see anything, or everybody everything
			return p, nil, invalidValue("filters", w.path, "%s is no value: there are $user.id, $user.documentId, $user.ATTRIBUTE and $now", text)
		}
		return p, nil, nil
	}
	users := r.Set.Type("user")
	identifies := p.System == ID || p.System == DocumentID
	if name == string(ID) && identifies {
		if in.t != users {
			return p, nil, invalidValue("filters", w.path, "%s is a user, and %s is not", text, w.path)
		}
		return Path{p.Through, nil, DocumentID}, User(DocumentID), nil
	}
	want, target, err := r.userValue(name, op, w)
	if err != nil {
		return p, nil, err
	}
	if target != nil && identifies {
		if in.t != target {
			return p, nil, invalidValue("filters", w.path, "%s is of type %s, and %s is not", text, target.Name, w.path)
		}
		return Path{p.Through, nil, DocumentID}, User(name), nil
	}
	if family(want) != family(kind) {
		return p, nil, invalidValue("filters", w.path, "%s is %s, and %s is %s", text, want, w.path, kind)
	}
	return p, User(name), nil
}

// userValue is what kind a value of a user has, and the type that it leads to if it leads to one.
func (r *reader) userValue(name string, op Op, w way) (schema.Kind, *schema.Type, error) {
	in := scope{t: r.Set.Type("user")}
	a := in.attribute(name)
	if a == nil {
		switch system := in.system(name); system {
		case "":
			return "", nil, invalidValue("filters", w.path, "a user has no %s", name)
		case DocumentID:
			return schema.String, in.t, nil
		default:
			return kindOf(Path{System: system}), nil, nil
		}
	}
	switch {
	case a.Refers() && !a.Owner() || a.Kind == schema.Part || a.Kind == schema.Zone || a.Kind == schema.Password:
		return "", nil, invalidValue("filters", w.path, "%s of a user can't be compared with: it is not kept with the user", name)
	case a.Many() && shapes[op] != takesValues:
		return "", nil, invalidValue("filters", w.path, "a user has many %s: write {$in: $user.%s}", name, name)
	case a.Refers():
		return schema.String, a.Target, nil
	}
	return a.Kind, nil, nil
}

// family is what kinds can be compared with each other.
func family(k schema.Kind) schema.Kind {
	switch {
	case slices.Contains(numbers, k):
		return schema.Float
	case textual(k) && k != schema.Date && k != schema.Time:
		return schema.String
	}
	return k
}

// Bind puts the values of who asks in the place of [User] values, and the time in that of $now. Where there is no value, neither the test nor its opposite
// holds. A list of values stands for all of them in $in and $notIn.
func Bind(e Expr, value func(User) (any, bool)) Expr {
	b := binder{value: value, at: time.Now().UTC().Truncate(time.Millisecond)}
	return b.bind(e, false)
}

type binder struct {
	value func(User) (any, bool)
	at    time.Time
}

// bind replaces what can't be known by what makes the whole not hold: never, or under a Not always.
func (b binder) bind(e Expr, negated bool) Expr {
	switch e := e.(type) {
	case And:
		return And(b.all(e, negated))
	case Or:
		return Or(b.all(e, negated))
	case Not:
		return Not{b.bind(e.Expr, !negated)}
	case Some:
		if negated && !b.known(e.Expr) {
			return And{}
		}
		return Some{e.Through, b.bind(e.Expr, negated)}
	case Test:
		values, ok := b.values(e)
		switch {
		case ok:
			return Test{e.Path, e.Op, values}
		case negated:
			return And{}
		}
		return Or{}
	}
	return e
}

func (b binder) all(of []Expr, negated bool) []Expr {
	bound := make([]Expr, len(of))
	for i, e := range of {
		bound[i] = b.bind(e, negated)
	}
	return bound
}

// known reports whether there is a value for all that stands for one.
func (b binder) known(e Expr) bool {
	switch e := e.(type) {
	case And:
		return !slices.ContainsFunc(e, func(one Expr) bool { return !b.known(one) })
	case Or:
		return !slices.ContainsFunc(e, func(one Expr) bool { return !b.known(one) })
	case Not:
		return b.known(e.Expr)
	case Some:
		return b.known(e.Expr)
	case Test:
		_, ok := b.values(e)
		return ok
	}
	return true
}

func (b binder) values(t Test) ([]any, bool) {
	if !slices.ContainsFunc(t.Values, stands) {
		return t.Values, true
	}
	values := make([]any, 0, len(t.Values))
	for _, v := range t.Values {
		switch one := v.(type) {
		case now:
			v = b.at
			if schema.Kind(one) == schema.Date {
				v = b.at.Format(time.DateOnly)
			}
		case User:
			known, ok := b.value(one)
			if many, isList := known.([]any); isList && ok && shapes[t.Op] == takesValues {
				values = append(values, many...)
				continue
			}
			if v = known; !ok || v == nil {
				return nil, false
			}
		}
		values = append(values, v)
	}
	return values, true
}

// stands reports whether a value stands for another one.
func stands(v any) bool {
	switch v.(type) {
	case User, now:
		return true
	}
	return false
}

// Open reports whether a condition has values that [Bind] has to put in.
func Open(e Expr) bool {
	switch e := e.(type) {
	case And:
		return slices.ContainsFunc(e, Open)
	case Or:
		return slices.ContainsFunc(e, Open)
	case Not:
		return Open(e.Expr)
	case Some:
		return Open(e.Expr)
	case Test:
		return slices.ContainsFunc(e.Values, stands)
	}
	return false
}
