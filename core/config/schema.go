package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of edge.yaml, for editors. It is made of the same tags and forms that
// decoding follows. It can't say everything: references and what spans several keys only Load judges.
func Schema() []byte {
	b := &schemaBuilder{grammar: newGrammar(), defs: object{}}
	b.structure(reflect.TypeFor[document]())
	b.defs["expanded"] = object{"type": "string", "pattern": `\$\{`, "description": "A text with ${NAME}, ${NAME:-default}, ${file:PATH} or ${credential:NAME} in it."}
	root := b.defs["document"].(object)
	delete(b.defs, "document")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "edge.yaml"
	root["description"] = "The configuration of edge."
	root["$defs"] = b.defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(fmt.Sprintf("config: the schema can't be written: %v", err)) // it holds nothing but strings, numbers and maps
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

type object = map[string]any

// A schemaBuilder collects the schemas of the struct types by name.
type schemaBuilder struct {
	grammar grammar
	defs    object
}

// value is the schema of what a field may be.
func (b *schemaBuilder) value(t reflect.Type, f field) object {
	if t == statusRanges {
		return b.list(t, f)
	}
	if t == treeType {
		return object{}
	}
	if form, ok := b.grammar.form(t, f.is); ok {
		return form.schema()
	}
	if t.Kind() == reflect.Pointer {
		return b.value(t.Elem(), f)
	}
	if t.Kind() == reflect.Slice {
		return b.list(t, f)
	}
	if t.Kind() == reflect.Map {
		return b.dictionary(t, f)
	}
	return b.structure(t)
}

func (b *schemaBuilder) list(t reflect.Type, f field) object {
	elem := f.element(t.Elem(), "")
	var item object
	if form, ok := b.grammar.form(t, f.is); ok { // status ranges, of which one scalar says several
		item = form.schema()
	} else {
		item = b.value(t.Elem(), elem)
	}
	array := object{"type": []string{"array", "null"}, "items": item}
	if !b.grammar.hasShort(t, elem) {
		return array
	}
	if short, ok := b.short(t.Elem()); ok {
		item = short
	}
	return anyOf(item, array)
}

// short is the schema of the scalar that stands for a struct.
func (b *schemaBuilder) short(t reflect.Type) (object, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	f, ok := b.grammar.shape(t).short()
	if !ok {
		return nil, false
	}
	return b.value(f.typ, f), true
}

func (b *schemaBuilder) dictionary(t reflect.Type, f field) object {
	keys, _ := b.grammar.form(reflect.TypeFor[string](), f.keys)
	dictionary := object{
		"type":                 []string{"object", "null"},
		"propertyNames":        keys.schema(),
		"additionalProperties": b.value(t.Elem(), f.element(t.Elem(), "")),
	}
	if t.Elem().Kind() == reflect.Int {
		return anyOf(keys.schema(), dictionary)
	}
	return dictionary
}

// structure is the schema of a struct: a reference to its definition, or what may stand for it.
func (b *schemaBuilder) structure(t reflect.Type) object {
	s := b.grammar.shape(t)
	name := t.Name()
	if _, ok := b.defs[name]; !ok {
		b.defs[name] = object{} // so that it can refer to itself
		b.defs[name] = b.definition(s)
	}
	ref := object{"$ref": "#/$defs/" + name}
	if s.off != nil {
		return anyOf(object{"enum": []any{false, "off", "no", "false"}}, expandedRef(), ref)
	}
	if short, ok := b.short(t); ok {
		return anyOf(short, ref)
	}
	return ref
}

func (b *schemaBuilder) definition(s shape) object {
	if s.inline != nil {
		return b.dictionary(s.inline.typ, *s.inline)
	}
	properties, required, actions := object{}, []string{}, []object{}
	for _, f := range s.fields {
		properties[f.name] = b.property(f)
		if f.required {
			required = append(required, f.name)
		}
		if f.action {
			actions = append(actions, object{"required": []string{f.name}})
		}
	}
	def := object{"type": "object", "additionalProperties": false, "properties": properties}
	switch {
	case len(actions) > 0:
		def["oneOf"] = actions
	case len(required) > 0:
		def["required"] = required
	default:
		def["type"] = []string{"object", "null"}
	}
	return def
}

// property is the schema of a field with what it means.
func (b *schemaBuilder) property(f field) object {
	schema := b.value(f.typ, f)
	if f.unconditional {
		without := object{}
		for _, inner := range b.grammar.shape(f.typ.Elem()).fields {
			if inner.condition {
				without[inner.name] = false
			}
		}
		schema["properties"] = without
	}
	schema["description"] = f.doc
	if f.def != "" {
		schema["default"] = defaultOf(f)
	}
	return schema
}

func defaultOf(f field) any {
	if f.typ.Kind() == reflect.Slice && strings.Contains(f.def, ",") {
		return strings.Split(f.def, ",")
	}
	if n, err := strconv.Atoi(f.def); err == nil {
		return n
	}
	return f.def
}

// schema is what a scalar may be, written out or as ${…}.
func (f form) schema() object {
	literal := object{"type": f.types()}
	switch {
	case len(f.words) > 0 && f.words[0] == "true":
		literal = object{"enum": []any{true, false, "true", "false", "on", "off", "yes", "no"}}
	case len(f.words) > 0 && f.tags[0] == yamlInt:
		literal = object{"enum": numbers(f.words)}
	case len(f.words) > 0:
		literal = object{"enum": f.words}
	case f.pattern != "" && f.tags[0] != yamlInt:
		literal["pattern"] = f.pattern
	}
	if f.min != nil {
		literal["minimum"] = *f.min
	}
	if f.max != nil {
		literal["maximum"] = *f.max
	}
	if f.words == nil && f.pattern == "" {
		return literal
	}
	return anyOf(literal, expandedRef())
}

// types are the JSON types of a form's YAML types.
func (f form) types() []string {
	var types []string
	for _, tag := range f.tags {
		types = append(types, map[string]string{yamlText: "string", yamlInt: "integer", yamlFloat: "number", yamlBool: "boolean"}[tag])
	}
	return types
}

func numbers(words []string) []int {
	var out []int
	for _, word := range words {
		n, _ := strconv.Atoi(word) // intForm has words that are numbers only
		out = append(out, n)
	}
	return out
}

// anyOf is what any of the schemas allows.
func anyOf(schemas ...object) object {
	var flat []object
	for _, schema := range schemas {
		if inner, ok := schema["anyOf"].([]object); ok && len(schema) == 1 {
			flat = append(flat, inner...)
		} else {
			flat = append(flat, schema)
		}
	}
	return object{"anyOf": flat}
}

func expandedRef() object { return object{"$ref": "#/$defs/expanded"} }
