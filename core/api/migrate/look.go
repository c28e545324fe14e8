package migrate

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// look finds what in the rows stands in the way. It changes nothing.
func (w *work) look(ctx context.Context, s store.Store) error {
	looks := []func(context.Context, store.Store) error{w.lookAtValues}
	if w.to.Single && !w.was.Single {
		looks = append(looks, w.lookForMany)
	}
	if w.was.Drafts && !w.to.Drafts {
		looks = append(looks, w.lookAtDrafts)
	}
	if w.was.Localized && !w.to.Localized {
		looks = append(looks, w.lookAtLocales)
	}
	for _, a := range w.unique {
		looks = append(looks, func(ctx context.Context, s store.Store) error { return w.lookForDoubles(ctx, s, a) })
	}
	for _, a := range w.exclusive {
		looks = append(looks, func(ctx context.Context, s store.Store) error { return w.lookForDoubles(ctx, s, a) })
	}
	if len(looks) == 1 && len(w.attributes) == 0 {
		return nil
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	// Rows can be read only of a collection that is described, and what is described here has to be what is there.
	if there, err := isThere(ctx, s, rows.Name(w.to)); err != nil || !there {
		return err
	}
	for _, look := range looks {
		if err := look(ctx, s); err != nil {
			return fmt.Errorf("the entries of %s: %w", w.to.Name, err)
		}
	}
	return nil
}

// isThere ensures a collection as it is; false if there is none.
func isThere(ctx context.Context, s store.Store, name string) (bool, error) {
	all, err := s.Collections(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range all {
		if c.Name == name {
			return true, s.Ensure(ctx, c)
		}
	}
	return false, nil
}

func (w *work) lookAtValues(ctx context.Context, s store.Store) error {
	if len(w.attributes) == 0 {
		return nil
	}
	return w.each(ctx, s, w.holding(), append([]string{rows.DocumentID}, w.attributes...), func(page []store.Document) error {
		for _, row := range page {
			w.values(row, func(name string, bad *misfit) { w.misfit(name, row, bad) })
		}
		return nil
	})
}

func (w *work) lookForMany(ctx context.Context, s store.Store) error {
	first, err := w.page(ctx, s, nil, []string{rows.DocumentID}, "")
	if err != nil || len(first) == 0 {
		return err
	}
	others, err := s.Count(ctx, rows.Name(w.to), store.Ne(rows.DocumentID, first[0][rows.DocumentID]))
	if others > 0 {
		w.refuse(" is a single type now, and has more than one entry: delete all but one first")
	}
	return err
}

func (w *work) lookAtLocales(ctx context.Context, s store.Store) error {
	others, err := s.Count(ctx, rows.Name(w.to), store.And{store.Ne(rows.Locale, nil), store.Ne(rows.Locale, w.wasLocale)})
	if others > 0 {
		w.refuse(" is not localized any more, and versions of entries in other languages than %s are there (%d): delete those first", w.wasLocale, others)
	}
	return err
}

// lookAtDrafts finds entries of which a draft is all there is, or is another than what is published.
func (w *work) lookAtDrafts(ctx context.Context, s store.Store) error {
	var alone, differ count
	err := w.each(ctx, s, store.Eq(rows.Status, rows.Draft), nil, func(drafts []store.Document) error {
		published, err := w.published(ctx, s, drafts)
		if err != nil {
			return err
		}
		ignore := func(string, *misfit) {}
		for _, draft := range drafts {
			doc := draft.String(rows.DocumentID)
			switch p := published[versionKey(draft)]; {
			case p == nil:
				alone.entries++
				alone.last = doc
			case !sameContent(w.values(draft, ignore), w.values(p, ignore)):
				differ.entries++
				differ.last = doc
			}
		}
		return nil
	})
	if alone.entries > 0 {
		w.refuse(" has no drafts any more, and of some entries there is only a draft (%d), such as of %s: publish or delete those first", alone.entries, alone.last)
	}
	if differ.entries > 0 {
		w.refuse(" has no drafts any more, and some are not what is published (%d), such as that of %s: publish or discard those first", differ.entries, differ.last)
	}
	return err
}

// versionKey is the same for the draft and what is published of it.
func versionKey(row store.Document) string {
	return row.String(rows.DocumentID) + " " + row.String(rows.Locale)
}

// published are the rows that were published of drafts, as the old type has them or, when they have been changed already, as the new one does.
func (w *work) published(ctx context.Context, s store.Store, drafts []store.Document) (map[string]store.Document, error) {
	var ids []any
	of := map[string]string{}
	for _, draft := range drafts {
		doc, locale := draft.String(rows.DocumentID), draft.String(rows.Locale)
		moved := locale
		if moved == "" {
			moved = w.locale
		}
		for _, id := range []string{rows.RowID(w.was, doc, locale, false), rows.RowID(w.to, doc, moved, false)} {
			ids = append(ids, id)
			of[id] = versionKey(draft)
		}
	}
	found := map[string]store.Document{}
	for len(ids) > 0 {
		some := ids[:min(len(ids), page)]
		ids = ids[len(some):]
		docs, err := s.Find(ctx, store.Query{Collection: rows.Name(w.to), Filter: store.In{Field: "id", Values: some}, Limit: page})
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			found[of[doc.ID()]] = doc
		}
	}
	return found, nil
}

// lookForDoubles finds values that several entries have of an attribute that only one may have. It looks twice, so that only
// values that may be doubles are held: of the others, a number for each.
func (w *work) lookForDoubles(ctx context.Context, s store.Store, a *schema.Attribute) error {
	seed := maphash.MakeSeed()
	seen, twice := map[uint64]bool{}, map[uint64]bool{}
	err := w.eachValue(ctx, s, a, func(key, _ string) {
		h := maphash.String(seed, key)
		if seen[h] {
			twice[h] = true
		}
		seen[h] = true
	})
	if err != nil || len(twice) == 0 {
		return err
	}
	times, doubled := map[string]int{}, map[string]bool{} // by key; by what is shown, alike in drafts and what is published
	var example, first string                             // as it is shown, and its key
	err = w.eachValue(ctx, s, a, func(key, value string) {
		if !twice[maphash.String(seed, key)] {
			return
		}
		if times[key]++; times[key] == 2 {
			if doubled[value] = true; first == "" {
				example, first = value, key
			}
		}
	})
	what := "are unique now"
	if a.Refers() {
		what = "are of one entry now"
	}
	switch doubles := len(doubled); {
	case doubles == 1:
		w.refuse(".%s: values %s, and %d entries have %s: change all but one of them", a.Name, what, times[first], example)
	case doubles > 1:
		w.refuse(".%s: values %s, and of %d values several entries have the same, such as %s (%d entries): change all but one of each", a.Name, what, doubles, example, times[first])
	}
	return err
}

// eachValue calls f with each value of an attribute, and a key that two have that may not be the same.
func (w *work) eachValue(ctx context.Context, s store.Store, a *schema.Attribute, f func(key, value string)) error {
	fields := []string{rows.DocumentID, rows.Status, rows.Locale, a.Name}
	return w.each(ctx, s, store.Ne(a.Name, nil), fields, func(page []store.Document) error {
		for _, row := range page {
			v := row[a.Name]
			if convert := w.convert[a.Name]; convert != nil {
				next, bad := convert(v)
				if bad != nil {
					continue // told already
				}
				v = next
			}
			version := row.String(rows.Status)
			if !w.to.Drafts && version == rows.Draft {
				continue // goes
			}
			if v != nil {
				f(strings.Join([]string{version, row.String(rows.Locale), fmt.Sprintf("%T %v", v, v)}, "\x00"), shown(v))
			}
		}
		return nil
	})
}

// isConflict reports whether somebody else was quicker.
func isConflict(err error) bool { return fault.CodeOf(err) == fault.Conflict }
