package front

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// A streamHead is a request of x/net or quic-go on its way to become ours.
//
// They have refused what breaks RFC 9113 or RFC 9114: bytes that no field may have, upper-case names, pseudo-fields that are
// unknown, twice there or late, connection-specific fields, TE other than trailers, an authority that differs from Host.
// They have joined the crumbs of cookies, and look at nothing that matters only to HTTP/1.1: a method or a path with
// spaces would become a request of its own at a target. Of h3 the scheme is not known: quic-go keeps it for itself.
type streamHead struct {
	request  *exchange.Request
	from     *http.Request
	limits   *Limits
	protocol exchange.Protocol
	waits    bool // for a 100, which quic-go leaves to its handlers
	size     int
}

// parse fills the request. Fields are sorted by name: they come in a map, so the visitor's order is lost.
func (h *streamHead) parse() refusal {
	r, from := h.request, h.from
	r.Protocol, r.Scheme, r.Method = h.protocol, "https", from.Method
	if h.isExtendedConnect() {
		if why := h.extendedConnect(); why != accepted {
			return why
		}
	}
	switch {
	case !exchange.IsToken(from.Method):
		return bad(ReasonBadMethod)
	case r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		return refusal{http.StatusMethodNotAllowed, ReasonMethodRefused}
	case from.TLS == nil: // :scheme is not https, but the connection is
		return bad(ReasonHostMismatch)
	}
	if why := h.target(); why != accepted {
		return why
	}
	if why := h.host(); why != accepted {
		return why
	}
	if why := h.fields(); why != accepted {
		return why
	}
	return h.body()
}

func (h *streamHead) target() refusal {
	r, target := h.request, h.from.RequestURI
	h.size = len(r.Method) + len(target) + len("  HTTP/2.0\r\n")
	if h.size-len("\r\n") > h.limits.RequestLine {
		return refusal{http.StatusRequestURITooLong, ReasonRequestLineTooLong}
	}
	if why := checkTarget(target); why != accepted {
		return why
	}
	if target == "*" && r.Method != http.MethodOptions {
		return bad(ReasonBadURI)
	}
	r.RawPath, r.RawQuery, r.HasQuery = strings.Cut(target, "?")
	return checkEscapes(r.RawPath)
}

func (h *streamHead) host() refusal {
	r := h.request
	if h.from.Host == "" {
		return bad(ReasonMissingHost)
	}
	hostname, ok := exchange.NormalHostname(h.from.Host)
	if !ok {
		return bad(ReasonBadHost)
	}
	r.Host, r.Hostname = h.from.Host, hostname
	h.size += len("Host: \r\n") + len(r.Host)
	return accepted
}

func (h *streamHead) fields() refusal {
	for name, values := range h.from.Header {
		for _, value := range values {
			if why := h.field(name, value); why != accepted {
				return why
			}
		}
	}
	if h.size += len("\r\n"); h.size > h.limits.Head {
		return refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonHeadTooLong}
	}
	slices.SortStableFunc(h.request.Fields, func(a, b exchange.Field) int { return strings.Compare(a.Name, b.Name) })
	return accepted
}

func (h *streamHead) field(name, value string) refusal {
	length := len(name) + len(": ") + len(value)
	if length > h.limits.Field {
		return refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonFieldTooLong}
	}
	h.size += length + len("\r\n")
	if http1.Trim(value) != value {
		return bad(ReasonNonCompliantHeader) // RFC 9113, section 8.2.1
	}
	switch name {
	case "Content-Length", "Host": // body's business; the same as the authority, which quic-go has seen to
		return accepted
	case "Te":
		h.request.AcceptTrailers = h.request.AcceptTrailers || hasToken(value, "trailers")
	case "Expect": // x/net has taken 100-continue out
		if h.protocol == exchange.HTTP3 && strings.EqualFold(value, "100-continue") {
			h.waits = true
			return accepted
		}
		return refusal{http.StatusExpectationFailed, ReasonUnknownExpectation}
	}
	if looksLikeFraming(name) {
		return bad(ReasonSuspiciousHeader)
	}
	if len(h.request.Fields) == h.limits.Fields {
		return refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonTooManyFields}
	}
	h.request.Fields.Add(name, value)
	return accepted
}

// body takes the length. x/net believes the first of several Content-Lengths, takes a bad one for 0, and does not
// compare one with a stream that ends with its head; all three are malformed (RFC 9113, section 8.1.1).
func (h *streamHead) body() refusal {
	r := h.request
	if r.Upgrade != "" {
		return accepted // a stream that stays open and has no body
	}
	r.Length = h.from.ContentLength
	declared := head{request: &exchange.Request{}}
	for _, value := range h.from.Header["Content-Length"] {
		if why := declared.contentLength(value); why != accepted {
			return why
		}
	}
	if declared.lengths > 0 && declared.request.Length != r.Length {
		return bad(ReasonBadContentLength)
	}
	if bodyless(r.Method) && r.Length > 0 {
		return bad(ReasonUndefinedLength)
	}
	return accepted
}

// bodyless says of which methods a body has no meaning (RFC 9110, section 9.3.1), which strictest mode refuses.
func bodyless(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// rarelyWithBody says of which methods a body has no meaning either, but is let through. With length unknown it would
// be sent on in chunks, though it is empty nearly always.
func rarelyWithBody(method string) bool {
	return method == http.MethodDelete || method == http.MethodOptions
}

// isGRPC says whether a Content-Type is gRPC's, of whatever encoding (application/grpc+proto).
func isGRPC(kind string) bool {
	const grpc = "application/grpc"
	return len(kind) >= len(grpc) && strings.EqualFold(kind[:len(grpc)], grpc)
}

// refuse answers shortly. The connection goes on: its framing is beyond doubt.
func (st *stream) refuse(why refusal) {
	id := st.of.s.noteRefusal(why, Refusal{Peer: st.x.Peer, Local: st.x.Local, Secure: true})
	kind, body := why.page(strings.Contains(st.r.Header.Get("Accept"), "text/html"))
	h := st.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	if id != "" {
		h.Set("X-Request-Id", id)
	}
	if why.status == http.StatusMethodNotAllowed {
		h.Set("Allow", allow)
	}
	st.w.WriteHeader(why.status)
	_, _ = st.w.Write([]byte(body)) // a visitor who is gone needs no answer
}
