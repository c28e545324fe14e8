package sqlite

import (
	"context"
	"time"

	"github.com/onehost/edge/core/store"
)

const (
	rest    = 5 * time.Second // between two looks for what has to go
	portion = 500             // how many documents or events go in one transaction
	spare   = time.Minute     // how long a connection is kept that nobody uses: each takes up to some MiB
)

// Run implements [store.Store]: documents that have expired go, and events that are older than their feed.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(rest)
	defer tick.Stop()
	failing := false
	for {
		err := s.tidy(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.Warn("store: what has expired can't be removed", "error", err)
		}
		failing = err != nil
		if err := s.readers.retire(time.Now().Add(-spare)); err != nil {
			s.log.Warn("store: closing a connection", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.closing:
			return nil
		case <-tick.C:
		}
	}
}

func (s *Store) tidy(ctx context.Context) error {
	known, err := s.reload(ctx)
	if err != nil {
		return err
	}
	for _, col := range known.collections {
		if col.Expire != "" {
			if err := s.expire(ctx, col); err != nil {
				return err
			}
		}
		if col.Feed > 0 {
			if err := s.trim(ctx, col, time.Now().Add(-col.Feed).UnixMilli()); err != nil {
				return err
			}
		}
	}
	return nil
}

// expire removes what has expired, portion after portion: between any two others may write.
func (s *Store) expire(ctx context.Context, col *collection) error {
	expired := store.Lt(col.Expire, store.Now(0))
	for {
		found, err := s.Find(ctx, store.Query{Collection: col.Name, Filter: expired, Sort: []store.Order{{Field: col.Expire}}, Limit: portion, Fields: []string{}})
		if err != nil || len(found) == 0 {
			return err
		}
		ids := make([]any, len(found))
		for i, d := range found {
			ids[i] = d["id"]
		}
		// Whoever gave a document more time meanwhile keeps it.
		if _, err := s.Apply(ctx, store.Delete{Collection: col.Name, Filter: store.And{store.In{Field: "id", Values: ids}, expired}}); err != nil {
			return err
		}
	}
}

// trim removes the events of a collection that are older than a moment, and notes how far. The last event of all stays, so that positions
// are never given twice.
func (s *Store) trim(ctx context.Context, col *collection, before int64) error {
	for {
		var oldest int64
		err := s.read(ctx, func(c *conn) (err error) {
			sql := "SELECT at FROM _events WHERE collection=? AND position<(SELECT max(position) FROM _events) ORDER BY position LIMIT 1"
			oldest = before
			return c.rows(ctx, sql, []any{col.Name}, func(r row) error {
				oldest = r.int(0)
				return nil
			})
		})
		if err != nil || oldest >= before {
			return err
		}
		if err := s.submit(ctx, 0, func(t *tx) error { return t.trim(col, before) }); err != nil {
			return err
		}
	}
}

func (t *tx) trim(col *collection, before int64) error {
	last, err := t.conn.number(t.ctx, `SELECT coalesce(max(position),0) FROM (SELECT position, at FROM _events WHERE collection=?1
		AND position<(SELECT max(position) FROM _events) ORDER BY position LIMIT ?2) WHERE at<?3`, col.Name, portion, before)
	if err != nil {
		return err
	}
	if err := t.conn.exec(t.ctx, "DELETE FROM _events WHERE collection=? AND position<=? AND at<?", col.Name, last, before); err != nil {
		return err
	}
	return t.conn.exec(t.ctx, "UPDATE _collections SET trimmed=max(trimmed,?) WHERE name=?", last, col.Name)
}
