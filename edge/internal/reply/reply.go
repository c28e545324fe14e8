// Package reply makes the answers that are edge's own: error pages, problem documents, redirects, fixed words.
//
// It is the one place that does, so that every such answer is safe to send: never an internal detail, no field that a
// visitor's bytes could break out of, not cached, and cheap enough for a flood of them.
//
// In comes what edge itself says to a visitor. What an action says (a target, a site, a module) does not.
package reply

import (
	"errors"

	"golang.org/x/net/http/httpguts"

	"github.com/onehost/edge/edge/internal/exchange"
)

// Error answers x with an error of edge's own: a page for browsers, a problem document (RFC 9457) for programs, by
// what Accept prefers. status is 400 to 599; anything else is taken as 500.
//
// reason is one short snake_case word for the access log (x.Record.ErrorReason); the visitor never sees it.
// What the answer held before is thrown away, but for the fields that belong to an error: Retry-After, Allow,
// WWW-Authenticate, Content-Range and X-Request-Id.
// Once the head has been sent nothing but breaking off can tell the visitor that something is wrong: x is aborted.
func Error(x *exchange.Exchange, status int, reason string) {
	x.Record.ErrorReason = reason
	if x.HeadSent() {
		x.Abort(errors.New(reason))
		return
	}
	if status < 400 || status > 599 {
		status = 500
	}
	b := pages()
	b.send(x, status, &b.errors[status-400])
}

// Maintenance answers 503 with a page that says so, and with Retry-After unless there is one.
func Maintenance(x *exchange.Exchange) {
	x.Record.ErrorReason = "maintenance"
	if x.HeadSent() {
		x.Abort(errors.New("maintenance"))
		return
	}
	if !x.Response.Fields.Has("Retry-After") {
		x.Response.Fields.Add("Retry-After", maintenanceRetry)
	}
	b := pages()
	b.send(x, 503, &b.maintenance)
}

// maintenanceRetry is in seconds: often enough that visitors are back soon after, seldom enough to be no load.
const maintenanceRetry = "120"

// send sends p with x's request id in it.
func (b *book) send(x *exchange.Exchange, status int, p *page) {
	f := &p.problem
	if prefersHTML(x.Request.Fields) {
		f = &p.html
	}
	sheet, _ := b.paper.Get().(*[]byte)
	*sheet = f.append((*sheet)[:0], x.ID)

	r := &x.Response
	r.Status = status
	r.Length = int64(len(*sheet))
	r.Trailers = r.Trailers[:0]
	r.Fields.DelFunc(func(f exchange.Field) bool { return !belongsToError(f.Name) })
	r.Fields = append(r.Fields, f.fields...)
	if _, err := x.Write(*sheet); err == nil {
		b.paper.Put(sheet) // after an error x/net/http2 may still read it
	}
}

func belongsToError(field string) bool {
	switch len(field) { // most fields are told apart by their length alone
	case len("Allow"):
		return exchange.EqualName(field, "Allow")
	case len("Retry-After"):
		return exchange.EqualName(field, "Retry-After")
	case len("X-Request-Id"):
		return exchange.EqualName(field, "X-Request-Id")
	case len("Content-Range"):
		return exchange.EqualName(field, "Content-Range")
	case len("WWW-Authenticate"):
		return exchange.EqualName(field, "WWW-Authenticate")
	}
	return false
}

// Redirect answers x with another place. Bytes of location that no URL has (controls, spaces, quotes, backslashes,
// non-ASCII) are percent-encoded, so that none can end the field or be taken for a slash.
// Fields that were already set stay.
func Redirect(x *exchange.Exchange, location string, status int) {
	x.Response.Status = status
	x.Response.Length = 0
	x.Response.Fields.Set("Location", urlText(location))
	_ = x.SendHead() // a visitor who is gone is the front's to notice
}

// urlText percent-encodes what may not stand in a URL (RFC 3986, section 2). Percent signs are left alone:
// location is a URL already.
func urlText(s string) string {
	bad := 0
	for i := range len(s) {
		if !urlByte(s[i]) {
			bad++
		}
	}
	if bad == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*bad)
	for i := range len(s) {
		if c := s[i]; urlByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func urlByte(c byte) bool {
	switch c {
	case '"', '<', '>', '\\', '^', '`', '{', '|', '}':
		return false
	}
	return ' ' < c && c < 0x7f
}

// Fixed returns a handler that always answers with these words. A media type that no field can hold is taken as
// text/plain; a status that allows no body (204, 304) is sent without one.
func Fixed(status int, mediaType, body string) exchange.Handler {
	if mediaType == "" || !httpguts.ValidHeaderFieldValue(mediaType) {
		mediaType = "text/plain; charset=utf-8"
	}
	f := &fixed{status: status, mediaType: mediaType, body: []byte(body)}
	if status == 204 || status == 304 {
		f.body, f.mediaType = nil, ""
	}
	return f
}

type fixed struct {
	status    int
	mediaType string
	body      []byte
}

func (f *fixed) ServeExchange(x *exchange.Exchange) {
	x.Response.Status = f.status
	x.Response.Length = int64(len(f.body))
	if f.mediaType != "" {
		x.Response.Fields.Set("Content-Type", f.mediaType)
	}
	if len(f.body) == 0 {
		_ = x.SendHead()
		return
	}
	_, _ = x.Write(f.body) // as in Redirect
}
