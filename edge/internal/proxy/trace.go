package proxy

import (
	"math/rand/v2"
	"strings"
	"time"
)

// maxTraced is how many bytes of request fields leave room for a trace field that somebody else filled: over it ALB
// writes the field anew with a Root only (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html).
const maxTraced = 7 << 10

// appendTrace appends the X-Amzn-Trace-Id that a target gets, from the one that came. As ALB does it: a Root is made if
// there is no valid one; where there is one, Self says this hop, in front; an older Self goes; all else stays as it is.
// large says that the request's fields are over maxTraced.
func appendTrace(b []byte, came string, large bool, now time.Time) []byte {
	root, custom := traceParts(came)
	if root != "" && large {
		return append(b, root...)
	}
	if root == "" {
		b = appendTraceID(append(b, "Root="...), now)
	} else {
		b = appendTraceID(append(b, "Self="...), now)
		b = append(append(b, ';'), root...)
	}
	if custom && !large {
		for part := range strings.SplitSeq(came, ";") {
			part = strings.TrimSpace(part)
			if part != "" && !isTracePart(part, "Root=") && !isTracePart(part, "Self=") {
				b = append(append(b, ';'), part...)
			}
		}
	}
	return b
}

// traceParts returns the first valid "Root=…" and whether there are parts beside Root and Self.
func traceParts(came string) (root string, custom bool) {
	if came == "" {
		return "", false
	}
	for part := range strings.SplitSeq(came, ";") {
		part = strings.TrimSpace(part)
		switch {
		case isTracePart(part, "Root="):
			if root == "" && isTraceID(part[len("Root="):]) {
				root = part
			}
		case part != "" && !isTracePart(part, "Self="):
			custom = true
		}
	}
	return root, custom
}

func isTracePart(part, name string) bool {
	return len(part) >= len(name) && strings.EqualFold(part[:len(name)], name)
}

// isTraceID reports whether id is 1-8HEX-24HEX.
func isTraceID(id string) bool {
	if len(id) != 35 || id[:2] != "1-" || id[10] != '-' {
		return false
	}
	return isHex(id[2:10]) && isHex(id[11:])
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func appendTraceID(b []byte, now time.Time) []byte {
	b = append(b, "1-"...)
	b = appendHex(b, uint64(now.Unix()), 8)
	b = append(b, '-')
	b = appendHex(b, rand.Uint64(), 16)
	return appendHex(b, rand.Uint64(), 8)
}

// appendHex appends the lowest n hexadecimal digits of v.
func appendHex(b []byte, v uint64, n int) []byte {
	for shift := 4 * (n - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&0xf])
	}
	return b
}
