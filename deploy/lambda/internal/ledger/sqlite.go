package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// sqliteEngine keeps a row for each submission and for each time that something was done. Its transactions are immediate: who reads in one
// is the only one who writes.
type sqliteEngine struct {
	db   *sql.DB
	name string

	made database.Once
}

func newSQLite(db *sql.DB, name string) *sqliteEngine { return &sqliteEngine{db: db, name: name} }

func (s *sqliteEngine) within(ctx context.Context, do func(*sql.Tx) error) error {
	if err := s.make(ctx); err != nil {
		return fmt.Errorf("making the tables of the ledger: %w", err)
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *sqliteEngine) make(ctx context.Context) error {
	return s.made.Do(func() error {
		return database.Exec(ctx, s.db,
			"CREATE TABLE IF NOT EXISTS "+s.submissions()+" (id TEXT PRIMARY KEY, over INTEGER NOT NULL, until INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT",
			"CREATE INDEX IF NOT EXISTS "+s.submissions()+"_expires ON "+s.submissions()+" (expires)",
			"CREATE TABLE IF NOT EXISTS "+s.takes()+" (key TEXT NOT NULL, at INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT",
			"CREATE INDEX IF NOT EXISTS "+s.takes()+"_at ON "+s.takes()+" (key, at)",
			"CREATE INDEX IF NOT EXISTS "+s.takes()+"_expires ON "+s.takes()+" (expires)",
		)
	})
}

// The names are those of functions, which are constants.
func (s *sqliteEngine) submissions() string { return s.name + "_submissions" }
func (s *sqliteEngine) takes() string       { return s.name + "_takes" }

func (s *sqliteEngine) begin(ctx context.Context, id string, now, until, expires time.Time) (state State, err error) {
	err = s.within(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+s.submissions()+" WHERE expires <= ?", now.UnixMilli()); err != nil { //nolint:gosec // the table is named after a function, by a constant
			return err
		}
		var over, busyUntil int64
		err := tx.QueryRowContext(ctx, "SELECT over, until FROM "+s.submissions()+" WHERE id = ?", id).Scan(&over, &busyUntil)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			state = Fresh
		case err != nil:
			return err
		case over == 1:
			state = Over
			return nil
		case busyUntil > now.UnixMilli():
			state = Busy
			return nil
		default:
			state = Again
		}
		//nolint:gosec // the table is named after a function, by a constant
		_, err = tx.ExecContext(ctx, "INSERT INTO "+s.submissions()+" (id, over, until, expires) VALUES (?, 0, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until, expires = excluded.expires",
			id, until.UnixMilli(), expires.UnixMilli())
		return err
	})
	return state, err
}

func (s *sqliteEngine) end(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, "UPDATE "+s.submissions()+" SET over = 1 WHERE id = ?", id) //nolint:gosec // the table is named after a function, by a constant
	return err
}

func (s *sqliteEngine) drop(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM "+s.submissions()+" WHERE id = ? AND over = 0", id) //nolint:gosec // the table is named after a function, by a constant
	return err
}

func (s *sqliteEngine) take(ctx context.Context, limit Limit, now time.Time) (ok bool, err error) {
	since, until := now.Add(-limit.Within), now.Add(limit.Within)
	if limit.Fixed {
		since, until = now.Truncate(limit.Within).Add(-time.Millisecond), now.Truncate(limit.Within).Add(limit.Within)
	}
	err = s.within(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+s.takes()+" WHERE expires <= ?", now.UnixMilli()); err != nil { //nolint:gosec // the table is named after a function, by a constant
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+s.takes()+" WHERE key = ? AND at > ?", limit.Key, since.UnixMilli()).Scan(&n); err != nil {
			return err
		}
		if ok = n < limit.Most; !ok {
			return nil
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO "+s.takes()+" (key, at, expires) VALUES (?, ?, ?)", limit.Key, now.UnixMilli(), until.UnixMilli()) //nolint:gosec // the table is named after a function, by a constant
		return err
	})
	return ok && err == nil, err
}

func (s *sqliteEngine) give(ctx context.Context, limit Limit, at time.Time) error {
	//nolint:gosec // the table is named after a function, by a constant
	_, err := s.db.ExecContext(ctx, "DELETE FROM "+s.takes()+" WHERE rowid = (SELECT rowid FROM "+s.takes()+" WHERE key = ? AND at = ? LIMIT 1)", limit.Key, at.UnixMilli())
	return err
}
