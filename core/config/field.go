package config

import (
	"reflect"
	"strings"
)

// A shape is how a struct is written: as a mapping with these fields or, in short, as a scalar.
type shape struct {
	fields []field
	off    *field // a bool that a plain off sets: yaml:",off"
	inline *field // a map of all other keys: yaml:",inline"
}

// A field is one key of a mapping, as the tags of its struct field describe it.
type field struct {
	index []int // for reflect.Value.FieldByIndex
	typ   reflect.Type
	name  string // the key
	is    string // what its scalars have to look like: a name in form.go, FROM..TO, or ONE|OTHER
	keys  string // the same for the keys of a map
	def   string // what an absent key says; a list's items have commas between them
	doc   string

	required      bool // yaml:"…,required"
	scalar        bool // a plain scalar in place of the mapping stands for this key: yaml:"…,scalar"
	action        bool // of the fields that are one, exactly one is given: yaml:"…,action"
	condition     bool // yaml:"…,condition"
	unconditional bool // a mapping that may have no condition: yaml:"…,unconditional"
}

// shapeOf reads the tags of a struct type.
func shapeOf(t reflect.Type) shape {
	var s shape
	for i := range t.NumField() {
		sf := t.Field(i)
		key, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if !sf.IsExported() || key == "-" {
			continue
		}
		has := func(option string) bool { return strings.Contains(","+options+",", ","+option+",") }
		f := field{
			index: sf.Index, typ: sf.Type, name: key,
			is: sf.Tag.Get("is"), keys: sf.Tag.Get("keys"), def: sf.Tag.Get("default"), doc: sf.Tag.Get("doc"),
			required: has("required"), scalar: has("scalar"),
			action: has("action"), condition: has("condition"), unconditional: has("unconditional"),
		}
		switch {
		case has("off"):
			s.off = &f
		case has("inline") && sf.Type.Kind() == reflect.Struct:
			for _, inner := range shapeOf(sf.Type).fields {
				inner.index = append([]int{i}, inner.index...)
				s.fields = append(s.fields, inner)
			}
		case has("inline"):
			s.inline = &f
		default:
			s.fields = append(s.fields, f)
		}
	}
	return s
}

// lookup finds the field with a key.
func (s shape) lookup(key string) (field, bool) {
	for _, f := range s.fields {
		if f.name == key {
			return f, true
		}
	}
	return field{}, false
}

// short returns the field that a scalar in place of the mapping stands for, if there is one.
func (s shape) short() (field, bool) {
	for _, f := range s.fields {
		if f.scalar {
			return f, true
		}
	}
	return field{}, false
}

// names are the keys, in the order of the struct.
func (s shape) names() []string {
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names
}

// actions are the keys of which exactly one is given.
func (s shape) actions() []string {
	var names []string
	for _, f := range s.fields {
		if f.action {
			names = append(names, f.name)
		}
	}
	return names
}

// element is what an item of a list or of a map looks like: the same, but it has no default of its own.
func (f field) element(t reflect.Type, name string) field {
	return field{typ: t, name: name, is: f.is}
}
