package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A home is where a file lies, which says what it describes.
type home struct {
	api       string // a type's folder below api; "" if there is none
	plugin    string // the plugin whose type it extends
	category  string // the folder of a component
	base      string // the file's name without its extension
	component bool   // whether it is one for sure
}

// keys are what a mapping may say, and what is done with it; nil: it means nothing here.
type keys map[string]func(n *node)

// failAt notes what is wrong at a place.
func (l *loader) failAt(at place, format string, args ...any) {
	l.add(at.problem(fmt.Sprintf(format, args...)))
}

// mapping reads a mapping. A key without a value is as none.
func (l *loader) mapping(n *node, of string, known keys) {
	if n.kind != yaml.MappingNode {
		l.failAt(n.place, "%s is a mapping, and not %s", of, n.what())
		return
	}
	for _, p := range n.pairs {
		read, ok := known[p.key]
		switch {
		case !ok:
			l.failAt(p.at, "unknown key %q of %s%s", clip(p.key), of, meant(p.key, slices.Sorted(maps.Keys(known))))
		case read != nil && !p.value.isNull():
			read(p.value)
		}
	}
}

// describe reads the type or component that a file describes.
func (l *loader) describe(root *node, from home) {
	isType := !from.component && root.kind == yaml.MappingNode && (root.has("kind") || from.api != "" || from.plugin != "")
	switch {
	case root.kind != yaml.MappingNode:
		l.failAt(root.place, "a file describes a content type or a component, and this is %s", root.what())
	case isType:
		l.readType(root, from)
	case from.category == "":
		l.failAt(root.place, `kind is missing: "collectionType" or "singleType". A component has none, but lies in a folder, its category`)
	default:
		l.readComponent(root, from)
	}
}

func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.pairs, func(p pair) bool { return p.key == key })
}

func (l *loader) readType(root *node, from home) {
	t := &Type{}
	l.at[t] = root.place
	var hidden []string // attributes that options make private
	l.mapping(root, "a content type", keys{
		"kind": func(n *node) {
			kind := l.oneOf(n, "kind", "collectionType", "singleType")
			t.Single = kind == "singleType"
		},
		"collectionName": func(n *node) { t.Table = l.text(n, "collectionName") },
		"uid":            func(n *node) { t.UID = l.text(n, "uid") },
		"info": func(n *node) {
			l.at[t] = n.place
			l.mapping(n, "info", keys{
				"singularName": func(n *node) { t.Name = l.text(n, "singularName") },
				"pluralName":   func(n *node) { t.Plural = l.text(n, "pluralName") },
				"displayName":  func(n *node) { t.DisplayName = l.text(n, "displayName") },
				"description":  func(n *node) { t.Description = l.text(n, "description") },
				"name":         nil, "icon": nil, "mainField": nil,
			})
		},
		"options": func(n *node) {
			l.mapping(n, "options", keys{
				"draftAndPublish":   func(n *node) { t.Drafts = l.bool(n, "draftAndPublish") },
				"privateAttributes": func(n *node) { hidden = l.texts(n, "privateAttributes") },
				"timestamps":        nil, "comment": nil, "increments": nil, "populateCreatorFields": nil, "reviewWorkflows": nil,
			})
		},
		"pluginOptions": func(n *node) { t.Localized = l.localized(n) },
		"attributes":    func(n *node) { t.Attributes = l.attributes(n) },
		"config":        nil,
	})
	if t.Name == "" || t.Plural == "" {
		l.failAt(l.at[t], "info has singularName and pluralName: they are a type's name and path")
		return
	}
	for _, a := range t.Attributes {
		a.Private = a.Private || slices.Contains(hidden, a.Name)
	}
	l.identify(t, from)
	l.types = append(l.types, t)
}

// identify gives a type its UID.
func (l *loader) identify(t *Type, from home) {
	uid := "api::" + t.Name + "." + t.Name
	switch {
	case from.plugin != "":
		uid = "plugin::" + from.plugin + "." + t.Name
	case from.api != "":
		uid = "api::" + from.api + "." + t.Name
	case t.UID != "":
		uid = t.UID
	case t.Name == "user":
		uid = UserUID
	}
	if t.UID != "" && t.UID != uid {
		l.failAt(l.at[t], "the uid is %q by where the file lies, and not %q", uid, clip(t.UID))
	}
	t.UID = uid
	if uid != UserUID && !strings.HasPrefix(uid, "api::") {
		l.failAt(l.at[t], "of the types of plugins only %s can be extended", UserUID)
	}
	if uid == UserUID && (t.Drafts || t.Localized || t.Single || t.Name != "user") {
		l.failAt(l.at[t], "a user has neither drafts nor languages, and is called user; a project can only add attributes")
	}
}

func (l *loader) readComponent(root *node, from home) {
	c := &Component{UID: from.category + "." + from.base}
	l.at[c] = root.place
	l.mapping(root, "a component", keys{
		"collectionName": func(n *node) { c.Table = l.text(n, "collectionName") },
		"info": func(n *node) {
			l.mapping(n, "info", keys{"displayName": nil, "name": nil, "icon": nil, "description": nil, "singularName": nil, "pluralName": nil})
		},
		"options":       nil,
		"pluginOptions": nil,
		"config":        nil,
		"attributes":    func(n *node) { c.Attributes = l.attributes(n) },
	})
	l.components = append(l.components, c)
}

func (l *loader) attributes(n *node) []*Attribute {
	if n.kind != yaml.MappingNode {
		l.failAt(n.place, "attributes is a mapping of names to what they are, and not %s", n.what())
		return nil
	}
	if len(n.pairs) > maxAttributes {
		l.failAt(n.place, "there are more than %d attributes", maxAttributes)
		return nil
	}
	var all []*Attribute
	for _, p := range n.pairs {
		a := &Attribute{Name: p.key}
		l.at[a] = p.at
		if l.readAttribute(a, p.value) {
			all = append(all, a)
		}
	}
	return all
}

// localized reports whether pluginOptions turns i18n on. What other plugins keep there is theirs.
func (l *loader) localized(n *node) (on bool) {
	if n.kind != yaml.MappingNode {
		l.failAt(n.place, "pluginOptions is a mapping, and not %s", n.what())
		return false
	}
	for _, p := range n.pairs {
		if p.key == "i18n" {
			l.mapping(p.value, "i18n", keys{"localized": func(n *node) { on = l.bool(n, "localized") }})
		}
	}
	return on
}

func (l *loader) text(n *node, key string) string {
	if !n.isText() {
		l.failAt(n.place, "%s is a text, and not %s", key, n.what())
		return ""
	}
	return n.text
}

func (l *loader) texts(n *node, key string) []string {
	if n.kind != yaml.SequenceNode {
		l.failAt(n.place, "%s is a list of texts, and not %s", key, n.what())
		return nil
	}
	list := make([]string, 0, len(n.items))
	for _, item := range n.items {
		list = append(list, l.text(item, "a value of "+key))
	}
	return list
}

func (l *loader) oneOf(n *node, key string, known ...string) string {
	if !n.isText() || !slices.Contains(known, n.text) {
		l.failAt(n.place, "%s is %s, and not %s%s", key, list(known), n.what(), meant(n.text, known))
		return ""
	}
	return n.text
}

func (l *loader) bool(n *node, key string) bool {
	if n.kind != yaml.ScalarNode || n.tag != "!!bool" {
		l.failAt(n.place, "%s is true or false, and not %s", key, n.what())
		return false
	}
	return strings.EqualFold(n.text, "true")
}

func (l *loader) length(n *node, key string) *int {
	if n.kind == yaml.ScalarNode && n.tag == "!!int" {
		if i, err := strconv.Atoi(n.text); err == nil && i >= 0 {
			return &i
		}
	}
	l.failAt(n.place, "%s is a whole number that is not negative, and not %s", key, n.what())
	return nil
}

// list writes words as prose.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
