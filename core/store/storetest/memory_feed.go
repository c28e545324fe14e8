package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// entry is one thing that happened in a collection that has a feed.
type entry struct {
	collection string
	position   int64
	at         time.Time
	kind       store.Kind
	id         string
	document   store.Document // nil when deleted
}

// forget drops the entries that nobody may rely on any more.
func (m *Memory) forget() {
	m.log = slices.DeleteFunc(m.log, func(e entry) bool {
		old := m.clock().Sub(e.at) > m.described[e.collection].Feed
		if old {
			m.forgotten[e.collection] = max(e.position, m.forgotten[e.collection])
		}
		return old
	})
}

// Watch implements [store.Store].
func (m *Memory) Watch(ctx context.Context, collection, after string) (store.Feed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.use(ctx, collection, nil); err != nil {
		return nil, err
	}
	if m.described[collection].Feed == 0 {
		return nil, fmt.Errorf("%s has no feed: %w", collection, fault.Invalid)
	}
	m.forget()
	f := &memoryFeed{memory: m, collection: collection, ctx: ctx, after: m.entries, outages: m.outages, closed: make(chan struct{})}
	if after == "" {
		return f, nil
	}
	position, err := strconv.ParseInt(after, 10, 64)
	if err != nil || position > m.entries {
		return nil, fmt.Errorf("%q is no position: %w", after, fault.Invalid)
	}
	f.after = position
	if err := f.lost(); err != nil {
		return nil, err
	}
	return f, nil
}

type memoryFeed struct {
	memory     *Memory
	collection string
	ctx        context.Context
	after      int64 // the entry that was given last
	outages    int   // of the store, when it began
	err        error // why it is at its end
	once       sync.Once
	closed     chan struct{}
}

// Next implements [store.Feed].
func (f *memoryFeed) Next(ctx context.Context) (store.Event, error) {
	for {
		event, news, err := f.next(ctx)
		if err != nil || event.ID != "" {
			return event, err
		}
		select {
		case <-news:
		case <-ctx.Done():
		case <-f.ctx.Done():
		case <-f.closed:
		}
	}
}

// next returns the next event, or what to wait for.
func (f *memoryFeed) next(ctx context.Context) (store.Event, <-chan struct{}, error) {
	m := f.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.err == nil {
		f.err = f.ended()
	}
	if f.err != nil {
		return store.Event{}, nil, f.err
	}
	if err := m.reachable(ctx); err != nil {
		return store.Event{}, nil, err
	}
	for _, e := range m.log {
		if e.collection == f.collection && e.position > f.after {
			f.after = e.position
			event := store.Event{Kind: e.kind, ID: e.id, Position: strconv.FormatInt(e.position, 10)}
			if e.document != nil {
				event.Document = copyDocument(e.document)
			}
			return event, nil, nil
		}
	}
	return store.Event{}, m.news, nil
}

// ended returns why there can be no more events.
func (f *memoryFeed) ended() error {
	select {
	case <-f.closed:
		return fmt.Errorf("the feed is closed: %w", fault.Unavailable)
	default:
	}
	if err := f.memory.reachable(f.ctx); err != nil {
		return err
	}
	if f.outages != f.memory.outages {
		return fmt.Errorf("the store was away: %w", fault.Unavailable)
	}
	return f.lost()
}

// lost returns an error when an event that should come is no longer kept.
func (f *memoryFeed) lost() error {
	if f.after < f.memory.forgotten[f.collection] {
		return fmt.Errorf("what happened in %s is not kept for so long: %w", f.collection, fault.NotFound)
	}
	return nil
}

// Close implements [store.Feed].
func (f *memoryFeed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}
