package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// sqliteTexts takes rows of a table, whose key is id, and keeps the progress in one row of tweet_state. The names are letters, digits and _.
type sqliteTexts struct {
	db    *sql.DB
	table string
	field string
	key   string // of the progress

	made database.Once
}

func (s *sqliteTexts) make(ctx context.Context) error {
	return s.made.Do(func() error {
		err := database.Exec(ctx, s.db,
			`CREATE TABLE IF NOT EXISTS "`+s.table+`" (id INTEGER PRIMARY KEY, "`+s.field+`" TEXT NOT NULL)`,
			"CREATE TABLE IF NOT EXISTS tweet_state (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL, progress TEXT NOT NULL) STRICT")
		if err != nil {
			return fmt.Errorf("making the tables: %w", err)
		}
		return nil
	})
}

func (s *sqliteTexts) begin(ctx context.Context, owner string, now, until time.Time) (p progress, mine bool, err error) {
	if err := s.make(ctx); err != nil {
		return p, false, err
	}
	var kept string
	err = s.db.QueryRowContext(ctx, `INSERT INTO tweet_state (key, owner, until, progress) VALUES (?1, ?2, ?3, '{}')
		ON CONFLICT (key) DO UPDATE SET owner = ?2, until = ?3 WHERE until <= ?4 RETURNING progress`,
		s.key, owner, until.UnixMilli(), now.UnixMilli()).Scan(&kept)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, false, nil
	case err != nil:
		return p, false, fmt.Errorf("beginning: %w", err)
	}
	return p, true, json.Unmarshal([]byte(kept), &p)
}

func (s *sqliteTexts) save(ctx context.Context, owner string, p progress) error {
	return s.set(ctx, "UPDATE tweet_state SET progress = ? WHERE key = ? AND owner = ?", owner, p)
}

func (s *sqliteTexts) end(ctx context.Context, owner string, p progress) error {
	return s.set(ctx, "UPDATE tweet_state SET progress = ?, owner = '', until = 0 WHERE key = ? AND owner = ?", owner, p)
}

func (s *sqliteTexts) set(ctx context.Context, update, owner string, p progress) error {
	kept, err := json.Marshal(p)
	if err != nil {
		return err
	}
	done, err := s.db.ExecContext(ctx, update, string(kept), s.key, owner)
	if err == nil {
		var n int64
		if n, err = done.RowsAffected(); err == nil && n == 0 {
			err = errLost
		}
	}
	if err != nil {
		return fmt.Errorf("writing the progress down: %w", err)
	}
	return nil
}

func (s *sqliteTexts) random(ctx context.Context, not []string) (id, text string, err error) {
	ids, err := json.Marshal(append([]string{}, not...))
	if err != nil {
		return "", "", err
	}
	err = s.db.QueryRowContext(ctx, `SELECT CAST(id AS TEXT), trim("`+s.field+`", char(9, 10, 13, 32)) FROM "`+s.table+`"
		WHERE CAST(id AS TEXT) NOT IN (SELECT value FROM json_each(?)) AND "`+s.field+`" IS NOT NULL ORDER BY random() LIMIT 1`, string(ids)).Scan(&id, &text)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNone
	}
	return id, text, err
}
