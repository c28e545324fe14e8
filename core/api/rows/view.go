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
	Draft  bool                    // drafts, of types that have them
	Of     func(*schema.Type) bool // with Draft, of which types: of others it is what is published; nil: of all
	Locale string                  // of localized types; [AllLocales]
}

// Drafts reports whether the view shows the drafts of a type.
func (v View) Drafts(t *schema.Type) bool { return t.Drafts && v.Draft && (v.Of == nil || v.Of(t)) }

// Filter is the condition that a row of the type belongs to the view; nil: each does.
func (v View) Filter(t *schema.Type) store.Filter { return Both(v.status(t), v.locale(t)) }

func (v View) status(t *schema.Type) store.Filter {
	switch {
	case !t.Drafts:
		return nil
	case v.Drafts(t):
		return store.Eq(Status, Draft)
	}
	return store.Eq(Status, Published)
}

func (v View) locale(t *schema.Type) store.Filter {
	if !t.Localized || v.Locale == AllLocales {
		return nil
	}
	return store.Eq(Locale, v.Locale)
}

// RowID is the id of an entry's row in the view, which has one locale.
func (v View) RowID(t *schema.Type, documentID string) string {
	return RowID(t, documentID, v.Locale, v.Drafts(t))
}

// byID reports whether the rows that the view shows have the document id as their own.
func (v View) byID(t *schema.Type) bool { return !t.Localized && !v.Drafts(t) }

// Both holds when both hold; nil is met by all.
func Both(a, b store.Filter) store.Filter {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return append(conjuncts(a), conjuncts(b)...)
}

func conjuncts(f store.Filter) store.And {
	if and, ok := f.(store.And); ok {
		return and[:len(and):len(and)]
	}
	return store.And{f}
}

// systemFields are where rows, and components, keep what every entry has.
var systemFields = map[query.System]string{
	query.ID: Number, query.DocumentID: DocumentID, query.CreatedAt: CreatedAt, query.UpdatedAt: UpdatedAt, query.PublishedAt: PublishedAt, query.Locale: Locale,
}

// Field is the name of the field that a path ends in.
func Field(p query.Path) string {
	if p.Last != nil {
		return p.Last.Name
	}
	return systemFields[p.System]
}

// Order is what rows are sorted by to be in the order asked for. Those that are equal in it come by their number, in the direction of the last field, so that an index
// is of use in both. ok is false when it leads to other entries or through a list: no store sorts by those.
func Order(sort []query.Order) (order []store.Order, ok bool) {
	last := store.Order{Field: Number}
	for _, o := range sort {
		field := ""
		for _, a := range o.Path.Through {
			if a.Kind != schema.Part || a.Repeatable {
				return nil, false
			}
			field += a.Name + "."
		}
		last.Descending = o.Descending
		order = append(order, store.Order{Field: field + Field(o.Path), Descending: o.Descending})
	}
	return append(order, last), true
}
