package migrate

import (
	"fmt"
	"maps"
	"strconv"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// A converter turns a value that is kept into what a new attribute has. What it is already it leaves alone, so that it can be asked again. It is never
// given null. A nil converter has nothing to do.
type converter func(v any) (any, *misfit)

// A misfit is a value that can't be turned into what it would have to be.
type misfit struct {
	path string // of the attribute within that of the type; "" is that itself
	why  string
}

// within is the misfit of an attribute of a component.
func (m *misfit) within(name string) *misfit {
	path := name
	if m.path != "" {
		path += "." + m.path
	}
	return &misfit{path, m.why}
}

// refuse refuses whatever is not empty.
func refuse(why string) converter {
	return func(v any) (any, *misfit) {
		if list, ok := v.([]any); ok && len(list) == 0 {
			return nil, nil
		}
		return v, &misfit{why: why}
	}
}

// scalar converts a plain value.
func scalar(was, to *schema.Attribute) converter {
	if was.Kind == schema.Password || to.Kind == schema.Password {
		return refuse(fmt.Sprintf("is of kind %s and can't become %s", was.Kind, to.Kind))
	}
	return func(v any) (any, *misfit) {
		next, ok := converted(v, to)
		switch {
		case ok:
			return next, nil
		case to.Kind == schema.Enumeration:
			return v, &misfit{why: "is none of the values in enum, such as " + shown(v)}
		case to.Kind == schema.String && was.Kind != schema.JSON:
			return v, &misfit{why: fmt.Sprintf("has more than %d characters, such as %s; text may have", maxString, shown(v))}
		}
		return v, &misfit{why: fmt.Sprintf("can't become %s without loss, such as %s", to.Kind, shown(v))}
	}
}

// shown writes a value for a message, on one line and not too long.
func shown(v any) string {
	const most = 60
	text, ok := asText(v)
	if !ok {
		return "a list or an object"
	}
	s := text.(string)
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	if _, isText := v.(string); isText {
		return strconv.Quote(s)
	}
	return s
}

// list makes a list of one value; each of them is converted as well.
func list(each converter) converter {
	return func(v any) (any, *misfit) {
		all, ok := v.([]any)
		if !ok {
			all = []any{v}
		}
		if each == nil {
			return all, nil
		}
		next := make([]any, len(all))
		for i, one := range all {
			var bad *misfit
			if next[i], bad = each(one); bad != nil {
				return v, bad
			}
		}
		return next, nil
	}
}

// single makes one value of a list that has no more.
func single(each converter) converter {
	return func(v any) (any, *misfit) {
		all, ok := v.([]any)
		switch {
		case !ok:
			all = []any{v}
		case len(all) == 0:
			return nil, nil
		case len(all) > 1:
			return v, &misfit{why: fmt.Sprintf("has more than one value, such as one with %d; it may have one", len(all))}
		}
		if each == nil || all[0] == nil {
			return all[0], nil
		}
		next, bad := each(all[0])
		if bad != nil {
			return v, bad
		}
		return next, nil
	}
}

// part converts the attributes of a component.
func part(attributes map[string]converter) converter {
	if len(attributes) == 0 {
		return nil
	}
	return func(v any) (any, *misfit) {
		doc, ok := v.(store.Document)
		if !ok {
			return v, nil
		}
		next := maps.Clone(doc)
		for name, convert := range attributes {
			if doc[name] == nil {
				continue
			}
			value, bad := convert(doc[name])
			if bad != nil {
				return v, bad.within(name)
			}
			if next[name] = value; value == nil {
				delete(next, name)
			}
		}
		return next, nil
	}
}

// zone converts components of a dynamic zone, by their UIDs. Those that are not among them may not be in it any more.
func zone(components map[string]converter) converter {
	return list(func(v any) (any, *misfit) {
		doc, _ := v.(store.Document)
		convert, ok := components[doc.String(rows.Component)]
		switch {
		case !ok:
			return v, &misfit{why: "has a component that is not in components any more, such as " + doc.String(rows.Component)}
		case convert == nil:
			return v, nil
		}
		return convert(v)
	})
}
