package entries

import (
	"context"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
)

// A Change says who changes an entry, and which of its versions.
type Change struct {
	Scope   access.Scope // nil: everything is allowed
	By      access.Caller
	Draft   bool   // only the draft, of types with drafts; else it is published as well
	Locale  string // of localized types; "" is the default
	IfMatch string // the revision that is to be changed, in decimal; "" is any
}

// Create makes an entry. Numbers in data are json.Number. Errors are a [problem.Error], or what the store says.
func (e *Entries) Create(ctx context.Context, t *schema.Type, data map[string]any, o Change) (documentID string, err error) {
	panic("unwritten")
}

// Update changes the attributes of an entry that data has.
func (e *Entries) Update(ctx context.Context, t *schema.Type, documentID string, data map[string]any, o Change) error {
	panic("unwritten")
}

// Put changes the entry of a single type, or makes it.
func (e *Entries) Put(ctx context.Context, t *schema.Type, data map[string]any, o Change) (created bool, err error) {
	panic("unwritten")
}

// Delete removes an entry, in all versions. It is not found when it is not there, or not for the caller to see.
func (e *Entries) Delete(ctx context.Context, t *schema.Type, documentID string, o Change) (found bool, err error) {
	panic("unwritten")
}
