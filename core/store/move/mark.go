package move

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	copies = "copies" // the collection

	// Ids of the documents in it. The others are the marks of the collections, by their name, which never has a blank.
	identityID = "the identity"
	copyID     = "the copy"
)

// stage is how far a copy is.
type stage string

const (
	copying  stage = "copying"
	verified stage = "verified"
	complete stage = "complete"
)

// mark is how far a collection is copied.
type mark struct {
	documents int
	bytes     int64
	last      string // id
	sum       []byte // see sum
}

func (m mark) fields() store.Document {
	return store.Document{"documents": m.documents, "bytes": m.bytes, "last": m.last, "sum": m.sum}
}

// add has the mark be behind a document that has this encoding.
func (m *mark) add(d store.Document, encoded []byte) {
	m.documents++
	m.bytes += int64(store.Size(d))
	m.last = d.ID()
	m.sum = sum(m.sum, encoded)
}

// begin finds out, or settles, that the store is a copy of the other one, and returns how far it is.
func (c *copier) begin(ctx context.Context) (stage, error) {
	for _, s := range []store.Store{c.from, c.to} {
		if err := s.Ensure(ctx, store.Collection{Name: copies, Private: true}); err != nil {
			return "", err
		}
	}
	identity, err := getOrInsert(ctx, c.from, store.Document{"id": identityID, "identity": store.NewID()})
	if err != nil {
		return "", fmt.Errorf("giving the store an identity: %w", err)
	}
	if _, err = c.to.Get(ctx, copies, copyID); errors.Is(err, fault.NotFound) {
		err = c.empty(ctx)
	}
	if err != nil {
		return "", err
	}
	own := store.Document{"id": copyID, "from": identity.String("identity"), "stage": string(copying)}
	begun, err := getOrInsert(ctx, c.to, own)
	switch {
	case err != nil:
		return "", err
	case begun.String("from") != own.String("from"):
		return "", fmt.Errorf("the store to copy to is the copy of another store: empty it first: %w", fault.Conflict)
	case stage(begun.String("stage")) == complete:
		return "", fmt.Errorf("the store to copy to is a complete copy already; to copy again, empty it first: %w", fault.Conflict)
	}
	return stage(begun.String("stage")), nil
}

// Usable returns a conflict when s is a copy that is not complete: who begins to work on it works on a part.
func Usable(ctx context.Context, s store.Store) error {
	all, err := s.Collections(ctx)
	if err != nil || !slices.ContainsFunc(all, func(c store.Collection) bool { return c.Name == copies }) {
		return err
	}
	if err := s.Ensure(ctx, store.Collection{Name: copies, Private: true}); err != nil {
		return err
	}
	d, err := s.Get(ctx, copies, copyID)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil
	case err == nil && stage(d.String("stage")) != complete:
		return fmt.Errorf("the store is a copy that is not complete: run edge store copy again, or empty it: %w", fault.Conflict)
	}
	return err
}

// empty returns a conflict when there is something in the store to copy to.
func (c *copier) empty(ctx context.Context) error {
	collections, err := c.to.Collections(ctx)
	if err != nil {
		return err
	}
	for _, one := range collections {
		if isOwn(one.Name) {
			continue
		}
		if err := c.to.Ensure(ctx, one); err != nil {
			return err
		}
		found, err := c.to.Find(ctx, store.Query{Collection: one.Name, Limit: 1, Fields: []string{}})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("the store to copy to holds documents of its own in %s: empty it first: %w", one.Name, fault.Conflict)
		}
	}
	return nil
}

// enter has the copy go from one stage to the next.
func (c *copier) enter(ctx context.Context, before, next stage) error {
	_, err := c.to.Apply(ctx, store.Update{
		Collection: copies, Filter: store.And{store.ID(copyID), store.Eq("stage", string(before))},
		Change: store.Change{Set: store.Document{"stage": string(next)}}, Must: 1,
	})
	if err != nil {
		return fmt.Errorf("noting that the copy is %s: %w", next, err)
	}
	return nil
}

// mark returns how far a collection is.
func (c *copier) mark(ctx context.Context, collection string) (mark, error) {
	first := mark{sum: make([]byte, sumSize)}.fields()
	first["id"] = collection
	d, err := getOrInsert(ctx, c.to, first)
	if err != nil {
		return mark{}, fmt.Errorf("how far %s is copied: %w", collection, err)
	}
	m := mark{documents: int(d.Int("documents")), bytes: d.Int("bytes"), last: d.String("last"), sum: d.Bytes("sum")}
	if len(m.sum) != sumSize {
		return mark{}, fmt.Errorf("how far %s is copied can't be told: its mark is damaged", collection)
	}
	return m, nil
}

// advance is a write that moves the mark of a collection on; it is a conflict when another has moved it.
func advance(collection string, before, after mark) store.Write {
	return store.Update{
		Collection: copies, Filter: store.And{store.ID(collection), store.Eq("documents", before.documents)},
		Change: store.Change{Set: after.fields()}, Must: 1,
	}
}

// getOrInsert returns the document of copies that has the id of d: d itself, if there was none.
func getOrInsert(ctx context.Context, s store.Store, d store.Document) (store.Document, error) {
	found, err := s.Get(ctx, copies, d.ID())
	if !errors.Is(err, fault.NotFound) {
		return found, err
	}
	if _, err := s.Apply(ctx, store.Insert{Collection: copies, Document: d}); err != nil && !errors.Is(err, fault.Conflict) {
		return nil, err
	}
	return s.Get(ctx, copies, d.ID())
}
