package entries

import (
	"context"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// A step goes from entries to those that one attribute of theirs leads to.
type step struct {
	attribute *schema.Attribute
	filter    store.Filter  // on rows there that may be seen; nil: all
	sort      []store.Order // nil: the list's own order, or by number
	fields    []string      // of rows there; nil: all
	asked     []string      // fields of the entries there, as they are shown
	limit     int           // of all entries there
}

// reached is what a step has led to.
type reached struct {
	all  []*Entry   // each once
	to   [][]*Entry // for each of those that it began at
	more bool       // there are some beyond the limit
}

// follow takes a step. What a reference leads to that is not there, or not to be seen, is left out.
func (r *reading) follow(ctx context.Context, s step, from []*Entry) (reached, error) {
	if s.attribute.Owner() {
		return r.followOwned(ctx, s, from)
	}
	return r.followOther(ctx, s, from)
}

// leadsTo are the document ids in a field of a row.
func leadsTo(v any) []any {
	switch v := v.(type) {
	case string:
		return []any{v}
	case []any:
		return v
	}
	return nil
}

// rowAt is the id of the row that a reference leads to.
func (r *reading) rowAt(t *schema.Type, reference any, from *Entry) string {
	documentID, ok := reference.(string)
	if !ok {
		return ""
	}
	return rows.RowID(t, documentID, from.locale, r.view.Drafts(t))
}

// followOwned goes where the entries' own references lead.
func (r *reading) followOwned(ctx context.Context, s step, from []*Entry) (reached, error) {
	a := s.attribute
	found := make(map[string]*Entry)
	var ids []any
	more := false
	for _, e := range from {
		for _, reference := range leadsTo(e.Row[a.Name]) {
			id := r.rowAt(a.Target, reference, e)
			if _, seen := found[id]; seen || id == "" {
				continue
			}
			if len(ids) == s.limit {
				more = true
				break
			}
			found[id] = nil
			ids = append(ids, id)
		}
	}
	all, err := r.lookUp(ctx, s, ids)
	if err != nil {
		return reached{}, err
	}
	rank := make(map[*Entry]int, len(all))
	for i, e := range all {
		found[e.Row.ID()] = e
		rank[e] = i
	}
	to := make([][]*Entry, len(from))
	for i, e := range from {
		refs := leadsTo(e.Row[a.Name])
		list := make([]*Entry, 0, len(refs))
		for _, reference := range refs {
			if there := found[r.rowAt(a.Target, reference, e)]; there != nil {
				list = append(list, there)
			}
		}
		if s.sort != nil {
			sortByRank(list, rank)
		}
		to[i] = list
	}
	return reached{all, to, more}, nil
}

// lookUp returns the entries of those row ids that may be seen, in the order of the step.
func (r *reading) lookUp(ctx context.Context, s step, ids []any) ([]*Entry, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	t := s.attribute.Target
	var f store.Filter = store.In{Field: "id", Values: ids}
	if len(ids) == 1 {
		f = store.Eq("id", ids[0])
	}
	found, err := r.get(ctx, store.Query{Collection: rows.Name(t), Filter: rows.Both(f, s.filter), Sort: s.sort, Limit: len(ids), Fields: s.fields})
	if err != nil {
		return nil, err
	}
	return r.entries(t, found, s.asked), nil
}

// maxParents is for how many entries those that refer to them are looked for at once: a condition has so many parts.
const maxParents = 200

// followOther goes to the entries that refer to these.
func (r *reading) followOther(ctx context.Context, s step, from []*Entry) (reached, error) {
	result := reached{to: make([][]*Entry, len(from))}
	known := make(map[string]*Entry)
	for start := 0; start < len(from) && !result.more; start += maxParents {
		part := from[start:min(start+maxParents, len(from))]
		if err := r.followPart(ctx, s, part, result.to[start:], &result, known); err != nil {
			return reached{}, err
		}
	}
	return result, nil
}

func (r *reading) followPart(ctx context.Context, s step, from []*Entry, to [][]*Entry, result *reached, known map[string]*Entry) error {
	t, owner := s.attribute.Target, s.attribute.Target.Attribute(s.attribute.MappedBy)
	at := make(map[string][]int, len(from))
	var ids []any
	for i, e := range from {
		id := e.Row.String(rows.DocumentID)
		if at[id] == nil {
			ids = append(ids, id)
		}
		at[id] = append(at[id], i)
	}
	if owner == nil || len(ids) == 0 {
		return nil
	}
	room := s.limit - len(result.all)
	q := store.Query{Collection: rows.Name(t), Sort: s.sort, Limit: min(room+1, store.MaxFind), Fields: s.fields}
	if q.Sort == nil {
		q.Sort = []store.Order{{Field: rows.Number}}
	}
	q.Filter = rows.Both(rows.RefersTo(owner, ids), rows.Both(r.view.Filter(t), s.filter))
	found, err := r.get(ctx, q)
	if err != nil {
		return err
	}
	if len(found) > room {
		found, result.more = found[:room], true
	}
	for _, e := range r.entries(t, found, s.asked) {
		if before := known[e.Row.ID()]; before != nil {
			e = before
		} else {
			known[e.Row.ID()] = e
			result.all = append(result.all, e)
		}
		for _, reference := range leadsTo(e.Row[owner.Name]) {
			id, _ := reference.(string)
			for _, i := range at[id] {
				if !t.Localized || from[i].locale == e.locale {
					to[i] = append(to[i], e)
				}
			}
		}
	}
	return nil
}
