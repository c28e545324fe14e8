package entries

import (
	"context"
	"maps"
	"slices"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/input"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// maxOthers is how many rows of other entries one change may change.
const maxOthers = 450 // of the store's 1,000 writes: each has one in the history as well

// An effect is what a change of a reference may do to other entries.
type effect struct {
	attribute *schema.Attribute
	links     *input.Links // nil: the reference was not said to change
}

// An other is a row of another entry that changes, too.
type other struct {
	t        *schema.Type
	was, row store.Document
}

// others are by type and row.
type others map[*schema.Type]map[string]*other

func (o others) of(t *schema.Type, row store.Document) *other {
	if o[t] == nil {
		o[t] = map[string]*other{}
	}
	if o[t][row.ID()] == nil {
		o[t][row.ID()] = &other{t, row, maps.Clone(row)}
	}
	return o[t][row.ID()]
}

// relate does to other entries what the change of references means for them: where a reference is kept with its other side, it is changed there; and an
// entry that only one may refer to is taken from the one that did.
func (j *job) relate(ctx context.Context, effects []effect) error {
	changed := others{}
	for _, e := range effects {
		var err error
		switch a := e.attribute; {
		case a.MappedBy != "":
			err = j.otherSide(ctx, e, changed)
		case a.InversedBy != "" && (a.Relation == schema.OneToOne || a.Relation == schema.OneToMany):
			err = j.steal(ctx, a, changed)
		}
		if err != nil {
			return err
		}
	}
	n := 0
	for _, t := range j.set.Types() {
		byID := changed[t]
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			if n++; n > maxOthers {
				return tooManyOthers()
			}
			if err := j.changeOther(ctx, byID[id]); err != nil {
				return err
			}
		}
	}
	return nil
}

func tooManyOthers() error {
	return problem.Validation("This changes more than %d other entries at once: change fewer relations", maxOthers)
}

// changeOther writes a row of another entry. Who may change only some entries of its type must be allowed to change this one.
func (j *job) changeOther(ctx context.Context, o *other) error {
	o.row[rows.Revision] = o.was.Int(rows.Revision) + 1
	for _, row := range []store.Document{o.was, o.row} {
		ok, err := j.meets(ctx, o.t, access.Update, row)
		if err != nil {
			return err
		}
		if !ok {
			return problem.Forbidden()
		}
	}
	j.replace(o.t, o.was, o.row, changes.Update)
	return nil
}

// versions is the condition on rows of another type that this change reaches them; nil: all.
func (j *job) versions(t *schema.Type) store.And {
	var all store.And
	if t.Drafts && j.o.Draft {
		all = append(all, store.Eq(rows.Status, rows.Draft))
	}
	if t.Localized && j.t.Localized {
		all = append(all, store.Eq(rows.Locale, j.locale))
	}
	return all
}

// refersTo is the condition on rows that an attribute of theirs leads to one of the entries.
func refersTo(a *schema.Attribute, ids []string) store.Filter {
	if !a.Many() {
		values := make([]any, len(ids))
		for i, id := range ids {
			values[i] = id
		}
		return store.In{Field: a.Name, Values: values}
	}
	either := make(store.Or, len(ids))
	for i, id := range ids {
		either[i] = store.Has{Field: a.Name, Value: id}
	}
	return either
}

// without takes an entry out of a reference.
func without(v any, id string) any {
	if v == id {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return v
	}
	list = slices.DeleteFunc(slices.Clone(list), func(one any) bool { return one == id })
	if len(list) == 0 {
		return nil
	}
	return list
}

// find finds rows of other entries.
func (j *job) find(ctx context.Context, t *schema.Type, f store.Filter) ([]store.Document, error) {
	found, err := j.store.Find(ctx, store.Query{Collection: rows.Name(t), Filter: append(j.versions(t), f), Limit: maxOthers + 1})
	if err == nil && len(found) > maxOthers {
		err = tooManyOthers()
	}
	return found, err
}

// steal takes the entries that this one refers to from those that did.
func (j *job) steal(ctx context.Context, a *schema.Attribute, changed others) error {
	var taken []string
	for _, w := range j.writes {
		row := written(j.t, w)
		for _, id := range references(row[a.Name]) {
			was := j.was[row.ID()]
			if !slices.Contains(references(was[a.Name]), id) && !slices.Contains(taken, id) {
				taken = append(taken, id)
			}
		}
	}
	for some := range slices.Chunk(taken, 500) {
		found, err := j.find(ctx, j.t, store.And{refersTo(a, some), store.Ne(rows.DocumentID, j.id)})
		if err != nil {
			return err
		}
		for _, row := range found {
			o := changed.of(j.t, row)
			for _, id := range some {
				o.row[a.Name] = without(o.row[a.Name], id)
			}
		}
	}
	return nil
}

// written are the attributes that a write of this change gives the entry's own row, with its id.
func written(t *schema.Type, w store.Write) store.Document {
	switch w := w.(type) {
	case store.Insert:
		if w.Collection == rows.Name(t) {
			return w.Document
		}
	case store.Update:
		row := maps.Clone(w.Change.Set)
		row["id"], _ = store.OneID(w.Filter)
		return row
	}
	return nil
}

// otherSide changes the entries that keep a reference to this one.
func (j *job) otherSide(ctx context.Context, e effect, changed others) error {
	a, t := e.attribute, e.attribute.Target
	owner := t.Attribute(a.MappedBy)
	if owner == nil {
		return nil
	}
	var add, drop []string
	for _, one := range e.links.Set {
		add = last(add, j.found.id(t, one))
	}
	for _, one := range e.links.Connect {
		add = last(add, j.found.id(t, one.Target))
	}
	for _, one := range e.links.Disconnect {
		if id := j.found.id(t, one); id != "" && rows.IsDocumentID(id) {
			drop = append(drop, id)
		}
	}
	replace := e.links.Replace
	if !a.Many() && len(add) > 0 {
		add, replace = add[len(add)-1:], true
	}
	if t == j.t && slices.Contains(append(slices.Clone(add), drop...), j.id) {
		return problem.Validation("%s can't lead to the entry itself: change %s instead", a.Name, owner.Name)
	}
	found, err := j.reached(ctx, t, owner, append(slices.Clone(add), drop...), replace)
	if err != nil {
		return err
	}
	for _, row := range found {
		o := changed.of(t, row)
		switch id := row.String(rows.DocumentID); {
		case slices.Contains(add, id) && !owner.Many():
			o.row[owner.Name] = j.id
		case slices.Contains(add, id):
			if list, _ := o.row[owner.Name].([]any); !slices.Contains(list, any(j.id)) {
				o.row[owner.Name] = append(slices.Clone(list), j.id)
			}
		case slices.Contains(references(o.row[owner.Name]), j.id):
			o.row[owner.Name] = without(o.row[owner.Name], j.id)
		}
		if same(o.was, o.row) {
			delete(changed[t], row.ID())
		}
	}
	return nil
}

// reached finds the rows of the entries, and, when they are to take the place of others, those that refer to this one now.
func (j *job) reached(ctx context.Context, t *schema.Type, owner *schema.Attribute, ids []string, replace bool) ([]store.Document, error) {
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	field := rows.DocumentID
	if !t.Drafts && !t.Localized {
		field = "id"
	}
	var found []store.Document
	if len(ids) > 0 {
		var err error
		if found, err = j.find(ctx, t, store.In{Field: field, Values: values}); err != nil {
			return nil, err
		}
	}
	if !replace || len(j.was) == 0 {
		return found, nil
	}
	now, err := j.find(ctx, t, refersTo(owner, []string{j.id}))
	if err != nil {
		return nil, err
	}
	for _, row := range now {
		if t == j.t && row.String(rows.DocumentID) == j.id {
			continue
		}
		if !slices.ContainsFunc(found, func(d store.Document) bool { return d.ID() == row.ID() }) {
			found = append(found, row)
		}
	}
	return found, nil
}
