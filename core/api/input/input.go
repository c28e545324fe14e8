// Package input is what a client sent as data, made into attribute values as the store keeps them, or the reasons why it can't be meant, in Strapi's words.
//
// In comes what a value must be like by its attribute alone. What other entries have to do with it, whether a reference leads anywhere, whether a value is
// unique, the room entries knows.
package input

import (
	"github.com/onehost/edge/core/api/schema"
)

// Options say what the data is for.
type Options struct {
	Create bool                      // a new entry: defaults are filled in, and what is missing is null
	Draft  bool                      // of a draft: what has to be there may be missing. See [Complete]
	May    func(t *schema.Type) bool // whether the client may make relations to entries of a type: sees them; nil: of all
	Has    map[string]any            // values that a new version of an entry has already: they are not missing
	Stamp  map[string]any            // values that the client does not decide: they take the place of his
}

// Values are what attributes become, by name. What is missing stays as it is.
//
// A value is what the store keeps, nil for null, or, also within components, a [*Links] or a [Plain], which whoever keeps the entry turns into one.
type Values map[string]any

// Plain is a password that is not hashed yet.
type Plain string

// Links are what becomes of a reference: in the order of the fields, after what was there has been replaced by Set.
type Links struct {
	Attribute  *schema.Attribute
	Path       []any // where it stands in the data
	Replace    bool  // all that was there goes
	Set        []Target
	Disconnect []Target
	Connect    []Connect
}

// A Target is an entry that a reference leads to: by number, or by document id.
type Target struct {
	Number     int64
	DocumentID string // "": Number
}

// Connect adds an entry to a reference, or moves it, to a place in the list.
type Connect struct {
	Target
	Before, After *Target // nil: not said
	Start         bool    // the first; else, when nothing is said, the last
}
