package query

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// sort reads "a:desc,b.c", a list of those, {a: desc, b: {c: asc}}, or a list of those.
func (r *reader) sort(n *qs.Node, in scope) ([]Order, error) {
	if n == nil {
		return nil, nil
	}
	s := &sorter{reader: r, in: in}
	items := []*qs.Node{n}
	if n.Kind == qs.List {
		items = n.Items
	}
	for _, item := range items {
		var err error
		switch item.Kind {
		case qs.Null:
		case qs.Text:
			err = s.text(item.Text)
		case qs.Object:
			err = s.object(item, in, nil, "", 1)
		default:
			err = problem.Validation("Invalid sort parameter. Expected a string, an array of strings, a sort object or an array of sort objects")
		}
		if err != nil {
			return nil, err
		}
	}
	return s.orders, nil
}

// A sorter collects what one list of entries is sorted by.
type sorter struct {
	*reader
	in     scope
	orders []Order
}

func (s *sorter) text(text string) error {
	for segment := range strings.SplitSeq(text, ",") {
		name, order, _ := strings.Cut(strings.TrimSpace(segment), ":")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := s.dotted(name, order, strings.Contains(segment, ":")); err != nil {
			return err
		}
	}
	return nil
}

// dotted sorts by a name such as author.username.
func (s *sorter) dotted(name, order string, ordered bool) error {
	in, path := s.in, ""
	var through []*schema.Attribute
	for {
		key, rest, more := strings.Cut(name, ".")
		a, system, err := s.find(in, key, path)
		if err != nil {
			return err
		}
		path = join(path, key)
		scalar := system != "" || a.Scalar()
		switch {
		case scalar && !more:
			if order, _, _ = strings.Cut(order, ":"); !ordered {
				order = "asc"
			}
			return s.add(Path{through, a, system}, order)
		case scalar:
			return invalidKey("sort", rest, path)
		case !more && ordered:
			return invalidKey("sort", strings.TrimSpace(order), path)
		case !more:
			return invalidKey("sort", key, path)
		}
		if through, err = s.hop(through, a); err != nil {
			return err
		}
		in, name = below(a), rest
	}
}

func (s *sorter) object(n *qs.Node, in scope, through []*schema.Attribute, path string, depth int) error {
	if depth > maxNesting {
		return problem.Validation("The sort parameter nests more than %d levels", maxNesting)
	}
	for i, key := range n.Names {
		value := n.Items[i]
		a, system, err := s.find(in, key, path)
		if err != nil {
			return err
		}
		scalar, at := system != "" || a.Scalar(), join(path, key)
		switch {
		case value.Kind == qs.Text && value.Text == "" && scalar:
		case value.Kind == qs.Text && scalar:
			err = s.add(Path{through, a, system}, value.Text)
		case value.Kind == qs.Text && value.Text != "":
			err = invalidKey("sort", value.Text, at)
		case value.Kind != qs.Object && !scalar:
			err = invalidKey("sort", key, at)
		case value.Kind != qs.Object:
			err = problem.Validation("Invalid sort type expected object or string got object")
		case scalar:
			err = invalidKey("sort", value.Names[0], at)
		default:
			var further []*schema.Attribute
			if further, err = s.hop(through, a); err == nil {
				err = s.object(value, below(a), further, at, depth+1)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// find looks a name up that may be sorted by.
func (s *sorter) find(in scope, key, path string) (*schema.Attribute, System, error) {
	a := in.attribute(key)
	if a == nil {
		if system := in.system(key); system != "" {
			return nil, system, nil
		}
		return nil, "", invalidKey("sort", key, path)
	}
	if a.Kind == schema.Zone || !s.visible(a) || !s.reads(a) {
		return nil, "", invalidKey("sort", key, join(path, key))
	}
	return a, "", nil
}

func (s *sorter) add(p Path, order string) error {
	order = strings.ToLower(strings.TrimSpace(order))
	if order != "asc" && order != "desc" {
		return problem.Validation("Invalid order. order can only be one of asc|desc|ASC|DESC")
	}
	same := func(o Order) bool {
		return o.Path.Last == p.Last && o.Path.System == p.System && slices.Equal(o.Path.Through, p.Through)
	}
	if slices.ContainsFunc(s.orders, same) {
		return nil
	}
	if len(s.orders) == maxOrders {
		return problem.Validation("The sort parameter names more than %d fields", maxOrders)
	}
	s.orders = append(s.orders, Order{Path: p, Descending: order == "desc"})
	return nil
}

// hop goes on through a relation, media or a component.
func (r *reader) hop(through []*schema.Attribute, a *schema.Attribute) ([]*schema.Attribute, error) {
	hops := 0
	for _, one := range through {
		if one.Refers() {
			hops++
		}
	}
	if a.Refers() && hops == maxHops || len(through) == 2*maxHops {
		return nil, problem.Validation("At most %d relations lead to a value", maxHops)
	}
	return append(slices.Clone(through), a), nil
}
