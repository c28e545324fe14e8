package move

import (
	"context"
	"errors"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// How much is read, and written, at a time.
const (
	maxPage   = 256     // documents, at most
	pageBytes = 4 << 20 // but for the last document
)

// pages reads a collection in the order of ids.
type pages struct {
	store      store.Store
	collection string
	last       string // id of the document that was read last
	limit      int    // documents of a page
}

// next returns the next documents, none at the end.
func (p *pages) next(ctx context.Context) ([]store.Document, error) {
	q := store.Query{Collection: p.collection, Limit: p.limit, MaxBytes: pageBytes}
	if p.last != "" {
		q.Filter = store.Gt("id", p.last)
	}
	page, err := p.store.Find(ctx, q)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	p.last = page[len(page)-1].ID()
	return page, nil
}

// copyDocuments copies what comes after the mark of a collection.
func (c *copier) copyDocuments(ctx context.Context, collection string) error {
	m, err := c.mark(ctx, collection)
	if err != nil {
		return err
	}
	counting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	total, err := c.from.Count(counting, collection, nil)
	if err != nil {
		return err
	}
	source := &pages{c.from, collection, m.last, c.page}
	for {
		c.progress(Progress{Collection: collection, Done: m.documents, Total: max(total, m.documents), Bytes: m.bytes})
		page, err := source.next(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		if m, err = c.write(ctx, collection, m, page); err != nil {
			return err
		}
	}
}

// write writes documents together with the mark behind them.
func (c *copier) write(ctx context.Context, collection string, before mark, documents []store.Document) (mark, error) {
	after := before
	writes := make([]store.Write, 0, len(documents)+1)
	var encoded []byte
	for _, d := range documents {
		var err error
		if encoded, err = appendDocument(encoded[:0], d); err != nil {
			return before, fmt.Errorf("%s: %w", d.ID(), err)
		}
		after.add(d, encoded)
		writes = append(writes, store.Insert{Collection: collection, Document: d})
	}
	_, err := c.to.Apply(ctx, append(writes, advance(collection, before, after))...)
	if errors.Is(err, fault.Conflict) {
		return before, fmt.Errorf("somebody else writes to the store that is copied to: %w", err)
	}
	return after, err
}
