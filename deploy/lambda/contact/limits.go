package main

import (
	"net/netip"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

const day = 24 * time.Hour

// limits are how many messages come through: of one mailbox 5 in an hour, of one client (a /64 of IPv6) 20 in an hour, and CONTACT_DAILY in all each
// day, by UTC.
func (f *function) limits(v *visit.Visit, from address.Address) []ledger.Limit {
	limits := []ledger.Limit{{Key: "sender " + from.Mailbox(), Most: 5, Within: time.Hour}}
	if client := network(v.Client); client != "" {
		limits = append(limits, ledger.Limit{Key: "client " + client, Most: 20, Within: time.Hour})
	}
	return append(limits, ledger.Limit{Key: "all", Most: f.daily, Within: day, Fixed: true})
}

// receiptLimits are how many receipts go out: to one mailbox one in ten minutes, three in 24 hours and ten in 30 days; to one domain a fifth of
// those in all.
func receiptLimits(to address.Address, daily int) []ledger.Limit {
	mailbox := "receipt to " + to.Mailbox()
	return []ledger.Limit{
		{Key: mailbox, Most: 1, Within: 10 * time.Minute},
		{Key: mailbox, Most: 3, Within: day},
		{Key: mailbox, Most: 10, Within: 30 * day},
		{Key: "receipts to domain " + to.Domain(), Most: max(1, daily/5), Within: day, Fixed: true},
		{Key: "receipts", Most: daily, Within: day, Fixed: true},
	}
}

// network is what one client has of addresses, "" for what is no address.
func network(client string) string {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return ""
	}
	bits := 64
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		bits = 32
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}
