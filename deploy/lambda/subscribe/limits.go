package main

import (
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
)

// caps are mails a day, by UTC: to addresses of one domain, and in all.
type caps struct{ domain, all int }

const day = 24 * time.Hour

// limits are how many mails go out for one request: to a mailbox one in ten minutes, three in 24 hours and ten in 30 days, whichever way its address
// is written; and what the caps allow.
func (c caps) limits(to address.Address) []ledger.Limit {
	mailbox, domain := "mailbox "+to.Mailbox(), "domain "+to.Domain()
	return []ledger.Limit{
		{Key: mailbox, Most: 1, Within: 10 * time.Minute},
		{Key: mailbox, Most: 3, Within: day},
		{Key: mailbox, Most: 10, Within: 30 * day},
		{Key: domain, Most: c.domain, Within: day, Fixed: true},
		{Key: "all", Most: c.all, Within: day, Fixed: true},
	}
}
