package rules

import (
	"maps"
	"slices"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// fieldChanges are changes to header fields: remove, then set, then add; in each the names in order, so that
// two servers with one configuration answer the same bytes.
type fieldChanges struct {
	remove   []string
	set, add exchange.Fields
}

func (c *fieldChanges) apply(f *exchange.Fields) {
	for _, name := range c.remove {
		f.Del(name)
	}
	for _, field := range c.set {
		f.Set(field.Name, field.Value)
	}
	*f = append(*f, c.add...)
}

// BeforeHead makes the changes to the answer.
func (c *fieldChanges) BeforeHead(x *exchange.Exchange) { c.apply(&x.Response.Fields) }

// newFieldChanges returns nil if there is nothing to change.
func newFieldChanges(c config.FieldChanges) *fieldChanges {
	if len(c.Remove)+len(c.Set)+len(c.Add) == 0 {
		return nil
	}
	changes := &fieldChanges{remove: c.Remove}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		changes.set.Add(name, c.Set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		changes.add.Add(name, c.Add[name])
	}
	return changes
}
