package migrate

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
)

// tries is how often a page is changed anew because a host that still has the old types was quicker.
const tries = 10

// rewrite changes all rows, a page in one Apply. What is changed already is left alone.
func (w *work) rewrite(ctx context.Context, s store.Store, l *lease.Lease) error {
	// Without indexes that old values or new ones would not be allowed in.
	bare := store.Collection{Name: rows.Name(w.to), Indexes: []store.Index{{Fields: []string{rows.Number}, Unique: true}, {Fields: []string{rows.DocumentID}}}}
	if err := w.ensure(ctx, s, bare); err != nil {
		return err
	}
	for last := ""; ; {
		next, err := w.rewritePage(ctx, s, l, last)
		for try := 1; isConflict(err) && try < tries && ctx.Err() == nil; try++ {
			next, err = w.rewritePage(ctx, s, l, last)
		}
		if lost, ok := errors.AsType[*lease.Lost](context.Cause(ctx)); ok {
			return lost
		}
		if err != nil {
			return fmt.Errorf("changing the entries of %s: %w", w.to.Name, err)
		}
		if next == "" {
			return nil
		}
		last = next
	}
}

func (w *work) ensure(ctx context.Context, s store.Store, bare store.Collection) error {
	ctx, cancel := patient(ctx)
	defer cancel()
	return s.Ensure(ctx, bare, store.Collection{Name: sequences})
}

// rewritePage changes the rows after an id, and returns the last of them; "" if there were none.
func (w *work) rewritePage(ctx context.Context, s store.Store, l *lease.Lease, after string) (last string, err error) {
	found, err := w.page(ctx, s, w.concerned(), nil, after)
	if err != nil || len(found) == 0 {
		return "", err
	}
	var writes []store.Write
	var drafts []store.Document
	for _, row := range found {
		next, err := w.next(row)
		if err != nil {
			return "", err
		}
		if len(next) == 1 && reflect.DeepEqual(next[0], row) {
			continue
		}
		same := store.And{store.ID(row.ID()), store.Eq(rows.Revision, row[rows.Revision])}
		writes = append(writes, store.Delete{Collection: rows.Name(w.to), Filter: same, Must: 1})
		for _, one := range next {
			one[rows.Revision] = row.Int(rows.Revision) + 1
			if one[rows.Number] == nil {
				drafts = append(drafts, one)
			}
			writes = append(writes, store.Insert{Collection: rows.Name(w.to), Document: one})
		}
	}
	last = found[len(found)-1].ID()
	if len(writes) == 0 {
		return last, nil
	}
	if err := w.number(ctx, s, drafts); err != nil {
		return "", err
	}
	_, err = s.Apply(ctx, append([]store.Write{l.Guard()}, writes...)...)
	return last, err
}

// next are the rows that a row becomes.
func (w *work) next(row store.Document) ([]store.Document, error) {
	var refused error
	row = w.values(row, func(name string, bad *misfit) {
		refused = fmt.Errorf("%s of %s %s: it was written in the meantime: %w", name, row.String(rows.DocumentID), bad.why, fault.Invalid)
	})
	if refused != nil || !w.versionsChange || w.isMoved(row) {
		return []store.Document{row}, refused
	}
	return w.versions(row), nil
}

// sequences is where package entries keeps the greatest number that was given out of each type, in n.
const sequences = "api-sequences"

// number gives new rows numbers that no other row of the type has.
func (w *work) number(ctx context.Context, s store.Store, drafts []store.Document) error {
	if len(drafts) == 0 {
		return nil
	}
	greatest, err := s.Find(ctx, store.Query{Collection: rows.Name(w.to), Sort: []store.Order{{Field: rows.Number, Descending: true}}, Limit: 1, Fields: []string{rows.Number}})
	if err != nil || len(greatest) == 0 {
		return err
	}
	last, err := w.claim(ctx, s, int64(len(drafts)))
	if least := greatest[0].Int(rows.Number) + int64(len(drafts)); err == nil && last < least {
		last, err = w.claim(ctx, s, least-last)
	}
	for i, row := range drafts {
		row[rows.Number] = last - int64(len(drafts)) + int64(i) + 1
	}
	return err
}

// claim takes numbers, and returns the last.
func (w *work) claim(ctx context.Context, s store.Store, n int64) (int64, error) {
	q := store.Query{Collection: sequences, Filter: store.ID(w.to.Name)}
	more := store.Change{Add: map[string]int64{"n": n}}
	doc, err := s.Claim(ctx, q, more)
	if fault.CodeOf(err) == fault.NotFound {
		_, err = s.Apply(ctx, store.Insert{Collection: sequences, Document: store.Document{"id": w.to.Name, "n": int64(0)}})
		if err != nil && !isConflict(err) {
			return 0, err
		}
		doc, err = s.Claim(ctx, q, more)
	}
	return doc.Int("n"), err
}
