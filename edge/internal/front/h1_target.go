package front

import (
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// target takes the request's target: origin-form, absolute-form, or "*" of OPTIONS (RFC 9112, section 3.2).
// Bytes from 0x80 are taken as they are, as ALB's guardian and every peer do.
func (h *head) target(target string) refusal {
	r := h.request
	if why := checkTarget(target); why != accepted {
		return why
	}
	if target == "*" {
		if r.Method != "OPTIONS" {
			return bad(ReasonBadURI)
		}
		r.RawPath = "*"
		return accepted
	}
	if target[0] != '/' {
		scheme, rest, ok := strings.Cut(target, "://")
		if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return bad(ReasonBadURI)
		}
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !strings.EqualFold(scheme, r.Scheme) {
			return bad(ReasonHostMismatch)
		}
		h.authority, target = rest[:end], rest[end:]
		if h.authority == "" {
			return bad(ReasonBadURI)
		}
		if target == "" && r.Method == "OPTIONS" {
			r.RawPath = "*" // RFC 9112, section 3.2.4
			return accepted
		}
	}
	r.RawPath, r.RawQuery, r.HasQuery = strings.Cut(target, "?")
	if r.RawPath == "" {
		r.RawPath = "/"
	}
	return checkEscapes(r.RawPath)
}

// checkTarget refuses the bytes that no target may have.
func checkTarget(target string) refusal {
	if target == "" {
		return bad(ReasonMissingURI)
	}
	for i := range len(target) {
		switch c := target[i]; {
		case c == ' ':
			return bad(ReasonSpaceInURI)
		case c == '\r', c == 0, c == '#':
			return bad(ReasonBadURI)
		case c < ' ', c == 0x7f:
			return bad(ReasonAmbiguousURI)
		}
	}
	return accepted
}

// checkEscapes refuses a path with a "%" that no two hexadecimal digits follow (RFC 3986, section 2.1).
func checkEscapes(path string) refusal {
	for i := strings.IndexByte(path, '%'); i >= 0; {
		if i+2 >= len(path) || http1.HexDigit(path[i+1]) < 0 || http1.HexDigit(path[i+2]) < 0 {
			return bad(ReasonBadURI)
		}
		next := strings.IndexByte(path[i+3:], '%')
		if next < 0 {
			break
		}
		i += 3 + next
	}
	return accepted
}

// checkAuthority compares the authority of an absolute-form target with Host. RFC 9112, section 3.2.2 would have us
// prefer the target's; a target behind us may prefer the other, so they must be the same.
func (h *head) checkAuthority() refusal {
	r := h.request
	if h.authority == "" {
		return accepted
	}
	if h.hosts == 0 { // HTTP/1.0
		hostname, ok := exchange.NormalHostname(h.authority)
		if !ok {
			return bad(ReasonBadHost)
		}
		r.Host, r.Hostname = h.authority, hostname
	}
	if !strings.EqualFold(h.authority, r.Host) {
		return bad(ReasonHostMismatch)
	}
	return accepted
}
