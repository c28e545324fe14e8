package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A decoder sets values from nodes by the tags of the values' types. It goes on after a problem, so that all are found.
type decoder struct {
	expander *expander
	grammar  grammar
	places   places
	withheld withheld
	problems []Problem
}

func (d *decoder) fail(at place, format string, args ...any) {
	if len(d.problems) == maxProblems {
		return
	}
	d.problems = append(d.problems, at.problem(fmt.Sprintf(format, args...)))
}

// value sets v, which f describes and which stands at a path, from a node. A nil node is an absent key.
func (d *decoder) value(n *node, v reflect.Value, f field, path string) {
	if form, ok := d.grammar.form(v.Type(), f.is); ok && v.Type() != statusRanges {
		d.scalar(n, v, form, f, path)
		return
	}
	switch kind := v.Kind(); {
	case v.Type() == treeType:
		if n != nil {
			v.Set(reflect.ValueOf(Tree{d.tree(n, path)}))
		}
	case kind == reflect.Slice:
		d.list(n, v, f, path)
	case kind == reflect.Map:
		d.dictionary(n, v, f, path)
	case kind == reflect.Struct:
		d.structure(n, v, f, path)
	case kind == reflect.Pointer && n != nil:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), f, path)
	}
}

// scalar sets v from a scalar, or from the field's default.
func (d *decoder) scalar(n *node, v reflect.Value, form form, f field, path string) {
	if n == nil {
		if f.def != "" {
			d.set(v, form, f.def)
		}
		return
	}
	parsed, ok := d.read(n, form, f, path)
	if ok {
		v.Set(reflect.ValueOf(parsed).Convert(v.Type()))
	}
}

// set sets v to what a text of our own says.
func (d *decoder) set(v reflect.Value, form form, text string) {
	parsed, why, ok := form.read(text, nil)
	if !ok {
		panic(fmt.Sprintf("config: the default %q is not %s: %s", text, form.wants, why))
	}
	v.Set(reflect.ValueOf(parsed).Convert(v.Type()))
}

// read expands a scalar and makes of it what the form wants. Its problem never shows a text that came from ${…}.
func (d *decoder) read(n *node, form form, f field, path string) (any, bool) {
	if form.secret {
		d.withheld.add(n.place)
	}
	if n.kind != scalar || n.isNull() {
		d.spoil(path, n.place, "%s should be %s, and is %s", f.name, form.wants, n.what())
		return nil, false
	}
	text, expanded, err := d.expander.expand(n.text, n.src)
	if err != nil {
		d.spoil(path, n.place, "%s", err)
		return nil, false
	}
	at, shown := n.place, quote(n.text)
	switch {
	case expanded:
		d.hide(path)
		shown = "what " + shown + " stands for"
	case form.secret && n.text != "":
		at.bare = true
		d.mark(path, func(p *place) { p.bare = true })
		shown = "what stands here"
	}
	if !expanded && !slices.Contains(form.tags, n.tag) {
		d.spoil(path, at, "%s should be %s, and is %s%s", f.name, form.wants, n.what(), quotes(n, form))
		return nil, false
	}
	parsed, why, ok := form.read(text, n.src)
	if !ok {
		message := fmt.Sprintf("%s should be %s, and %s is not", f.name, form.wants, shown)
		if why != "" {
			message += ": " + why
		}
		d.spoil(path, at, "%s", message)
	}
	return parsed, ok
}

// quotes says what to do about a scalar that would be right as another YAML type.
func quotes(n *node, form form) string {
	switch _, _, ok := form.read(n.text, n.src); {
	case !ok:
		return ""
	case slices.Contains(form.tags, yamlText) && form.secret:
		return "; put it in quotes"
	case slices.Contains(form.tags, yamlText):
		return "; put it in quotes: " + quote(n.text)
	}
	return "; write it without quotes"
}

// hide notes that the value at a path came from ${…}.
func (d *decoder) hide(path string) { d.mark(path, func(p *place) { p.secret = true }) }

// spoil notes a problem with the value at a path, so that none is reported for its absence as well.
func (d *decoder) spoil(path string, at place, format string, args ...any) {
	d.fail(at, format, args...)
	d.mark(path, func(p *place) { p.bad = true })
}

func (d *decoder) mark(path string, set func(*place)) {
	if at, ok := d.places[path]; ok {
		set(&at)
		d.places[path] = at
	}
}

// list sets a slice from a list, or from the one scalar that would be its only item.
func (d *decoder) list(n *node, v reflect.Value, f field, path string) {
	item := f.element(v.Type().Elem(), f.name)
	switch {
	case n == nil || n.isNull():
		if f.def == "" {
			return
		}
		for item.def = range strings.SplitSeq(f.def, ",") {
			d.add(nil, v, item, path)
		}
	case n.kind == sequence:
		v.SetZero() // an empty list is the same value as none: a reload compares
		for i, itemNode := range n.items {
			at := child(path, strconv.Itoa(i))
			d.places[at] = itemNode.place
			d.add(itemNode, v, item, at)
		}
	case n.kind == scalar && d.grammar.hasShort(v.Type(), item):
		at := child(path, "0")
		d.places[at] = n.place
		d.add(n, v, item, at)
	default:
		d.spoil(path, n.place, "%s should be a list, and is %s", f.name, n.what())
	}
}

// add appends one element to a slice. One scalar can say several status ranges.
func (d *decoder) add(n *node, v reflect.Value, f field, path string) {
	if v.Type() == statusRanges {
		ranges := reflect.New(v.Type()).Elem()
		form, _ := d.grammar.form(v.Type(), f.is)
		d.scalar(n, ranges, form, f, path)
		v.Set(reflect.AppendSlice(v, ranges))
		return
	}
	elem := reflect.New(v.Type().Elem()).Elem()
	d.value(n, elem, f, path)
	v.Set(reflect.Append(v, elem))
}

var statusRanges = reflect.TypeFor[[]StatusRange]()

// dictionary sets a map from a mapping whose keys are anything of the form that the keys tag says.
func (d *decoder) dictionary(n *node, v reflect.Value, f field, path string) {
	if n == nil || n.isNull() {
		return
	}
	item := f.element(v.Type().Elem(), f.name)
	keys, _ := d.grammar.form(reflect.TypeFor[string](), f.keys)
	v.Set(reflect.MakeMap(v.Type()))
	if n.kind == scalar && item.typ.Kind() == reflect.Int { // a group's name stands for {name: 1}
		if key, ok := d.read(n, keys, f, path); ok {
			d.places[child(path, key.(string))] = d.places[path]
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(1))
		}
		return
	}
	if n.kind != mapping {
		d.spoil(path, n.place, "%s should be a mapping, and is %s", f.name, n.what())
		return
	}
	seen := map[string]place{}
	for _, e := range n.entries {
		parsed, ok := d.read(e.key, keys, field{name: "a key of " + f.name}, path)
		if !ok {
			continue
		}
		key := parsed.(string)
		same := key
		if f.keys == "field" { // names of fields ignore case (RFC 9110, section 5.1)
			same = strings.ToLower(key)
		}
		if d.twice(seen, same, e.key) {
			continue
		}
		at := child(path, key)
		d.places[at] = e.key.place
		if strings.Contains(e.key.text, "${") {
			d.hide(at)
		}
		item.name = clip(e.key.text)
		elem := reflect.New(item.typ).Elem()
		d.value(e.value, elem, item, at)
		v.SetMapIndex(reflect.ValueOf(key), elem)
	}
}

// twice reports a key that was seen before, and notes it.
func (d *decoder) twice(seen map[string]place, key string, n *node) bool {
	first, ok := seen[key]
	if ok {
		d.fail(n.place, "key %s is given twice; first at %s", quote(n.text), first)
	} else {
		seen[key] = n.place
	}
	return ok
}

// structure sets a struct from a mapping with fixed keys, or from the scalar that is short for it.
func (d *decoder) structure(n *node, v reflect.Value, f field, path string) {
	s := d.grammar.shape(v.Type())
	if n != nil && n.kind == scalar && !n.isNull() {
		if short, ok := s.short(); ok {
			d.absent(s, v, path)
			if strings.HasSuffix("\x00"+path, "\x00"+child("", f.name)) { // and no element of a list: the key that stands in the file is another
				short.name = f.name
			}
			d.value(n, v.FieldByIndex(short.index), short, path)
			return
		}
		if s.off != nil {
			d.absent(s, v, path)
			d.off(n, v.FieldByIndex(s.off.index), f, path)
			return
		}
	}
	switch {
	case n != nil && n.kind != mapping && !n.isNull():
		d.spoil(path, n.place, "%s should be a mapping%s, and is %s", f.name, keysOf(s), n.what())
		n = nil
	case s.inline != nil:
		inline := *s.inline
		inline.name = f.name
		d.dictionary(n, v.FieldByIndex(inline.index), inline, path)
	default:
		d.fields(n, s, v, f, path)
		return
	}
	d.absent(s, v, path)
}

// off sets a bool from the word off in place of a mapping.
func (d *decoder) off(n *node, v reflect.Value, f field, path string) {
	form := boolForm()
	parsed, ok := d.read(n, form, field{name: f.name}, path)
	switch {
	case !ok:
	case parsed == true:
		d.spoil(path, n.place, "%s should be off or a mapping; it is on unless it says off", f.name)
	default:
		v.SetBool(true)
	}
}

// absent sets the defaults of a struct of which no key is given.
func (d *decoder) absent(s shape, v reflect.Value, path string) {
	for _, f := range s.fields {
		d.value(nil, v.FieldByIndex(f.index), f, path)
	}
}

// fields sets a struct from a mapping with fixed keys.
func (d *decoder) fields(n *node, s shape, v reflect.Value, f field, path string) {
	given := map[string]*node{}
	at := place{}
	if n != nil {
		at = d.headline(n, path)
		given = d.known(n, s, f, path)
	}
	for _, field := range s.fields {
		value, ok := given[field.name]
		if !ok && field.required && n != nil {
			d.fail(at, "%s needs %s: %s", f.label(), field.name, lower(field.doc))
		}
		d.value(value, v.FieldByIndex(field.index), field, child(path, field.name))
	}
	if actions := s.actions(); len(actions) > 0 && n != nil {
		d.oneAction(at, actions, given, f)
	}
}

// headline is where a problem with a mapping as a whole stands: at its key, if it has one.
func (d *decoder) headline(n *node, path string) place {
	if at, ok := d.places[path]; ok {
		return at
	}
	return n.place
}

// known returns the values of a mapping by key, and notes keys that are unknown, given twice or out of place.
func (d *decoder) known(n *node, s shape, f field, path string) map[string]*node {
	given := map[string]*node{}
	seen := map[string]place{}
	for _, e := range n.entries {
		key := e.key
		field, ok := s.lookup(key.text)
		switch {
		case key.kind != scalar:
			d.fail(key.place, "a key should be text, and is %s", key.what())
		case d.twice(seen, key.text, key):
		case !ok:
			d.unknown(key, s, f, path)
		case f.unconditional && field.condition:
			d.fail(key.place, "default holds for every request that no rule holds for; put what has a condition such as %s under rules", key.text)
		default:
			given[key.text] = e.value
			at := key.place
			if e.value.kind == scalar && !e.value.isNull() {
				at = e.value.place
			}
			d.places[child(path, key.text)] = at
		}
	}
	return given
}

func (d *decoder) unknown(key *node, s shape, f field, path string) {
	if len(d.problems) == maxProblems {
		return
	}
	if d.grammar.hasSecret(s) { // it may be a secret's, misspelled
		d.withheld.add(key.place)
	}
	message := "unknown key " + quote(key.text)
	if f.name != "" {
		message += " in " + f.label()
	}
	if near := nearest(key.text, s.names()); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	} else {
		message += "; known are " + strings.Join(s.names(), ", ")
	}
	d.spoil(path, key.place, "%s", message)
}

// oneAction notes a rule without an action, or with several.
func (d *decoder) oneAction(at place, actions []string, given map[string]*node, f field) {
	var found []string
	for _, action := range actions {
		if given[action] != nil {
			found = append(found, action)
		}
	}
	switch {
	case len(found) == 0:
		d.fail(at, "%s needs an action: %s", f.label(), list(actions, "or"))
	case len(found) > 1:
		d.fail(at, "%s has %d actions (%s), and should have one", f.label(), len(found), list(found, "and"))
	}
}

// label names a mapping in a message about it as a whole.
func (f field) label() string {
	switch f.name {
	case "":
		return "the configuration"
	case "rules":
		return "a rule"
	case "targets":
		return "a target"
	case "issuers":
		return "an issuer"
	}
	return f.name
}

// keysOf lists a few keys for a message.
func keysOf(s shape) string {
	names := s.names()
	if len(names) == 0 {
		return ""
	}
	if len(names) > 4 {
		names = append(slices.Clip(names[:4]), "…")
	}
	return " of " + strings.Join(names, ", ")
}

// lower makes a sentence fit after a colon.
func lower(sentence string) string {
	sentence = strings.TrimSuffix(sentence, ".")
	if len(sentence) > 1 && sentence[1] >= 'a' && sentence[1] <= 'z' {
		return strings.ToLower(sentence[:1]) + sentence[1:]
	}
	return sentence
}

func child(path, part string) string { return path + part + "\x00" }
