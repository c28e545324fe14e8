package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Limits of what a feed reads ahead.
const (
	maxAhead      = 64
	maxAheadBytes = 1 << 20 // of documents; the first is read whatever its size
)

// Watch implements [store.Store]. What happened is in a table, which is read on as fast as the caller takes it.
func (s *Store) Watch(ctx context.Context, collection, after string) (store.Feed, error) {
	within, cancel := bounded(ctx)
	defer cancel()
	col, _, err := s.use(within, collection, nil)
	if err != nil {
		return nil, err
	}
	if col.Feed == 0 {
		return nil, fmt.Errorf("%s has no feed: %w", collection, fault.Invalid)
	}
	var head, trimmed int64
	err = s.read(within, func(c *conn) error {
		sql := "SELECT (SELECT coalesce(max(position),0) FROM _events), trimmed FROM _collections WHERE name=?"
		return c.rows(within, sql, []any{collection}, func(r row) error {
			head, trimmed = r.int(0), r.int(1)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	f := &feed{store: s, ctx: ctx, collection: col, after: head, closed: make(chan struct{})}
	if after == "" {
		return f, nil
	}
	if f.after, err = strconv.ParseInt(after, 10, 64); err != nil || f.after < 0 || f.after > head {
		return nil, fmt.Errorf("%.80q is no position: %w", after, fault.Invalid)
	}
	if f.after < trimmed {
		return nil, f.lost()
	}
	return f, nil
}

type feed struct {
	store      *Store
	ctx        context.Context
	collection *collection

	mu     sync.Mutex
	after  int64         // the event that was read last
	ahead  []store.Event // read, and not given yet
	err    error         // why the feed is at its end
	once   sync.Once
	closed chan struct{}
}

func (f *feed) lost() error {
	return fmt.Errorf("what happened in %s is not kept for so long: %w", f.collection.Name, fault.NotFound)
}

// Close implements [store.Feed].
func (f *feed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Next implements [store.Feed].
func (f *feed) Next(ctx context.Context) (store.Event, error) {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	for {
		news := f.store.news.next()
		event, ok, err := f.next(ctx)
		if ok || err != nil {
			return event, err
		}
		timer.Reset(poll)
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
		case <-f.ctx.Done():
		case <-f.closed:
		case <-f.store.closing:
		}
	}
}

func (f *feed) next(ctx context.Context) (event store.Event, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = f.ended()
	}
	if f.err != nil {
		return event, false, f.err
	}
	if err := ctx.Err(); err != nil {
		return event, false, fmt.Errorf("nothing has happened in %s: %w: %w", f.collection.Name, fault.Unavailable, context.Cause(ctx))
	}
	if len(f.ahead) == 0 {
		if err := f.read(ctx); err != nil {
			if ctx.Err() == nil {
				f.err = err
			}
			return event, false, err
		}
	}
	if len(f.ahead) == 0 {
		return event, false, nil
	}
	event = f.ahead[0]
	f.ahead = f.ahead[1:]
	return event, true, nil
}

// ended returns why there can be no more events.
func (f *feed) ended() error {
	select {
	case <-f.closed:
		return fmt.Errorf("the feed is closed: %w", fault.Unavailable)
	case <-f.store.closing:
		return errClosed()
	case <-f.ctx.Done():
		return fmt.Errorf("the feed has ended: %w: %w", fault.Unavailable, context.Cause(f.ctx))
	default:
		return nil
	}
}

// read reads the next events, and whether some have gone, as of one moment.
func (f *feed) read(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return f.store.read(ctx, func(c *conn) error {
		if err := c.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		defer func() { _ = c.exec(context.Background(), "COMMIT") }()
		trimmed, err := c.number(ctx, "SELECT trimmed FROM _collections WHERE name=?", f.collection.Name)
		if err != nil {
			return err
		}
		if f.after < trimmed {
			return f.lost()
		}
		sql := "SELECT e.position,e.kind,e.id,t.doc FROM _events AS e LEFT JOIN " + f.collection.quoted() +
			" AS t ON t.id=e.id AND e.kind<>'deleted' WHERE e.collection=? AND e.position>? AND e.kind<>'' ORDER BY e.position LIMIT ?"
		size := 0
		return c.rows(ctx, sql, []any{f.collection.Name, f.after, maxAhead}, func(r row) error {
			event, n, err := f.event(r)
			if err != nil {
				return err
			}
			size += n
			f.after = r.int(0)
			f.ahead = append(f.ahead, event)
			if size > maxAheadBytes {
				return errEnough
			}
			return nil
		})
	})
}

func (f *feed) event(r row) (event store.Event, size int, err error) {
	event = store.Event{Kind: store.Kind(r.text(1)), ID: r.text(2), Position: strconv.FormatInt(r.int(0), 10)}
	if r.null(3) {
		return event, 0, nil
	}
	doc := r.text(3)
	if event.Document, err = decode(event.ID, doc); err != nil {
		return event, 0, damaged(f.collection.Name, event.ID, err)
	}
	return event, len(doc), nil
}
