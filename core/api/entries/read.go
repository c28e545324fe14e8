package entries

import (
	"context"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
)

// Find returns a page of the entries of a type that q asks for and s may find. A nil scope may do anything. Errors are a [problem.Error], or what the store says.
func (e *Entries) Find(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (List, error) {
	panic("unwritten")
}

// FindOne returns one entry as q asks for it; 404 when it is not there, or not for s to see.
func (e *Entries) FindOne(ctx context.Context, t *schema.Type, documentID string, q *query.Query, s access.Scope) (*Entry, error) {
	panic("unwritten")
}

// Single returns the entry of a single type.
func (e *Entries) Single(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (*Entry, error) {
	panic("unwritten")
}

// Count returns how many entries q asks for that s may find, whatever their page.
func (e *Entries) Count(ctx context.Context, t *schema.Type, q *query.Query, s access.Scope) (int, error) {
	panic("unwritten")
}

// ByNumber returns the document id of the entry that has a row of this number; 404 when there is none.
func (e *Entries) ByNumber(ctx context.Context, t *schema.Type, n int64) (documentID string, err error) {
	panic("unwritten")
}
