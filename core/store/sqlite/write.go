package sqlite

import (
	"context"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// maxHeld is how many bytes of documents an update holds in memory before it reads them one by one.
const maxHeld = 8 << 20

// Apply implements [store.Store].
func (s *Store) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if err := store.CheckWrites(writes); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	steps, size := make([]step, len(writes)), 0
	for i, w := range writes {
		var err error
		if steps[i], err = s.step(ctx, w); err != nil {
			return nil, err
		}
		size += len(steps[i].doc)
	}
	touched := make([]int, len(writes))
	err := s.submit(ctx, size, func(t *tx) (err error) {
		for i, one := range steps {
			if touched[i], err = t.write(one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return touched, nil
}

// step is a write that is ready to be carried out.
type step struct {
	store.Write
	col      *collection
	document store.Document
	doc      []byte
}

// step does all that can be done before it is this call's turn.
func (s *Store) step(ctx context.Context, w store.Write) (step, error) {
	var err error
	one := step{Write: w}
	switch w := w.(type) {
	case store.Insert:
		one.col, one.document, err = s.accept(ctx, w.Collection, w.Document)
	case store.Put:
		one.col, one.document, err = s.accept(ctx, w.Collection, w.Document)
	case store.Update:
		one.col, _, err = s.use(ctx, w.Collection, w.Filter)
	case store.Delete:
		one.col, _, err = s.use(ctx, w.Collection, w.Filter)
	}
	if err == nil && one.document != nil {
		one.doc = encode(one.document)
	}
	return one, err
}

func (s *Store) accept(ctx context.Context, name string, d store.Document) (*collection, store.Document, error) {
	col, _, err := s.use(ctx, name, nil)
	if err != nil {
		return nil, nil, err
	}
	if d, _, err = store.Normal(d); err != nil {
		return nil, nil, err
	}
	return col, d, col.Accept(d)
}

// write carries out a step.
func (t *tx) write(one step) (touched int, err error) {
	col := t.collections[one.col.Name]
	if col == nil {
		return 0, missing(one.col.Name)
	}
	if col != one.col && one.document != nil { // another process has described it anew
		if err := col.Accept(one.document); err != nil {
			return 0, err
		}
	}
	switch w := one.Write.(type) {
	case store.Insert:
		return 1, t.insert(col, one.document.ID(), one.doc)
	case store.Put:
		return 1, t.put(col, one.document.ID(), one.doc)
	case store.Update:
		return t.update(col, w)
	case store.Delete:
		return t.remove(col, w)
	}
	return 0, nil
}

// A single row is written whether its caller still waits or not: to interrupt it would end the transaction of all.

func (t *tx) insert(col *collection, id string, doc []byte) error {
	if err := t.conn.exec(context.Background(), col.insert, id, doc); err != nil {
		err = col.conflict(err, "")
		if duplicate, ok := err.(*store.Duplicate); ok && len(duplicate.Fields) > 0 && t.has(col, id) { //nolint:errorlint // it has just been made
			return &store.Duplicate{Collection: col.Name}
		}
		return err
	}
	return t.event(col, store.Inserted, id)
}

func (t *tx) has(col *collection, id string) (ok bool) {
	err := t.conn.rows(context.Background(), col.get, []any{id}, func(row) error {
		ok = true
		return nil
	})
	return ok && err == nil
}

func (t *tx) put(col *collection, id string, doc []byte) error {
	if err := t.conn.exec(context.Background(), col.put, doc, id); err != nil {
		return col.conflict(err, "")
	}
	if t.conn.changes() == 0 {
		return t.insert(col, id, doc)
	}
	return t.event(col, store.Updated, id)
}

// match is a document that meets a condition. Its text is "" when there was too much to be held.
type match struct {
	row     int64
	id, doc string
}

// matching returns the documents that meet a condition.
func (t *tx) matching(col *collection, q store.Query) (all []match, err error) {
	if err := unknown(col, t.collections, q.Filter); err != nil {
		return nil, err
	}
	c := newCondition(t.now, t.collections)
	scope := col.scope("t0")
	l, err := leadOf(t.ctx, t.conn, col, t.now, q.Filter, q.Limit)
	if err != nil {
		return nil, err
	}
	if err := c.write(scope, l.begin(c, col, q.Filter)); err != nil {
		return nil, err
	}
	if q.Limit > 0 || col.Feed > 0 {
		c.order(scope, q.Sort)
	}
	if q.Limit > 0 {
		c.WriteString(" LIMIT ")
		c.bind(q.Limit)
	}
	held := 0
	sql, args := c.statement("SELECT t0.rowid,t0.id,t0.doc")
	err = t.conn.rows(t.ctx, sql, args, func(r row) error {
		m := match{row: r.int(0)}
		if held < maxHeld {
			m.id, m.doc = r.text(1), r.text(2)
			held += len(m.doc)
		}
		all = append(all, m)
		return nil
	})
	return all, err
}

func (t *tx) update(col *collection, w store.Update) (int, error) {
	all, err := t.matching(col, store.Query{Filter: w.Filter})
	if err != nil {
		return 0, err
	}
	if err := must(w.Must, len(all)); err != nil {
		return 0, err
	}
	for _, m := range all {
		if _, err := t.change(col, m, w.Change); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

func must(must, touched int) error {
	if must != 0 && must != touched {
		return fmt.Errorf("%d documents would be changed, and it must be %d: %w", touched, must, fault.Conflict)
	}
	return nil
}

// change changes a document and returns what becomes of it.
func (t *tx) change(col *collection, m match, change store.Change) (store.Document, error) {
	if t.ctx.Err() != nil {
		return nil, late(t.ctx)
	}
	if m.doc == "" {
		err := t.conn.rows(t.ctx, "SELECT id,doc FROM "+col.quoted()+" WHERE rowid=?", []any{m.row}, func(r row) error {
			m.id, m.doc = r.text(0), r.text(1)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	d, err := decode(m.id, m.doc)
	if err != nil {
		return nil, damaged(col.Name, m.id, err)
	}
	if d, err = change.Changed(d, t.now); err != nil {
		return nil, err
	}
	if err := col.Accept(d); err != nil {
		return nil, err
	}
	if err := t.conn.exec(context.Background(), col.replace, encode(d), m.row); err != nil {
		return nil, col.conflict(err, "")
	}
	return d, t.event(col, store.Updated, m.id)
}

func (t *tx) remove(col *collection, w store.Delete) (int, error) {
	if err := unknown(col, t.collections, w.Filter); err != nil {
		return 0, err
	}
	c := newCondition(t.now, t.collections)
	c.WriteString(" FROM " + col.quoted() + " AS t0 WHERE ")
	if err := c.write(col.scope("t0"), w.Filter); err != nil {
		return 0, err
	}
	if col.Feed > 0 {
		if err := t.removed(col, c); err != nil {
			return 0, err
		}
	}
	sql, args := c.statement("DELETE")
	if err := t.conn.exec(t.ctx, sql, args...); err != nil {
		return 0, err
	}
	touched := t.conn.changes()
	return touched, must(w.Must, touched)
}

// removed notes which documents are about to go, in the order of their ids.
func (t *tx) removed(col *collection, c *condition) error {
	t.events = true
	sql, args := c.statement("INSERT INTO _events(collection,kind,id,at) SELECT '"+col.Name+"','deleted',t0.id,?", t.now.UnixMilli())
	return t.conn.exec(t.ctx, sql+" ORDER BY t0.id", args...)
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, q store.Query, change store.Change) (d store.Document, err error) {
	if err := q.Check(false); err != nil {
		return nil, err
	}
	if err := change.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, _, err := s.use(ctx, q.Collection, q.Filter); err != nil {
		return nil, err
	}
	q.Limit = 1
	err = s.submit(ctx, 0, func(t *tx) error {
		col := t.collections[q.Collection]
		if col == nil {
			return missing(q.Collection)
		}
		met, err := t.matching(col, q)
		if err != nil {
			return err
		}
		if len(met) == 0 {
			return fmt.Errorf("nothing in %s can be claimed: %w", q.Collection, fault.NotFound)
		}
		d, err = t.change(col, met[0], change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}
