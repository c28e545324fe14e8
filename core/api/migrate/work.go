package migrate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// page is how many rows are looked at at once: of each come three writes at most, and an Apply takes store.MaxWrites.
const (
	page      = 300
	pageBytes = 4 << 20
)

// A work is what is to be done with the rows of one type.
type work struct {
	was, to        *schema.Type // was is what its rows were made for
	wasLocale      string       // the default
	locale         string
	attributes     []string // that are converted, in their order
	convert        map[string]converter
	unique         []*schema.Attribute // that were not
	exclusive      []*schema.Attribute
	misfits        map[string]*count // by the path of an attribute
	otherReasons   []string
	versionsChange bool // rows get other ids, as the type gets or loses drafts or languages
	valuesChange   bool // and need not only be looked at
}

// A count is how many entries have what can't be.
type count struct {
	entries     int
	first, last string // document ids; the rows of one come together
	why         string // of the first
}

func newWork(was, to *schema.Type, wasLocale, locale string) *work {
	return &work{
		was: was, to: to, wasLocale: wasLocale, locale: locale, convert: map[string]converter{}, misfits: map[string]*count{},
		versionsChange: was.Drafts != to.Drafts || was.Localized != to.Localized,
	}
}

func (w *work) converts(was, to *schema.Attribute, with converter) {
	if with != nil {
		w.attributes = append(w.attributes, to.Name)
		w.convert[to.Name] = with
		w.valuesChange = w.valuesChange || was.Kind != to.Kind || !to.Scalar()
	}
}

// rewrites reports whether rows have to change.
func (w *work) rewrites() bool { return w.versionsChange || w.valuesChange }

// concerned is the condition on rows that they may have to change; nil: all may.
func (w *work) concerned() store.Filter {
	if w.versionsChange {
		return nil
	}
	return w.holding()
}

// holding is the condition on rows that they have a value of an attribute that is converted.
func (w *work) holding() store.Filter {
	some := store.Or{}
	for _, name := range w.attributes {
		some = append(some, store.Ne(name, nil))
	}
	return some
}

// each calls f with all rows that meet a condition, a page at a time, in the order of their ids.
func (w *work) each(ctx context.Context, s store.Store, only store.Filter, fields []string, f func(page []store.Document) error) error {
	for last := ""; ; {
		found, err := w.page(ctx, s, only, fields, last)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		if err := f(found); err != nil {
			return err
		}
		last = found[len(found)-1].ID()
	}
}

func (w *work) page(ctx context.Context, s store.Store, only store.Filter, fields []string, after string) ([]store.Document, error) {
	return s.Find(ctx, store.Query{
		Collection: rows.Name(w.to), Filter: rows.Both(only, store.Gt("id", after)), Sort: []store.Order{{Field: "id"}}, Limit: page, MaxBytes: pageBytes, Fields: fields,
	})
}

// misfit counts an entry that has what can't be.
func (w *work) misfit(name string, row store.Document, bad *misfit) {
	bad = bad.within(name)
	c := w.misfits[bad.path]
	if c == nil {
		c = &count{why: bad.why, first: row.String(rows.DocumentID)}
		w.misfits[bad.path] = c
	}
	if doc := row.String(rows.DocumentID); c.entries == 0 || c.last != doc {
		c.entries++
		c.last = doc
	}
}

// reasons say why the rows can't be what the new type wants.
func (w *work) reasons() []string {
	var all []string
	for path, c := range w.misfits {
		all = append(all, fmt.Sprintf("%s.%s: of %s it %s (%s)", w.to.Name, path, entries(c.entries), c.why, c.first))
	}
	slices.Sort(all)
	return append(all, w.otherReasons...)
}

func (w *work) refuse(format string, args ...any) {
	w.otherReasons = append(w.otherReasons, w.to.Name+fmt.Sprintf(format, args...))
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// patience bounds what goes through all rows of a type, or makes an index of them: more than a store gives a single call.
const patience = 15 * time.Minute

func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
