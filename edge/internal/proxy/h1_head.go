package proxy

import (
	"bytes"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// errSplit says that a request's head would have more lines than it should.
var errSplit = errors.New("proxy: a line end within a part of the request's head")

// appendHead appends the head of the attempt's request: path and query byte by byte as they came, fields in the visitor's
// order and spelling, and nothing invented. key is what a handshake by a later version than HTTP/1.1 had not.
func (w *h1Way) appendHead(b []byte, a *attempt) (_ []byte, key webSocketKey, err error) {
	x, begin := a.x, len(b)
	b = append(b, x.Method...)
	b = append(b, ' ')
	b = append(b, x.RawPath...)
	if x.HasQuery {
		b = append(b, '?')
		b = append(b, x.RawQuery...)
	}
	b = append(b, " HTTP/1.1\r\n"...)
	host := x.Host
	if host == "" {
		host = w.host
	}
	b = appendField(b, "Host", host)
	lines := 2
	for i := range x.Request.Fields {
		f := &x.Request.Fields[i]
		if isOurs(x, f.Name) {
			continue
		}
		b = appendField(b, f.Name, f.Value)
		lines++
	}
	if wantsSwitch(x) {
		key = newWebSocketKey(x)
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
		lines += 2
		if key != "" {
			b = appendField(b, "Sec-WebSocket-Key", string(key))
			lines++
		}
	}
	b, framing := appendFraming(b, x)
	b = append(b, '\r', '\n')
	if bytes.Count(b[begin:], []byte{'\n'}) != lines+framing+1 || bytes.Count(b[begin:], []byte{'\r'}) != lines+framing+1 {
		return b, key, errSplit
	}
	return b, key, nil
}

// isOurs reports whether a field of the request is written by appendFraming, or not at all.
func isOurs(x *exchange.Exchange, name string) bool {
	switch len(name) {
	case 7:
		return exchange.EqualName(name, "Trailer")
	case len("Sec-WebSocket-Key"): // the visitor's own, where his protocol has none
		return wantsSwitch(x) && x.Protocol > exchange.HTTP11 && exchange.EqualName(name, "Sec-WebSocket-Key")
	case 6:
		return x.Protocol == exchange.HTTP10 && exchange.EqualName(name, "Expect") // nobody would pass the 100 on
	}
	return false
}

// appendFraming tells how the body ends (RFC 9112, section 6), and how many lines that takes.
func appendFraming(b []byte, x *exchange.Exchange) ([]byte, int) {
	switch n := x.Request.Length; {
	case n > 0 || n == 0 && expectsBody(x.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, n, 10)
		return append(b, '\r', '\n'), 1
	case n == 0:
		return b, 0
	}
	b = append(b, "Transfer-Encoding: chunked\r\n"...)
	lines, separator := 1, "Trailer: "
	for v := range x.Request.Fields.Values("Trailer") {
		for name := range namesIn(v) {
			if isRequestTrailer(x, name) { // some servers, Go's among them, hand over no others
				b = append(append(b, separator...), name...)
				separator = ", "
			}
		}
	}
	if separator == ", " {
		b = append(b, '\r', '\n')
		lines++
	}
	return b, lines
}

// expectsBody says of which methods a request without a body says so (RFC 9110, section 8.6).
func expectsBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, '\r', '\n')
}

// namesIn yields the members of a comma-separated list of names.
func namesIn(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.Trim(name, " \t"); name != "" && !yield(name) {
				return
			}
		}
	}
}
