package main

import (
	"strings"

	"github.com/onehost/edge/plugins/sdk"
)

// standard counts what a source of Standard Webhooks sends (https://www.standardwebhooks.com), by the first word of its type: user.created is of user.
func (p planner) standard(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
	var event struct{ Type string }
	if err := d.JSON(&event); err != nil {
		return sdk.From(err)
	}
	if event.Type == "" {
		return sdk.Skip("it has no type")
	}
	prefix, _, _ := strings.Cut(event.Type, ".")
	prefix = short(prefix)
	return sdk.From(p.seen(ctx, "events/"+d.Source+"/"+prefix, d.Source+"/"+prefix, happening{ID: d.ID, Kind: event.Type, At: d.Received}))
}
