package wire

import (
	"net/http"
	"strconv"

	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// A Form is how entries are shown.
type Form uint8

// Forms.
const (
	Flat Form = iota // {"id": …, "documentId": …, "title": …}
	V4               // as Strapi 4 did: {"id": …, "documentId": …, "attributes": {"title": …}}, and what a relation leads to in {"data": …}
)

// FormOf is the form that a request asks for.
func FormOf(r *http.Request) Form {
	if r.Header.Get("Strapi-Response-Format") == "v4" {
		return V4
	}
	return Flat
}

// AppendOne appends the answer that one entry is.
func AppendOne(b []byte, e *entries.Entry, f Form) []byte {
	b = append(b, `{"data":`...)
	b = AppendEntry(b, e, f)
	return append(b, `,"meta":{}}`...)
}

// AppendList appends the answer that a page of entries is.
func AppendList(b []byte, l entries.List, p query.Page, f Form) []byte {
	b = append(b, `{"data":`...)
	b = AppendEntries(b, l.Entries, f)
	b = append(b, `,"meta":{"pagination":{`...)
	if p.Size {
		b = strconv.AppendInt(append(b, `"page":`...), int64(p.Start/p.Limit+1), 10)
		b = strconv.AppendInt(append(b, `,"pageSize":`...), int64(p.Limit), 10)
		if l.Total >= 0 {
			b = strconv.AppendInt(append(b, `,"pageCount":`...), int64((l.Total+p.Limit-1)/p.Limit), 10)
		}
	} else {
		b = strconv.AppendInt(append(b, `"start":`...), int64(p.Start), 10)
		b = strconv.AppendInt(append(b, `,"limit":`...), int64(p.Limit), 10)
	}
	if l.Total >= 0 {
		b = strconv.AppendInt(append(b, `,"total":`...), int64(l.Total), 10)
	}
	return append(b, `}}}`...)
}

// AppendEntries appends a list of entries.
func AppendEntries(b []byte, all []*entries.Entry, f Form) []byte {
	b = append(b, '[')
	for i, e := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendEntry(b, e, f)
	}
	return append(b, ']')
}

// AppendEntry appends an entry or a component: what was asked for of it, or all, but never what is private or a password. Nil is null.
func AppendEntry(b []byte, e *entries.Entry, f Form) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	if e.Type == nil {
		return appendComponent(b, e, f)
	}
	b = strconv.AppendInt(append(b, `{"id":`...), e.Row.Int(rows.Number), 10)
	b = appendString(append(b, `,"documentId":`...), e.Row.String(rows.DocumentID))
	if f == V4 {
		b = append(b, `,"attributes":{`...)
	}
	b = appendFields(b, e, e.Type.Attributes)
	b = appendFilled(b, e, e.Type.Attributes, f)
	if f == V4 {
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendComponent(b []byte, e *entries.Entry, f Form) []byte {
	b = append(b, '{')
	if name := e.Row.String(rows.Component); name != "" {
		b = appendString(append(b, `"__component":`...), name)
	}
	b = strconv.AppendInt(appendName(b, "id"), e.Row.Int(rows.Number), 10)
	b = appendFields(b, e, e.Component.Attributes)
	b = appendFilled(b, e, e.Component.Attributes, f)
	return append(b, '}')
}

// appendFields appends the plain values: those that were asked for in that order, or all in the order of the schema.
func appendFields(b []byte, e *entries.Entry, attributes []*schema.Attribute) []byte {
	if e.Fields == nil {
		for _, a := range attributes {
			b = appendAttribute(b, e.Row, a)
		}
		if e.Type == nil {
			return b
		}
		for _, name := range [...]string{rows.CreatedAt, rows.UpdatedAt, rows.PublishedAt} {
			b = appendValue(appendName(b, name), e.Row[name])
		}
		if e.Type.Localized {
			b = appendValue(appendName(b, "locale"), e.Row[rows.Locale])
		}
		return b
	}
	for _, name := range e.Fields {
		switch query.System(name) {
		case query.ID, query.DocumentID:
		case query.CreatedAt, query.UpdatedAt, query.PublishedAt:
			b = appendValue(appendName(b, name), e.Row[name])
		case query.Locale:
			if e.Type != nil && e.Type.Localized {
				b = appendValue(appendName(b, name), e.Row[rows.Locale])
			}
		default:
			for _, a := range attributes {
				if a.Name == name {
					b = appendAttribute(b, e.Row, a)
				}
			}
		}
	}
	return b
}

func told(a *schema.Attribute) bool { return !a.Private && a.Kind != schema.Password }

func appendAttribute(b []byte, row store.Document, a *schema.Attribute) []byte {
	if !a.Scalar() || !told(a) {
		return b
	}
	b = appendName(b, a.Name)
	if n, ok := row[a.Name].(int64); ok && a.Kind == schema.BigInteger {
		return append(strconv.AppendInt(append(b, '"'), n, 10), '"')
	}
	return appendValue(b, row[a.Name])
}

// appendFilled appends what was filled in, in the order of the schema.
func appendFilled(b []byte, e *entries.Entry, attributes []*schema.Attribute, f Form) []byte {
	if len(e.Filled) == 0 {
		return b
	}
	for _, a := range attributes {
		filled, ok := e.Filled[a.Name]
		if !ok || !told(a) {
			continue
		}
		b = appendName(b, a.Name)
		wrapped := f == V4 && a.Refers()
		if wrapped {
			b = append(b, `{"data":`...)
		}
		switch filled := filled.(type) {
		case *entries.Entry:
			b = AppendEntry(b, filled, f)
		case []*entries.Entry:
			b = AppendEntries(b, filled, f)
		case entries.Count:
			b = appendCount(b, filled, wrapped)
		default:
			b = append(b, "null"...)
		}
		if wrapped {
			b = append(b, '}')
		}
	}
	return b
}

func appendCount(b []byte, n entries.Count, wrapped bool) []byte {
	if wrapped {
		b = append(b, `{"attributes":`...)
	}
	b = append(strconv.AppendInt(append(b, `{"count":`...), int64(n), 10), '}')
	if wrapped {
		b = append(b, '}')
	}
	return b
}

// Bare answers with an entry alone, as accounts and files are answered.
func Bare(w http.ResponseWriter, status int, e *entries.Entry) {
	Send(w, status, AppendEntry(nil, e, Flat))
}

// BareList answers with entries alone.
func BareList(w http.ResponseWriter, all []*entries.Entry) {
	Send(w, http.StatusOK, AppendEntries(nil, all, Flat))
}
