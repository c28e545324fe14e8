package sqlite

import (
	"context"
	"fmt"
)

const (
	application = 0x65646765 // "edge", in the header of the file
	version     = 1          // of the schema: how many migrations there are
)

// migrations bring a file from one version of the schema to the next.
func migrations() [][]string {
	return [][]string{
		{
			"CREATE TABLE _collections(name TEXT PRIMARY KEY NOT NULL, description TEXT NOT NULL, trimmed INTEGER NOT NULL)",
			"CREATE TABLE _events(position INTEGER PRIMARY KEY, collection TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL)",
			"CREATE INDEX _events_collection ON _events(collection)",
			"CREATE TABLE _state(version INTEGER NOT NULL, checked INTEGER NOT NULL)",
			"INSERT INTO _state VALUES(0,0)",
		},
	}
}

// prepare brings a new connection's file up to date. Nothing is written to a file that is not a store.
func prepare(ctx context.Context, c *conn) error {
	at, err := identify(ctx, c)
	if err != nil {
		return err
	}
	c.shared = share(c.path) || c.shared
	if err := writeAhead(ctx, c); err != nil {
		return err
	}
	give(c.path+"-wal", c.path)
	if at == version {
		return nil
	}
	err = c.exec(ctx, "BEGIN IMMEDIATE")
	for isBusy(err) && ctx.Err() == nil {
		err = c.exec(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		return err
	}
	if err := migrate(ctx, c); err != nil {
		_ = c.exec(context.Background(), "ROLLBACK")
		return err
	}
	return c.exec(context.Background(), "COMMIT")
}

func migrate(ctx context.Context, c *conn) error {
	at, err := identify(ctx, c) // once more: another process may have been quicker
	if err != nil || at == version {
		return err
	}
	for _, migration := range migrations()[at:] {
		for _, sql := range migration {
			if err := c.exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	if err := c.exec(ctx, fmt.Sprintf("PRAGMA application_id=%d", application)); err != nil {
		return err
	}
	return c.exec(ctx, fmt.Sprintf("PRAGMA user_version=%d", version))
}

// identify returns the version of the file's schema: 0 is an empty file.
func identify(ctx context.Context, c *conn) (int64, error) {
	var owner, at, tables int64
	for sql, n := range map[string]*int64{"PRAGMA application_id": &owner, "PRAGMA user_version": &at, "SELECT count(*) FROM sqlite_schema": &tables} {
		var err error
		if *n, err = c.number(ctx, sql); err != nil {
			return 0, err
		}
	}
	switch {
	case owner == 0 && at == 0 && tables == 0:
		return 0, nil
	case owner != application:
		return 0, fmt.Errorf("%s is a database of another program (application_id %#x, %d tables and indexes): move it away, and edge makes its own", c.path, owner, tables)
	case at > version:
		return 0, fmt.Errorf("%s was written by a newer edge: its schema is %d, and this one knows %d: run that edge, or go back to a backup of before", c.path, at, version)
	case at < 1:
		return 0, fmt.Errorf("the beginning of %s is damaged: its schema is %d: put the last backup in its place", c.path, at)
	}
	return at, nil
}

// writeAhead turns on the log that lets readers and a writer work at the same time, and sees to it that each transaction is synced.
func writeAhead(ctx context.Context, c *conn) error {
	var mode string
	for mode != "wal" {
		err := c.rows(ctx, "PRAGMA journal_mode=WAL", nil, func(r row) error {
			mode = r.text(0)
			return nil
		})
		if err != nil && (!isBusy(err) || ctx.Err() != nil) {
			return err
		}
		if err == nil && mode != "wal" {
			return fmt.Errorf("the disk of %s can't hold a store: it has no shared memory or locks (journal_mode is %s)", c.path, mode)
		}
	}
	if full, err := c.number(ctx, "PRAGMA synchronous"); err != nil || full != 2 {
		return fmt.Errorf("transactions are not synced: synchronous is %d, %w", full, err)
	}
	return nil
}
