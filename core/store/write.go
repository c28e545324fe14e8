package store

import "time"

// A Write is one step of an Apply: an Insert, Put, Update or Delete.
type Write interface{ isWrite() }

type (
	// Insert adds a document. That its id is taken is a conflict.
	Insert struct {
		Collection string
		Document   Document
	}

	// Put adds a document, or has it take the place of the one with its id.
	Put struct {
		Collection string
		Document   Document
	}

	// Update changes all documents that meet the filter.
	Update struct {
		Collection string
		Filter     Filter
		Change     Change
		Must       int // how many it must be, or the whole Apply is a conflict; 0: any number, none included
	}

	// Delete removes all documents that meet the filter. An engine may need space and time for all of them at once:
	// who removes very many does so in portions.
	Delete struct {
		Collection string
		Filter     Filter
		Must       int // as in Update
	}
)

func (Insert) isWrite() {}
func (Put) isWrite()    {}
func (Update) isWrite() {}
func (Delete) isWrite() {}

// Change is what becomes of a document. It names fields of the document itself, each at most once, and never id.
type Change struct {
	Set   Document         // new values; null removes the field. A value may be [Now]
	Unset []string         // fields to remove
	Add   map[string]int64 // added to whole numbers; null counts as 0. A field that is anything else, or a sum over 64 bits, is invalid
}

// Now is a time by the store's own clock, which all hosts share: when the operation is carried out, plus this. It may stand
// for a time as the Value of a Compare and in the Set of a Change.
//
//	store.Claim(ctx, store.Query{…, Filter: store.Lte("due", store.Now(0))}, store.Change{Set: store.Document{"until": store.Now(time.Minute)}})
type Now time.Duration
