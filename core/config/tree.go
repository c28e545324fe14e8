package config

import (
	"reflect"
	"strconv"
	"strings"
)

// A Tree is any YAML value, such as a filter: nil, bool, int64, float64, string, []any or map[string]any.
type Tree struct{ Value any }

var treeType = reflect.TypeFor[Tree]()

// tree makes a value of a node, whatever it is.
func (d *decoder) tree(n *node, path string) any {
	switch n.kind {
	case sequence:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			at := child(path, strconv.Itoa(i))
			d.places[at] = item.place
			list[i] = d.tree(item, at)
		}
		return list
	case mapping:
		all := map[string]any{}
		seen := map[string]place{}
		for _, e := range n.entries {
			if e.key.kind != scalar {
				d.fail(e.key.place, "a key should be text, and is %s", e.key.what())
				continue
			}
			if d.twice(seen, e.key.text, e.key) {
				continue
			}
			at := child(path, e.key.text)
			d.places[at] = e.key.place
			all[e.key.text] = d.tree(e.value, at)
		}
		return all
	case scalar:
	}
	text, expanded, err := d.expander.expand(n.text, n.src)
	if err != nil {
		d.spoil(path, n.place, "%s", err)
		return nil
	}
	if expanded {
		d.hide(path)
	}
	return plainValue(text, n.tag)
}

// plainValue is what a scalar of a YAML type says (https://yaml.org/type/).
func plainValue(text, tag string) any {
	switch tag {
	case yamlNull:
		return nil
	case yamlBool:
		return strings.EqualFold(text, "true")
	case yamlInt:
		if i, err := strconv.ParseInt(text, 0, 64); err == nil {
			return i
		}
	case yamlFloat:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	}
	return text
}
