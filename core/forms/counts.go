package forms

import (
	"maps"
	"slices"
	"sync/atomic"
)

// An Outcome is what became of one request for a form.
type Outcome int

// The outcomes. Thanked visitors are those of Kept, Repeated and Flagged.
const (
	Kept        Outcome = iota // it was kept and will be delivered
	Repeated                   // it had been kept before, under the same key
	Flagged                    // it was kept as spam
	Invoked                    // the function of a sync form has answered
	Failed                     // the function of a sync form has not
	Limited                    // too many requests
	Malformed                  // it can't be read: 400, 405, 413, 415
	Foreign                    // it came from a page that may not send the form
	Tokenless                  // it had no good token of a page, and got one
	Invalid                    // fields are not as they have to be
	Refused                    // the captcha was not passed
	Conflicted                 // another one was kept under the same key
	Unavailable                // it could not be kept, or the captcha's provider did not answer
	outcomes    int     = iota
)

// String is the outcome in one word, for metrics.
func (o Outcome) String() string {
	return [outcomes]string{"kept", "repeated", "flagged", "invoked", "failed", "limited", "malformed", "foreign", "tokenless", "invalid", "refused", "conflicted", "unavailable"}[o]
}

// Count is how often an outcome came of one form since the process started.
type Count struct {
	Form    string
	Outcome Outcome
	N       uint64
}

type counts [outcomes]atomic.Uint64

func (c *counts) add(o Outcome) { c[o].Add(1) }

// Counts returns all outcomes of all forms, in the order of their names.
func (f *Forms) Counts() (all []Count) {
	forms := *f.forms.Load()
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		for o := range Outcome(outcomes) {
			all = append(all, Count{name, o, forms[name].counts[o].Load()})
		}
	}
	return all
}
