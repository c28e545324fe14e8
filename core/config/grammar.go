package config

import (
	"reflect"
	"regexp"
	"slices"
)

// A grammar is the language as far as it has been asked for: shapes and forms are made once each, and kept.
type grammar struct {
	shapes map[reflect.Type]shape
	forms  map[formKey]form
}

type formKey struct {
	typ reflect.Type
	is  string
}

func newGrammar() grammar {
	return grammar{shapes: map[reflect.Type]shape{}, forms: map[formKey]form{}}
}

// shape returns how a struct is written.
func (g grammar) shape(t reflect.Type) shape {
	s, ok := g.shapes[t]
	if !ok {
		s = shapeOf(t)
		g.shapes[t] = s
	}
	return s
}

// form returns how a scalar of a type is written, given the is tag of its field, and whether t is a scalar at all.
func (g grammar) form(t reflect.Type, is string) (form, bool) {
	key := formKey{t, is}
	if f, ok := g.forms[key]; ok {
		return f, true
	}
	f, ok := newForm(t, is)
	if !ok {
		return form{}, false
	}
	if f.pattern != "" {
		f.matches = regexp.MustCompile(f.pattern)
	}
	g.forms[key] = f
	return f, true
}

// hasSecret reports whether one of the keys of a mapping is a secret's.
func (g grammar) hasSecret(s shape) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool {
		form, ok := g.form(f.typ, f.is)
		return ok && form.secret
	})
}

// hasShort reports whether an item of a list may be written as a scalar.
func (g grammar) hasShort(list reflect.Type, item field) bool {
	if _, ok := g.form(list.Elem(), item.is); ok || list == statusRanges {
		return true
	}
	_, ok := g.shape(list.Elem()).short()
	return ok
}
