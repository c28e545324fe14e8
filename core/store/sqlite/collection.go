package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// collection is a table and what is known of it.
type collection struct {
	store.Collection
	plain   map[string]bool // fields of indexes: never lists or documents
	found   map[string]bool // fields by which one document is found quickly
	indexes map[string]store.Index
	lists   map[string]listIndex // by field
	whole   bool                 // whether all indexes are there

	get, insert, put, replace, remove string // statements
}

func newCollection(described store.Collection) *collection {
	c := &collection{Collection: described, plain: make(map[string]bool), found: map[string]bool{"id": true}, indexes: make(map[string]store.Index), lists: make(map[string]listIndex)}
	for _, index := range c.described() {
		if index.List {
			c.lists[index.Fields[0]] = newListIndex(c, index)
			continue
		}
		c.indexes[indexName(c.Name, index)] = index
		c.found[index.Fields[0]] = true
		for _, field := range index.Fields {
			c.plain[field] = true
		}
	}
	table := c.quoted()
	c.get = "SELECT doc FROM " + table + " WHERE id=?"
	// A single row is refused before it is written. OR FAIL says that nothing has to be undone then, for which SQLite would write down pages wherever there are triggers.
	c.insert = "INSERT OR FAIL INTO " + table + "(id,doc) VALUES(?,?)"
	c.put = "UPDATE OR FAIL " + table + " SET doc=? WHERE id=?"
	c.replace = "UPDATE OR FAIL " + table + " SET doc=? WHERE rowid=?"
	c.remove = "DELETE FROM " + table + " WHERE rowid=?"
	return c
}

// described are all indexes, that by which documents expire too.
func (col *collection) described() []store.Index {
	all := col.Indexes
	if col.Expire != "" {
		all = append(all[:len(all):len(all)], store.Index{Fields: []string{col.Expire}})
	}
	return all
}

// quoted is the table's name in SQL. A collection's name has no quotes.
func (col *collection) quoted() string { return `"` + col.Name + `"` }

// indexName says all that an index is: "deliveries(state,due)". A table's name has no bracket, so the two are never the same.
func indexName(collection string, index store.Index) string {
	name := collection + "(" + strings.Join(index.Fields, ",") + ")"
	if index.Unique {
		name += " unique"
	}
	if index.List {
		name += " list"
	}
	return name
}

// createIndex is the statement that makes an index. The id comes last, so that documents are found in the order that a query has.
func (col *collection) createIndex(name string) string {
	index := col.indexes[name]
	unique, fields := "", index.Fields
	if index.Unique {
		unique = "UNIQUE "
	} else if !slices.Contains(fields, "id") {
		fields = append(fields[:len(fields):len(fields)], "id")
	}
	var columns []string
	for _, field := range fields {
		columns = append(columns, scope{json: "doc", id: "id", collection: col}.field(field).expression)
	}
	return fmt.Sprintf(`CREATE %sINDEX "%s" ON %s(%s)`, unique, name, col.quoted(), strings.Join(columns, ","))
}

// is reports whether a collection that may be nil is there as it is described.
func (col *collection) is(described store.Collection) bool {
	return col != nil && col.whole && description(col.Collection) == description(described)
}

// Ensure implements [store.Store]. It takes as long as making an index takes: who adds one to many documents gives it the time.
func (s *Store) Ensure(ctx context.Context, collections ...store.Collection) error {
	for _, c := range collections {
		if err := c.Check(); err != nil {
			return err
		}
	}
	err := s.ensure(ctx, collections)
	s.owed.Lock()
	defer s.owed.Unlock()
	for _, c := range collections {
		if errors.Is(err, fault.Unavailable) {
			s.owed.collections[c.Name] = c
		} else {
			delete(s.owed.collections, c.Name)
		}
	}
	return err
}

func (s *Store) ensure(ctx context.Context, collections []store.Collection) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	known, err := s.reload(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(collections, func(c store.Collection) bool { return !known.collections[c.Name].is(c) }) {
		return nil
	}
	return s.submit(ctx, 0, func(t *tx) error {
		for _, c := range collections {
			if err := t.ensure(newCollection(c)); err != nil {
				return err
			}
		}
		return nil
	})
}

func description(c store.Collection) string {
	text, _ := json.Marshal(c) //nolint:errchkjson // strings, bools and a duration
	return string(text)
}

func (t *tx) ensure(c *collection) error {
	before := t.collections[c.Name]
	t.shaped = true
	sql := "CREATE TABLE IF NOT EXISTS " + c.quoted() + "(id PRIMARY KEY NOT NULL, doc TEXT NOT NULL)"
	if err := t.conn.exec(t.ctx, sql); err != nil {
		return err
	}
	if err := t.ensureIndexes(c); err != nil {
		return err
	}
	if err := t.ensureLists(c); err != nil {
		return err
	}
	sql = "INSERT INTO _collections(name,description,trimmed) VALUES(?,?,0) ON CONFLICT(name) DO UPDATE SET description=excluded.description"
	if err := t.conn.exec(t.ctx, sql, c.Name, description(c.Collection)); err != nil {
		return err
	}
	if err := t.ensureFeed(c, before); err != nil {
		return err
	}
	t.version++
	t.collections = maps.Clone(t.collections)
	t.collections[c.Name] = c
	c.whole = true
	t.ensured = true
	return t.conn.exec(t.ctx, "UPDATE _state SET version=?", t.version)
}

// ensureFeed has a feed that was not there begin: what was seen of an earlier one can't be gone on with, since nobody has written down what
// happened since.
func (t *tx) ensureFeed(c, before *collection) error {
	if c.Feed == 0 || before != nil && before.Feed > 0 {
		return nil
	}
	if err := t.conn.exec(t.ctx, "DELETE FROM _events WHERE collection=?", c.Name); err != nil {
		return err
	}
	if before == nil {
		return nil
	}
	if err := t.event(c, "", ""); err != nil {
		return err
	}
	return t.conn.exec(t.ctx, "UPDATE _collections SET trimmed=(SELECT max(position) FROM _events) WHERE name=?", c.Name)
}

// ensureIndexes makes the indexes that are missing and drops those that are no longer described.
func (t *tx) ensureIndexes(c *collection) error {
	there := make(map[string]bool)
	sql := "SELECT name FROM sqlite_schema WHERE type='index' AND tbl_name=? AND sql IS NOT NULL"
	err := t.conn.rows(t.ctx, sql, []any{c.Name}, func(r row) error {
		there[r.text(0)] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, ok := c.indexes[name]; !ok {
			if err := t.conn.exec(t.ctx, `DROP INDEX "`+strings.ReplaceAll(name, `"`, `""`)+`"`); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.indexes)) {
		if there[name] {
			continue
		}
		if err := t.plain(c, c.indexes[name]); err != nil {
			return err
		}
		if err := t.conn.exec(t.ctx, c.createIndex(name)); err != nil {
			return c.conflict(err, name)
		}
	}
	return nil
}

// plain returns an error when there is a list or document where an index is to be.
func (t *tx) plain(c *collection, index store.Index) error {
	for _, field := range index.Fields {
		if field == "id" || strings.HasPrefix(field, "id.") {
			continue
		}
		where := "json_type(doc," + quotePath(field) + ") IN ('array','object')"
		for i := range len(field) {
			if field[i] == '.' {
				where += " OR json_type(doc," + quotePath(field[:i]) + ")='array'"
			}
		}
		var id string
		err := t.conn.rows(t.ctx, "SELECT id FROM "+c.quoted()+" WHERE "+where+" LIMIT 1", nil, func(r row) error {
			id = r.text(0)
			return nil
		})
		if err != nil {
			return err
		}
		if id != "" {
			return fmt.Errorf("%s: there can be no index of %s: it is a list or document in %q: %w", c.Name, field, id, fault.Conflict)
		}
	}
	return nil
}

// Collections implements [store.Store].
func (s *Store) Collections(ctx context.Context) ([]store.Collection, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	known, err := s.reload(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]store.Collection, 0, len(known.collections))
	for _, name := range slices.Sorted(maps.Keys(known.collections)) {
		c := known.collections[name].Collection
		c.Indexes = slices.Clone(c.Indexes)
		for i := range c.Indexes {
			c.Indexes[i].Fields = slices.Clone(c.Indexes[i].Fields)
		}
		all = append(all, c)
	}
	return all, nil
}

// bounded gives a call the time that package store says it has.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, store.Timeout)
}

// event notes what has happened, in a collection that has a feed.
func (t *tx) event(c *collection, kind store.Kind, id string) error {
	if c.Feed == 0 {
		return nil
	}
	t.events = true
	return t.conn.exec(context.Background(), "INSERT INTO _events(collection,kind,id,at) VALUES(?,?,?,?)", c.Name, string(kind), id, t.now.UnixMilli())
}
