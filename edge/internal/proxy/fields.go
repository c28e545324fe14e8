package proxy

import (
	"slices"
	"strconv"

	"github.com/onehost/edge/edge/internal/exchange"
)

// addForwarded completes the request's fields with what a target is told about the visitor. What the chain has left of
// these fields was said by a trusted proxy.
func (p *Proxy) addForwarded(x *exchange.Exchange) {
	fields := &x.Request.Fields
	var room [128]byte
	if peer := x.Peer.Addr().Unmap(); peer.IsValid() {
		said := appendList(room[:0], *fields, "X-Forwarded-For")
		fields.Set("X-Forwarded-For", x.Text(peer.AppendTo(said)))
	}
	addMissing(fields, "X-Forwarded-Proto", x.Scheme)
	if !fields.Has("X-Forwarded-Port") {
		fields.Add("X-Forwarded-Port", p.port(x))
	}
	addMissing(fields, "X-Forwarded-Host", x.Host)
	fields.Set("X-Request-Id", x.ID)
	came := fields.Get("X-Amzn-Trace-Id")
	fields.Set("X-Amzn-Trace-Id", x.Text(appendTrace(room[:0], came, size(*fields) > maxTraced, x.Record.Start)))
}

// port is where the visitor's connection went to.
func (p *Proxy) port(x *exchange.Exchange) string {
	if x.Scheme == "https" && p.publicPort != "" {
		return p.publicPort
	}
	var room [5]byte
	return x.Text(strconv.AppendUint(room[:0], uint64(x.Local.Port()), 10))
}

// appendList appends the values of a list field, each with a comma behind it.
func appendList(b []byte, fields exchange.Fields, name string) []byte {
	for v := range fields.Values(name) {
		if v != "" {
			b = append(append(b, v...), ", "...)
		}
	}
	return b
}

func addMissing(fields *exchange.Fields, name, value string) {
	if value != "" && !fields.Has(name) {
		fields.Add(name, value)
	}
}

// size is what the fields take on the wire.
func size(fields exchange.Fields) int {
	n := 0
	for i := range fields {
		n += len(fields[i].Name) + len(": ") + len(fields[i].Value) + len("\r\n")
	}
	return n
}

// isHop reports whether a field of an answer is for this one connection, or framing.
func isHop(name string) bool {
	return exchange.IsFraming(name) || exchange.EqualName(name, "Proxy-Authenticate")
}

// isTrailer reports whether a field may stand in the trailers at all: nothing that framing, routing or the format of the
// content depends on, in either direction (RFC 9110, section 6.5.1).
func isTrailer(name string) bool {
	return !isHop(name) && !isOneOf(name, notByTrailer[:])
}

var notByTrailer = [...]string{
	"Host", "Content-Type", "Content-Encoding", "Content-Range", "Cache-Control", "Pragma", "X-Request-Id",
}

// notByRequestTrailer are, beside those, fields that a target must not get from a visitor behind the body: what only edge
// says, and what authenticates or modifies a request.
var notByRequestTrailer = [...]string{
	"Forwarded", "X-Real-IP", "Authorization", "Proxy-Authorization", "Cookie", "Expect", "Max-Forwards", "HTTP2-Settings",
	"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range",
}

// notByAnswerTrailer are those that a visitor must not get: what sets cookies, authenticates or controls the answer.
var notByAnswerTrailer = [...]string{
	"Set-Cookie", "Clear-Site-Data", "WWW-Authenticate", "Strict-Transport-Security", "Content-Security-Policy",
	"Age", "Date", "Expires", "Location", "Refresh", "Retry-After", "Vary", "Warning",
}

// isRequestTrailer reports whether a target may get a field in the trailers. Servers may take trailers for header
// fields (RFC 9110, section 6.5.1), so what the chain keeps out of the head must not come after it, under no spelling; nor
// may anything be said once more that the head says, perhaps because a rule has set it.
func isRequestTrailer(x *exchange.Exchange, name string) bool {
	return isTrailer(name) && exchange.IsPlainName(name) && !hasPrefix(name, "X-Forwarded-") && !hasPrefix(name, "X-Amzn-") &&
		!isOneOf(name, notByRequestTrailer[:]) && !x.Request.Fields.Has(name)
}

// isAnswerTrailer reports whether a visitor may get a field in the trailers.
func isAnswerTrailer(name string) bool {
	return isTrailer(name) && !hasPrefix(name, "Access-Control-") && !isOneOf(name, notByAnswerTrailer[:])
}

func isOneOf(name string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return exchange.EqualName(n, name) })
}

func hasPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && exchange.EqualName(name[:len(prefix)], prefix)
}
