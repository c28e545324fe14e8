package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// A rule is who sees and changes which entries of a type. Nil is all.
type rule struct {
	find, findOne, update, delete query.Expr
	stamp                         []stamp
}

// A stamp is what one attribute of a new entry is set to: a value, nil or a [query.User].
type stamp struct {
	attribute *schema.Attribute
	value     any
}

// never holds for nothing.
var never = query.Or{}

// rule reads what the configuration says of a type. What is wrong in it holds for nothing.
func (p *Policy) rule(t *schema.Type, a config.APIAccess) (rule, []error) {
	var errs []error
	read := func(key string, tree *config.Tree) query.Expr {
		if tree == nil {
			return nil
		}
		e, err := query.Filter(tree.Value, t, p.set)
		if err != nil {
			errs = append(errs, below(key, err))
			return never
		}
		return e
	}
	r := rule{find: read("find", a.Find), findOne: read("findOne", a.FindOne)}
	if a.FindOne == nil {
		r.findOne = r.find
	}
	r.update = both(r.find, read("update", a.Update))
	r.delete = both(r.find, read("delete", a.Delete))
	if a.Create != nil {
		var wrong []error
		r.stamp, wrong = p.stamps(t, a.Create.Value)
		errs = append(errs, wrong...)
	}
	return r, errs
}

// below says of an error in a filter which key it stands below.
func below(key string, err error) error {
	f, ok := errors.AsType[*query.FilterError](err)
	if !ok {
		return err
	}
	return &query.FilterError{Path: append([]any{key}, f.Path...), Message: f.Message}
}

func both(a, b query.Expr) query.Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return query.And{a, b}
}

func (r rule) only(a Action) query.Expr {
	switch a {
	case Find, Count:
		return r.find
	case FindOne:
		return r.findOne
	case Update:
		return r.update
	case Delete:
		return r.delete
	case Create, Me:
	}
	return nil
}

// stamps reads {ATTRIBUTE: VALUE}. Each is judged as a filter that an entry with that value meets.
func (p *Policy) stamps(t *schema.Type, tree any) (all []stamp, errs []error) {
	values, ok := tree.(map[string]any)
	if !ok {
		return nil, []error{&query.FilterError{Path: []any{"create"}, Message: "what is set on a new entry is written as {ATTRIBUTE: VALUE}, as {author: $user.id}"}}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fail := func(message string) {
			errs = append(errs, &query.FilterError{Path: []any{"create", name}, Message: message})
		}
		a := t.Attribute(name)
		switch values[name].(type) {
		case map[string]any, []any:
			fail("one value is set, and no list or filter: {author: $user.id}")
			continue
		}
		if a != nil && (a.Refers() && !a.Owner() || !a.Refers() && !a.Scalar()) {
			fail(fmt.Sprintf("%s can't be set so: it is not kept with the entry, or is a component", name))
			continue
		}
		e, err := query.Filter(map[string]any{name: map[string]any{"$eq": values[name]}}, t, p.set)
		if err != nil {
			fail(err.Error())
			continue
		}
		test, ok := e.(query.Test)
		if a == nil || !ok {
			fail(fmt.Sprintf("%s is no attribute of %s%s", name, t.Name, query.Near(name, names(t))))
			continue
		}
		one := stamp{attribute: a}
		if test.Op == query.Eq {
			one.value = test.Values[0]
		}
		all = append(all, one)
	}
	return all, errs
}

func names(t *schema.Type) (all []string) {
	for _, a := range t.Attributes {
		all = append(all, a.Name)
	}
	return all
}

// written is a value as a request would have it.
func (s stamp) written(v any) any {
	switch one := v.(type) {
	case int64:
		v = json.Number(strconv.FormatInt(one, 10))
	case float64:
		v = json.Number(strconv.FormatFloat(one, 'g', -1, 64))
	case time.Time:
		v = one.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if v != nil && s.attribute.Refers() && s.attribute.Many() {
		return []any{v}
	}
	return v
}
