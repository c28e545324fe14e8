package chain

import (
	"net/netip"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A trust is the networks of the proxies whose word on who asks is believed.
type trust []netip.Prefix

func (t trust) holds(a netip.Addr) bool {
	for i := range t {
		if t[i].Contains(a) {
			return true
		}
	}
	return false
}

// plainAddr returns a the way that addresses are compared and shown: IPv4 as such, no zone.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// client returns who asks, when peer is a trusted proxy: X-Forwarded-For is read from its end, where the nearest proxy wrote,
// to the first hop that isn't a trusted proxy. What stands before that may be anybody's invention. At something that isn't
// an address the reading ends: the last hop that said something sensible is the client.
func (t trust) client(peer netip.Addr, fields exchange.Fields) netip.Addr {
	client := peer
	for i := len(fields) - 1; i >= 0; i-- {
		if !exchange.EqualName(fields[i].Name, "X-Forwarded-For") {
			continue
		}
		for rest, hop := fields[i].Value, ""; rest != ""; {
			rest, hop = cutLast(rest)
			if hop == "" {
				continue // RFC 9110, section 5.6.1.2: empty list elements are ignored
			}
			a, ok := parseHop(hop)
			if !ok {
				return client
			}
			client = a
			if !t.holds(a) {
				return client
			}
		}
	}
	return client
}

// cutLast splits a list at its last comma.
func cutLast(list string) (rest, last string) {
	comma := strings.LastIndexByte(list, ',')
	last = strings.Trim(list[comma+1:], " \t")
	return list[:max(comma, 0)], last
}

// parseHop reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > len("[0000:0000:0000:0000:0000:ffff:255.255.255.255%zone567890123456]:65535") {
		return netip.Addr{}, false // also keeps the error of ParseAddr, which quotes s, small
	}
	if s[0] == '[' || strings.Count(s, ":") == 1 {
		if s[len(s)-1] == ']' {
			s = s[1 : len(s)-1]
		} else {
			ap, err := netip.ParseAddrPort(s)
			return plainAddr(ap.Addr()), err == nil
		}
	}
	a, err := netip.ParseAddr(s)
	return plainAddr(a), err == nil
}

// forwardedScheme returns the scheme that a trusted proxy says the visitor used. Of several the last is the one that the peer
// itself vouches for.
func forwardedScheme(fields exchange.Fields) (string, bool) {
	said := ""
	for v := range fields.Values("X-Forwarded-Proto") {
		_, said = cutLast(v)
	}
	switch {
	case exchange.EqualName(said, "https"):
		return "https", true
	case exchange.EqualName(said, "http"):
		return "http", true
	default:
		return "", false
	}
}
