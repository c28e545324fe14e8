package move

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/onehost/edge/core/store"
)

const (
	maxExamples = 5
	clocksApart = time.Minute // how much the clocks of two stores may differ
)

// cursor is at one document of a collection after the other, in the order of ids.
type cursor struct {
	pages   *pages
	page    []store.Document // from where it is
	id      string           // "" at the end
	encoded []byte
}

// settle has the cursor be at the first document of its page, or of the next one.
func (c *cursor) settle(ctx context.Context) (err error) {
	if len(c.page) == 0 {
		if c.page, err = c.pages.next(ctx); err != nil {
			return err
		}
	}
	if c.id = ""; len(c.page) == 0 {
		return nil
	}
	c.id = c.page[0].ID()
	if c.encoded, err = appendDocument(c.encoded[:0], c.page[0]); err != nil {
		err = fmt.Errorf("%s: %w", c.id, err)
	}
	return err
}

// next goes on to the next document.
func (c *cursor) next(ctx context.Context) error {
	c.page[0], c.page = nil, c.page[1:]
	return c.settle(ctx)
}

// verify reads a collection in both stores. The copy has to hold exactly what was read while it was written, and that has to be what is
// in the other store still.
func (c *copier) verify(ctx context.Context, collection store.Collection) (Collection, error) {
	m, err := c.mark(ctx, collection.Name)
	if err != nil {
		return Collection{}, err
	}
	found := m.report(collection.Name)
	from := &cursor{pages: &pages{c.from, collection.Name, "", c.page}}
	to := &cursor{pages: &pages{c.to, collection.Name, "", c.page}}
	if err := from.settle(ctx); err != nil {
		return found, err
	}
	if err := to.settle(ctx); err != nil {
		return found, err
	}
	var seen mark
	for seen.sum = make([]byte, sumSize); from.id != "" || to.id != ""; {
		inFrom := to.id == "" || from.id != "" && from.id <= to.id
		inTo := from.id == "" || to.id != "" && to.id <= from.id
		if err := c.judge(ctx, &found, collection, from, to, inFrom, inTo); err != nil {
			return found, err
		}
		if inTo {
			seen.add(to.page[0], to.encoded)
			if len(to.page) == 1 {
				c.progress(Progress{collection.Name, true, seen.documents, max(m.documents, seen.documents), seen.bytes})
			}
			if err := to.next(ctx); err != nil {
				return found, err
			}
		}
		if inFrom {
			if err := from.next(ctx); err != nil {
				return found, err
			}
		}
	}
	mayExpire := c.again && collection.Expire != ""
	found.Damaged = !mayExpire && (seen.documents != m.documents || !bytes.Equal(seen.sum, m.sum))
	return found, nil
}

// judge notes when the next document is not the same in both stores. One that has expired by now may be in the copy alone; once expired documents
// are removed from the copy, in the other store alone.
func (c *copier) judge(ctx context.Context, found *Collection, collection store.Collection, from, to *cursor, inFrom, inTo bool) error {
	if inFrom && inTo && bytes.Equal(from.encoded, to.encoded) {
		return nil
	}
	id := from.id
	if !inFrom {
		id = to.id
	}
	if collection.Expire != "" && (!inFrom || !inTo && c.again) {
		in := c.to
		if inFrom {
			in = c.from
		}
		n, err := in.Count(ctx, collection.Name, store.And{store.ID(id), store.Lte(collection.Expire, store.Now(clocksApart))})
		if err != nil {
			return err
		}
		if found.Expired += n; n > 0 {
			return nil
		}
	}
	if found.Differ++; found.Differ <= maxExamples {
		found.Examples = append(found.Examples, fmt.Sprintf("%.80q", id))
	}
	return nil
}
