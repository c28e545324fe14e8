package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/wire"
)

// maxBuffer is how large a buffer is at most that is kept for the next answer.
const maxBuffer = 1 << 20

func (s *service) answerOne(w http.ResponseWriter, r *http.Request, status int, e *entries.Entry) {
	s.answer(w, r, status, e, func(b []byte) []byte { return wire.AppendOne(b, e, wire.FormOf(r)) })
}

// answer sends what write appends. What was read may be kept by whoever asked for it, if he asks again before he uses it (RFC 9111, no-cache): with its ETag, that costs little. e
// is the entry that it is, nil of several.
func (s *service) answer(w http.ResponseWriter, r *http.Request, status int, e *entries.Entry, write func([]byte) []byte) {
	buffer := s.buffers.Get().(*[]byte)
	text := write((*buffer)[:0])
	defer func() {
		if cap(text) <= maxBuffer {
			*buffer = text
			s.buffers.Put(buffer)
		}
	}()
	h := w.Header()
	tag := entityTag(e, text)
	h.Set("Etag", tag)
	addVary(h, "Authorization, Accept-Encoding, Strapi-Response-Format")
	if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads {
		h.Set("Cache-Control", "no-cache")
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			h.Set("Cache-Control", "private, no-cache")
		}
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if len(text) < minZipped || !takesGzip(r.Header) {
		wire.Send(w, status, text)
		return
	}
	zipper := s.zippers.get()
	defer s.zippers.put(zipper)
	h.Set("Content-Encoding", "gzip")
	h.Set("Etag", strings.TrimSuffix(tag, `"`)+zippedTag) // other bytes are another representation (RFC 9110, section 8.8.3.3)
	wire.Send(w, status, zipper.zip(text))
}

func addVary(h http.Header, names string) {
	if before := h.Get("Vary"); before != "" {
		names = before + ", " + names
	}
	h.Set("Vary", names)
}

// entityTag is the ETag of an answer: "REVISION.HASH" of one entry, "HASH" of several. If-Match looks at the revision alone: however the entry is shown, it is the same one.
func entityTag(e *entries.Entry, text []byte) string {
	b := append(make([]byte, 0, 40), '"')
	if e != nil {
		b = append(strconv.AppendInt(b, e.Row.Int(rows.Revision), 10), '.')
	}
	b = strconv.AppendUint(b, xxhash.Sum64(text), 36)
	return string(append(b, '"'))
}

// matches reports whether one of the ETags of If-None-Match is this one (RFC 9110, section 13.1.2).
func matches(fields []string, tag string) bool {
	for _, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if zipped, ok := strings.CutSuffix(one, zippedTag); ok {
				one = zipped + `"`
			}
			if one == tag || one == "*" {
				return true
			}
		}
	}
	return false
}

// revisionAsked is the revision that an entry has to have for it to be changed, by If-Match (RFC 9110, section 13.1.1); "" is any. An ETag that no entry can have matches none.
func revisionAsked(r *http.Request) (revision string, err error) {
	for _, field := range r.Header.Values("If-Match") {
		for one := range strings.SplitSeq(field, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || one == "" { // an empty element is none (RFC 9110, section 5.6.1)
				continue
			}
			inner, quoted := strings.CutPrefix(one, `"`)
			number, _, dotted := strings.Cut(inner, ".")
			if n, err := strconv.ParseInt(number, 10, 64); !quoted || !dotted || err != nil || n < 0 || number != strconv.FormatInt(n, 10) {
				return "", problem.Changed()
			}
			if revision != "" && revision != number {
				return "", problem.Validation("If-Match takes one ETag, that of the entry as it was read")
			}
			revision = number
		}
	}
	return revision, nil
}
