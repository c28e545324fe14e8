package entries

import (
	"context"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// meets reports whether the caller may do that with a row, as far as it is about which row it is.
func (j *job) meets(ctx context.Context, t *schema.Type, a access.Action, row store.Document) (bool, error) {
	if j.o.Scope == nil {
		return true, nil
	}
	only := j.o.Scope.Only(t, a)
	if only == nil {
		return true, nil
	}
	view := rows.View{Draft: row.String(rows.Status) == rows.Draft, Locale: row.String(rows.Locale)}
	filter, err := rows.Compile(only, t, view, nil)
	if err != nil {
		return false, err
	}
	return store.Match(row, filter, time.Now(), func(collection string, f store.Filter) (bool, error) {
		found, err := j.store.Find(ctx, store.Query{Collection: collection, Filter: f, Limit: 1, Fields: []string{}})
		return len(found) > 0, err
	})
}

// mayChange reports whether the caller sees one of the rows. That he sees it and may not do that with all of them is an error: 403.
func (j *job) mayChange(ctx context.Context, a access.Action, changed []store.Document) (seen bool, err error) {
	may := true
	for _, row := range changed {
		sees, err := j.meets(ctx, j.t, access.FindOne, row)
		if err != nil {
			return false, err
		}
		ok, err := j.meets(ctx, j.t, a, row)
		if err != nil {
			return false, err
		}
		if sees && !ok && row.String(rows.Status) == rows.Draft { // a draft is for who may change it
			if sees, err = j.maySee(ctx, row); err != nil {
				return false, err
			}
		}
		seen, may = seen || sees, may && ok
	}
	if seen && !may {
		return true, problem.Forbidden()
	}
	return seen, nil
}

// maySee reports whether the caller may change a draft, and so sees it.
func (j *job) maySee(ctx context.Context, draft store.Document) (bool, error) {
	if !j.o.Scope.May(j.t, access.Update) {
		return false, nil
	}
	return j.meets(ctx, j.t, access.Update, draft)
}

// stillMay refuses a change after which the caller could not make it: nobody gives away what is his, or takes what is not. Of a new entry it is decided by
// what is stamped on it.
func (j *job) stillMay(ctx context.Context, row store.Document) error {
	if len(j.was) == 0 {
		return nil
	}
	ok, err := j.meets(ctx, j.t, access.Update, row)
	if err == nil && !ok {
		return problem.Forbidden()
	}
	return err
}
