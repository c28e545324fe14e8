package exchange

import (
	"errors"
	"strings"
)

// Why NormalPath refuses a path.
var (
	errPathStart     = errors.New("path does not begin with a slash")
	errPathByte      = errors.New("path has a byte that no path may have")
	errPathEscape    = errors.New("path has a broken percent-encoding")
	errPathAmbiguous = errors.New("path has a dot segment that servers read in different ways")
)

// NormalPath returns the path as sent in the one form that rules are matched against (RFC 3986, section 6.2.2):
// percent-encoded letters, digits and "-._~" are decoded, other percent-encodings are in upper case, bytes that RFC 3986
// wants encoded are, and dot segments are removed. It does not allocate when raw is that already, but for
// odd names such as "..." and long paths with percent-encodings. Doing it twice changes nothing.
//
// An encoded slash (%2F) stays one: whether it separates segments only the target knows. Slashes in a row stay too: the
// segments between them are empty but part of the name (RFC 3986, section 3.3), and ALB keeps them; so a rule for /admin
// does not hold for //admin.
//
// The target gets the path as it was sent. So what servers are known to read in different ways is refused here, lest a
// rule match one path and the target serve another:
//   - %00, spaces and control bytes, "?" and "#", which end a path;
//   - a backslash: RFC 3986 has none, browsers send a slash instead, some servers take it for a slash;
//   - a percent sign without two hexadecimal digits;
//   - a dot segment that shows only once %2F or %5C is decoded ("/a%2f..%2fb") or path parameters are cut off ("/..;/");
//   - ".." behind a segment that a server may merge with its neighbours or split ("/a//../b", "/a/;/../b", "/a%2Fb/../c"):
//     how far up it leads depends on that.
//
// "*" (OPTIONS *) is returned as it is.
func NormalPath(raw string) (string, error) {
	if raw == "*" {
		return raw, nil
	}
	if raw == "" || raw[0] != '/' {
		return "", errPathStart
	}
	path, err := normalBytes(raw)
	if err != nil || !mayHaveDots(path) {
		return path, err
	}
	return removeDots(path)
}

// pathRoom is how many bytes of a path are worked on without allocating.
const pathRoom = 256

// normalBytes brings every byte and percent-encoding into its normal form. It returns raw itself when nothing changes.
func normalBytes(raw string) (string, error) {
	for i := range len(raw) {
		if pathBytes[raw[i]] != asIs {
			return normalised(raw, i)
		}
	}
	return raw, nil
}

// normalised is normalBytes for who knows that raw[:i] is normal.
func normalised(raw string, i int) (string, error) {
	out := append(make([]byte, 0, pathRoom), raw[:i]...)
	same := true
	for i < len(raw) {
		c, width, encode := raw[i], 1, false
		if c == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", errPathEscape
			}
			c, width = unhex(raw[i+1])<<4|unhex(raw[i+2]), 3
			if c == 0 {
				return "", errPathByte
			}
			encode = !isUnreserved(c)
			same = same && encode && raw[i+1] < 'a' && raw[i+2] < 'a'
		} else if pathBytes[c] != asIs {
			if pathBytes[c] == refused {
				return "", errPathByte
			}
			encode, same = true, false
		}
		if encode {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			out = append(out, c)
		}
		i += width
	}
	if same {
		return raw, nil
	}
	return string(out), nil
}

// mayHaveDots reports whether there may be a dot segment between separators, encoded or not: a dot behind one, and not a name.
func mayHaveDots(path string) bool {
	for i := 1; i < len(path); i++ {
		if path[i] == '.' && (path[i-1] == '/' || i >= 3 && isEncodedSeparator(path[i-3:])) &&
			(i+1 == len(path) || strings.IndexByte("./;%", path[i+1]) >= 0) {
			return true
		}
	}
	return false
}

// removeDots does what RFC 3986, section 5.2.4 does, and refuses what would do something else elsewhere.
func removeDots(path string) (string, error) {
	out := make([]byte, 0, pathRoom)
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if hidesDots(segment) {
			return "", errPathAmbiguous
		}
		switch segment {
		case ".":
		case "..":
			if len(out) > 0 {
				slash := strings.LastIndexByte(string(out), '/')
				if !isPlain(string(out[slash+1:])) {
					return "", errPathAmbiguous
				}
				out = out[:slash]
			}
		default:
			out = append(out, '/')
			out = append(out, segment...)
			continue
		}
		if !more {
			out = append(out, '/')
		}
	}
	if len(out) == 0 {
		return "/", nil
	}
	return string(out), nil
}

// hidesDots reports whether a part of segment is a dot segment: a part between encoded separators, less its parameters.
func hidesDots(segment string) bool {
	start := 0
	for i := 0; i <= len(segment); i++ {
		part := segment[start:i]
		switch {
		case i == len(segment):
			return len(part) < len(segment) && isDots(part)
		case isEncodedSeparator(segment[i:]):
			if isDots(part) {
				return true
			}
			i += len("%2F") - 1
			start = i + 1
		case isParameter(segment[i:]) && isDots(part):
			return true
		}
	}
	return false
}

// isPlain reports whether segment is one segment to every server: not empty, with parameters cut off or not,
// and without encoded separators.
func isPlain(segment string) bool {
	if segment == "" || isParameter(segment) {
		return false
	}
	for i := range len(segment) {
		if isEncodedSeparator(segment[i:]) {
			return false
		}
	}
	return true
}

func isDots(s string) bool { return s == "." || s == ".." }

func isEncodedSeparator(s string) bool {
	return strings.HasPrefix(s, "%2F") || strings.HasPrefix(s, "%5C")
}

func isParameter(s string) bool {
	return strings.HasPrefix(s, ";") || strings.HasPrefix(s, "%3B")
}

// What becomes of a byte in a path that is not part of a percent-encoding.
const (
	refused = iota
	asIs    // pchar and "/" (RFC 3986, section 3.3)
	encoded
)

var pathBytes = func() (class [256]uint8) {
	for c := range class {
		switch {
		case isUnreserved(byte(c)) || strings.IndexByte("!$&'()*+,;=:@/", byte(c)) >= 0:
			class[c] = asIs
		case c <= ' ' || c == 0x7f || strings.IndexByte(`\?#%`, byte(c)) >= 0:
			class[c] = refused
		default:
			class[c] = encoded
		}
	}
	return class
}()

const upperHex = "0123456789ABCDEF"

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}
