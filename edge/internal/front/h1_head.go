package front

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// A headScan finds the end of a head in bytes that arrive bit by bit, looking at each byte once.
// It refuses what is certain to be refused as soon as it is there, and never waits for more of it.
type headScan struct {
	at    int // scanned up to here
	line  int // where the current line begins
	lines int
}

// find returns the length of the head with its empty line, or 0 if more bytes are needed.
func (s *headScan) find(b []byte, limits *Limits) (int, refusal) {
	if s.at == 0 && len(b) > 0 {
		if why := firstByte(b[0]); why != accepted {
			return 0, why
		}
	}
	for {
		i := bytes.IndexByte(b[s.at:], '\n')
		if i < 0 {
			s.at = len(b)
			return 0, s.tooLong(len(b)-s.line, len(b), limits)
		}
		lf := s.at + i
		if lf == 0 || b[lf-1] != '\r' {
			return 0, bad(ReasonBadLineEnd)
		}
		length := lf - 1 - s.line
		if why := s.tooLong(length, lf+1, limits); why != accepted {
			return 0, why
		}
		s.at, s.line = lf+1, lf+1
		if length == 0 {
			return lf + 1, accepted
		}
		if s.lines++; s.lines > limits.Fields+1 {
			return 0, refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonTooManyFields}
		}
	}
}

// firstByte tells early what is no HTTP at all. An empty line before the request line, which RFC 9112, section 2.2
// would have us skip, is refused: no living client sends one, and net/http takes none either.
func firstByte(c byte) refusal {
	switch {
	case c == 0x16: // a TLS record with a handshake
		return bad(ReasonTLSOnPlain)
	case c == '\r', c == '\n':
		return bad(ReasonEmptyLine)
	case !exchange.IsTokenByte(c):
		return bad(ReasonBadMethod)
	}
	return accepted
}

func (s *headScan) tooLong(line, all int, limits *Limits) refusal {
	switch {
	case s.lines == 0 && line > limits.RequestLine:
		return refusal{http.StatusRequestURITooLong, ReasonRequestLineTooLong}
	case s.lines > 0 && line > limits.Field:
		return refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonFieldTooLong}
	case all > limits.Head:
		return refusal{http.StatusRequestHeaderFieldsTooLarge, ReasonHeadTooLong}
	}
	return accepted
}

// A head is what a request's head says that matters to the connection, while it is being parsed and afterwards.
type head struct {
	request *exchange.Request

	close     bool // the visitor wants no further exchange
	keepAlive bool // HTTP/1.0: he wants one
	upgrade   bool // Connection names Upgrade
	expect    bool // Expect: 100-continue
	chunked   bool

	hosts     int
	lengths   int
	authority string // of a target in absolute-form
}

// parse reads a whole head, which headScan has found, into request. All strings are parts of text.
// Request.Scheme must be set.
func (h *head) parse(text string, request *exchange.Request) refusal {
	*h = head{request: request}
	request.Length = 0
	line, rest, _ := strings.Cut(text, "\r\n")
	if why := h.requestLine(line); why != accepted {
		return why
	}
	for rest != "\r\n" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, why := parseField(line)
		if why == accepted {
			why = h.field(name, value)
		}
		if why != accepted {
			return why
		}
	}
	return h.judge()
}

// requestLine parses method SP target SP version (RFC 9112, section 3).
func (h *head) requestLine(line string) refusal {
	r := h.request
	method, rest, ok := strings.Cut(line, " ")
	if !exchange.IsToken(method) {
		return bad(ReasonBadMethod)
	}
	if !ok || rest == "" {
		return bad(ReasonMissingURI)
	}
	space := strings.LastIndexByte(rest, ' ')
	if space < 0 {
		if strings.HasPrefix(rest, "HTTP/") {
			return bad(ReasonMissingURI)
		}
		return refusal{http.StatusHTTPVersionNotSupported, ReasonNonCompliantVersion} // HTTP/0.9
	}
	target, version := rest[:space], rest[space+1:]
	r.Method = method
	switch version {
	case "HTTP/1.1":
		r.Protocol = exchange.HTTP11
	case "HTTP/1.0":
		r.Protocol = exchange.HTTP10
	default:
		if len(version) == 8 && version[:5] == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
			return refusal{http.StatusHTTPVersionNotSupported, ReasonNonCompliantVersion}
		}
		return bad(ReasonBadVersion)
	}
	if method == http.MethodConnect || method == http.MethodTrace {
		return refusal{http.StatusMethodNotAllowed, ReasonMethodRefused}
	}
	return h.target(target)
}

// parseField splits a line into name and value (RFC 9112, section 5). Values may have obs-text (bytes from 0x80),
// which the guardian takes for compliant too, but no control characters.
func parseField(line string) (name, value string, why refusal) {
	if line[0] == ' ' || line[0] == '\t' {
		return "", "", bad(ReasonMultilineHeader)
	}
	colon := strings.IndexByte(line, ':')
	switch {
	case colon < 0:
		return "", "", bad(ReasonMissingHeaderColon)
	case colon == 0:
		return "", "", bad(ReasonEmptyHeader)
	}
	name = line[:colon]
	if !exchange.IsToken(name) {
		if looksLikeFraming(name) {
			return "", "", bad(ReasonSuspiciousHeader)
		}
		return "", "", badHeader(name)
	}
	value = http1.Trim(line[colon+1:])
	if !exchange.IsFieldValue(value) {
		return "", "", badHeader(value)
	}
	return name, value, accepted
}

func badHeader(s string) refusal {
	if strings.ContainsAny(s, "\r\x00") {
		return bad(ReasonBadHeader)
	}
	return bad(ReasonNonCompliantHeader)
}

// field takes one field. The names that matter have lengths of their own, so most fields cost one comparison.
func (h *head) field(name, value string) refusal {
	is := exchange.EqualName
	switch len(name) {
	case 2:
		if is(name, "TE") {
			h.request.AcceptTrailers = h.request.AcceptTrailers || hasToken(value, "trailers")
		}
	case 4:
		if is(name, "Host") {
			return h.host(value)
		}
	case 6:
		if is(name, "Expect") && h.request.Protocol == exchange.HTTP11 {
			if !strings.EqualFold(value, "100-continue") {
				return refusal{http.StatusExpectationFailed, ReasonUnknownExpectation}
			}
			h.expect = true
		}
	case 7:
		if is(name, "Upgrade") {
			h.request.Upgrade = value
		} else if is(name, "Trailer") && listsFraming(value) {
			return bad(ReasonBadTrailer)
		}
	case 10:
		if is(name, "Connection") {
			h.close = h.close || hasToken(value, "close")
			h.keepAlive = h.keepAlive || hasToken(value, "keep-alive")
			h.upgrade = h.upgrade || hasToken(value, "upgrade")
		}
	case len(contentLength):
		if is(name, contentLength) {
			return h.contentLength(value)
		}
	case len(transferEncoding):
		if is(name, transferEncoding) {
			return h.transferEncoding(value)
		}
	}
	if looksLikeFraming(name) {
		return bad(ReasonSuspiciousHeader)
	}
	h.request.Fields.Add(name, value)
	return accepted
}

const (
	contentLength    = "content-length"
	transferEncoding = "transfer-encoding"
)

func (h *head) host(value string) refusal {
	if h.hosts++; h.hosts > 1 {
		return bad(ReasonMultipleHost)
	}
	hostname, ok := exchange.NormalHostname(value)
	if !ok {
		return bad(ReasonBadHost)
	}
	h.request.Host, h.request.Hostname = value, hostname
	return accepted
}

// contentLength takes 1 to 18 digits: no sign, no list, no overflow (RFC 9110, section 8.6).
func (h *head) contentLength(value string) refusal {
	if value == "" || len(value) > 18 {
		return bad(ReasonBadContentLength)
	}
	var n int64
	for i := range len(value) {
		if !isDigit(value[i]) {
			return bad(ReasonBadContentLength)
		}
		n = n*10 + int64(value[i]-'0')
	}
	if h.lengths++; h.lengths > 1 {
		if n == h.request.Length {
			return bad(ReasonDuplicateLength)
		}
		return bad(ReasonMultipleLength)
	}
	h.request.Length = n
	return accepted
}

// transferEncoding takes "chunked" and nothing else. The guardian also lets through codings before it; no browser or
// library sends them, and a server that does not implement one should answer 501 (RFC 9112, section 6.1).
func (h *head) transferEncoding(value string) refusal {
	if h.chunked {
		return bad(ReasonMultipleChunked)
	}
	if strings.EqualFold(value, "chunked") {
		h.chunked = true
		return accepted
	}
	chunked := 0
	for coding := range strings.SplitSeq(value, ",") {
		coding, _, _ = strings.Cut(coding, ";")
		coding = http1.Trim(coding)
		if !exchange.IsToken(coding) {
			return bad(ReasonBadTransferEncoding)
		}
		if strings.EqualFold(coding, "chunked") {
			chunked++
		}
	}
	if chunked > 1 {
		return bad(ReasonMultipleChunked)
	}
	return refusal{http.StatusNotImplemented, ReasonBadTransferEncoding}
}

// judge is what can be said only when all fields are known.
func (h *head) judge() refusal {
	r := h.request
	if h.hosts == 0 && r.Protocol == exchange.HTTP11 {
		return bad(ReasonMissingHost)
	}
	noBody := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case h.chunked && h.lengths > 0:
		return bad(ReasonBothLengthAndChunked)
	case h.chunked && (r.Protocol == exchange.HTTP10 || noBody):
		return bad(ReasonUndefinedEncoding)
	case noBody && r.Length > 0:
		return bad(ReasonUndefinedLength)
	case noBody && h.lengths > 0:
		return bad(ReasonZeroLength)
	case h.chunked:
		r.Length = -1
	}
	if h.expect && r.Length == 0 {
		h.expect = false
	}
	// A switch of protocols with a body, or by HTTP/1.0, which has none (RFC 9110, section 7.8), is not asked for.
	if !h.upgrade || r.Protocol == exchange.HTTP10 || r.Length != 0 {
		r.Upgrade = ""
	}
	r.Upgrade = strings.ToLower(r.Upgrade)
	return h.checkAuthority()
}
