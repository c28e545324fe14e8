package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// sqliteSubscribers keeps each subscriber as a row, with the columns of the documents of MongoDB. Times are Unix milliseconds.
type sqliteSubscribers struct {
	db *sql.DB

	made database.Once
}

const table = `CREATE TABLE IF NOT EXISTS subscribers (
	id TEXT PRIMARY KEY, email TEXT NOT NULL, state TEXT NOT NULL, requested INTEGER NOT NULL, requested_from TEXT NOT NULL,
	confirmed INTEGER, confirmed_from TEXT, unsubscribed INTEGER, unsubscribe TEXT, expires INTEGER) STRICT`

func (s *sqliteSubscribers) make(ctx context.Context) error {
	return s.made.Do(func() error {
		err := database.Exec(ctx, s.db, table,
			"CREATE INDEX IF NOT EXISTS subscribers_expires ON subscribers (expires) WHERE expires IS NOT NULL",
			"CREATE INDEX IF NOT EXISTS subscribers_state ON subscribers (state)")
		if err != nil {
			return fmt.Errorf("making the table subscribers: %w", err)
		}
		return nil
	})
}

func (s *sqliteSubscribers) request(ctx context.Context, a address.Address, client string, now time.Time) (bool, error) {
	if err := s.make(ctx); err != nil {
		return false, err
	}
	if _, err := s.db.ExecContext(ctx, "DELETE FROM subscribers WHERE expires <= ?", now.UnixMilli()); err != nil {
		return false, err
	}
	var state string
	err := s.db.QueryRowContext(ctx, `INSERT INTO subscribers (id, email, state, requested, requested_from, expires) VALUES (?1, ?2, 'pending', ?3, ?4, ?5)
		ON CONFLICT (id) DO UPDATE SET requested = ?3, requested_from = ?4,
			email = CASE state WHEN 'pending' THEN ?2 ELSE email END, expires = CASE state WHEN 'pending' THEN ?5 END
		RETURNING state`, a.ID(), a.String(), now.UnixMilli(), client, now.Add(pendingFor).UnixMilli()).Scan(&state)
	return state == confirmed, err
}

func (s *sqliteSubscribers) confirm(ctx context.Context, c confirmation, now time.Time) (bool, error) {
	if err := s.make(ctx); err != nil {
		return false, err
	}
	done, err := s.db.ExecContext(ctx, `UPDATE subscribers SET state = 'confirmed', confirmed = ?2, confirmed_from = ?3, unsubscribe = ?4, expires = NULL, unsubscribed = NULL
		WHERE id = ?1 AND (state = 'pending' AND expires > ?2 OR state = 'unsubscribed' AND unsubscribed <= ?5)`,
		c.id, now.UnixMilli(), c.client, c.unsubscribe, c.issued.UnixMilli())
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); n == 1 || err != nil {
		return err == nil, err
	}
	var one int
	err = s.db.QueryRowContext(ctx, "SELECT 1 FROM subscribers WHERE id = ? AND state = 'confirmed'", c.id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *sqliteSubscribers) unsubscribe(ctx context.Context, id string, now time.Time) error {
	if err := s.make(ctx); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, "DELETE FROM subscribers WHERE id = ? AND state = 'pending'", id); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "UPDATE subscribers SET state = 'unsubscribed', unsubscribed = ?, unsubscribe = NULL WHERE id = ? AND state = 'confirmed'", now.UnixMilli(), id)
	return err
}
