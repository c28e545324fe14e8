package entries

import (
	"context"
	"errors"
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/pace"
	"github.com/onehost/edge/core/store"
)

// maxBytes bounds what a read takes from the store, with all that it fills in, and what it shows: what several entries lead to is shown with each.
const maxBytes = 32 << 20

// Find returns a page of the entries of a type that q asks for and s may find. A nil scope may do anything. Errors are a [problem.Error], or what the store says.
func (e *Entries) Find(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (list List, err error) {
	r := e.reading(q, s)
	err = bounded(ctx, e.lanes.lane(r, t, q), func(ctx context.Context) error {
		list, err = r.find(ctx, t, q)
		return err
	})
	return list, err
}

// FindOne returns one entry as q asks for it; 404 when it is not there, or not for s to see. Of a localized type it is one locale's.
func (e *Entries) FindOne(ctx context.Context, t *schema.Type, documentID string, q *query.Query, s access.Scope) (entry *Entry, err error) {
	if !rows.IsDocumentID(documentID) {
		return nil, problem.NotFound()
	}
	r := e.reading(q, s)
	r.view.Locale = r.home
	one := query.Query{Populate: q.Populate}
	err = bounded(ctx, e.lanes.lane(r, t, &one), func(ctx context.Context) error {
		entry, err = r.one(ctx, t, documentID, q)
		return err
	})
	return entry, err
}

// Single returns the entry of a single type; 404 when there is none, or none for s to see.
func (e *Entries) Single(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (*Entry, error) {
	first := *q
	first.Page = query.Page{Limit: 1}
	list, err := e.Find(ctx, t, &first, s)
	if err != nil {
		return nil, err
	}
	if len(list.Entries) == 0 {
		return nil, problem.NotFound()
	}
	return list.Entries[0], nil
}

// Count returns how many entries q asks for that s may find, whatever their page.
func (e *Entries) Count(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (n int, err error) {
	r := e.reading(q, s)
	err = bounded(ctx, e.lanes.lane(r, t, q), func(ctx context.Context) error {
		f, err := r.filter(ctx, t, q.Filter)
		if err == nil {
			n, err = r.store.Count(ctx, rows.Name(t), f)
		}
		return err
	})
	return n, err
}

// ByNumber returns the document id of the entry that has a row of this number; 404 when there is none.
func (e *Entries) ByNumber(ctx context.Context, t *schema.Type, n int64) (documentID string, err error) {
	err = bounded(ctx, nil, func(ctx context.Context) error {
		found, err := e.store.Find(ctx, store.Query{Collection: rows.Name(t), Filter: store.Eq(rows.Number, n), Limit: 1, Fields: []string{rows.DocumentID}})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return problem.NotFound()
		}
		documentID = found[0].String(rows.DocumentID)
		return nil
	})
	return documentID, err
}

// bounded gives a read its time, of which waiting in its lane is a part. That it was not enough may be the query's fault or that of all others': it is 503, so that who asked tries again or asks for less.
func bounded(ctx context.Context, lane *pace.Slots, read func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := in(within, lane, read)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded):
		return &problem.Error{
			Status: http.StatusServiceUnavailable, Name: "ServiceUnavailableError", Details: problem.None{},
			Message: "This took longer than " + Timeout.String() + ": ask for less, filter by attributes that have an index, or try again",
		}
	case fault.CodeOf(err) == fault.TooLarge && !isProblem(err):
		return problem.Validation("The query is more than can be looked for: %v", err)
	}
	return err
}

func isProblem(err error) bool {
	_, ok := errors.AsType[*problem.Error](err)
	return ok
}

// A reading is one read: what all its steps have in common.
type reading struct {
	store store.Store
	scope access.Scope // nil: everything
	view  rows.View
	home  string // the locale of what has none, where the view is of all
	taken int    // bytes
}

func (e *Entries) reading(q *query.Query, s access.Scope) *reading {
	r := &reading{store: e.store, scope: s, view: rows.View{Draft: q.Draft, Locale: q.Locale}, home: q.Locale}
	if q.Draft {
		r.view.Of = access.Drafts(s)
	}
	if q.Locale == "" || q.Locale == rows.AllLocales {
		r.home = ""
		if locales := e.set.Load().Locales(); len(locales) > 0 {
			r.home = locales[0]
		}
	}
	if q.Locale == "" {
		r.view.Locale = r.home
	}
	return r
}

// only is which entries of a type may be seen; nil: all.
func (r *reading) only(t *schema.Type, a access.Action) query.Expr {
	return access.Seen(r.scope, t, a, r.view.Drafts(t))
}

// filter is the condition on rows of a type that the view shows, that may be found, and that are asked for.
func (r *reading) filter(ctx context.Context, t *schema.Type, asked query.Expr) (store.Filter, error) {
	f, err := r.allowed(t, asked, access.Find)
	if err != nil {
		return nil, err
	}
	return r.narrow(ctx, t, rows.Both(r.view.Filter(t), f))
}

// allowed is the condition on rows that may be seen and are asked for, of those that the view shows; nil: all.
func (r *reading) allowed(t *schema.Type, asked query.Expr, a access.Action) (store.Filter, error) {
	mine, err := rows.Compile(r.only(t, a), t, r.view, nil)
	if err != nil {
		return nil, err
	}
	f, err := rows.Compile(asked, t, r.view, func(t *schema.Type) query.Expr { return r.only(t, access.Find) })
	return rows.Both(mine, f), err
}

func (r *reading) find(ctx context.Context, t *schema.Type, q *query.Query) (List, error) {
	f, err := r.filter(ctx, t, q.Filter)
	if err != nil {
		return List{}, err
	}
	order, ok := rows.Order(q.Sort)
	var found []store.Document
	var total int
	if ok {
		found, total, err = r.page(ctx, store.Query{Collection: rows.Name(t), Filter: f, Sort: order, Fields: fieldsOf(q)}, q.Page)
	} else {
		found, total, err = r.pageInOrder(ctx, t, f, q)
	}
	if err != nil {
		return List{}, err
	}
	list := List{Entries: r.entries(t, found, q.Fields), Total: total}
	return list, r.fillAll(ctx, list.Entries, q.Populate)
}

// page returns the rows of a page, and how many there are on all pages, if that is asked for: the end of the last page tells it, too.
func (r *reading) page(ctx context.Context, q store.Query, p query.Page) (found []store.Document, total int, err error) {
	q.Skip, q.Limit = p.Start, min(p.Limit, store.MaxFind)
	if q.Limit > 0 {
		if found, err = r.get(ctx, q); err != nil {
			return nil, 0, err
		}
	}
	switch {
	case !p.Count:
		return found, -1, nil
	case len(found) < q.Limit && (len(found) > 0 || p.Start == 0):
		return found, p.Start + len(found), nil
	}
	total, err = r.store.Count(ctx, q.Collection, q.Filter)
	return found, total, err
}

// get finds rows, which must not be more than there is room for.
func (r *reading) get(ctx context.Context, q store.Query) ([]store.Document, error) {
	if len(q.Sort) > store.MaxSort {
		return nil, problem.Validation("At most %d fields can be sorted by", store.MaxSort-1)
	}
	q.MaxBytes = max(maxBytes-r.taken, 1)
	found, err := r.store.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, row := range found {
		r.taken += store.Size(row)
	}
	if r.taken >= maxBytes && len(found) > 0 {
		return nil, tooMuch()
	}
	return found, nil
}

func tooMuch() error {
	return problem.Validation("These entries have more than %d MiB: ask for fewer, or for some of their fields", maxBytes>>20)
}

func (r *reading) one(ctx context.Context, t *schema.Type, documentID string, q *query.Query) (*Entry, error) {
	f, err := r.allowed(t, q.Filter, access.FindOne)
	if err != nil {
		return nil, err
	}
	row, err := r.row(ctx, rows.Name(t), r.view.RowID(t, documentID), f)
	if errors.Is(err, fault.NotFound) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, err
	}
	one := r.entries(t, []store.Document{row}, q.Fields)
	return one[0], r.fillAll(ctx, one, q.Populate)
}

// row returns the row of an id if it meets a condition.
func (r *reading) row(ctx context.Context, collection, id string, f store.Filter) (store.Document, error) {
	if f == nil {
		return r.store.Get(ctx, collection, id)
	}
	found, err := r.store.Find(ctx, store.Query{Collection: collection, Filter: rows.Both(store.ID(id), f), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.NotFound
	}
	return found[0], nil
}

// entries are what rows of a type are versions of.
func (r *reading) entries(t *schema.Type, found []store.Document, fields []string) []*Entry {
	all, list := make([]Entry, len(found)), make([]*Entry, len(found))
	for i, row := range found {
		locale := r.home
		if t.Localized {
			locale = row.String(rows.Locale)
		}
		all[i] = Entry{Type: t, Row: row, Fields: fields, locale: locale}
		list[i] = &all[i]
	}
	return list
}

// system are the fields that are read of each row.
var system = []string{rows.DocumentID, rows.Number, rows.Status, rows.Locale, rows.Revision}

// fieldsOf are the fields of rows that are needed for what q asks for; nil: all.
func fieldsOf(q *query.Query, more ...string) []string {
	if q.Fields == nil {
		return nil
	}
	fields := append(system[:len(system):len(system)], more...)
	for _, name := range q.Fields {
		if name != string(query.ID) && name != string(query.DocumentID) && name != string(query.Locale) {
			fields = append(fields, name)
		}
	}
	for _, p := range q.Populate {
		fields = append(fields, p.Attribute.Name)
	}
	return fields
}
