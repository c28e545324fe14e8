package site

import (
	"net/http"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// precondition returns what the request's conditions make of an answer that would be 200: 200, 304 or 412
// (RFC 9110, section 13.2.2, in its order; the request is GET or HEAD).
func precondition(request exchange.Fields, v *variant) int {
	if request.Has("If-Match") {
		if !anyTag(request, "If-Match", v.etag, true) {
			return 412
		}
	} else if since, ok := date(request.Get("If-Unmodified-Since"), v); ok && v.modified.After(since) {
		return 412
	}
	if request.Has("If-None-Match") {
		if anyTag(request, "If-None-Match", v.etag, false) {
			return 304
		}
	} else if since, ok := date(request.Get("If-Modified-Since"), v); ok && !v.modified.After(since) {
		return 304
	}
	return 200
}

// rangeHolds reports whether If-Range, if it was sent, names exactly this variant (RFC 9110, section 13.1.5).
func rangeHolds(request exchange.Fields, v *variant) bool {
	value, sent := request.Lookup("If-Range")
	if !sent {
		return true
	}
	if strings.HasPrefix(value, `"`) {
		return value == v.etag
	}
	since, ok := date(value, v)
	return ok && v.modified.Equal(since)
}

// date reads a date field; v's own date, which is what comes back from a cache, without parsing.
func date(value string, v *variant) (time.Time, bool) {
	if value == "" {
		return time.Time{}, false
	}
	if value == v.lastModified {
		return v.modified, true
	}
	t, err := http.ParseTime(value)
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
