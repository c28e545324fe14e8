// Package migrate brings entries from one set of content types to the next: it finds out what has changed, refuses what would lose
// or contradict what is kept, and changes the rows that have to change.
//
// In come two sets, and what becomes of a row from one to the other. What content types are, the room schema knows, and how entries
// lie in the store, the room rows.
package migrate

import (
	"context"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Steps lead from the set that is kept to a new one.
type Steps struct{}

// Plan compares the kept set with a new one. The error, a conflict, says all that stands in the way and what to do about it.
func Plan(ctx context.Context, s store.Store, to *schema.Set) (*Steps, error) { panic("unwritten") }

// Apply does the steps, and keeps the new set when they are done.
func (s *Steps) Apply(ctx context.Context) error { panic("unwritten") }

// Summary says in sentences what changes, warnings included. It is empty when nothing does.
func (s *Steps) Summary() []string { panic("unwritten") }
