package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// batch is what one call changes, in a copy that takes the place of what is kept when all has been done.
type batch struct {
	view
	described map[string]store.Collection
	copied    map[string]bool
	done      []entry
}

func (m *Memory) batch() *batch {
	return &batch{view{maps.Clone(m.kept), m.clock()}, m.described, make(map[string]bool), nil}
}

// Apply implements [store.Store].
func (m *Memory) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if err := store.CheckWrites(writes); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reachable(ctx); err != nil {
		return nil, err
	}
	writes, err := m.accept(ctx, writes)
	if err != nil {
		return nil, err
	}
	b := m.batch()
	touched := make([]int, len(writes))
	for i, w := range writes {
		if touched[i], err = b.write(w); err != nil {
			return nil, err
		}
	}
	m.commit(b)
	return touched, nil
}

// accept returns the writes with their documents normal, when collections are there and can hold them.
func (m *Memory) accept(ctx context.Context, writes []store.Write) ([]store.Write, error) {
	writes = slices.Clone(writes)
	for i, w := range writes {
		var err error
		switch w := w.(type) {
		case store.Insert:
			w.Document, err = m.acceptDocument(ctx, w.Collection, w.Document)
			writes[i] = w
		case store.Put:
			w.Document, err = m.acceptDocument(ctx, w.Collection, w.Document)
			writes[i] = w
		case store.Update:
			_, err = m.use(ctx, w.Collection, w.Filter)
		case store.Delete:
			_, err = m.use(ctx, w.Collection, w.Filter)
		}
		if err != nil {
			return nil, err
		}
	}
	return writes, nil
}

func (m *Memory) acceptDocument(ctx context.Context, collection string, d store.Document) (store.Document, error) {
	if _, err := m.use(ctx, collection, nil); err != nil {
		return nil, err
	}
	d, _, err := store.Normal(d)
	if err != nil {
		return nil, err
	}
	return d, m.described[collection].Accept(d)
}

func (m *Memory) commit(b *batch) {
	m.kept = b.kept
	for _, e := range b.done {
		m.entries++
		e.position = m.entries
		e.at = b.now
		m.log = append(m.log, e)
	}
	m.forget()
	m.tell()
}

func (b *batch) write(w store.Write) (touched int, err error) {
	switch w := w.(type) {
	case store.Insert:
		if _, ok := b.kept[w.Collection][w.Document.ID()]; ok {
			return 0, &store.Duplicate{Collection: w.Collection}
		}
		b.put(w.Collection, w.Document)
		return 1, b.unique(w.Collection, w.Document)
	case store.Put:
		b.put(w.Collection, w.Document)
		return 1, b.unique(w.Collection, w.Document)
	case store.Update:
		return b.update(w)
	case store.Delete:
		met := b.find(store.Query{Collection: w.Collection, Filter: w.Filter})
		for _, d := range met {
			b.remove(w.Collection, d.ID())
		}
		return len(met), must(w.Must, len(met))
	}
	return 0, nil
}

func must(must, touched int) error {
	if must != 0 && must != touched {
		return fmt.Errorf("%d documents would be changed, and it must be %d: %w", touched, must, fault.Conflict)
	}
	return nil
}

func (b *batch) update(w store.Update) (touched int, err error) {
	met := b.find(store.Query{Collection: w.Collection, Filter: w.Filter})
	for i, d := range met {
		if met[i], err = b.change(w.Collection, d, w.Change); err != nil {
			return 0, err
		}
	}
	for _, d := range met {
		if err := b.unique(w.Collection, d); err != nil {
			return 0, err
		}
	}
	return len(met), must(w.Must, len(met))
}

func (b *batch) change(collection string, d store.Document, c store.Change) (store.Document, error) {
	d, err := c.Changed(d, b.now)
	if err != nil {
		return nil, err
	}
	if err := b.described[collection].Accept(d); err != nil {
		return nil, err
	}
	b.put(collection, d)
	return d, nil
}

func (b *batch) put(collection string, d store.Document) {
	b.own(collection)
	kind := store.Inserted
	if _, ok := b.kept[collection][d.ID()]; ok {
		kind = store.Updated
	}
	b.kept[collection][d.ID()] = d
	b.happened(entry{collection: collection, kind: kind, id: d.ID(), document: d})
}

func (b *batch) remove(collection, id string) {
	b.own(collection)
	delete(b.kept[collection], id)
	b.happened(entry{collection: collection, kind: store.Deleted, id: id})
}

// own copies a collection before it is changed for the first time.
func (b *batch) own(collection string) {
	if !b.copied[collection] {
		b.kept[collection] = maps.Clone(b.kept[collection])
		b.copied[collection] = true
	}
}

func (b *batch) happened(e entry) {
	if b.described[e.collection].Feed > 0 {
		b.done = append(b.done, e)
	}
}

func (b *batch) unique(collection string, d store.Document) error {
	return contradiction(b.described[collection], b.kept[collection], d)
}

// contradiction returns which unique index has the values of d already.
func contradiction(c store.Collection, documents map[string]store.Document, d store.Document) error {
	for _, index := range c.Indexes {
		if !index.Unique {
			continue
		}
		for id, other := range documents {
			same := func(field string) bool {
				return store.SameKind(d[field], other[field]) && store.CompareValues(d[field], other[field]) == 0
			}
			if id != d.ID() && !slices.ContainsFunc(index.Fields, func(field string) bool { return !same(field) }) {
				return &store.Duplicate{Collection: c.Name, Fields: slices.Clone(index.Fields)}
			}
		}
	}
	return nil
}

// Claim implements [store.Store].
func (m *Memory) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	if err := q.Check(false); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.use(ctx, q.Collection, q.Filter)
	if err != nil {
		return nil, err
	}
	met := v.find(q)
	if len(met) == 0 {
		return nil, fmt.Errorf("nothing in %s can be claimed: %w", q.Collection, fault.NotFound)
	}
	b := m.batch()
	d, err := b.change(q.Collection, met[0], c)
	if err != nil {
		return nil, err
	}
	if err := b.unique(q.Collection, d); err != nil {
		return nil, err
	}
	m.commit(b)
	return copyDocument(d), nil
}

// expire removes the documents whose time is past.
func (m *Memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unavailable || m.closed {
		return
	}
	b := m.batch()
	for name, c := range m.described {
		for id, d := range m.kept[name] {
			if until := d.Time(c.Expire); !until.IsZero() && until.Before(b.now) {
				b.remove(name, id)
			}
		}
	}
	m.commit(b)
}
