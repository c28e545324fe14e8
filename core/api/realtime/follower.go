package realtime

import (
	"context"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// follower is what somebody wants to hear of, and may.
type follower struct {
	of          *schema.Type
	query       *query.Query
	scope       access.Scope // nil: everything
	view        rows.View
	asked, mine store.Filter    // nil: all
	looksAt     map[string]bool // fields of the type that asked looks at
}

func (r *Realtime) follower(t *schema.Type, q *query.Query, s access.Scope) (*follower, error) {
	f := &follower{of: t, query: q, scope: s, view: rows.View{Draft: q.Draft, Of: access.Drafts(s), Locale: q.Locale}, looksAt: map[string]bool{}}
	if set := r.set.Load(); q.Locale == "" && set != nil && len(set.Locales()) > 0 {
		f.view.Locale = set.Locales()[0]
	}
	only := func(t *schema.Type) query.Expr {
		return access.Seen(s, t, access.Find, f.view.Drafts(t))
	}
	var err error
	if f.mine, err = rows.Compile(only(t), t, f.view, nil); err != nil {
		return nil, err
	}
	if f.asked, err = rows.Compile(q.Filter, t, f.view, only); err != nil {
		return nil, err
	}
	fieldsOf(f.asked, f.looksAt)
	return f, nil
}

// fieldsOf notes the fields of a document itself that a condition looks at.
func fieldsOf(f store.Filter, fields map[string]bool) {
	note := func(path string) {
		name, _, _ := strings.Cut(path, ".")
		fields[name] = true
	}
	switch f := f.(type) {
	case store.And:
		for _, one := range f {
			fieldsOf(one, fields)
		}
	case store.Or:
		fieldsOf(store.And(f), fields)
	case store.Not:
		fieldsOf(f.Filter, fields)
	case store.Compare:
		note(f.Field)
	case store.In:
		note(f.Field)
	case store.Text:
		note(f.Field)
	case store.Has:
		note(f.Field)
	case store.Some:
		note(f.Field)
	case store.Related:
		note(f.Field)
	}
}

// touches reports whether a change may have changed what the condition that is asked for looks at. Changes don't name the fields that every one of them changes.
func (f *follower) touches(c changes.Change) bool {
	if len(c.Fields) == 0 && len(f.looksAt) > 0 || f.looksAt[rows.UpdatedAt] || f.looksAt[rows.PublishedAt] {
		return true
	}
	for _, name := range c.Fields {
		if f.looksAt[name] {
			return true
		}
	}
	return false
}

// sees reports whether a change is of a version of an entry that the follower looks at.
func (f *follower) sees(c changes.Change) bool {
	if f.of.Drafts && (c.Status == rows.Draft) != f.view.Draft {
		return false
	}
	return !f.of.Localized || f.view.Locale == rows.AllLocales || c.Locale == f.view.Locale
}

// told is what a follower hears of a change. Without an action it is nothing.
type told struct {
	action changes.Action
	entry  *entries.Entry // nil: deleted
}

// hears returns what a follower hears of a change. An error is the store's.
func (r *Realtime) hears(ctx context.Context, f *follower, i, before *item) (told, error) {
	if !f.sees(i.Change) {
		return told{}, nil
	}
	both := rows.Both(f.mine, f.asked)
	if i.Action == changes.Delete {
		return r.deleted(ctx, f, i, before)
	}
	row, err := i.now(ctx, r.store, f.of)
	if err != nil || row == nil { // that it has been deleted since is told next
		return told{}, err
	}
	ok, err := r.matches(ctx, row, both)
	if err != nil {
		return told{}, err
	}
	if ok {
		entry, err := r.entry(ctx, f, row)
		if err != nil || entry == nil {
			return told{}, err
		}
		return told{i.Action, entry}, nil
	}
	if i.Action == changes.Create {
		return told{}, nil
	}
	was, known := before.known()
	if known && was != nil && was.Int(rows.Revision) < row.Int(rows.Revision) { // or it was read late: it is as it is now
		return r.gone(ctx, was, both)
	}
	if !f.touches(i.Change) {
		return told{}, nil
	}
	return r.gone(ctx, row, f.mine)
}

// deleted is what a follower hears of a delete. When the row had gone before anybody could see what a change had made of it, he may have been asking for what it was.
func (r *Realtime) deleted(ctx context.Context, f *follower, i, before *item) (told, error) {
	if was, known := before.known(); before != nil && (!known || was == nil) {
		return r.gone(ctx, i.Row, f.mine)
	}
	return r.gone(ctx, i.Row, rows.Both(f.mine, f.asked))
}

// gone is a delete, of an entry that was there for whom the condition is.
func (r *Realtime) gone(ctx context.Context, was store.Document, condition store.Filter) (told, error) {
	if was == nil {
		return told{}, nil
	}
	if ok, err := r.matches(ctx, was, condition); !ok || err != nil {
		return told{}, err
	}
	return told{action: changes.Delete}, nil
}

func (r *Realtime) matches(ctx context.Context, row store.Document, condition store.Filter) (bool, error) {
	return store.Match(row, condition, time.Now(), func(collection string, f store.Filter) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		found, err := r.store.Find(ctx, store.Query{Collection: collection, Filter: f, Limit: 1, Fields: []string{}})
		return len(found) > 0, err
	})
}

// entry is a row as the follower's query shows it; nil: not any more.
func (r *Realtime) entry(ctx context.Context, f *follower, row store.Document) (*entries.Entry, error) {
	if len(f.query.Populate) == 0 {
		return &entries.Entry{Type: f.of, Row: row, Fields: f.query.Fields}, nil
	}
	q := *f.query
	is := query.Test{Path: query.Path{System: query.DocumentID}, Op: query.Eq, Values: []any{row.String(rows.DocumentID)}}
	q.Sort, q.Page, q.Filter = nil, query.Page{Limit: 1}, is
	if f.query.Filter != nil {
		q.Filter = query.And{is, f.query.Filter}
	}
	if f.of.Localized {
		q.Locale = row.String(rows.Locale)
	}
	list, err := r.entries.Find(ctx, f.of, &q, f.scope)
	if err != nil || len(list.Entries) == 0 {
		return nil, err
	}
	return list.Entries[0], nil
}
