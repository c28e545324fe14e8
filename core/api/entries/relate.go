package entries

import (
	"context"
	"slices"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/input"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// maxResolved is how many entries all references of one change name.
const maxResolved = 5_000

// targets are the entries that links name, as far as they are there, and the caller sees them.
type targets struct {
	numbers map[*schema.Type]map[int64]string // "": named and not looked for yet
	ids     map[*schema.Type]map[string]bool
}

// id is the document id of what a link names; "" when it is not there.
func (f *targets) id(t *schema.Type, named input.Target) string {
	if named.DocumentID != "" {
		return named.DocumentID
	}
	return f.numbers[t][named.Number]
}

func (f *targets) name(t *schema.Type, named input.Target) {
	if named.DocumentID != "" {
		if f.ids[t] == nil {
			f.ids[t] = map[string]bool{}
		}
		f.ids[t][named.DocumentID] = false
		return
	}
	if f.numbers[t] == nil {
		f.numbers[t] = map[int64]string{}
	}
	f.numbers[t][named.Number] = ""
}

// resolve finds what links name. What is to be connected must be there; what is to be disconnected need not.
func (j *job) resolve(ctx context.Context, values input.Values, data map[string]any) (*targets, error) {
	links := collect(nil, map[string]any(values))
	if len(links) == 0 {
		return nil, nil
	}
	f := &targets{map[*schema.Type]map[int64]string{}, map[*schema.Type]map[string]bool{}}
	n := 0
	for _, l := range links {
		t := l.Attribute.Target
		n += len(l.Set) + len(l.Connect) + len(l.Disconnect)
		for _, one := range l.Set {
			f.name(t, one)
		}
		for _, one := range l.Connect {
			f.name(t, one.Target)
		}
		for _, one := range l.Disconnect {
			if one.DocumentID == "" {
				f.name(t, one)
			}
		}
		for _, c := range l.Connect {
			for _, beside := range []*input.Target{c.Before, c.After} {
				if beside != nil && beside.DocumentID == "" {
					f.name(t, *beside)
				}
			}
		}
	}
	if n > maxResolved {
		return nil, problem.Validation("%d relations in one request: %d are the most", n, maxResolved)
	}
	if err := j.look(ctx, f); err != nil {
		return nil, err
	}
	for _, l := range links {
		if _, stamped := j.stamped[l.Attribute.Name]; stamped && len(l.Path) == 1 {
			for _, one := range l.Set { // it is not the client who says it: he need not see it
				if one.DocumentID != "" {
					f.ids[l.Attribute.Target][one.DocumentID] = true
				}
			}
		}
	}
	return f, j.missing(f, links, values, data)
}

// collect appends the links in values, and in the components that they have.
func collect(links []*input.Links, values map[string]any) []*input.Links {
	for _, name := range sortedKeys(values) {
		switch v := values[name].(type) {
		case *input.Links:
			links = append(links, v)
		case store.Document:
			links = collect(links, v)
		case []any:
			for _, one := range v {
				if part, ok := one.(store.Document); ok {
					links = collect(links, part)
				}
			}
		}
	}
	return links
}

// look finds in the store what is named.
func (j *job) look(ctx context.Context, f *targets) error {
	for t, byNumber := range f.numbers {
		values := make([]any, 0, len(byNumber))
		for n := range byNumber {
			values = append(values, n)
		}
		found, err := j.lookFor(ctx, t, rows.Number, values)
		if err != nil {
			return err
		}
		for _, row := range found {
			byNumber[row.Int(rows.Number)] = row.String(rows.DocumentID)
		}
	}
	for t, byID := range f.ids {
		values := make([]any, 0, len(byID))
		for id := range byID {
			if rows.IsDocumentID(id) {
				values = append(values, id)
			}
		}
		field := rows.DocumentID
		if !t.Drafts && !t.Localized {
			field = "id"
		}
		found, err := j.lookFor(ctx, t, field, values)
		if err != nil {
			return err
		}
		for _, row := range found {
			byID[row.String(rows.DocumentID)] = true
		}
	}
	return nil
}

// lookFor finds rows of another type by a field, of those that the caller sees.
func (j *job) lookFor(ctx context.Context, t *schema.Type, field string, values []any) ([]store.Document, error) {
	visible, err := j.visible(t)
	if err != nil {
		return nil, err
	}
	var found []store.Document
	for some := range slices.Chunk(values, 500) {
		q := store.Query{Collection: rows.Name(t), Filter: store.Filter(store.In{Field: field, Values: some}), Limit: store.MaxFind, Fields: []string{rows.Number, rows.DocumentID}}
		if visible != nil {
			q.Filter = store.And{q.Filter, visible}
		}
		page, err := j.store.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		found = append(found, page...)
	}
	return found, nil
}

// visible is the condition on rows of a type that the caller may see them; nil: all. Drafts are for those who may change them.
func (j *job) visible(t *schema.Type) (store.Filter, error) {
	if j.o.Scope == nil {
		return nil, nil
	}
	drafts := t.Drafts && j.o.Scope.May(t, access.Update)
	if access.Seen(j.o.Scope, t, access.Find, true) == nil {
		return nil, nil
	}
	var either store.Or
	for _, draft := range []bool{false, true} {
		if draft && !drafts {
			break
		}
		filter, err := rows.Compile(access.Seen(j.o.Scope, t, access.Find, draft), t, rows.View{Draft: draft, Locale: j.locale}, nil)
		if err != nil {
			return nil, err
		}
		both := store.And{}
		if filter != nil {
			both = append(both, filter)
		}
		if t.Drafts {
			both = append(both, store.Eq(rows.Status, status(draft)))
		}
		either = append(either, both)
	}
	return either, nil
}

func status(draft bool) string {
	if draft {
		return rows.Draft
	}
	return rows.Published
}

// missing says what is named and not there.
func (j *job) missing(f *targets, links []*input.Links, values input.Values, data map[string]any) error {
	numbers := map[*schema.Type]map[int64]bool{}
	for _, l := range links {
		t := l.Attribute.Target
		wanted := slices.Clone(l.Set)
		for _, c := range l.Connect {
			wanted = append(wanted, c.Target)
		}
		for _, one := range wanted {
			switch {
			case one.DocumentID != "" && !f.ids[t][one.DocumentID]:
				locale := "null"
				if t.Localized && j.locale != "" {
					locale = j.locale
				}
				return problem.Validation("Document with id %q, locale %q not found", one.DocumentID, locale)
			case one.DocumentID == "" && f.numbers[t][one.Number] == "":
				if numbers[t] == nil {
					numbers[t] = map[int64]bool{}
				}
				numbers[t][one.Number] = true
			}
		}
	}
	for _, l := range links {
		if n := len(numbers[l.Attribute.Target]); n > 0 {
			e := problem.Validation("%d relation(s) of type %s associated with this entity do not exist", n, l.Attribute.Target.UID)
			return problem.Fields(problem.Field{Message: e.Message, Value: j.understood(values, data)})
		}
	}
	return nil
}

// understood is the data as Strapi shows it when a relation leads nowhere.
func (j *job) understood(values input.Values, data map[string]any) map[string]any {
	shown := map[string]any{}
	for name, v := range data {
		shown[name] = v
		if l, ok := values[name].(*input.Links); ok {
			set := []map[string]any{}
			for _, one := range l.Set {
				if one.DocumentID != "" {
					set = append(set, map[string]any{"documentId": one.DocumentID})
				} else {
					set = append(set, map[string]any{"id": one.Number})
				}
			}
			shown[name] = map[string]any{"set": set}
		}
	}
	if j.t.Drafts {
		shown["publishedAt"] = problem.Null{}
	}
	return shown
}
