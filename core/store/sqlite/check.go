package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/onehost/edge/core/store"
)

// maxFindings is how many faults a check says; one who has more needs a backup, not a list.
const maxFindings = 100

// Check implements [store.Store]: SQLite's own check of the file and its indexes, then every document, as of one moment. It takes
// the time that ctx gives, without a bound of its own.
func (s *Store) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return late(ctx)
	}
	c, err := s.reader(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = c.close() }()
	var findings []error
	found := func(err error) {
		if len(findings) < maxFindings {
			findings = append(findings, err)
		}
	}
	if err := checkAll(ctx, c, found); err != nil {
		found(s.explain(err))
	}
	if len(findings) > 0 {
		return fmt.Errorf("%s: %w", s.path, errors.Join(findings...))
	}
	return nil
}

func checkAll(ctx context.Context, c *conn, found func(error)) error {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := c.rows(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFindings), nil, func(r row) error {
		if text := r.text(0); text != "ok" {
			found(errors.New(text))
		}
		return nil
	})
	if err != nil {
		return err
	}
	known, err := described(ctx, c)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(known.collections)) {
		if err := checkIndexes(ctx, c, known.collections[name], found); err != nil {
			return err
		}
		if err := checkDocuments(ctx, c, known.collections[name], found); err != nil {
			return err
		}
	}
	return nil
}

func checkIndexes(ctx context.Context, c *conn, col *collection, found func(error)) error {
	there := make(map[string]string)
	err := c.rows(ctx, "SELECT name, sql FROM sqlite_schema WHERE type='index' AND tbl_name=?", []any{col.Name}, func(r row) error {
		there[r.text(0)] = r.text(1)
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(col.indexes)) {
		if there[name] != col.createIndex(name) {
			found(fmt.Errorf("the index %s is not as it should be: drop it, and start edge, which makes it anew", name))
		}
	}
	return err
}

func checkDocuments(ctx context.Context, c *conn, col *collection, found func(error)) error {
	return c.rows(ctx, "SELECT id, doc FROM "+col.quoted(), nil, func(r row) error {
		id := r.text(0)
		d, err := decode(id, r.text(1))
		if err == nil {
			_, _, err = store.Normal(d)
		}
		if err == nil {
			err = col.Accept(d)
		}
		if err != nil {
			found(damaged(col.Name, id, fmt.Errorf("%v", err))) //nolint:errorlint // it is not the caller who was wrong
		}
		return nil
	})
}
