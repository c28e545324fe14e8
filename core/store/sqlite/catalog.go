package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// catalog is which collections there are, as of one moment. It is never changed, only replaced.
type catalog struct {
	version     int64 // each Ensure that changes anything makes it one more
	collections map[string]*collection
}

// described reads the catalog. Its caller has begun a transaction.
func described(ctx context.Context, c *conn) (*catalog, error) {
	all := make(map[string]*collection)
	anew, err := c.number(ctx, "SELECT version FROM _state")
	if err != nil {
		return nil, err
	}
	err = c.rows(ctx, "SELECT name, description FROM _collections", nil, func(r row) error {
		var described store.Collection
		if err := json.Unmarshal([]byte(r.text(1)), &described); err != nil {
			return fmt.Errorf("collection %q is described by what can't be read: %w", r.text(0), err)
		}
		if err := described.Check(); err != nil || described.Name != r.text(0) {
			return fmt.Errorf("collection %q is described as %q: %v", r.text(0), described.Name, err) //nolint:errorlint // it is not the caller who was wrong
		}
		all[described.Name] = newCollection(described)
		return nil
	})
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool)
	err = c.rows(ctx, "SELECT name FROM sqlite_schema WHERE type IN ('index','table','trigger')", nil, func(r row) error {
		there[r.text(0)] = true
		return nil
	})
	for _, col := range all {
		col.whole = true
		for name := range col.indexes {
			col.whole = col.whole && there[name]
		}
		for path, l := range col.lists {
			for name := range l.objects() {
				if !there[name] {
					delete(col.lists, path) // conditions do without
					col.whole = false
				}
			}
		}
	}
	return &catalog{anew, all}, err
}

// learn notes a catalog, unless one as new is known already, which a slow reader may not take the place of. It returns the one that is known.
func (s *Store) learn(c *catalog) *catalog {
	for {
		known := s.catalog.Load()
		if known != nil && known.version >= c.version {
			return known
		}
		if s.catalog.CompareAndSwap(known, c) {
			return c
		}
	}
}

// reload reads the catalog anew: another process may have changed it.
func (s *Store) reload(ctx context.Context) (known *catalog, err error) {
	err = s.read(ctx, func(c *conn) error {
		if err := c.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		defer func() { _ = c.exec(context.Background(), "COMMIT") }()
		known, err = described(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.learn(known)
	return known, nil
}

// use returns what is known of a collection, and of all, when a condition may look where it does. What Ensure could not do is done first.
func (s *Store) use(ctx context.Context, name string, f store.Filter) (*collection, map[string]*collection, error) {
	if err := s.makeUp(ctx, append(mentioned(f), name)...); err != nil {
		return nil, nil, err
	}
	known := s.catalog.Load().collections
	check := func() error {
		if known[name] == nil {
			return missing(name)
		}
		return unknown(known[name], known, f)
	}
	err := check()
	if err != nil {
		again, failed := s.reload(ctx)
		if failed != nil {
			return nil, nil, failed
		}
		known = again.collections
		err = check()
	}
	return known[name], known, err
}

// makeUp does what Ensure was asked for, of some collections, when the store was unavailable.
func (s *Store) makeUp(ctx context.Context, names ...string) error {
	var owed []store.Collection
	s.owed.Lock()
	for _, name := range names {
		if c, ok := s.owed.collections[name]; ok {
			owed = append(owed, c)
		}
	}
	s.owed.Unlock()
	if len(owed) == 0 {
		return nil
	}
	return s.Ensure(ctx, owed...)
}

func missing(name string) error {
	return fmt.Errorf("there is no collection %.80q: %w", name, fault.Invalid)
}
