package query

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
)

// fields reads "*", "a,b", or a list of names. Nil is all.
func (r *reader) fields(n *qs.Node, in scope) ([]string, error) {
	if n == nil || n.Kind == qs.Null {
		return nil, nil
	}
	items := []*qs.Node{n}
	if n.Kind == qs.List {
		items = n.Items
	}
	names, all := []string{}, false
	for _, item := range items {
		if item.Kind != qs.Text {
			return nil, problem.Validation("Invalid fields parameter. Expected a string or an array of strings")
		}
		for name := range strings.SplitSeq(item.Text, ",") {
			name = strings.TrimSpace(name)
			if name == "*" {
				all = true
				continue
			}
			if err := r.field(name, in); err != nil {
				return nil, err
			}
			if name != string(ID) && name != string(DocumentID) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if all {
		return nil, nil
	}
	return names, nil
}

// field finds what is wrong with a name.
func (r *reader) field(name string, in scope) error {
	a := in.attribute(name)
	switch {
	case name == "":
		return invalidValue("fields", "fields", "Invalid fields parameter. Expected the name of a field, or *")
	case a == nil && in.system(name) == "":
		return invalidKey("fields", name, "")
	case a != nil && (!a.Scalar() || !r.visible(a)):
		return invalidKey("fields", name, name)
	}
	return nil
}
