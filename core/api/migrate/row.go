package migrate

import (
	"maps"
	"reflect"
	"strings"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/store"
)

// values is a row with its attributes converted. Those that can't be are told, and stay.
func (w *work) values(row store.Document, bad func(name string, m *misfit)) store.Document {
	next := maps.Clone(row)
	for _, name := range w.attributes {
		if row[name] == nil {
			continue
		}
		v, m := w.convert[name](row[name])
		if m != nil {
			bad(name, m)
			continue
		}
		if next[name] = v; v == nil {
			delete(next, name)
		}
	}
	return next
}

// isMoved reports whether a row is already one of those that the new type has.
func (w *work) isMoved(row store.Document) bool {
	return (row[rows.Status] != nil) == w.to.Drafts && (row[rows.Locale] != nil) == w.to.Localized
}

// versions are the rows that a row of the old type becomes: none, when it is a draft and there are no drafts any more; two, when there
// were none. A new draft has no number yet.
func (w *work) versions(row store.Document) []store.Document {
	isDraft := row[rows.Status] == rows.Draft
	doc, locale := row.String(rows.DocumentID), row.String(rows.Locale)
	if isDraft && !w.to.Drafts {
		return nil
	}
	next := maps.Clone(row)
	if delete(next, rows.Locale); w.to.Localized {
		if locale == "" {
			locale = w.locale
		}
		next[rows.Locale] = locale
	}
	if !w.to.Drafts {
		delete(next, rows.Status)
	}
	next["id"] = rows.RowID(w.to, doc, locale, isDraft)
	if !w.to.Drafts || w.was.Drafts {
		return []store.Document{next}
	}
	next[rows.Status] = rows.Published
	if next[rows.PublishedAt] == nil {
		next[rows.PublishedAt] = next[rows.UpdatedAt]
	}
	draft := maps.Clone(next)
	draft["id"] = rows.RowID(w.to, doc, locale, true)
	draft[rows.Status] = rows.Draft
	delete(draft, rows.PublishedAt)
	delete(draft, rows.Number)
	return []store.Document{next, draft}
}

// sameContent reports whether two rows say the same: all but what the system keeps.
func sameContent(a, b store.Document) bool { return reflect.DeepEqual(content(a), content(b)) }

// content is what an entry says, without the numbers of its components.
func content(row store.Document) store.Document {
	said := store.Document{}
	for name, v := range row {
		switch name {
		case "id", rows.CreatedAt, rows.UpdatedAt, rows.PublishedAt:
			continue
		}
		if !strings.HasPrefix(name, "_") {
			said[name] = unnumbered(v)
		}
	}
	return said
}

func unnumbered(v any) any {
	switch v := v.(type) {
	case store.Document:
		said := make(store.Document, len(v))
		for name, inner := range v {
			if name != rows.Number {
				said[name] = unnumbered(inner)
			}
		}
		return said
	case []any:
		all := make([]any, len(v))
		for i, inner := range v {
			all[i] = unnumbered(inner)
		}
		return all
	}
	return v
}
