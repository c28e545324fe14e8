package entries

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// maxKept is how many bytes a row has at most that the history keeps when it is deleted.
const maxKept = store.MaxDocument - 64<<10

// delete removes the entry's rows, in the locale or in all. What refers to them leads nowhere then.
func (j *job) delete(ctx context.Context) (found bool, err error) {
	var gone []store.Document
	for _, id := range slices.Sorted(maps.Keys(j.was)) {
		if row := j.was[id]; !j.t.Localized || j.locale == rows.AllLocales || row.String(rows.Locale) == j.locale {
			gone = append(gone, row)
		}
	}
	seen, err := j.mayChange(ctx, access.Delete, gone)
	if err != nil || !seen {
		return false, err
	}
	if j.o.IfMatch != "" && !slices.ContainsFunc(gone, j.isRead) {
		return false, problem.Changed()
	}
	for _, row := range gone {
		j.writes = append(j.writes, store.Delete{Collection: rows.Name(j.t), Filter: unchanged(row), Must: 1})
		j.note(j.t, row, changes.Delete, nil, remembered(j.t, row))
	}
	if len(j.writes) > store.MaxWrites-maxWith {
		return false, problem.Validation("The entry has too many versions to be deleted at once: delete it locale by locale")
	}
	return true, j.write(ctx)
}

// isRead reports whether the row is the revision that the caller has read.
func (j *job) isRead(row store.Document) bool {
	return j.o.IfMatch == strconv.FormatInt(row.Int(rows.Revision), 10)
}

// remembered is what the history keeps of a row that is deleted: no passwords, and nothing of one that is too large.
func remembered(t *schema.Type, row store.Document) store.Document {
	if store.Size(row) > maxKept {
		return nil
	}
	return withoutPasswords(t.Attributes, row)
}

func withoutPasswords(attributes []*schema.Attribute, row store.Document) store.Document {
	row = maps.Clone(row)
	for _, a := range attributes {
		switch v := row[a.Name].(type) {
		case string:
			if a.Kind == schema.Password {
				delete(row, a.Name)
			}
		case store.Document:
			row[a.Name] = partWithoutPasswords(a, v)
		case []any:
			list := slices.Clone(v)
			for i := range list {
				if part, ok := list[i].(store.Document); ok {
					list[i] = partWithoutPasswords(a, part)
				}
			}
			row[a.Name] = list
		}
	}
	return row
}

func partWithoutPasswords(a *schema.Attribute, part store.Document) store.Document {
	for _, c := range append(a.Zone[:len(a.Zone):len(a.Zone)], a.Component) {
		if c != nil && (c == a.Component || c.UID == part.String(rows.Component)) {
			return withoutPasswords(c.Attributes, part)
		}
	}
	return part
}
