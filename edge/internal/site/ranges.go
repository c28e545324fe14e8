package site

import (
	"crypto/rand"
	"math"
	"strconv"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// maxRanges is how many ranges of one request are answered; more of them are what attacks send, not visitors.
const maxRanges = 16

// span is a part of a variant.
type span struct{ from, length int64 }

// spans are the satisfiable ranges of one request, in its order.
type spans struct {
	list [maxRanges]span
	n    int
}

func (s *spans) all() []span { return s.list[:s.n] }

// What to make of a Range field.
type rangeVerdict int

const (
	whole         rangeVerdict = iota // no field, or one to be ignored: 200
	partial                           // 206
	unsatisfiable                     // 416
)

// parseRange reads a Range field for content of size bytes (RFC 9110, section 14.2).
//
// What is not understood is ignored: another unit, bad syntax, more than maxRanges ranges, and ranges that together
// ask for more than the whole, as overlapping ones do that want to make a server work.
func parseRange(value string, size int64) (s spans, verdict rangeVerdict) {
	unit, set, ok := strings.Cut(value, "=")
	if !ok || !strings.EqualFold(unit, "bytes") || size == 0 {
		return s, whole
	}
	asked, total := 0, int64(0)
	for more := true; more; {
		var one string
		one, set, more = strings.Cut(set, ",")
		if one = strings.Trim(one, " \t"); one == "" {
			continue
		}
		if asked++; asked > maxRanges {
			return s, whole
		}
		part, ok := parseSpan(one, size)
		if !ok {
			return s, whole
		}
		if part.length == 0 {
			continue
		}
		s.list[s.n] = part
		s.n++
		total += part.length
	}
	switch {
	case asked == 0 || total > size:
		return s, whole
	case s.n == 0:
		return s, unsatisfiable
	}
	return s, partial
}

// parseSpan reads FIRST-LAST, FIRST- or -LENGTH. One that content of this size does not have is of length 0.
func parseSpan(one string, size int64) (span, bool) {
	first, last, ok := strings.Cut(one, "-")
	if !ok || first == "" && last == "" {
		return span{}, false
	}
	if first == "" {
		n, ok := parsePosition(last)
		n = min(n, size)
		return span{size - n, n}, ok
	}
	from, ok := parsePosition(first)
	if !ok {
		return span{}, false
	}
	to := size - 1
	if last != "" {
		if to, ok = parsePosition(last); !ok || to < from {
			return span{}, false
		}
	}
	if from >= size {
		return span{}, true
	}
	return span{from, min(to, size-1) - from + 1}, true
}

// parsePosition reads digits; a number too large to be held is as good as the largest one.
func parsePosition(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// contentRange is the value of Content-Range for a part of content of size bytes.
func contentRange(to []byte, s span, size int64) []byte {
	to = append(to, "bytes "...)
	to = strconv.AppendInt(to, s.from, 10)
	to = append(to, '-')
	to = strconv.AppendInt(to, s.from+s.length-1, 10)
	to = append(to, '/')
	return strconv.AppendInt(to, size, 10)
}

// multipart is a multipart/byteranges body: what stands before each part, and after the last (RFC 9110, section 14.6).
type multipart struct {
	contentType string
	text        []byte             // all that is not of the file
	starts      [maxRanges + 2]int // of what stands before each part, of what stands after the last, and text's end
	length      int64
}

func newMultipart(parts []span, v *variant) *multipart {
	const part = len("\r\n--\r\nContent-Range: bytes 1234567890-1234567890/1234567890\r\nContent-Type: \r\n\r\n")
	boundary, contentType := rand.Text(), v.fields.Get("Content-Type")
	m := &multipart{contentType: "multipart/byteranges; boundary=" + boundary}
	m.text = make([]byte, 0, (len(parts)+1)*(part+len(boundary)+len(contentType)))
	for i, p := range parts {
		m.starts[i] = len(m.text)
		if i > 0 {
			m.text = append(m.text, "\r\n"...)
		}
		m.text = append(append(m.text, "--"...), boundary...)
		m.text = contentRange(append(m.text, "\r\nContent-Range: "...), p, v.length)
		m.text = append(append(m.text, "\r\nContent-Type: "...), contentType...)
		m.text = append(m.text, "\r\n\r\n"...)
		m.length += p.length
	}
	m.starts[len(parts)] = len(m.text)
	m.text = append(append(append(m.text, "\r\n--"...), boundary...), "--\r\n"...)
	m.starts[len(parts)+1] = len(m.text)
	m.length += int64(len(m.text))
	return m
}

// before returns what stands before part i, or after the last.
func (m *multipart) before(i int) []byte { return m.text[m.starts[i]:m.starts[i+1]] }

// addRange sets the answer's head for one range.
func addRange(x *exchange.Exchange, s span, size int64) {
	x.Response.Status, x.Response.Length = 206, s.length
	var room [64]byte
	x.Response.Fields.Add("Content-Range", x.Text(contentRange(room[:0], s, size)))
}
