package exchange

import "net/netip"

// ClientNetwork returns what counts as one client where each may have a share: an IPv4 address, or the /64 of an IPv6
// one, whose addresses a subscriber chooses from freely (RFC 6177). ok is false for who has no share to keep to: a socket
// without an address, and the programs of this host, since one that asks for others, a proxy, has no other address.
func ClientNetwork(client netip.Addr) (network netip.Addr, ok bool) {
	client = client.Unmap().WithZone("")
	if !client.IsValid() || client.IsLoopback() {
		return netip.Addr{}, false
	}
	if client.Is4() {
		return client, true
	}
	prefix, _ := client.Prefix(64) // fails for more bits than there are
	return prefix.Addr(), true
}
