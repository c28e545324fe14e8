package strapi

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/schema"
)

const (
	chunk     = 200     // rows of a table that are read together with what they lead to
	passwords = "\x00p" // where a user's hash waits among its values
)

// Records are all roles, users, files and entries, in this order; entries of the same type by their number. An entry may come before what it refers to.
func (s *Source) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		types, err := s.order(ctx)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, t := range types {
			if !s.recordsOf(ctx, t, yield) {
				return
			}
		}
	}
}

// order is the types in the order in which they are told.
func (s *Source) order(ctx context.Context) ([]*schema.Type, error) {
	set, _, _, err := s.Types(ctx)
	if err != nil {
		return nil, err
	}
	types := []*schema.Type{set.UID(schema.RoleUID), set.UID(schema.UserUID), set.UID(schema.FileUID)}
	for _, t := range set.Types() {
		if !t.Builtin {
			types = append(types, t)
		}
	}
	return types, nil
}

// Count is how many records there are of each type, by UID.
func (s *Source) Count(ctx context.Context) (map[string]int, error) {
	types, err := s.order(ctx)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	for _, t := range types {
		if !s.db.tables[tableName(t.Table)] {
			continue
		}
		n, err := s.db.number(ctx, "SELECT count(*) FROM "+quoted(tableName(t.Table))+" WHERE document_id IS NOT NULL")
		if err != nil {
			return nil, err
		}
		counts[t.UID] = int(n)
	}
	return counts, nil
}

// recordsOf yields the records of a type, and reports whether more are wanted.
func (s *Source) recordsOf(ctx context.Context, t *schema.Type, yield func(Record, error) bool) bool {
	for after := int64(0); ; {
		batch, err := s.read(ctx, t, after)
		if err != nil {
			yield(Record{}, err)
			return false
		}
		for _, r := range batch {
			if !yield(r, nil) {
				return false
			}
		}
		if len(batch) == 0 {
			return true
		}
		after = batch[len(batch)-1].Number
	}
}

// read returns the records of a type that come after a number, up to so many.
func (s *Source) read(ctx context.Context, t *schema.Type, after int64) ([]Record, error) {
	table := tableName(t.Table)
	if !s.db.tables[table] {
		return nil, nil
	}
	var ids []int64
	err := s.db.rows(ctx, "SELECT id FROM "+quoted(table)+" WHERE id > ? AND document_id IS NOT NULL ORDER BY id LIMIT ?", []any{after, int64(chunk)}, func(r row) error {
		ids = append(ids, r.int(0))
		return nil
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	g := group{uid: t.UID, table: table, collection: t.Table, attributes: t.Attributes, ids: ids, entries: true}
	values, err := s.load(ctx, g, 0)
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(ids))
	for _, id := range ids {
		records = append(records, s.record(t, id, values[id]))
	}
	return records, nil
}

// record makes a record of a row: what is not an attribute's goes where it belongs.
func (s *Source) record(t *schema.Type, id int64, values map[string]any) Record {
	r := Record{Type: t.UID, Number: id, Values: values}
	r.Document, _ = values["document_id"].(string)
	r.Password, _ = values[passwords].(string)
	published, _ := values["published_at"].(string)
	r.Created, r.Updated, r.Published = moment(values["created_at"]), moment(values["updated_at"]), moment(published)
	if t.Drafts {
		r.Status = "published"
		if published == "" {
			r.Status = "draft"
		}
	}
	if t.Localized {
		r.Locale, _ = values["locale"].(string)
		if r.Locale == "" {
			r.Locale = s.set.Locales()[0]
		}
	}
	for _, name := range []string{"document_id", passwords, "created_at", "updated_at", "published_at", "locale"} {
		if t.Attribute(name) == nil {
			delete(values, name)
		}
	}
	return r
}

func moment(v any) time.Time {
	text, _ := v.(string)
	at, _ := time.Parse(time.RFC3339, text)
	return at
}

// told is what a column of SQLite means as the value of an attribute, in JSON's kinds.
func told(kind schema.Kind, v any) any {
	switch kind {
	case schema.DateTime:
		return toldTime(v)
	case schema.Boolean:
		if n, ok := v.(int64); ok {
			return n != 0
		}
	case schema.JSON, schema.Blocks:
		return toldJSON(v)
	case schema.Date:
		if at, ok := toldTime(v).(string); ok && !isText(v) {
			return at[:len(time.DateOnly)]
		}
	case schema.Float, schema.Decimal:
		if n, ok := v.(int64); ok {
			return float64(n)
		}
	case schema.Integer, schema.BigInteger, schema.String, schema.Text, schema.RichText, schema.Email, schema.Password, schema.UID,
		schema.Enumeration, schema.Time, schema.RelationTo, schema.Media, schema.Part, schema.Zone:
	}
	return v
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

// toldTime is a time as RFC 3339: Strapi keeps milliseconds since 1970, or a text.
func toldTime(v any) any {
	switch v := v.(type) {
	case int64:
		return time.UnixMilli(v).UTC().Format(time.RFC3339Nano)
	case float64:
		return time.UnixMilli(int64(v)).UTC().Format(time.RFC3339Nano)
	case string:
		for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04:05Z07:00"} {
			if at, err := time.Parse(layout, v); err == nil {
				return at.UTC().Format(time.RFC3339Nano)
			}
		}
		return v
	}
	return nil
}

// toldJSON is what a JSON column holds; a text that is no JSON is itself.
func toldJSON(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	value, err := parseJSON(strings.NewReader(text))
	if err != nil {
		return text
	}
	return value
}

var errTooMuch = errors.New("something follows the value")

// parseJSON reads one value, whose numbers are json.Number.
func parseJSON(from *strings.Reader) (v any, err error) {
	d := json.NewDecoder(from)
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errTooMuch
	}
	return v, nil
}
