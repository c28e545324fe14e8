package database

import (
	"context"
	"database/sql"
	"sync"
)

// Once does something until it has succeeded once. Its zero value is ready.
type Once struct {
	mu   sync.Mutex
	done bool
}

// Do does it, or waits for who is at it.
func (o *Once) Do(do func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return nil
	}
	err := do()
	o.done = err == nil
	return err
}

// Exec executes statements one after the other.
func Exec(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
