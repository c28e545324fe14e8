// Package entries reads and writes entries of content types: it finds them with what they refer to, for who may see them, and changes them, with their history.
//
// In comes what can be done with entries, whoever asks: a request, edge's own accounts, a plugin. What a request looks like, and what an answer does, the rooms
// query, input and wire know; how entries lie in the store, the room rows.
//
// # Reading
//
// Who asks sees those entries that his [access.Scope] allows, wherever they turn up: in a list, in a count, filled in, or as what a filter or an order leads through.
// What he may not see is not there.
//
// A read has bounds. It takes [Timeout] at most. Each relation that is filled in leads to at most [MaxFilled] entries, for all entries of a
// level together; those that come after are left out. All that it takes from the store has 32 MiB at most, and so has what it shows. An order by what relations lead to is made of at most [MaxOrdered] entries.
// Reads that no index leads to are done a few at a time.
package entries

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/api/password"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Limits of a read.
const (
	Timeout    = 5 * time.Second
	MaxFilled  = 1_000
	MaxOrdered = 10_000
)

// Entries are all entries in a store.
type Entries struct {
	store   store.Store
	log     *slog.Logger
	history atomic.Int64 // nanoseconds
	set     atomic.Pointer[schema.Set]

	numbers   *numbers
	passwords *password.Hasher
	turns     turns
	halt      halt
	lanes     lanes
}

// Options are what entries need.
type Options struct {
	Store   store.Store
	Log     *slog.Logger
	History time.Duration // how long changes are remembered

	Passwords *password.Hasher // for attributes that are passwords; nil: one of its own
}

// New returns the entries in a store. [Entries.Use] comes before anything else.
func New(o Options) *Entries {
	if o.Passwords == nil {
		o.Passwords = password.New()
	}
	e := &Entries{
		store: o.Store, log: o.Log,
		numbers: &numbers{store: o.Store, by: map[string]*sequence{}}, passwords: o.Passwords, turns: newTurns(), lanes: newLanes(),
	}
	e.Remember(o.History)
	return e
}

// Use says which types there are. What began before goes on with those that it began with.
func (e *Entries) Use(set *schema.Set) { e.set.Store(set) }

// Remember says how long changes are remembered that are made from now on.
func (e *Entries) Remember(history time.Duration) { e.history.Store(int64(history)) }

// An Entry is one version of an entry, or one component of it, with what was asked for of it.
type Entry struct {
	Type      *schema.Type      // nil: a component
	Component *schema.Component // nil: an entry
	Row       store.Document
	Fields    []string       // scalar attributes and system fields that were asked for; nil: all
	Filled    map[string]any // what attributes lead to that were asked for: *Entry (nil: nothing), []*Entry or Count

	locale string // in which references lead to entries of localized types
	weight int    // of it and all that is filled in; 0: not known
}

func (e *Entry) put(attribute string, v any) {
	if e.Filled == nil {
		e.Filled = make(map[string]any)
	}
	e.Filled[attribute] = v
}

// Count is how many entries or components an attribute leads to.
type Count int

// A List is a page of entries.
type List struct {
	Entries []*Entry
	Total   int // of all pages; -1: not asked for
}
