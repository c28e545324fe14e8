package exchange

import (
	"net/netip"
	"testing"
)

func TestClientNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::",
		"2001:db8:1:2:f::1":      "2001:db8:1:2::",
		"2001:db8:1:3:3:4:5:6":   "2001:db8:1:3::",
		"fe80::1%some-interface": "fe80::",
	} {
		if got, ok := ClientNetwork(netip.MustParseAddr(address)); !ok || got.String() != want {
			t.Errorf("%s counts for %s, want %s", address, got, want)
		}
	}
	for _, own := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1")} {
		if got, ok := ClientNetwork(own); ok {
			t.Errorf("%v counts for %s", own, got)
		}
	}
}
