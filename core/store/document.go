package store

import (
	"slices"
	"time"
)

// Document is a set of named values. Its id, a string of 1 to [MaxID] bytes, is in the field "id".
//
// A value is one of nil, bool, int64, float64, string, time.Time, []byte, []any and Document; what a store returns holds no
// others. What a store is given may hold int and map[string]any as well. See [Normal] for what is a valid value.
type Document map[string]any

// ID returns the document's id, "" if it has none.
func (d Document) ID() string { return d.String("id") }

// String returns the string in a field, "" if there is none.
func (d Document) String(field string) string {
	s, _ := d[field].(string)
	return s
}

// Int returns the whole number in a field, 0 if there is none.
func (d Document) Int(field string) int64 {
	n, _ := d[field].(int64)
	return n
}

// Bool returns the bool in a field, false if there is none.
func (d Document) Bool(field string) bool {
	b, _ := d[field].(bool)
	return b
}

// Time returns the time in a field, the zero time if there is none.
func (d Document) Time(field string) time.Time {
	t, _ := d[field].(time.Time)
	return t
}

// Bytes returns the bytes in a field, nil if there are none. They are the document's own.
func (d Document) Bytes(field string) []byte {
	b, _ := d[field].([]byte)
	return b
}

// List returns the list in a field, nil if there is none. It is the document's own.
func (d Document) List(field string) []any {
	l, _ := d[field].([]any)
	return l
}

// Document returns the document in a field, nil if there is none. It is the document's own.
func (d Document) Document(field string) Document {
	inner, _ := d[field].(Document)
	return inner
}

// Only returns the document with its id and those of the fields that it has; all of it when fields is nil.
func (d Document) Only(fields []string) Document {
	if fields == nil {
		return d
	}
	only := make(Document, len(fields)+1)
	for name, v := range d {
		if name == "id" || slices.Contains(fields, name) {
			only[name] = v
		}
	}
	return only
}
