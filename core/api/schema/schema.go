// Package schema is what content types are: how Strapi's schema.json files, or YAML of the same shape, describe them.
//
// In comes what a type, an attribute, a relation or a component can be, and what of it can't be meant. What an entry of a type looks like in the
// store, and what a request may say of it, other rooms know.
package schema

import (
	"regexp"
	"slices"
)

// A Set is all types of an api, with those that every api has: user, role, file. It does not change.
type Set struct {
	types      []*Type // by name
	components []*Component
	locales    []string // the first is the default
}

// A Type is a content type.
type Type struct {
	UID         string // api::article.article, plugin::users-permissions.user
	Name        string // singular, kebab-case: what the configuration, and a single type's path, call it
	Plural      string // a collection's path
	Single      bool   // a single type: there is one entry
	Table       string // Strapi's collectionName
	DisplayName string
	Description string
	Drafts      bool // draft & publish
	Localized   bool // an entry for each locale
	Attributes  []*Attribute
	Builtin     bool // of every api
}

// A Component is a group of attributes that is part of an entry.
type Component struct {
	UID        string // CATEGORY.NAME
	Table      string
	Attributes []*Attribute
}

// An Attribute is one value of an entry or of a component.
type Attribute struct {
	Name string
	Kind Kind

	Required, Unique, Private bool
	Indexed                   bool // found and sorted by quickly; unique ones and relations to one are, too
	Localized                 bool // another value in each locale
	Default                   any  // as a store keeps it; nil: none

	Min, Max             *float64 // of a number
	MinLength, MaxLength *int     // in UTF-16 units of a text, as JavaScript counts; values of a list (component, dynamic zone)
	Regex                *regexp.Regexp
	Enum                 []string
	TargetField          string // of a uid: the attribute that it is made of

	Relation   Relation
	Target     *Type      // of a relation; of media the type file
	MappedBy   string     // the attribute of Target that owns the relation: here is its other side
	InversedBy string     // the attribute of Target that is this one's other side
	Component  *Component // of a component
	Repeatable bool
	Zone       []*Component // of a dynamic zone
	Multiple   bool         // of media
	Allowed    []string     // of media: images, videos, audios, files
}

// Kind is what an attribute's value is.
type Kind string

// Kinds of attributes.
const (
	String      Kind = "string" // up to 255 characters
	Text        Kind = "text"
	RichText    Kind = "richtext"
	Blocks      Kind = "blocks"
	Email       Kind = "email"
	Password    Kind = "password" // hashed; never told
	UID         Kind = "uid"
	Enumeration Kind = "enumeration"
	Integer     Kind = "integer"
	BigInteger  Kind = "biginteger" // a string in JSON
	Float       Kind = "float"
	Decimal     Kind = "decimal"
	Boolean     Kind = "boolean"
	Date        Kind = "date"     // 2026-05-01
	Time        Kind = "time"     // 18:30:00.000
	DateTime    Kind = "datetime" // RFC 3339, in UTC, with milliseconds
	JSON        Kind = "json"
	RelationTo  Kind = "relation"
	Media       Kind = "media"
	Part        Kind = "component"
	Zone        Kind = "dynamiczone"
)

// Relation is how many of one type belong to how many of another.
type Relation string

// Relations.
const (
	OneToOne   Relation = "oneToOne"
	OneToMany  Relation = "oneToMany"
	ManyToOne  Relation = "manyToOne"
	ManyToMany Relation = "manyToMany"
)

// Refers reports whether the attribute leads to entries of another type: a relation, or media.
func (a *Attribute) Refers() bool { return a.Target != nil }

// Many reports whether the attribute has a list: of entries, of components.
func (a *Attribute) Many() bool {
	switch a.Kind {
	case RelationTo:
		return a.Relation == OneToMany || a.Relation == ManyToMany
	case Media:
		return a.Multiple
	case Part:
		return a.Repeatable
	case Zone:
		return true
	default:
		return false
	}
}

// Owner reports whether the reference is kept with this attribute, and not with its other side.
func (a *Attribute) Owner() bool { return a.Refers() && a.MappedBy == "" }

// Scalar reports whether the attribute is a plain value: neither a reference nor a component.
func (a *Attribute) Scalar() bool { return !a.Refers() && a.Kind != Part && a.Kind != Zone }

// Attribute finds an attribute by its name; nil if there is none.
func (t *Type) Attribute(name string) *Attribute { return find(t.Attributes, name) }

// Attribute finds an attribute by its name; nil if there is none.
func (c *Component) Attribute(name string) *Attribute { return find(c.Attributes, name) }

func find(all []*Attribute, name string) *Attribute {
	if i := slices.IndexFunc(all, func(a *Attribute) bool { return a.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// Types are all types, by name.
func (s *Set) Types() []*Type { return s.types }

// Components are all components, by UID.
func (s *Set) Components() []*Component { return s.components }

// Locales are the languages of localized types, the default first.
func (s *Set) Locales() []string { return s.locales }

// Type finds a type by its name; nil if there is none.
func (s *Set) Type(name string) *Type {
	i := slices.IndexFunc(s.types, func(t *Type) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return s.types[i]
}

// UID finds a type by its UID; nil if there is none.
func (s *Set) UID(uid string) *Type {
	i := slices.IndexFunc(s.types, func(t *Type) bool { return t.UID == uid })
	if i < 0 {
		return nil
	}
	return s.types[i]
}

// Component finds a component by its UID; nil if there is none.
func (s *Set) Component(uid string) *Component {
	i := slices.IndexFunc(s.components, func(c *Component) bool { return c.UID == uid })
	if i < 0 {
		return nil
	}
	return s.components[i]
}
