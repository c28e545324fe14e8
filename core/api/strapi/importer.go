package strapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// by is who changes entries in an import, in their history.
const by = "import:strapi"

// Options are what an import needs.
type Options struct {
	Store   store.Store
	Set     *schema.Set // for whose types migrate has made the collections ready
	History time.Duration

	// Reserve has new entries of a type get numbers greater than n.
	Reserve func(ctx context.Context, t *schema.Type, n int64) error

	// SetHash keeps the bcrypt hash of a user's password. It is called before the user is there, by document id: so no user is ever without.
	SetHash func(ctx context.Context, user, hash string) error
}

// An Importer writes records into a store. It belongs to one goroutine, and is for one pass over all records, from the first.
type Importer struct {
	Options
	converter
	reserved map[string]int64 // by the type's name, and .components
}

// components is what the sequence that numbers components of all types is called.
var components = &schema.Type{Name: ".components"}

// NewImporter makes an importer.
func NewImporter(o Options) *Importer {
	return &Importer{Options: o, converter: converter{set: o.Set, roles: make(map[string]string)}, reserved: make(map[string]int64)}
}

// A change is what one record does.
type change struct {
	record  *Record
	t       *schema.Type
	row     store.Document
	result  Result
	writes  []store.Write
	waiting bool // its writes have to be carried out
}

// Import takes over up to [MaxBatch] records, and says what has become of each. After an error a part may be done: taking over all again is always right. What was
// changed here after it was changed in Strapi stays as it is; what was deleted here comes back.
func (i *Importer) Import(ctx context.Context, records []Record) ([]Result, error) {
	if len(records) > MaxBatch {
		return nil, fmt.Errorf("%d records are too many: at most %d at once: %w", len(records), MaxBatch, fault.Invalid)
	}
	roles := 0 // they come first: users refer to what stands for them
	for roles < len(records) && records[roles].Type == schema.RoleUID {
		roles++
	}
	results := make([]Result, 0, len(records))
	for _, some := range [][]Record{records[:roles], records[roles:]} {
		of, err := i.together(ctx, some)
		if err != nil {
			return nil, err
		}
		results = append(results, of...)
	}
	return results, nil
}

// together takes over records none of which has to be there before another.
func (i *Importer) together(ctx context.Context, records []Record) ([]Result, error) {
	all := make([]*change, len(records))
	for n := range records {
		all[n] = i.begin(&records[n])
	}
	if err := i.reserve(ctx, all); err != nil {
		return nil, err
	}
	for t, of := range byType(all) {
		if err := i.compare(ctx, t, of); err != nil {
			return nil, err
		}
	}
	if err := i.write(ctx, all); err != nil {
		return nil, err
	}
	results := make([]Result, len(all))
	for n, c := range all {
		results[n] = c.result
	}
	return results, nil
}

// begin makes the row of a record, or refuses it.
func (i *Importer) begin(r *Record) *change {
	c := &change{record: r, t: i.set.UID(r.Type)}
	refuse := func(format string, args ...any) *change {
		c.result = Result{Refused, fmt.Sprintf("%s %s: ", r.Type, r.Document) + fmt.Sprintf(format, args...)}
		return c
	}
	switch {
	case c.t == nil:
		return refuse("there is no such type here: keep the schema files that the import writes")
	case !rows.IsDocumentID(r.Document):
		return refuse("%q is no document id", r.Document)
	case r.Number < 1 || r.Number > maxNumber:
		return refuse("%d is no id of a row", r.Number)
	case c.t.Drafts != (r.Status != "") || c.t.Drafts && r.Status != rows.Draft && r.Status != rows.Published:
		return refuse("the type has drafts in Strapi or here, and not in both: keep the schema files that the import writes")
	case c.t.Localized != (r.Locale != ""):
		return refuse("the type is localized in Strapi or here, and not in both: keep the schema files that the import writes")
	case c.t.Localized && !slices.Contains(i.set.Locales(), r.Locale):
		return refuse("the language %s is not among api.locales", r.Locale)
	}
	values, err := i.document(c.t.Attribute, r.Values, 0)
	if err != nil {
		return refuse("%v", err)
	}
	i.system(c.t, r, values)
	if c.row, _, err = store.Normal(values); err != nil {
		return refuse("%v", err)
	}
	return c
}

// system sets the fields that every row has.
func (i *Importer) system(t *schema.Type, r *Record, row store.Document) {
	row["id"] = rows.RowID(t, r.Document, r.Locale, r.Status == rows.Draft)
	row[rows.DocumentID], row[rows.Number], row[rows.Revision] = r.Document, r.Number, int64(1)
	if t.Drafts {
		row[rows.Status] = r.Status
	}
	if t.Localized {
		row[rows.Locale] = r.Locale
	}
	updated := firstOf(r.Updated, r.Created, r.Published, time.Unix(0, 0))
	created := firstOf(r.Created, updated)
	row[rows.CreatedAt], row[rows.UpdatedAt] = stamp(created), stamp(updated)
	if r.Status != rows.Draft {
		row[rows.PublishedAt] = stamp(firstOf(r.Published, created))
	}
}

func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// reserve has what is made meanwhile get other numbers than those of the records.
func (i *Importer) reserve(ctx context.Context, all []*change) error {
	greatest := make(map[*schema.Type]int64)
	for _, c := range all {
		if c.row != nil {
			greatest[c.t] = max(greatest[c.t], c.record.Number)
			greatest[components] = max(greatest[components], greatestPart(c.t.Attributes, c.row))
		}
	}
	for t, n := range greatest {
		if n <= i.reserved[t.Name] {
			continue
		}
		if err := i.Reserve(ctx, t, n); err != nil {
			return err
		}
		i.reserved[t.Name] = n
	}
	return nil
}

// maxNumber is half of what JavaScript knows exactly: after the greatest there must be room for more.
const maxNumber = 1 << 52

// greatestPart is the greatest number of the components in a row.
func greatestPart(attributes []*schema.Attribute, row store.Document) (n int64) {
	for _, a := range attributes {
		if a.Kind != schema.Part && a.Kind != schema.Zone {
			continue
		}
		parts := row.List(a.Name)
		if one, ok := row[a.Name].(store.Document); ok {
			parts = []any{one}
		}
		for _, v := range parts {
			part, _ := v.(store.Document)
			n = max(n, part.Int(rows.Number))
			for _, c := range append(a.Zone[:len(a.Zone):len(a.Zone)], a.Component) {
				if c != nil && (a.Kind == schema.Part || c.UID == part.String(rows.Component)) {
					n = max(n, greatestPart(c.Attributes, part))
				}
			}
		}
	}
	return n
}

func byType(all []*change) map[*schema.Type][]*change {
	types := make(map[*schema.Type][]*change)
	for _, c := range all {
		if c.row != nil {
			types[c.t] = append(types[c.t], c)
		}
	}
	return types
}

// compare finds what is there already of one type, and prepares what has to be written.
func (i *Importer) compare(ctx context.Context, t *schema.Type, all []*change) error {
	ids, numbers := make([]any, len(all)), make([]any, len(all))
	for n, c := range all {
		ids[n], numbers[n] = c.row.ID(), c.row[rows.Number]
	}
	filter := store.Or{store.In{Field: "id", Values: ids}, store.In{Field: rows.Number, Values: numbers}}
	found, err := i.Store.Find(ctx, store.Query{Collection: rows.Name(t), Filter: filter, Limit: 2*len(all) + 1})
	if err != nil {
		return err
	}
	there, taken := make(map[string]store.Document), make(map[int64]string)
	for _, d := range found {
		there[d.ID()] = d
		taken[d.Int(rows.Number)] = d.ID()
	}
	for _, c := range all {
		done, err := i.stands(ctx, c)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		if owner, ok := taken[c.record.Number]; ok && owner != c.row.ID() && there[c.row.ID()] == nil {
			if c.row[rows.Number], err = i.another(ctx, t); err != nil {
				return err
			}
		}
		if err := i.prepare(ctx, c, there[c.row.ID()]); err != nil {
			return err
		}
	}
	return nil
}

// stands reports whether another entry stands for a record: our own role of that kind. Of a single type there is no second entry.
func (i *Importer) stands(ctx context.Context, c *change) (bool, error) {
	var same store.Filter
	switch {
	case c.t.UID == schema.RoleUID:
		same = store.Eq("type", c.row["type"])
	case c.t.Single:
		same = store.And{}
	default:
		return false, nil
	}
	found, err := i.Store.Find(ctx, store.Query{Collection: rows.Name(c.t), Filter: store.And{same, store.Ne(rows.DocumentID, c.record.Document)}, Limit: 1, Fields: []string{rows.DocumentID}})
	if err != nil || len(found) == 0 {
		return false, err
	}
	if c.t.Single {
		c.result = Result{Refused, fmt.Sprintf("%s %s: there is an entry of it here, and can be only one: delete it, then run this again", c.t.UID, c.record.Document)}
		return true, nil
	}
	i.roles[c.record.Document] = found[0].String(rows.DocumentID)
	c.result = Result{Outcome: Same}
	return true, nil
}

// another is a number that no row has.
func (i *Importer) another(ctx context.Context, t *schema.Type) (int64, error) {
	last, err := i.Store.Find(ctx, store.Query{Collection: rows.Name(t), Sort: []store.Order{{Field: rows.Number, Descending: true}}, Limit: 1, Fields: []string{rows.Number}})
	if err != nil {
		return 0, err
	}
	n := max(last[0].Int(rows.Number), i.reserved[t.Name]) + 1
	i.reserved[t.Name] = n
	return n, i.Reserve(ctx, t, n)
}

// prepare decides what a record does, beside the row that is there.
func (i *Importer) prepare(ctx context.Context, c *change, old store.Document) error {
	c.waiting = true
	c.result.Outcome = Created
	c.writes = []store.Write{store.Insert{Collection: rows.Name(c.t), Document: c.row}}
	if old != nil {
		i.update(c, old)
	}
	if len(c.writes) == 0 {
		c.waiting = false
		return nil
	}
	c.writes = append(c.writes, store.Insert{Collection: changes.Name, Document: i.told(c, old)})
	if c.t.UID == schema.UserUID && c.record.Password != "" {
		err := i.SetHash(ctx, c.record.Document, c.record.Password)
		if fault.CodeOf(err) == fault.Invalid {
			c.waiting, c.result = false, Result{Refused, fmt.Sprintf("%s %s: %v", c.t.UID, c.record.Document, err)}
			return nil
		}
		return err
	}
	return nil
}

// update is what becomes of the row that is there: nothing, if it is as it should be or was changed here since.
func (i *Importer) update(c *change, old store.Document) {
	c.writes = nil
	c.row[rows.Number], c.row[rows.Revision] = old[rows.Number], old[rows.Revision]
	if same(old, c.row) {
		c.result.Outcome = Same
		return
	}
	if old.Time(rows.UpdatedAt).After(c.row.Time(rows.UpdatedAt)) {
		c.result.Outcome = Kept
		return
	}
	c.result.Outcome = Changed
	c.row[rows.Revision] = old.Int(rows.Revision) + 1
	set := make(store.Document, len(c.row))
	for name, v := range c.row {
		if name != "id" {
			set[name] = v
		}
	}
	var gone []string
	for name := range old {
		if _, stays := c.row[name]; !stays {
			gone = append(gone, name)
		}
	}
	c.writes = []store.Write{store.Update{Collection: rows.Name(c.t), Filter: store.And{store.ID(c.row.ID()), store.Eq(rows.Revision, old[rows.Revision])},
		Change: store.Change{Set: set, Unset: gone}, Must: 1}}
}

// told is the change in the history.
func (i *Importer) told(c *change, old store.Document) store.Document {
	now := time.Now().UTC().Truncate(time.Millisecond)
	d := changes.Change{Type: c.t.Name, Entry: c.record.Document, Locale: c.record.Locale, Status: c.record.Status, Action: changes.Create, By: by, At: now}
	if old != nil {
		d.Action = changes.Update
	}
	for _, a := range c.t.Attributes {
		if !same(c.row[a.Name], old[a.Name]) {
			d.Fields = append(d.Fields, a.Name)
		}
	}
	return changes.Document(d, now.Add(i.History))
}

// write carries out all that is prepared, at once if that goes, else record by record.
func (i *Importer) write(ctx context.Context, all []*change) error {
	var writes []store.Write
	for _, c := range all {
		if c.waiting {
			writes = append(writes, c.writes...)
		}
	}
	if len(writes) == 0 {
		return nil
	}
	_, err := i.Store.Apply(ctx, writes...)
	if code := fault.CodeOf(err); err == nil || code != fault.Conflict && code != fault.TooLarge && code != fault.Invalid {
		return err
	}
	for _, c := range all {
		if !c.waiting {
			continue
		}
		if err := i.alone(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// alone carries out one record's writes, or refuses it.
func (i *Importer) alone(ctx context.Context, c *change) error {
	_, err := i.Store.Apply(ctx, c.writes...)
	switch fault.CodeOf(err) {
	case fault.Conflict:
		why := "it changes at this moment: run this again"
		if d, ok := errors.AsType[*store.Duplicate](err); ok {
			why = d.Error() + ": change one of the two, then run this again"
		}
		c.result = Result{Refused, fmt.Sprintf("%s %s: %s", c.t.UID, c.record.Document, why)}
	case fault.Invalid, fault.TooLarge:
		c.result = Result{Refused, fmt.Sprintf("%s %s: %v", c.t.UID, c.record.Document, err)}
	default:
		return err
	}
	return nil
}
