package entries

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/input"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// A job is one try to change one entry: what was there, and all that is to be written, which is done at once or not at all.
type job struct {
	*Entries
	set    *schema.Set
	t      *schema.Type
	id     string // the entry's document id
	locale string // "" of types that are not localized
	o      Change
	now    time.Time
	was    map[string]store.Document // rows that the entry has, by their ids
	found  *targets                  // what the data refers to

	stamped map[string]any // what is set on a new entry whatever the data says

	writes []store.Write
}

// job begins a try.
func (e *Entries) job(t *schema.Type, documentID string, o Change) (*job, error) {
	j := &job{Entries: e, set: e.set.Load(), t: t, id: documentID, o: o, now: time.Now().UTC().Truncate(time.Millisecond)}
	j.o.Draft = o.Draft && t.Drafts
	if t.Localized {
		locales := j.set.Locales()
		j.locale = cmp.Or(o.Locale, locales[0])
		if j.locale != rows.AllLocales && !slices.Contains(locales, j.locale) {
			return nil, problem.Validation("There is no locale %q", j.locale)
		}
	}
	return j, nil
}

// read finds the rows that the entry has.
func (j *job) read(ctx context.Context) error {
	j.was = map[string]store.Document{}
	if !j.t.Localized && !j.t.Drafts {
		row, err := j.store.Get(ctx, rows.Name(j.t), j.id)
		if fault.CodeOf(err) == fault.NotFound {
			return nil
		}
		j.was[j.id] = row
		return err
	}
	const most = 1000 // versions of one entry
	found, err := j.store.Find(ctx, store.Query{Collection: rows.Name(j.t), Filter: store.Eq(rows.DocumentID, j.id), Limit: most})
	for _, row := range found {
		j.was[row.ID()] = row
	}
	return err
}

// row is the one that the entry has in the locale; nil if there is none.
func (j *job) row(draft bool) store.Document {
	return j.was[rows.RowID(j.t, j.id, j.locale, draft)]
}

// create makes the first version of the entry.
func (j *job) create(ctx context.Context, data map[string]any) error {
	if j.locale == rows.AllLocales {
		return problem.Validation("An entry is made in one locale")
	}
	o := j.reading(true)
	if j.o.Scope != nil {
		j.stamped = j.o.Scope.Stamp(j.t)
		o.Stamp = j.stamped
	}
	return j.save(ctx, nil, data, o)
}

// update changes the version that there is in the locale, or makes one beside those of other locales.
func (j *job) update(ctx context.Context, data map[string]any) error {
	if j.locale == rows.AllLocales {
		return problem.Validation("An entry is changed in one locale")
	}
	if len(j.was) == 0 {
		return problem.NotFound()
	}
	base := j.row(true)
	if base == nil {
		base = j.row(false)
	}
	seen, err := j.mayChange(ctx, access.Update, j.changed(base))
	if err != nil {
		return err
	}
	if !seen {
		return problem.NotFound()
	}
	if !j.matches(base) {
		return problem.Changed()
	}
	o := j.reading(base == nil)
	if base == nil {
		o.Has = j.shared()
	}
	return j.save(ctx, base, data, o)
}

// changed are the rows that are there and will be others afterwards. When the entry has none in the locale, one of another locale speaks for it.
func (j *job) changed(base store.Document) []store.Document {
	if base == nil {
		for _, id := range slices.Sorted(maps.Keys(j.was)) {
			return []store.Document{j.was[id]}
		}
	}
	all := []store.Document{base}
	if published := j.row(false); j.t.Drafts && !j.o.Draft && published != nil && published.ID() != base.ID() {
		all = append(all, published)
	}
	return all
}

// matches reports whether the version is the one that the caller has read.
func (j *job) matches(base store.Document) bool {
	if j.o.IfMatch == "" {
		return true
	}
	read := base
	if published := j.row(false); !j.o.Draft && published != nil {
		read = published
	}
	return read != nil && j.isRead(read)
}

func (j *job) reading(create bool) input.Options {
	o := input.Options{Create: create, Draft: j.t.Drafts}
	if s := j.o.Scope; s != nil {
		o.May = func(t *schema.Type) bool { return s.May(t, access.Find) }
	}
	return o
}

// save writes what becomes of a version: base is what it was, nil if there was none.
func (j *job) save(ctx context.Context, base store.Document, data map[string]any, o input.Options) error {
	values, err := input.Read(j.t, data, o)
	if err != nil {
		return err
	}
	next := j.begin(base)
	effects, err := j.merge(ctx, next, values, data)
	if err != nil {
		return err
	}
	if j.t.Drafts && !j.o.Draft {
		if err := input.Complete(j.t, next); err != nil {
			return err
		}
	}
	if err := j.put(ctx, next); err != nil {
		return err
	}
	if err := j.relate(ctx, effects); err != nil {
		return err
	}
	j.spread(next, values)
	return j.apply(ctx, next)
}

// begin is what the version has before the values are set: what it had, or, beside other locales, what all of them have. What it had includes values of attributes that
// the type does not have: those that it had before, and those that another host already knows.
func (j *job) begin(base store.Document) store.Document {
	if base == nil {
		return maps.Clone(j.shared())
	}
	next := maps.Clone(base)
	maps.DeleteFunc(next, func(name string, _ any) bool { return rows.IsSystem(name) })
	return next
}

// shared is what the entry has in all locales.
func (j *job) shared() store.Document {
	next := store.Document{}
	if len(j.was) == 0 {
		return next
	}
	from := j.changed(nil)[0]
	for _, a := range j.t.Attributes {
		if v, has := from[a.Name]; has && !a.Localized {
			next[a.Name] = v
		}
	}
	return next
}

// put writes the rows of the version.
func (j *job) put(ctx context.Context, next store.Document) error {
	versions := []bool{false}
	if j.t.Drafts {
		versions = []bool{true, false}
		if j.o.Draft {
			versions = versions[:1]
		}
	}
	fresh := int64(0)
	for _, draft := range versions {
		if j.row(draft) == nil {
			fresh++
		}
	}
	number := int64(0)
	if fresh > 0 {
		var err error
		if number, err = j.numbers.take(ctx, j.t.Name, fresh); err != nil {
			return err
		}
	}
	for _, draft := range versions {
		was := j.row(draft)
		row := j.dated(was, next, draft)
		if was == nil {
			row[rows.Number] = number
			number++
		}
		if err := j.stillMay(ctx, row); err != nil {
			return err
		}
		j.replace(j.t, was, row, j.action(was, draft))
	}
	return nil
}

func (j *job) action(was store.Document, draft bool) changes.Action {
	switch {
	case j.t.Drafts && !draft:
		return changes.Publish
	case was == nil:
		return changes.Create
	}
	return changes.Update
}

// dated is a row of the version, with its system fields.
func (j *job) dated(was, next store.Document, draft bool) store.Document {
	row := maps.Clone(next)
	row["id"] = rows.RowID(j.t, j.id, j.locale, draft)
	row[rows.DocumentID] = j.id
	row[rows.Revision] = was.Int(rows.Revision) + 1
	row[rows.Number] = was[rows.Number]
	row[rows.CreatedAt] = j.now
	row[rows.UpdatedAt] = j.now
	if v, ok := was[rows.CreatedAt]; ok {
		row[rows.CreatedAt] = v
	}
	if j.t.Localized {
		row[rows.Locale] = j.locale
	}
	switch {
	case !j.t.Drafts:
		row[rows.PublishedAt] = j.now
		if v, ok := was[rows.PublishedAt]; ok {
			row[rows.PublishedAt] = v
		}
	case draft:
		row[rows.Status] = rows.Draft
	default:
		row[rows.Status] = rows.Published
		row[rows.PublishedAt] = j.now
	}
	return row
}

// replace writes a row in the place of what was there, if it is still that, and what happened. Attributes that row has as nil go.
func (j *job) replace(t *schema.Type, was, row store.Document, action changes.Action) {
	var fields []string
	for _, a := range t.Attributes {
		if !same(was[a.Name], row[a.Name]) {
			fields = append(fields, a.Name)
		}
	}
	if was == nil {
		j.writes = append(j.writes, store.Insert{Collection: rows.Name(t), Document: row})
	} else {
		j.writes = append(j.writes, guarded(t, was, row))
	}
	j.note(t, row, action, fields, nil)
}

// guarded is the write that makes row of was.
func guarded(t *schema.Type, was, row store.Document) store.Write {
	c := store.Change{Set: store.Document{}}
	for name, v := range row {
		if v != nil && name != "id" && !same(was[name], v) {
			c.Set[name] = v
		}
	}
	for name := range was {
		if row[name] == nil {
			c.Unset = append(c.Unset, name)
		}
	}
	return store.Update{Collection: rows.Name(t), Filter: unchanged(was), Change: c, Must: 1}
}

// unchanged is met by a row as long as it is what was read.
func unchanged(was store.Document) store.Filter {
	return store.And{store.ID(was.ID()), store.Eq(rows.Revision, was[rows.Revision])}
}

func same(a, b any) bool {
	if a, ok := a.(time.Time); ok {
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	}
	return reflect.DeepEqual(a, b)
}

// note has the history say what happens to a row.
func (j *job) note(t *schema.Type, row store.Document, action changes.Action, fields []string, gone store.Document) {
	c := changes.Change{
		Type: t.Name, Entry: row.String(rows.DocumentID), Locale: row.String(rows.Locale), Status: row.String(rows.Status), Action: action,
		By: j.o.By.Name(), Request: j.o.By.RequestID, Address: j.o.By.Address, At: j.now, Fields: fields, Row: gone,
	}
	j.writes = append(j.writes, store.Insert{Collection: changes.Name, Document: changes.Document(c, j.now.Add(time.Duration(j.history.Load())))})
}

// write writes all of it, in one batch.
func (j *job) write(ctx context.Context) error {
	if j.o.With != nil {
		j.writes = append(j.writes, j.o.With(j.id)...)
	}
	_, err := j.store.Apply(ctx, j.writes...)
	return err
}

// apply writes the version. That a value has to be unique and is not is told with the value.
func (j *job) apply(ctx context.Context, next store.Document) error {
	if len(j.writes) > store.MaxWrites-maxWith {
		return problem.Validation("This changes too many other entries at once: change fewer relations")
	}
	err := j.write(ctx)
	d, ok := errors.AsType[*store.Duplicate](err)
	if !ok || d.Collection != rows.Name(j.t) {
		return err
	}
	for _, field := range d.Fields {
		if a := j.t.Attribute(field); a != nil {
			return problem.Fields(problem.Field{Path: []any{field}, Message: "This attribute must be unique", Value: shown(a, next[field])})
		}
	}
	return err
}

// shown is a value as the client sent it.
func shown(a *schema.Attribute, v any) any {
	if n, ok := v.(int64); ok && a.Kind == schema.BigInteger {
		return strconv.FormatInt(n, 10)
	}
	return v
}
