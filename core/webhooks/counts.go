package webhooks

import (
	"maps"
	"slices"
	"sync/atomic"
)

// An Outcome is what became of one request to a source.
type Outcome int

// The outcomes. The source was told that all is well with Kept, Repeated, Spooled and Handshaken.
const (
	Kept        Outcome = iota // it is in the inbox
	Repeated                   // it was in the inbox before
	Spooled                    // it is on the disk of this host until the store is back
	Handshaken                 // the source has looked whether this address is its own
	Refused                    // it is not the source's
	TooLarge                   // it has more bytes than the source may send
	Malformed                  // it can't be a delivery: 400, 405
	Full                       // the inbox has as many of the source as it may
	Unavailable                // it could not be verified or kept
	Failed                     // it can't ever be kept
	outcomes    int     = iota
)

// String is the outcome in one word, for metrics.
func (o Outcome) String() string {
	return [outcomes]string{"kept", "repeated", "spooled", "handshake", "refused", "too_large", "malformed", "full", "unavailable", "failed"}[o]
}

// Count is how often an outcome came of one source since the process started.
type Count struct {
	Source  string
	Outcome Outcome
	N       uint64
}

type counts [outcomes]atomic.Uint64

func (c *counts) add(o Outcome) { c[o].Add(1) }

// Counts returns all outcomes of all sources, in the order of their names.
func (h *Webhooks) Counts() (all []Count) {
	sources := *h.sources.Load()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		for o := range Outcome(outcomes) {
			all = append(all, Count{name, o, sources[name].counts[o].Load()})
		}
	}
	return all
}
