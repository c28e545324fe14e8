package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/onehost/edge/plugins/sdk"
)

// planner handles what its sources send.
type planner struct {
	operator string // an address; "": nobody is written to
}

// handle handles a delivery by what it shows itself to be: sources can have any name.
func (p planner) handle(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
	switch {
	case d.Header.Get("X-GitHub-Event") != "":
		return p.github(ctx, d)
	case d.Header.Get("Webhook-Id") != "" || d.Header.Get("Svix-Id") != "":
		return p.standard(ctx, d)
	}
	var event stripeEvent
	if err := d.JSON(&event); err == nil && event.Object == "event" {
		return p.stripe(ctx, d, event)
	}
	return sdk.Skip("it is of none of the providers that the planner knows")
}

const (
	keepLast  = 10  // events of a repository or a kind that are kept
	maxCounts = 200 // names that are counted apart: a value has 64 KiB at most
	maxName   = 100 // bytes of a name or a summary
)

// history is what happened to one thing, such as a repository.
type history struct {
	Counts counts      `json:"counts"`
	Last   []happening `json:"last"` // the newest first
}

// happening is one event.
type happening struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Summary string    `json:"summary,omitempty"`
}

// note adds what happened, unless it was added: a process may end after it has put it and before that is noted.
func (h *history) note(what happening) {
	if slices.ContainsFunc(h.Last, func(other happening) bool { return other.ID == what.ID }) {
		return
	}
	if h.Counts == nil {
		h.Counts = make(counts)
	}
	h.Counts.add(what.Kind)
	h.Last = append([]happening{what}, h.Last...)
	h.Last = h.Last[:min(len(h.Last), keepLast)]
}

// counts says how often something by a name was seen.
type counts map[string]int

// add counts name, and one name too many as "others".
func (c counts) add(name string) {
	name = short(name)
	if _, known := c[name]; !known && len(c) >= maxCounts {
		name = "others"
	}
	c[name]++
}

// totalsKey is where all that was seen is counted, for the digest.
const totalsKey = "totals"

// seen notes what happened under key, and counts it among all, once for each event.
func (p planner) seen(ctx sdk.Context, key, all string, what happening) error {
	what.Kind, what.Summary = short(what.Kind), short(what.Summary)
	return ctx.Once("seen/"+what.ID, func() error {
		if err := update(ctx, key, func(h *history) { h.note(what) }); err != nil {
			return err
		}
		return update(ctx, totalsKey, func(c *counts) {
			if *c == nil {
				*c = make(counts)
			}
			c.add(all)
		})
	})
}

// tell writes to the operator, once for each id.
func (p planner) tell(ctx sdk.Context, id, subject, text string) error {
	if p.operator == "" {
		ctx.Log().Info("nobody is told: there is no OPERATOR in the plugin's env", "subject", subject)
		return nil
	}
	return ctx.Once("mail/"+id, func() error {
		return ctx.Mail(sdk.Mail{To: []string{p.operator}, Subject: subject, Text: text, ID: "planner-" + id})
	})
}

// update has change change what is kept under key as JSON.
func update[T any](ctx sdk.Context, key string, change func(*T)) error {
	return ctx.KV().Update(key, 0, func(old []byte) ([]byte, error) {
		var v T
		if old != nil {
			if err := json.Unmarshal(old, &v); err != nil {
				return nil, fmt.Errorf("what is kept under %s: %w", key, err)
			}
		}
		change(&v)
		return json.Marshal(v)
	})
}

// short is the beginning of s, in whole characters.
func short(s string) string {
	if len(s) <= maxName {
		return s
	}
	end := 0
	for i := range s {
		if i > maxName-len("…") {
			break
		}
		end = i
	}
	return s[:end] + "…"
}
