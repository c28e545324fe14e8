package chain

import (
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A fieldKind says what the chain does with a field of a request.
type fieldKind uint8

const (
	endToEnd   fieldKind = iota // goes on, unless Connection names it
	kept                        // goes on whatever Connection says
	forwarding                  // says who asked: kept from a trusted proxy, dropped from anybody else
	hopByHop                    // concerns this connection only (RFC 9110, section 7.6.1)
	connection                  // hop by hop too, and names others that are
	requestID                   // goes on as Exchange.ID
	malformed                   // has a name that some servers read as another one
)

// maxConnectionOptions bounds the work that a Connection field can cause; browsers and proxies name one or two.
const maxConnectionOptions = 32

// special are the field names that aren't endToEnd, beside the two families of forwarding fields.
//
// Trailer isn't hop by hop: it announces trailers, which go on. Proxy-Authorization is for the first proxy that expects it,
// and this one never asked (RFC 9110, section 11.7.2).
var special = [...]specialField{
	{"TE", hopByHop},
	{"Host", kept},
	{"Upgrade", hopByHop},
	{"Forwarded", forwarding},
	{"X-Real-IP", forwarding},
	{"Connection", connection},
	{"Keep-Alive", hopByHop},
	{"X-Request-Id", requestID},
	{"Content-Length", kept},
	{"HTTP2-Settings", hopByHop},
	{"X-Amzn-Trace-Id", kept},
	{"Proxy-Connection", hopByHop},
	{"Transfer-Encoding", hopByHop},
	{"Proxy-Authorization", hopByHop},
}

type specialField struct {
	name string
	kind fieldKind
}

// specialOfLength are the same by the length of their names. It is never changed.
var specialOfLength = func() (fields [len("Proxy-Authorization") + 1][]specialField) {
	for _, f := range special {
		fields[len(f.name)] = append(fields[len(f.name)], f)
	}
	return fields
}()

func kindOf(name string) fieldKind {
	if !exchange.IsPlainName(name) {
		return malformed
	}
	if len(name) < len(specialOfLength) {
		for _, f := range specialOfLength[len(name)] {
			if exchange.EqualName(f.name, name) {
				return f.kind
			}
		}
	}
	const family = "X-Forwarded-"
	if len(name) >= len(family) && name[1] == '-' && (exchange.EqualName(name[:len(family)], family) || isMutual(name)) {
		return forwarding
	}
	return endToEnd
}

// cleanFields removes from the request what must not go on: fields of this hop, malformed names, the visitor's own
// request id, and unless the peer is a trusted proxy what says who asked. It returns the request id that was sent
// and how many malformed names were dropped; ok is false when Connection names more than a sane sender does.
func cleanFields(x *exchange.Exchange, trusted bool) (id string, dropped int, ok bool) {
	var room [4]string
	options := room[:0] // values of Connection
	left := 0
	for i := range x.Fields {
		f := &x.Fields[i]
		switch kindOf(f.Name) {
		case forwarding:
			if !trusted {
				continue
			}
		case connection:
			options = append(options, f.Value)
			continue
		case requestID:
			id = f.Value
			continue
		case malformed:
			dropped++
			continue
		case hopByHop:
			continue
		case endToEnd, kept:
		}
		if left < i {
			x.Fields[left] = *f
		}
		left++
	}
	clear(x.Fields[left:])
	x.Fields = x.Fields[:left]
	return id, dropped, dropNamed(x, options)
}

// dropNamed removes the fields that Connection names. It may name any field, a credential too: to take something away from
// one's own request harms nobody. But what this or a trusted proxy says about the visitor stays, and so does framing.
func dropNamed(x *exchange.Exchange, options []string) bool {
	named := 0
	for _, list := range options {
		for option := range strings.SplitSeq(list, ",") {
			option = strings.Trim(option, " \t")
			if option == "" || exchange.EqualName(option, "keep-alive") || exchange.EqualName(option, "close") {
				continue
			}
			if named++; named > maxConnectionOptions {
				return false
			}
			if kindOf(option) == endToEnd {
				x.Fields.Del(option)
			}
		}
	}
	return true
}
