package strapi

import (
	"context"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// An Importer writes records into a store whose collections migrate has made ready for the set.
type Importer struct{}

// NewImporter makes an importer. It belongs to one goroutine.
func NewImporter(s store.Store, set *schema.Set) *Importer { panic("unwritten") }

// Import takes over records, and says what has become of each. Either all of up to 100 are, or none.
func (i *Importer) Import(ctx context.Context, records ...Record) ([]Outcome, error) {
	panic("unwritten")
}

// Finish sees to it that what is made from now on gets numbers that no taken over entry has.
func (i *Importer) Finish(ctx context.Context) error { panic("unwritten") }
