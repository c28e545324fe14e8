// Package rows is how entries lie in a store: which collection a content type has, which document a version of an entry is, what its fields are called,
// and what a condition on entries is as a condition on documents.
//
// A document is a row: one version of one entry. An entry of a type with drafts has up to two, the draft and what is published, and of a localized type
// that many in each locale. References between entries are document ids, kept on the side that owns the relation, in the order that was given; of the other side
// nothing is kept. A reference leads to the row of the same version: from what is published to what is published, from a draft to the draft, within
// the locale. Where there is no such row it leads nowhere.
//
// In comes what more than one room must know of this layout. What is done with entries, the room entries knows.
package rows

import (
	"strings"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Fields that every row has, or those of some types. No attribute's name begins with _.
const (
	DocumentID  = "_doc"        // of the entry, the same for all its rows
	Number      = "_n"          // what clients see as id: each row has its own. Components have one, too
	Status      = "_status"     // of types with drafts: Draft or Published
	Locale      = "_locale"     // of localized types
	Revision    = "_rev"        // int64, one more with each change
	CreatedAt   = "createdAt"   // a time
	UpdatedAt   = "updatedAt"   // a time
	PublishedAt = "publishedAt" // a time; drafts have none
	Component   = "__component" // of the documents of a dynamic zone: the component's UID
)

// IsSystem reports whether a field of a row is no attribute's.
func IsSystem(name string) bool {
	switch name {
	case "id", CreatedAt, UpdatedAt, PublishedAt:
		return true
	}
	return strings.HasPrefix(name, "_")
}

// Values of Status.
const (
	Draft     = "draft"
	Published = "published"
)

// Name is the name of a type's collection.
func Name(t *schema.Type) string { return "content-" + t.Name }

// Collection describes a type's collection, for [store.Store.Ensure].
func Collection(t *schema.Type) store.Collection {
	c := store.Collection{Name: Name(t), Indexes: []store.Index{{Fields: []string{Number}, Unique: true}}}
	if version := versionFields(t); len(version) > 0 {
		c.Indexes = append(c.Indexes, store.Index{Fields: append(version, Number)}, store.Index{Fields: []string{DocumentID}})
	}
	for _, a := range t.Attributes {
		if index, ok := attributeIndex(t, a); ok {
			c.Indexes = append(c.Indexes, index)
		}
	}
	return c
}

// attributeIndex is the index by which rows are found by an attribute, and, unless it is a relation, sorted by it. That of a relation to one begins with it:
// its other side is looked up by it alone.
func attributeIndex(t *schema.Type, a *schema.Attribute) (store.Index, bool) {
	version := versionFields(t)
	switch {
	case a.Kind == schema.RelationTo && a.Owner() && a.Many():
		return store.Index{Fields: []string{a.Name}, List: true}, true
	case a.Kind == schema.RelationTo && a.Owner():
		return store.Index{Fields: append(append([]string{a.Name}, version...), Number)}, true
	case a.Scalar() && a.Unique:
		return store.Index{Fields: append(version, a.Name), Unique: true}, true
	case a.Scalar() && a.Indexed:
		return store.Index{Fields: append(version, a.Name, Number)}, true
	}
	return store.Index{}, false
}

// versionFields are those that tell the rows of one entry apart.
func versionFields(t *schema.Type) []string {
	var fields []string
	if t.Drafts {
		fields = append(fields, Status)
	}
	if t.Localized {
		fields = append(fields, Locale)
	}
	return fields
}

// RowID is the id of the row of an entry: of its draft, if it is one of a type with drafts, in a locale, if it is one of a localized type.
func RowID(t *schema.Type, documentID, locale string, draft bool) string {
	if t.Localized {
		documentID += "." + locale
	}
	if t.Drafts && draft {
		documentID += "." + Draft
	}
	return documentID
}
