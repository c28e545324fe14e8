package front

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/onehost/edge/edge/internal/exchange"
)

// Reasons for which a request is refused. Those that ALB's desync mitigation has too are called as there
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html,
// classification_reason; https://github.com/aws/http-desync-guardian). Where ALB's mode "strictest" lets
// nothing but the class Compliant through, so does this front.
const (
	ReasonBadMethod            = "bad_method"                            // not a token
	ReasonMissingURI           = "missing_uri"                           // no target in the request line
	ReasonBadURI               = "bad_uri"                               // CR, NUL, a broken percent-encoding, a fragment, no known form
	ReasonAmbiguousURI         = "ambiguous_uri"                         // other control characters, userinfo
	ReasonSpaceInURI           = "space_in_uri"                          //
	ReasonBadVersion           = "bad_version"                           // no version at all
	ReasonNonCompliantVersion  = "non_compliant_version"                 // not 1.0 or 1.1; HTTP/0.9 too
	ReasonBadLineEnd           = "non_cr_lf_line_termination"            // LF without CR
	ReasonEmptyLine            = "empty_line"                            // before the request line
	ReasonMultilineHeader      = "multiline_header"                      // obs-fold
	ReasonMissingHeaderColon   = "missing_header_colon"                  //
	ReasonEmptyHeader          = "empty_header"                          // a field without a name
	ReasonBadHeader            = "bad_header"                            // NUL or CR in a name or value
	ReasonNonCompliantHeader   = "non_compliant_header"                  // a name that is no token, a control character in a value
	ReasonSuspiciousHeader     = "suspicious_header"                     // a framing field's name but for punctuation
	ReasonBadContentLength     = "bad_content_length"                    //
	ReasonDuplicateLength      = "duplicate_content_length"              // the same value twice
	ReasonMultipleLength       = "multiple_content_length"               // different values
	ReasonBothLengthAndChunked = "both_te_cl_present"                    //
	ReasonBadTransferEncoding  = "bad_transfer_encoding"                 // anything but chunked
	ReasonMultipleChunked      = "multiple_transfer_encoding_chunked"    // more than one Transfer-Encoding, or chunked twice
	ReasonUndefinedEncoding    = "undefined_transfer_encoding_semantics" // with HTTP/1.0, GET or HEAD
	ReasonUndefinedLength      = "undefined_content_length_semantics"    // a body of GET or HEAD
	ReasonZeroLength           = "get_head_zero_content_length"          // Content-Length: 0 of GET or HEAD: class Acceptable, which strictest refuses
	ReasonMissingHost          = "missing_host"
	ReasonMultipleHost         = "multiple_host"
	ReasonBadHost              = "bad_host"
	ReasonHostMismatch         = "host_mismatch"    // the target's scheme or authority is not what Host and the connection say
	ReasonMethodRefused        = "method_refused"   // TRACE, CONNECT
	ReasonUnknownProtocol      = "unknown_protocol" // an extended CONNECT for anything but websocket
	ReasonUnknownExpectation   = "unknown_expectation"
	ReasonBadTrailer           = "bad_trailer" // Trailer announces a framing field
	ReasonRequestLineTooLong   = "request_line_too_long"
	ReasonFieldTooLong         = "field_too_long"
	ReasonHeadTooLong          = "head_too_long"
	ReasonTooManyFields        = "too_many_fields"
	ReasonHeadTimeout          = "head_timeout"
	ReasonPlainOnTLS           = "plain_http_on_tls"
	ReasonTLSOnPlain           = "tls_on_plain_http"
)

// A refusal is why a head is not taken. Its zero value says that it is.
type refusal struct {
	status int
	reason string
}

func bad(reason string) refusal { return refusal{http.StatusBadRequest, reason} }

var accepted = refusal{}

// Allow is the field that RFC 9110, section 15.5.6 wants of a 405.
const allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// noteRefusal counts a refusal, tells who wants to know, and returns the request id that was given to it.
func (s *Server) noteRefusal(why refusal, r Refusal) (id string) {
	s.refusals.Add(1)
	r.Status, r.Reason = why.status, why.reason
	if s.refused != nil {
		s.refused(&r)
	}
	if !exchange.IsFieldValue(r.ID) {
		return ""
	}
	return r.ID
}

// page is what the visitor reads: HTML for a browser, RFC 9457 for a program.
func (why refusal) page(browser bool) (kind, body string) {
	status, text := strconv.Itoa(why.status), http.StatusText(why.status)
	if browser {
		return "text/html; charset=utf-8", "<!doctype html><title>" + status + " " + text + "</title><h1>" + status + " " + text + "</h1>\n"
	}
	return "application/problem+json", `{"title":"` + text + `","status":` + status + "}\n"
}

// refuse answers shortly and ends the connection: where the next request begins is not known any more.
func (h *h1) refuse(why refusal) {
	id := h.s.noteRefusal(why, Refusal{Peer: h.line.peer, Local: h.line.local, Secure: h.tls != nil})
	h.line.state.Store(stateOf(phaseLinger, h.s.clock.now()))
	// A browser's Accept, wherever it stands: there may be too many cookies before it.
	kind, body := why.page(bytes.Contains(h.in.Unread(), []byte("text/html")))
	w := appendStatus(nil, why.status)
	w = append(w, "Date: "+(*h.s.clock.date.Load())[0]+"\r\nContent-Type: "+kind+
		"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"...)
	if id != "" {
		w = append(w, "X-Request-Id: "+id+"\r\n"...)
	}
	if why.status == http.StatusMethodNotAllowed {
		w = append(w, "Allow: "+allow+"\r\n"...)
	}
	w = append(append(w, '\r', '\n'), body...)
	if _, err := h.conn.Write(w); err == nil {
		h.farewell(true)
	}
}
