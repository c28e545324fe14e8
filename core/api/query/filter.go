package query

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// A way leads to where a filter, or a populated attribute, is read.
type way struct {
	path    string // names of attributes, joined by dots
	raw     string // the same with the keywords between them
	depth   int    // levels of objects
	hops    int    // relations
	related bool   // an operator here compares the number of the entry
}

func (w way) to(name string) way {
	w.path, w.raw, w.depth = join(w.path, name), join(w.raw, name), w.depth+1
	return w
}

// filters reads the filters of a request. Nil is none.
func (r *reader) filters(n *qs.Node, in scope) (Expr, error) {
	switch {
	case n == nil || n.Kind == qs.Null:
		return nil, nil
	case n.Kind == qs.Text:
		return nil, problem.Validation("The filters parameter must be an object or an array")
	case n.Kind == qs.List:
		return nil, invalidValue("filters", "filters", "The filters parameter must be an object. Put a list into $and or $or")
	}
	return r.object(n, in, way{})
}

// object reads conditions that all have to hold: by the names of attributes, and by operators.
func (r *reader) object(n *qs.Node, in scope, w way) (Expr, error) {
	if w.depth >= maxNesting {
		return nil, problem.Validation("Filters nest more than %d levels", maxNesting)
	}
	var all And
	for i, key := range n.Names {
		leave := r.enter(key)
		e, err := r.member(key, n.Items[i], in, w)
		if err = r.place(err); err != nil {
			return nil, err
		}
		leave()
		if e != nil {
			all = append(all, e)
		}
	}
	return all.plain(), nil
}

// plain is the condition without an And around it that says nothing.
func (a And) plain() Expr {
	switch len(a) {
	case 0:
		return nil
	case 1:
		return a[0]
	}
	return a
}

func (r *reader) member(key string, value *qs.Node, in scope, w way) (Expr, error) {
	if strings.HasPrefix(key, "$") {
		return r.operator(key, value, in, w)
	}
	a := in.attribute(key)
	if a == nil {
		system := in.system(key)
		if system == "" {
			return nil, r.unknown(key, in, w)
		}
		return r.tests(Path{System: system}, in, value, w.to(key))
	}
	w = w.to(key)
	switch {
	case a.Kind == schema.Zone || !r.visible(a) || !r.reads(a):
		return nil, invalidKey("filters", key, w.path)
	case a.Scalar():
		return r.tests(Path{Last: a}, in, value, w)
	}
	if a.Refers() {
		w.hops++
	}
	if w.hops > maxHops {
		return nil, problem.Validation("At most %d relations lead to a value", maxHops)
	}
	w.related = true
	e, err := r.inside(value, below(a), w)
	if err != nil || e == nil {
		return nil, err
	}
	return through(a, e), nil
}

// unknown is a name that there is not.
func (r *reader) unknown(key string, in scope, w way) error {
	if r.config == nil {
		return invalidKey("filters", key, w.path)
	}
	known := []string{}
	for _, a := range in.attributes() {
		known = append(known, a.Name)
	}
	return problem.Validation("%s has no attribute %s%s", in.name(), shown(key), Near(key, known))
}

// inside reads what is asked of the entries that a relation leads to.
func (r *reader) inside(n *qs.Node, in scope, w way) (Expr, error) {
	if n.Kind == qs.Object {
		return r.object(n, in, w)
	}
	return r.tests(r.identity(n, in), in, n, w)
}

// identity is what entries are known by where none of their attributes is named: the number, or the documentId.
func (r *reader) identity(n *qs.Node, in scope) Path {
	for len(n.Items) > 0 {
		n = n.Items[0]
	}
	if n.Kind != qs.Text || in.t == nil {
		return Path{System: ID}
	}
	if _, ok := float(strings.TrimSpace(n.Text)); ok || n.Text == "" {
		return Path{System: ID}
	}
	return Path{System: DocumentID}
}

// operator reads a key that begins with $ where the name of an attribute may stand.
func (r *reader) operator(key string, value *qs.Node, in scope, w way) (Expr, error) {
	switch key {
	case "$and", "$or":
		return r.group(key, value, in, w)
	case "$not":
		return r.not(value, in, w)
	}
	if _, ok := shapes[Op(key)]; !ok {
		return nil, r.noOperator(key, w)
	}
	if !w.related {
		return nil, invalidValue("filters", join(w.path, key), "Only $and, $or and $not can be used as root level operators. Found %s", key)
	}
	p := Path{System: ID}
	if shapes[Op(key)] != takesFlag {
		p = r.identity(value, in)
	}
	return r.test(p, in, Op(key), value, w)
}

func (r *reader) noOperator(key string, w way) error {
	if r.config == nil {
		return invalidKey("filters", key, w.path)
	}
	known := []string{"$and", "$or", "$not"}
	for op := range shapes {
		known = append(known, string(op))
	}
	slices.Sort(known)
	return problem.Validation("there is no operator %s%s", shown(key), Near(key, known))
}

func (r *reader) group(key string, value *qs.Node, in scope, w way) (Expr, error) {
	items, ok := list(value)
	if !ok {
		return nil, invalidValue("filters", join(w.path, key), "The operator %s needs a list of filters", key)
	}
	var all And
	w.depth++
	for i, item := range items {
		if item.Kind == qs.Null {
			continue
		}
		leave := r.enter(i)
		if item.Kind != qs.Object {
			return nil, r.place(invalidValue("filters", join(w.path, key), "The operator %s needs a list of filters", key))
		}
		e, err := r.object(item, in, w)
		if err != nil {
			return nil, err
		}
		leave()
		if e != nil {
			all = append(all, e)
		}
	}
	if key == "$or" && len(all) > 1 {
		return Or(all), nil
	}
	return all.plain(), nil
}

func (r *reader) not(value *qs.Node, in scope, w way) (Expr, error) {
	if !w.related && value.Kind != qs.Object {
		return nil, invalidValue("filters", join(w.path, "$not"), "The operator $not needs a filter")
	}
	w.depth++
	e, err := r.inside(value, in, w)
	if err != nil || e == nil {
		return nil, err
	}
	return Not{e}, nil
}

// list is a list of qs: one with more than its limit is an object with numbers for names.
func list(n *qs.Node) ([]*qs.Node, bool) {
	if n.Kind == qs.Object && len(n.Names) > qs.MaxList && !slices.ContainsFunc(n.Names, func(name string) bool {
		return strings.Trim(name, "0123456789") != ""
	}) {
		return n.Items, true
	}
	return n.Items, n.Kind == qs.List
}

// tests reads what is asked of one value: a value that it is equal to, values that it is one of, or operators.
func (r *reader) tests(p Path, in scope, n *qs.Node, w way) (Expr, error) {
	if items, ok := list(n); ok || n.Kind != qs.Object {
		if ok {
			return r.test(p, in, In, &qs.Node{Kind: qs.List, Items: items}, w)
		}
		return r.test(p, in, Eq, n, w)
	}
	if w.depth >= maxNesting {
		return nil, problem.Validation("Filters nest more than %d levels", maxNesting)
	}
	var all And
	for i, key := range n.Names {
		leave := r.enter(key)
		e, err := r.one(p, in, key, n.Items[i], w)
		if err = r.place(err); err != nil {
			return nil, err
		}
		leave()
		if e != nil {
			all = append(all, e)
		}
	}
	return all.plain(), nil
}

func (r *reader) one(p Path, in scope, key string, value *qs.Node, w way) (Expr, error) {
	switch key {
	case "$not":
		w.depth++
		e, err := r.tests(p, in, value, w)
		if err != nil || e == nil {
			return nil, err
		}
		return Not{e}, nil
	case "$and", "$or":
		return nil, invalidValue("filters", join(w.path, key), "The operator %s stands before the name of an attribute, and not after it", key)
	}
	if _, ok := shapes[Op(key)]; !ok {
		return nil, r.noOperator(key, w)
	}
	return r.test(p, in, Op(key), value, w)
}

// through says of a relation what is asked of the entries that it leads to.
func through(a *schema.Attribute, e Expr) Expr {
	switch e := e.(type) {
	case Test:
		e.Path.Through = append([]*schema.Attribute{a}, e.Path.Through...)
		return e
	case Some:
		e.Through = append([]*schema.Attribute{a}, e.Through...)
		return e
	case Or:
		for i := range e {
			e[i] = through(a, e[i])
		}
		return e
	case And:
		if a.Many() {
			break
		}
		for i := range e {
			e[i] = through(a, e[i])
		}
		return e
	}
	return Some{Through: []*schema.Attribute{a}, Expr: e}
}
