package site

import (
	"net/http"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A question is what a request's fields ask of a file besides its path, found in one walk over them. Each is the value of the
// first field of its name, nil if there is none.
type question struct {
	fields              exchange.Fields
	codings             *string // Accept-Encoding
	match, unmodified   *string // If-Match, If-Unmodified-Since
	noneMatch, modified *string // If-None-Match, If-Modified-Since
	ranges, ifRange     *string // Range, If-Range
	moreCodings         bool    // there is another Accept-Encoding
}

func questionOf(fields exchange.Fields) question {
	q := question{fields: fields}
	for i := range fields {
		f := &fields[i]
		switch len(f.Name) { // most fields are told apart by their length alone
		case len("Range"):
			note(&q.ranges, f, "Range")
		case len("If-Match"):
			note(&q.match, f, "If-Match")
			note(&q.ifRange, f, "If-Range")
		case len("If-None-Match"):
			note(&q.noneMatch, f, "If-None-Match")
		case len("Accept-Encoding"):
			q.moreCodings = !note(&q.codings, f, "Accept-Encoding") || q.moreCodings
		case len("If-Modified-Since"):
			note(&q.modified, f, "If-Modified-Since")
		case len("If-Unmodified-Since"):
			note(&q.unmodified, f, "If-Unmodified-Since")
		}
	}
	return q
}

// note keeps f's value if f is the first field called name. It reports false if f is another one of that name.
func note(first **string, f *exchange.Field, name string) bool {
	switch {
	case !exchange.EqualName(f.Name, name):
		return true
	case *first != nil:
		return false
	}
	*first = &f.Value
	return true
}

// precondition returns what the request's conditions make of an answer that would be 200: 200, 304 or 412
// (RFC 9110, section 13.2.2, in its order; the request is GET or HEAD).
func precondition(q *question, v *variant) int {
	if q.match != nil {
		if !anyTag(q.fields, "If-Match", v.etag, true) {
			return 412
		}
	} else if since, ok := date(q.unmodified, v); ok && v.modified.After(since) {
		return 412
	}
	if q.noneMatch != nil {
		if *q.noneMatch == v.etag && v.etag != "" || anyTag(q.fields, "If-None-Match", v.etag, false) {
			return 304
		}
	} else if since, ok := date(q.modified, v); ok && !v.modified.After(since) {
		return 304
	}
	return 200
}

// rangeHolds reports whether If-Range, if it was sent, names exactly this variant (RFC 9110, section 13.1.5).
func rangeHolds(q *question, v *variant) bool {
	if q.ifRange == nil {
		return true
	}
	if strings.HasPrefix(*q.ifRange, `"`) {
		return *q.ifRange == v.etag
	}
	since, ok := date(q.ifRange, v)
	return ok && v.modified.Equal(since)
}

// date reads a date field; v's own date, which is what comes back from a cache, without parsing.
func date(value *string, v *variant) (time.Time, bool) {
	if value == nil {
		return time.Time{}, false
	}
	if *value == v.lastModified {
		return v.modified, true
	}
	t, err := http.ParseTime(*value)
	return t, err == nil
}

// anyTag reports whether the list of entity tags in the fields called name has etag, or is "*".
// A strong comparison wants both to be strong (RFC 9110, section 8.8.3.2); ours always are.
func anyTag(request exchange.Fields, name, etag string, strong bool) bool {
	for i := range request {
		if exchange.EqualName(request[i].Name, name) && tagIn(request[i].Value, etag, strong) {
			return true
		}
	}
	return false
}

// tagIn looks for etag in a list, which it reads up to the first thing that is not an entity tag.
func tagIn(list, etag string, strong bool) bool {
	if strings.Trim(list, " \t") == "*" {
		return true
	}
	for {
		list = strings.TrimLeft(list, " \t,")
		tag, weak := strings.CutPrefix(list, "W/")
		if tag == "" || tag[0] != '"' {
			return false
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == etag && (!weak || !strong) {
			return true
		}
		list = tag[end+2:]
	}
}
