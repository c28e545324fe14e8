package entries

import (
	"context"
	"slices"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// maxNarrow is for how many entries that are referred to a condition names them.
const maxNarrow = 20

// narrow makes conditions on the entries that rows refer to conditions on the rows, where few entries meet them: those of Ann are then found by the index of the
// attribute, however many others there are, and not by asking each row for its writer. What all must hold is looked at, and nothing else.
func (r *reading) narrow(ctx context.Context, t *schema.Type, f store.Filter) (store.Filter, error) {
	if one, ok := f.(store.Related); ok {
		f = store.And{one}
	}
	all, ok := f.(store.And)
	if !ok {
		return f, nil
	}
	copied := false
	for i, one := range all {
		related, ok := one.(store.Related)
		if !ok || related.Filter == nil || related.By != "" && related.By != rows.DocumentID {
			continue
		}
		a := t.Attribute(related.Field)
		if a == nil || a.Kind != schema.RelationTo || !a.Owner() {
			continue
		}
		ids, few, err := r.few(ctx, related)
		if err != nil {
			return nil, err
		}
		if !few {
			continue
		}
		if !copied {
			all, copied = slices.Clone(all), true
		}
		all[i] = rows.RefersTo(a, ids)
	}
	return all, nil
}

// few are the document ids of the entries that meet the condition of a relation, unless they are many.
func (r *reading) few(ctx context.Context, related store.Related) (ids []any, few bool, err error) {
	found, err := r.store.Find(ctx, store.Query{Collection: related.Collection, Filter: related.Filter, Limit: maxNarrow + 1, Fields: []string{rows.DocumentID}})
	if err != nil || len(found) > maxNarrow {
		return nil, false, err
	}
	for _, row := range found {
		if id := row.String(rows.DocumentID); !slices.Contains(ids, any(id)) {
			ids = append(ids, id)
		}
	}
	return ids, true, nil
}
