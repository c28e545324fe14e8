package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Outdated is a conflict: what is kept has been brought to other content types, or is being, than a host's, and what the host writes would not be as they want it.
type Outdated struct{ Types []string }

func (o *Outdated) Error() string {
	return fmt.Sprintf("another host has brought what is kept to newer content types (%s): bring them here as well, and reload", strings.Join(o.Types, ", "))
}

// Unwrap makes it a conflict.
func (o *Outdated) Unwrap() error { return fault.Conflict }

// Revision is a number that changes whenever what is kept does: only then [Fits] has anything new to say.
func Revision(ctx context.Context, s store.Store) (int64, error) {
	found, err := s.Find(ctx, store.Query{Collection: keptIn, Filter: store.ID(keptID), Fields: []string{"revision"}, Limit: 1})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Int("revision"), nil
}

// Fits returns nil when a host may go on with a set of types, whatever other hosts have made of what is kept since: new types and attributes do no harm. It is an [*Outdated]
// when rows of the host's types would have to be changed for those that are kept.
func Fits(ctx context.Context, s store.Store, set *schema.Set) error {
	k, err := read(ctx, s)
	if err != nil {
		return err
	}
	var types []string
	for _, to := range []*schema.Set{k.now, k.begun} {
		if to == nil || same(set, to) {
			continue
		}
		c := &comparison{was: kept{now: set, ever: set}, to: to}
		c.compare()
		for _, w := range c.works {
			if !w.fits() && !slices.Contains(types, w.to.Name) {
				types = append(types, w.to.Name)
			}
		}
	}
	if len(types) > 0 {
		return &Outdated{types}
	}
	return nil
}

// fits reports whether rows that are made for the old type are as the new one wants them.
func (w *work) fits() bool {
	return !w.versionsChange && len(w.attributes) == 0 && len(w.exclusive) == 0 && w.was.Single == w.to.Single
}
