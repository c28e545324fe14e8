package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/plugins/sdk"
)

// digestKey is where the last digest is kept: the next one tells what is new since.
const digestKey = "digest"

// last is what the last digest said.
type last struct {
	At     time.Time `json:"at"`
	Totals counts    `json:"totals"`
}

// digest tells the operator what has happened since the last one.
func (p planner) digest(ctx sdk.Context, r *sdk.Run) sdk.Result {
	if p.operator == "" {
		return sdk.Skip("there is no OPERATOR in the plugin's env to write to")
	}
	var now counts
	var before last
	if err := errors.Join(read(ctx, totalsKey, &now), read(ctx, digestKey, &before)); err != nil {
		return sdk.From(err)
	}
	text := summary(now, before)
	if text == "" {
		return sdk.Skip("nothing has happened since the last one")
	}
	return sdk.From(ctx.Once("digest/"+r.ID, func() error {
		err := ctx.Mail(sdk.Mail{
			To: []string{p.operator}, Subject: "What happened until " + r.Due.UTC().Format(time.RFC1123), Text: text, ID: "planner-digest-" + r.ID,
		})
		if err != nil {
			return err
		}
		return update(ctx, digestKey, func(l *last) { *l = last{At: r.Due, Totals: now} })
	}))
}

// summary says what is new; "": nothing.
func summary(now counts, before last) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if n := now[name] - before.Totals[name]; n > 0 {
			fmt.Fprintf(&text, "%6d  %s (%d in all)\n", n, name, now[name])
		}
	}
	if text.Len() > 0 && !before.At.IsZero() {
		return "Since " + before.At.UTC().Format(time.RFC1123) + ":\n\n" + text.String()
	}
	return text.String()
}

// read reads what is kept under key as JSON; nothing is no error.
func read(ctx sdk.Context, key string, v any) error {
	entry, err := ctx.KV().Get(key)
	if errors.Is(err, sdk.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value, v)
	}
	return err
}
