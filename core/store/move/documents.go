package move

import (
	"context"
	"errors"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// How much is read, and written, at a time. A store is asked for a number of documents, and how large they are is seen when they are
// there: so the number follows the size of those before.
const (
	maxPage   = 256     // documents
	firstPage = 8       // documents
	pageBytes = 4 << 20 // what a page should have
	maxBatch  = 8 << 20 // bytes in one write, but for a single document
)

// pages reads a collection in the order of ids.
type pages struct {
	store      store.Store
	collection string
	last       string // id of the document that was read last
	limit      int
}

func read(s store.Store, collection, after string) *pages {
	return &pages{s, collection, after, firstPage}
}

// next returns the next documents, none at the end.
func (p *pages) next(ctx context.Context) ([]store.Document, error) {
	q := store.Query{Collection: p.collection, Limit: p.limit}
	if p.last != "" {
		q.Filter = store.Gt("id", p.last)
	}
	page, err := p.store.Find(ctx, q)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	bytes := 0
	for _, d := range page {
		bytes += store.Size(d)
	}
	p.limit = max(1, min(pageBytes*len(page)/bytes, 2*p.limit, maxPage))
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
	source := read(c.from, collection, m.last)
	for {
		c.progress(Progress{Collection: collection, Done: m.documents, Total: max(total, m.documents), Bytes: m.bytes})
		page, err := source.next(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		for len(page) > 0 {
			n := batch(page)
			if m, err = c.write(ctx, collection, m, page[:n]); err != nil {
				return err
			}
			page = page[n:]
		}
	}
}

// batch returns how many of the documents are written at once.
func batch(documents []store.Document) int {
	bytes := 0
	for i, d := range documents {
		if bytes += store.Size(d); bytes > maxBatch && i > 0 {
			return i
		}
	}
	return len(documents)
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
