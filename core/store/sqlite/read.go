package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// readers are connections that only read, opened when they are needed. The one that was used last is used next, so that the others are idle.
type readers struct {
	lent chan struct{} // as many as may read at a time

	mu   sync.Mutex
	idle []idle // the one that was used last is last
}

type idle struct {
	*conn
	since time.Time
}

// take returns a connection, nil if none is open that nobody uses.
func (r *readers) take() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.idle) - 1
	if last < 0 {
		return nil
	}
	c := r.idle[last].conn
	r.idle = r.idle[:last]
	return c
}

func (r *readers) give(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, idle{c, time.Now()})
}

// retire closes those that nobody has used since a moment.
func (r *readers) retire(since time.Time) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.idle) > 0 && !r.idle[0].since.After(since) {
		err = errors.Join(err, r.idle[0].close())
		r.idle = r.idle[1:]
	}
	return err
}

// read lends a connection that only reads. One statement sees the file as it was at one moment, and waits for no writer.
func (s *Store) read(ctx context.Context, do func(*conn) error) error {
	if ctx.Err() != nil {
		return late(ctx)
	}
	select {
	case <-s.closing:
		return errClosed()
	default:
	}
	select {
	case s.readers.lent <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("others were reading for all the time that there was: %w: %w", fault.Unavailable, context.Cause(ctx))
	case <-s.closing:
		return errClosed()
	}
	c := s.readers.take()
	returned := false
	defer func() {
		switch {
		case !returned: // a panic: nobody knows what the connection is good for
		case c != nil && c.worn():
			_ = c.close()
		case c != nil:
			s.readers.give(c)
		}
		<-s.readers.lent
	}()
	if c == nil {
		opened, err := s.reader(ctx)
		if isFull(err) && !s.opened.Load() {
			return s.explain(s.readFrozen(ctx, do))
		}
		if err != nil {
			return s.explain(err)
		}
		c = opened
	}
	err := do(c)
	returned = true
	return s.explain(err)
}

func (s *Store) reader(ctx context.Context) (*conn, error) {
	if !s.opened.Load() {
		if err := s.submit(ctx, 0, func(*tx) error { return nil }); err != nil {
			return nil, err
		}
	}
	c, err := connect(ctx, s.path)
	if err != nil {
		return nil, err
	}
	if err := c.exec(ctx, "PRAGMA query_only=ON"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// damaged is a document that can't be read.
func damaged(collection, id string, err error) error {
	return fmt.Errorf("%s: document %q is damaged: %w: put it right by hand, or go back to a backup", collection, id, err)
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, collection, id string) (d store.Document, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	col, _, err := s.use(ctx, collection, nil)
	if err != nil {
		return nil, err
	}
	var doc string
	ok := false
	err = s.read(ctx, func(c *conn) error {
		return c.rows(ctx, col.get, []any{id}, func(r row) error {
			doc, ok = r.text(0), true
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s %.80q: %w", collection, id, fault.NotFound)
	}
	if d, err = decode(id, doc); err != nil {
		return nil, damaged(collection, id, err)
	}
	return d, nil
}

// Find implements [store.Store].
func (s *Store) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	if err := q.Check(true); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var found []store.Document
	size := 0
	write := func(col *collection, known map[string]*collection, now time.Time, l *lead) (string, []any, error) {
		return find(col, known, now, l, q)
	}
	err := s.query(ctx, q.Collection, q.Filter, q.Skip+q.Limit, write, func(c *conn, sql string, args []any) error {
		return c.rows(ctx, sql, args, func(r row) error {
			id := r.text(0)
			d, err := decode(id, r.text(1))
			if err != nil {
				return damaged(q.Collection, id, err)
			}
			d = only(d, q.Fields)
			found = append(found, d)
			if q.MaxBytes > 0 {
				if size += store.Size(d); size >= q.MaxBytes {
					return errEnough
				}
			}
			return nil
		})
	})
	return found, err
}

// only returns what a query asks for of a document, and lets go of the rest: strings are parts of the whole text until then.
func only(d store.Document, fields []string) store.Document {
	if fields == nil {
		return d
	}
	d = d.Only(fields)
	for name, v := range d {
		d[name] = own(v)
	}
	return d
}

func own(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case []any:
		for i := range v {
			v[i] = own(v[i])
		}
	case store.Document:
		inner := make(store.Document, len(v))
		for name, e := range v {
			inner[strings.Clone(name)] = own(e)
		}
		return inner
	}
	return v
}

// find writes a query as SQL.
func find(col *collection, known map[string]*collection, now time.Time, l *lead, q store.Query) (sql string, args []any, err error) {
	c := newCondition(now, known)
	scope := col.scope("t0")
	if err := c.write(scope, l.begin(c, col, q.Filter)); err != nil {
		return "", nil, err
	}
	c.order(scope, q.Sort)
	c.WriteString(" LIMIT ")
	c.bind(q.Limit)
	c.WriteString(" OFFSET ")
	c.bind(q.Skip)
	sql, args = c.statement("SELECT t0.id,t0.doc")
	return sql, args, nil
}

// Count implements [store.Store].
func (s *Store) Count(ctx context.Context, name string, f store.Filter) (int, error) {
	if err := store.CheckFilter(f); err != nil {
		return 0, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	write := func(col *collection, known map[string]*collection, now time.Time, l *lead) (string, []any, error) {
		c := newCondition(now, known)
		if err := c.write(col.scope("t0"), l.begin(c, col, f)); err != nil {
			return "", nil, err
		}
		sql, args := c.statement("SELECT count(*)")
		return sql, args, nil
	}
	var n int64
	err := s.query(ctx, name, f, 0, write, func(c *conn, sql string, args []any) (err error) {
		n, err = c.count(ctx, sql, args)
		return err
	})
	return int(n), err
}

// query has SQL written for what is known of the collections, and carried out: once more when it turns out that another process has removed a list index, which is a
// table.
func (s *Store) query(ctx context.Context, name string, f store.Filter, limit int, write func(*collection, map[string]*collection, time.Time, *lead) (string, []any, error), do func(*conn, string, []any) error) error {
	for again := false; ; again = true {
		col, known, err := s.use(ctx, name, f)
		if err != nil {
			return err
		}
		err = s.read(ctx, func(c *conn) error {
			now := time.Now()
			l, err := leadOf(ctx, c, col, now, f, limit)
			if err != nil {
				return err
			}
			sql, args, err := write(col, known, now, l)
			if err != nil {
				return err
			}
			return do(c, sql, args)
		})
		if again || err == nil || !strings.Contains(err.Error(), "no such table: ") {
			return err
		}
		if _, err := s.reload(ctx); err != nil {
			return err
		}
	}
}
