// Package inbox is the durable store of webhook deliveries: what a source has sent is kept here until it is done with, and for a while after.
//
// In come deliveries whose source is known to have sent them, outcomes of attempts to handle them, and a person's wish to have some handled again. How a
// delivery is verified is not known here, nor who handles it.
//
// # Kept once
//
// [Inbox.Keep] is one durable insert. A source has one delivery of an event id; a repeat gets the first one, for as long as it is kept and for 30 days after it came at least: when
// a source's retention is shorter, what was sent is removed and the event id stays.
//
// # Taken by one at a time
//
// All processes that share a store take what is due: what is new, and what has failed and waits for its next attempt. Who takes a delivery holds it for a time, by the store's
// clock, and nobody else gets it in that time. Every taking counts up the delivery's turn, and so does a person who wants it handled again; [Inbox.Settle] writes down an
// outcome only if the turn is still the one that it was taken with. So a process that was paused comes too late and changes nothing. A delivery may be handled twice, but only when its
// process died, was paused for longer than it held it, or could not write down in that time what came of it.
//
// # Lines
//
// Deliveries of a source with the same key are a line: only the oldest one of it that is pending is taken, in the order in which they came, and the others are not looked at
// until it is done, dead or quarantined. So a line's length costs nothing, and no line waits for another. A delivery is in a line when it was kept with a key, whatever is
// configured since: a source that gains or loses fifo lets those that it has go on as they came; those without a key wait for nobody. Two that are kept at the same time may be handled in either
// order.
//
// # How long it is kept
//
// What is done, or was only kept, is removed after the source's retention; what is dead or quarantined too, but after 30 days at least, because somebody has to look at it.
// What is pending is never removed.
//
// # Who may see it
//
// Deliveries are in the collection "deliveries", in the database that others may read: bodies as they came, addresses of senders, and the fields of the header, signatures included. What is a
// credential by its name (Authorization, Cookie, and fields with token, secret or password in it) is not kept; that there was one is. What a source puts into a body or a path is seen by whoever may read
// the database.
package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// State is how far a delivery has come.
type State string

// States of a delivery.
const (
	Pending     State = "pending"     // it is handled, or will be
	Done        State = "done"        // it was handled
	Dead        State = "dead"        // it will not be handled; Error says why
	Quarantined State = "quarantined" // its handler has died of it again and again
	Kept        State = "kept"        // its source has no plugin
)

// forgotten is a delivery of which only the event id is left.
const forgotten State = "forgotten"

var states = [...]State{Pending, Done, Dead, Quarantined, Kept}

// Field is one field of a header.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Delivery is one received webhook.
type Delivery struct {
	ID        string    `json:"id"`            // of [store.NewID]
	Source    string    `json:"source"`        // its name
	EventID   string    `json:"event_id"`      // what tells it from others of the source
	Type      string    `json:"type"`          // what kind of event it is, as the source calls it; "": it does not say
	Key       string    `json:"key,omitempty"` // the line that it is in; "": none
	Plugin    string    `json:"plugin,omitempty"`
	At        time.Time `json:"at"` // when it came
	State     State     `json:"state"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Header    []Field   `json:"header,omitempty"` // in the order in which they came
	Body      []byte    `json:"body,omitempty"`   // exactly as it came
	Client    string    `json:"client,omitempty"` // the sender's address
	RequestID string    `json:"request_id,omitempty"`
	Sync      bool      `json:"sync,omitempty"`     // its source waits for an answer
	Attempts  []Attempt `json:"attempts,omitempty"` // the last 20, of this series and those before
	Tries     int       `json:"tries"`              // attempts of this series that count
	Deaths    int       `json:"deaths,omitempty"`   // how often its handler has died of it in this series
	Replays   int       `json:"replays,omitempty"`  // how often a person wanted it handled again
	Next      time.Time `json:"next,omitzero"`      // of what is pending: when it is due, or, while it is held, until when it is; zero: it waits in its line
	Ended     time.Time `json:"ended,omitzero"`     // when it became done, dead, quarantined or kept
	Error     string    `json:"error,omitempty"`    // why the last attempt failed
}

// Attempt is one try to handle a delivery.
type Attempt struct {
	N       int           `json:"n"` // the first of a series is 1
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took"` // nanoseconds
	Outcome string        `json:"outcome"`
	Reason  string        `json:"reason,omitempty"`
}

// Taken is a delivery that is held.
type Taken struct {
	Delivery
	turn int64
	line string
}

// Result is what came of a delivery that was held.
type Result struct {
	State   State         // Pending: it is to be handled again
	After   time.Duration // of what is Pending: not before
	Attempt Attempt       // noted when it has an Outcome; N is counted here when it is 0
	Try     bool          // it counts as an attempt
	Died    bool          // its handler has died of it
}

// Full is the error of keeping a delivery of a source that has as many as it may.
type Full struct {
	Source string
	Kept   int // how many it has
	Most   int // how many it may have (max_kept)
}

func (f *Full) Error() string {
	return fmt.Sprintf("%d deliveries of %s are kept, and there may be %d (max_kept): see why they are not handled, shorten its retention, or raise max_kept", f.Kept, f.Source, f.Most)
}

// Unwrap makes it unavailable: there will be room again.
func (f *Full) Unwrap() error { return fault.Unavailable }

const (
	defaultRetention = 30 * 24 * time.Hour
	leastKnown       = 30 * 24 * time.Hour // event ids, and what is dead or quarantined
)

// Inbox keeps deliveries. Its methods may be called at the same time.
type Inbox struct {
	store   store.Store
	log     *slog.Logger
	ensured atomic.Bool
	unsure  atomic.Bool // whether a line may have been left standing
	sources atomic.Pointer[map[string]config.Webhook]
	rooms   rooms
	tallies tallies

	mu    sync.Mutex
	woken map[string]chan struct{} // by source; each holds one when something may be due
}

// Options are what an Inbox needs.
type Options struct {
	Store store.Store
	Log   *slog.Logger
}

// New returns an inbox without sources.
func New(o Options) *Inbox {
	i := &Inbox{store: o.Store, log: o.Log, woken: make(map[string]chan struct{})}
	i.rooms.of = make(map[string]*room)
	i.tallies.of = make(map[tallied]tally)
	i.Use(nil)
	return i
}

// Use makes these the sources from now on. Deliveries of one that is not among them stay as they are.
func (i *Inbox) Use(sources map[string]config.Webhook) {
	sources = maps.Clone(sources)
	i.sources.Store(&sources)
}

// source returns what is configured of a source now.
func (i *Inbox) source(name string) (s config.Webhook, ok bool) {
	s, ok = (*i.sources.Load())[name]
	if s.Retention <= 0 {
		s.Retention = defaultRetention
	}
	return s, ok
}

// Ensure has the collection be there. Other methods see to that themselves.
func (i *Inbox) Ensure(ctx context.Context) error {
	if i.ensured.Load() {
		return nil
	}
	err := i.store.Ensure(ctx, Collection())
	if err == nil {
		i.ensured.Store(true)
	}
	return err
}

// Woken returns a channel that gets a value when something of a source may be due that this process has kept or made due. It holds one. What others keep, and what is due
// by the clock, is found by [Inbox.Due].
func (i *Inbox) Woken(source string) <-chan struct{} { return i.bell(source) }

func (i *Inbox) bell(source string) chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.woken[source] == nil {
		i.woken[source] = make(chan struct{}, 1)
	}
	return i.woken[source]
}

func (i *Inbox) wake(source string) {
	select {
	case i.bell(source) <- struct{}{}:
	default:
	}
}
