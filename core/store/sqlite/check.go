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
	more := 0
	found := func(err error) {
		if len(findings) < maxFindings {
			findings = append(findings, err)
		} else {
			more++
		}
	}
	if err := s.checkAll(ctx, c, found); err != nil {
		found(s.explain(err))
	}
	if more > 0 {
		findings = append(findings, fmt.Errorf("and %d more", more))
	}
	if len(findings) > 0 {
		return fmt.Errorf("%s: %w", s.path, errors.Join(findings...))
	}
	return nil
}

// checkAll goes on after what it finds, unless the time is over or nothing is known of the collections.
func (s *Store) checkAll(ctx context.Context, c *conn, found func(error)) error {
	if err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	unfinished := checkFile(ctx, c, "integrity_check", found)
	if unfinished != nil && ctx.Err() == nil {
		if err := checkFile(ctx, c, "quick_check", found); err != nil { // it doesn't compute what is in indexes
			found(s.explain(err))
		}
	}
	known, err := described(ctx, c)
	if err != nil {
		return err
	}
	bad := 0
	for _, name := range slices.Sorted(maps.Keys(known.collections)) {
		col := known.collections[name]
		err := checkDocuments(ctx, c, col, func(err error) { bad++; found(err) })
		if ctx.Err() != nil {
			return err
		}
		if err = errors.Join(err, checkIndexes(ctx, c, col, found), checkLists(ctx, c, col, found)); err != nil {
			found(fmt.Errorf("%s: %w", name, s.explain(err)))
		}
	}
	switch {
	case unfinished != nil && bad > 0:
		found(errors.New("the indexes could not be compared with such documents: put those right, and check again"))
	case unfinished != nil:
		found(s.explain(unfinished))
	}
	return nil
}

// checkFile has SQLite check the file. An error is why it did not come to the end.
func checkFile(ctx context.Context, c *conn, how string, found func(error)) error {
	return c.rows(ctx, fmt.Sprintf("PRAGMA %s(%d)", how, maxFindings), nil, func(r row) error {
		if text := r.text(0); text != "ok" {
			found(errors.New(text))
		}
		return nil
	})
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
