package entries

import (
	"maps"
	"slices"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/input"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/store"
)

// spread gives the entry's rows of other locales what is the same in all of them.
func (j *job) spread(next store.Document, values input.Values) {
	if !j.t.Localized {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(j.was)) {
		was := j.was[id]
		if was.String(rows.Locale) == j.locale || j.o.Draft && was.String(rows.Status) != rows.Draft {
			continue
		}
		row := maps.Clone(was)
		differs := false
		for _, a := range j.t.Attributes {
			if _, set := values[a.Name]; !set || a.Localized || a.MappedBy != "" || same(was[a.Name], next[a.Name]) {
				continue
			}
			row[a.Name] = next[a.Name]
			differs = true
		}
		if !differs {
			continue
		}
		row[rows.Revision] = was.Int(rows.Revision) + 1
		row[rows.UpdatedAt] = j.now
		j.replace(j.t, was, row, changes.Update)
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
