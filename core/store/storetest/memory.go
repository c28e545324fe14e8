package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Memory is a store that keeps everything in memory and forgets it: package store's rules in the plainest way, for tests. Its time is
// spent without care: every write copies the collection, every query looks at all documents.
type Memory struct {
	mu          sync.Mutex
	clock       func() time.Time
	unavailable bool
	outages     int
	closed      bool
	described   map[string]store.Collection
	owed        map[string]store.Collection // what Ensure was asked for when the store was unavailable
	kept        kept
	log         []entry
	forgotten   map[string]int64 // by collection: the last entry that is no longer in the log
	entries     int64            // how many there ever were
	news        chan struct{}    // closed when something has happened
}

// kept is all documents, by collection and id. A document is never changed, only replaced.
type kept map[string]map[string]store.Document

// NewMemory returns a store with nothing in it, whose clock is the computer's.
func NewMemory() *Memory {
	return &Memory{
		clock:     time.Now,
		described: make(map[string]store.Collection),
		owed:      make(map[string]store.Collection),
		kept:      make(kept),
		forgotten: make(map[string]int64),
		news:      make(chan struct{}),
	}
}

var _ store.Store = (*Memory)(nil)

// SetClock has the store ask clock what time it is. Clock may be called at the same time by several.
func (m *Memory) SetClock(clock func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = clock
}

// SetUnavailable has every call fail with unavailable and ends all feeds, or lets the store be used again, with all that it keeps.
func (m *Memory) SetUnavailable(unavailable bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unavailable = unavailable
	if unavailable {
		m.outages++
	}
	m.tell()
}

// tell wakes all feeds.
func (m *Memory) tell() {
	close(m.news)
	m.news = make(chan struct{})
}

// Ensure implements [store.Store].
func (m *Memory) Ensure(ctx context.Context, collections ...store.Collection) error {
	for _, c := range collections {
		if err := c.Check(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reachable(ctx); err != nil {
		for _, c := range collections {
			m.owed[c.Name] = copyCollection(c)
		}
		return err
	}
	return m.ensure(collections)
}

func (m *Memory) ensure(collections []store.Collection) error {
	for _, c := range collections {
		for _, d := range m.kept[c.Name] {
			if err := c.Accept(d); err != nil {
				return fmt.Errorf("the document %q: %s: %w", d.ID(), err, fault.Conflict) //nolint:errorlint // what is there is in the way; the call is valid
			}
			if err := contradiction(c, m.kept[c.Name], d); err != nil {
				return err
			}
		}
	}
	for _, c := range collections {
		delete(m.owed, c.Name)
		m.described[c.Name] = copyCollection(c)
		if m.kept[c.Name] == nil {
			m.kept[c.Name] = make(map[string]store.Document)
		}
	}
	return nil
}

func copyCollection(c store.Collection) store.Collection {
	c.Indexes = slices.Clone(c.Indexes)
	for i := range c.Indexes {
		c.Indexes[i].Fields = slices.Clone(c.Indexes[i].Fields)
	}
	return c
}

// reachable returns why nothing can be done now.
func (m *Memory) reachable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", fault.Unavailable, ctx.Err())
	case m.closed:
		return fmt.Errorf("the store is closed: %w", fault.Unavailable)
	case m.unavailable:
		return fmt.Errorf("the store: %w", fault.Unavailable)
	}
	return nil
}

// use returns what a call on a collection sees, when its condition may look where it does.
func (m *Memory) use(ctx context.Context, collection string, f store.Filter) (view, error) {
	if err := m.reachable(ctx); err != nil {
		return view{}, err
	}
	for _, name := range append(collections(f), collection) {
		if c, ok := m.owed[name]; ok {
			if err := m.ensure([]store.Collection{c}); err != nil {
				return view{}, err
			}
		}
		if _, ok := m.described[name]; !ok {
			return view{}, fmt.Errorf("there is no collection %q: %w", name, fault.Invalid)
		}
		if m.described[name].Private != m.described[collection].Private {
			return view{}, fmt.Errorf("%s and %s: one is private, one is not: %w", collection, name, fault.Invalid)
		}
	}
	return view{m.kept, m.clock()}, nil
}

// Collections implements [store.Store].
func (m *Memory) Collections(ctx context.Context) ([]store.Collection, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.reachable(ctx); err != nil {
		return nil, err
	}
	all := make([]store.Collection, 0, len(m.described))
	for _, name := range slices.Sorted(maps.Keys(m.described)) {
		all = append(all, copyCollection(m.described[name]))
	}
	return all, nil
}

// Get implements [store.Store].
func (m *Memory) Get(ctx context.Context, collection, id string) (store.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.use(ctx, collection, nil)
	if err != nil {
		return nil, err
	}
	d, ok := v.kept[collection][id]
	if !ok {
		return nil, fmt.Errorf("%s %q: %w", collection, id, fault.NotFound)
	}
	return copyDocument(d), nil
}

// copyDocument copies a document that is kept, for one who may change it.
func copyDocument(d store.Document) store.Document {
	d, _, _ = store.Normal(d)
	return d
}

// Find implements [store.Store].
func (m *Memory) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	if err := q.Check(true); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.use(ctx, q.Collection, q.Filter)
	if err != nil {
		return nil, err
	}
	found := v.find(q)
	found = found[min(q.Skip, len(found)):]
	found = found[:min(q.Limit, len(found))]
	for i, d := range found {
		found[i] = copyDocument(d.Only(q.Fields))
	}
	return found[:bounded(found, q.MaxBytes)], nil
}

// Count implements [store.Store].
func (m *Memory) Count(ctx context.Context, collection string, f store.Filter) (int, error) {
	if err := store.CheckFilter(f); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.use(ctx, collection, f)
	if err != nil {
		return 0, err
	}
	return len(v.find(store.Query{Collection: collection, Filter: f})), nil
}

// Ready implements [store.Store].
func (m *Memory) Ready(ctx context.Context) error { return m.Check(ctx) }

// Check implements [store.Store].
func (m *Memory) Check(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reachable(ctx)
}

// Run removes what has expired, ten times a second.
func (m *Memory) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.expire()
		}
	}
}

// Close implements [store.Store].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.tell()
	return nil
}
