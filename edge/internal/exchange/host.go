package exchange

import (
	"net/netip"
	"strings"
)

// NormalHostname returns the hostname in a Host field or :authority as it is looked up: in lower case, without
// port, without the root's trailing dot, an IPv6 address without brackets and in its one canonical form (RFC 5952).
// It does not allocate when nothing changes but the port or dot at the end.
//
// It reports false for what is not a hostname: labels are letters, digits, hyphens and underscores (which DNS names
// of services do have), 1 to 63 bytes, not beginning or ending with a hyphen, 253 bytes in all (RFC 1123, section 2.1);
// a name whose last label is a number must be an IPv4 address in four parts, so that no address has a second spelling;
// a port is 1 to 65535; an IPv6 address is in brackets and has no zone.
func NormalHostname(host string) (string, bool) {
	if strings.HasPrefix(host, "[") {
		return normalIPv6(host)
	}
	if name, port, found := strings.Cut(host, ":"); found {
		if !isPort(port) {
			return "", false
		}
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	upper, ok := checkLabels(host)
	if !ok {
		return "", false
	}
	if upper {
		return strings.ToLower(host), true
	}
	return host, true
}

func normalIPv6(host string) (string, bool) {
	literal, port, ok := strings.Cut(host[1:], "]")
	if !ok || port != "" && (port[0] != ':' || !isPort(port[1:])) {
		return "", false
	}
	a, err := netip.ParseAddr(literal)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", false
	}
	var room [64]byte // keeps a canonical address from allocating
	if canonical := a.AppendTo(room[:0]); string(canonical) != literal {
		return string(canonical), true
	}
	return literal, true
}

// checkLabels reports whether name is a hostname or an IPv4 address, and whether it has upper-case letters.
func checkLabels(name string) (upper, ok bool) {
	if name == "" || len(name) > 253 {
		return false, false
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if i == start || i-start > 63 || name[start] == '-' || name[i-1] == '-' {
				return false, false
			}
			if i < len(name) {
				start = i + 1
			}
			continue
		}
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case 'A' <= c && c <= 'Z':
			upper = true
		default:
			return false, false
		}
	}
	if isNumber(name[start:]) {
		a, err := netip.ParseAddr(name)
		return false, err == nil && a.Is4()
	}
	return upper, true
}

// isNumber reports whether a URL parser would take a name that ends in label for an IPv4 address
// (WHATWG URL, "ends in a number").
func isNumber(label string) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	if len(label) >= 2 && label[0] == '0' && lower(label[1]) == 'x' {
		label = label[2:]
		digit = isHex
	}
	for i := range len(label) {
		if !digit(label[i]) {
			return false
		}
	}
	return true
}

// isPort reports whether s is a decimal number from 1 to 65535 of at most five digits.
func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return 0 < n && n <= 65535
}
