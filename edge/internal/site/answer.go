package site

import (
	"net/http"
	"strconv"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// serve answers with a file that is there.
func (s *Site) serve(x *exchange.Exchange, f *file) {
	q := questionOf(x.Fields)
	v := choose(f.variants(), &q)
	switch {
	case v == nil:
		reply.Error(x, 406, "no_acceptable_coding")
	case v.data != nil || v.length == 0:
		answer(x, &q, v, nil)
	default:
		s.serveFromDisk(x, &q, f, v)
	}
}

// answer sends v, or what of it the request's conditions and ranges leave. d is where its bytes are if not in v.data.
//
// Ranges are those of the variant that was chosen, compressed or not, as nginx does with precompressed files: its strong
// ETag keeps ranges of different codings apart. Browsers ask for ranges of the plain file.
func answer(x *exchange.Exchange, q *question, v *variant, d *disk) {
	switch precondition(q, v) {
	case 304:
		x.Response.Status = 304
		x.Response.Fields = append(x.Response.Fields, v.notModified...)
		return
	case 412:
		reply.Error(x, 412, "precondition_failed")
		return
	}
	if q.ranges != nil && x.Method == http.MethodGet && rangeHolds(q, v) {
		parts, verdict := parseRange(*q.ranges, v.length)
		switch verdict {
		case whole:
		case unsatisfiable:
			var room [64]byte
			x.Response.Fields.Add("Content-Range", x.Text(strconv.AppendInt(append(room[:0], "bytes */"...), v.length, 10)))
			reply.Error(x, 416, "range_not_satisfiable")
			return
		case partial:
			answerParts(x, v, d, parts.all())
			return
		}
	}
	x.Response.Status, x.Response.Length = 200, v.length
	x.Response.Fields = append(x.Response.Fields, v.fields...)
	send(x, v, d, span{0, v.length})
}

// answerParts sends one range as it is, several in a multipart body.
func answerParts(x *exchange.Exchange, v *variant, d *disk, parts []span) {
	x.Response.Fields = append(x.Response.Fields, v.fields...)
	if len(parts) == 1 {
		addRange(x, parts[0], v.length)
		send(x, v, d, parts[0])
		return
	}
	m := newMultipart(parts, v)
	x.Response.Status, x.Response.Length = 206, m.length
	x.Response.Fields.Set("Content-Type", m.contentType)
	for i, p := range parts {
		if _, err := x.Write(m.before(i)); err != nil || !send(x, v, d, p) {
			return
		}
	}
	_, _ = x.Write(m.before(len(parts))) // the front knows
}

// send writes a part of v and reports whether the answer may go on.
func send(x *exchange.Exchange, v *variant, d *disk, part span) bool {
	switch {
	case x.Method == http.MethodHead:
		return true
	case d != nil:
		return d.send(x, part)
	}
	_, err := x.Write(v.data[part.from : part.from+part.length])
	return err == nil
}
