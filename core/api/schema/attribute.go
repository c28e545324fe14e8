package schema

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// kinds are what a file calls the kinds of attributes.
var kinds = []string{
	"string", "text", "richtext", "blocks", "email", "password", "uid", "enumeration", "integer", "biginteger", "float", "decimal", "boolean",
	"date", "time", "datetime", "timestamp", "json", "media", "relation", "component", "dynamiczone",
}

// readAttribute reads what an attribute is, and reports whether it can be used.
func (l *loader) readAttribute(a *Attribute, n *node) bool {
	before := len(l.problems)
	kind, at := "", n.place
	if n.kind == yaml.MappingNode {
		for _, p := range n.pairs {
			if p.key == "type" {
				kind, at = p.value.text, p.value.place
			}
		}
	}
	switch {
	case n.kind != yaml.MappingNode:
		l.failAt(n.place, "an attribute is a mapping with its type, and not %s", n.what())
		return false
	case kind == "customField":
		l.failAt(at, `a custom field is a plugin's of Strapi; write the type of what it keeps instead, as "type": "string"`)
		return false
	case kind == "":
		l.failAt(at, "type is missing: %s", list(kinds))
		return false
	case !slices.Contains(kinds, kind):
		l.failAt(at, "%q is no type of an attribute%s", clip(kind), meant(kind, kinds))
		return false
	case kind == "timestamp":
		kind = "datetime"
	}
	a.Kind = Kind(kind)
	known := l.general(a)
	maps.Copy(known, l.special(a))
	l.mapping(n, kind, known)
	return len(l.problems) == before || !slices.ContainsFunc(l.problems[before:], func(p Problem) bool { return !p.Warning })
}

// general are the keys that every attribute may have. Those that mean nothing here are about Strapi's admin panel and tables.
func (l *loader) general(a *Attribute) keys {
	return keys{
		"type":          nil,
		"required":      func(n *node) { a.Required = l.bool(n, "required") },
		"unique":        func(n *node) { a.Unique = l.bool(n, "unique") },
		"private":       func(n *node) { a.Private = l.bool(n, "private") },
		"index":         func(n *node) { a.Indexed = l.bool(n, "index") },
		"pluginOptions": func(n *node) { a.Localized = l.localized(n) },
		"configurable":  nil, "writable": nil, "visible": nil, "searchable": nil, "editable": nil, "conditions": nil, "customField": nil, "options": nil,
		"column": nil, "columnType": nil, "columnName": nil, "useJoinTable": nil, "joinTable": nil, "joinColumn": nil, "unsigned": nil,
	}
}

// special are the keys of the attribute's kind.
func (l *loader) special(a *Attribute) keys {
	deflt := func(n *node) { l.deflt(a, n) }
	switch a.Kind {
	case String, Text, RichText, Email, UID, Password:
		k := keys{
			"minLength": func(n *node) { a.MinLength = l.length(n, "minLength") },
			"maxLength": func(n *node) { a.MaxLength = l.length(n, "maxLength") },
			"regex":     func(n *node) { a.Regex = l.regex(n) },
			"default":   deflt,
		}
		if a.Kind == UID {
			k["targetField"] = func(n *node) { a.TargetField = l.text(n, "targetField") }
		}
		return k
	case Enumeration:
		return keys{"enum": func(n *node) { a.Enum = l.texts(n, "enum") }, "enumName": nil, "default": deflt}
	case Integer, BigInteger, Float, Decimal:
		return keys{
			"min":     func(n *node) { a.Min = l.bound(a, n, "min") },
			"max":     func(n *node) { a.Max = l.bound(a, n, "max") },
			"default": deflt,
		}
	case Media:
		return keys{
			"multiple": func(n *node) { a.Multiple = l.bool(n, "multiple") },
			"allowedTypes": func(n *node) {
				if n.kind != yaml.SequenceNode {
					l.failAt(n.place, "allowedTypes is a list, and not %s", n.what())
				}
				for _, item := range n.items {
					a.Allowed = append(a.Allowed, l.oneOf(item, "a value of allowedTypes", "images", "videos", "audios", "files"))
				}
			},
		}
	case RelationTo:
		return l.related(a)
	case Part, Zone:
		k := keys{
			"min": func(n *node) { a.MinLength = l.length(n, "min") },
			"max": func(n *node) { a.MaxLength = l.length(n, "max") },
		}
		if a.Kind == Zone {
			k["components"] = func(n *node) {
				for _, uid := range l.texts(n, "components") {
					a.Zone = append(a.Zone, &Component{UID: uid})
				}
			}
			return k
		}
		k["component"] = func(n *node) { a.Component = &Component{UID: l.text(n, "component")} }
		k["repeatable"] = func(n *node) { a.Repeatable = l.bool(n, "repeatable") }
		return k
	default:
		return keys{"default": deflt}
	}
}

func (l *loader) related(a *Attribute) keys {
	return keys{
		"relation": func(n *node) {
			if strings.HasPrefix(n.text, "morph") {
				l.failAt(n.place, "a relation to any type (%s) can't be served; write a relation to each type instead", clip(n.text))
				return
			}
			a.Relation = Relation(l.oneOf(n, "relation", "oneToOne", "oneToMany", "manyToOne", "manyToMany"))
		},
		"target":     func(n *node) { a.Target = &Type{UID: l.text(n, "target")} },
		"mappedBy":   func(n *node) { a.MappedBy = l.text(n, "mappedBy") },
		"inversedBy": func(n *node) { a.InversedBy = l.text(n, "inversedBy") },
		"morphBy":    nil, "morphColumn": nil, "targetAttribute": nil, "autoPopulate": nil, "dominant": nil, "onDelete": nil,
	}
}

// deflt reads a default, as a store keeps it.
func (l *loader) deflt(a *Attribute, n *node) {
	v, err := n.value()
	if e, ok := errors.AsType[*errAt](err); ok {
		l.failAt(e.place, "%s", e.message)
		return
	}
	a.Default = a.stored(v)
}

// bound reads a min or a max. Those of a biginteger are texts in JSON, as its values are.
func (l *loader) bound(a *Attribute, n *node, key string) *float64 {
	isNumber := n.kind == yaml.ScalarNode && (n.tag == "!!int" || n.tag == "!!float" || a.Kind == BigInteger && n.isText())
	f, err := strconv.ParseFloat(n.text, 64)
	switch {
	case !isNumber || err != nil || math.IsInf(f, 0) || math.IsNaN(f):
		l.failAt(n.place, "%s is a number, and not %s", key, n.what())
		return nil
	case (a.Kind == Integer || a.Kind == BigInteger) && f != math.Trunc(f):
		l.failAt(n.place, "%s of whole numbers is one, and not %s", key, n.what())
		return nil
	case a.Kind == BigInteger && !exact(n.text):
		l.failAt(n.place, "%s is beyond ±%d, which is all that a bound can be", key, 1<<53)
		return nil
	}
	return &f
}

// exact reports whether a float64 has all digits of a whole number.
func exact(text string) bool {
	i, err := strconv.ParseInt(text, 10, 64)
	return err == nil && -1<<53 <= i && i <= 1<<53
}

// regex compiles an expression. Go's are RE2's, which find any match in linear time, and have not all that JavaScript's have.
func (l *loader) regex(n *node) *regexp.Regexp {
	text := l.text(n, "regex")
	if text == "" {
		return nil
	}
	re, err := regexp.Compile(text)
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		why := fmt.Sprintf("%s: %s", e.Code, clip(e.Expr))
		for _, only := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
			if strings.Contains(text, only) {
				why = only + "…) looks ahead or behind"
			}
		}
		if e.Code == syntax.ErrInvalidEscape && len(e.Expr) == 2 && strings.Contains("123456789k", e.Expr[1:]) {
			why = e.Expr + " refers to a group"
		}
		l.failAt(n.place, "regex is none that can be used: %s. Expressions are RE2's: without looking ahead or behind, and without references", why)
		return nil
	}
	return re
}
