package rows

import (
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// AllLocales is the locale of a view of all of them.
const AllLocales = "*"

// A View is which rows of entries are looked at.
type View struct {
	Draft  bool   // drafts, of types that have them
	Locale string // of localized types; [AllLocales]
}

// Filter is the condition that a row of the type belongs to the view; nil: each does.
func (v View) Filter(t *schema.Type) store.Filter { panic("unwritten") }

// RowID is the id of an entry's row in the view, which has one locale.
func (v View) RowID(t *schema.Type, documentID string) string {
	return RowID(t, documentID, v.Locale, v.Draft)
}

// Compile returns the condition on rows of type t that e is on entries, for what a view shows; nil: all of them. That a row of t belongs to the view is not part of it.
// Of entries that e leads through, only those count that the view shows and that meet what only returns for their type (nil: all); only itself may be nil.
//
// An error is a [problem.Error]: the condition is more than a store takes, or leads through a relation of one of many components.
func Compile(e query.Expr, t *schema.Type, v View, only func(*schema.Type) query.Expr) (store.Filter, error) {
	panic("unwritten")
}

// Order is what rows are sorted by to be in the order asked for, by their number where it says nothing more. ok is false when it leads to other entries or through a
// list: no store sorts by those.
func Order(sort []query.Order) (order []store.Order, ok bool) { panic("unwritten") }
