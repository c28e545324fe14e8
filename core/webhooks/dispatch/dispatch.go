// Package dispatch delivers what is in the inbox to handlers, again and again until they have handled it or say that they never will.
//
// In come deliveries that were verified and kept elsewhere. What is in one is not known here, nor what a handler is: the plugins' host is one.
//
// # At least once
//
// A delivery is handled at least once. It is handled twice only when a process died, or was paused for longer than an attempt may take, or could not
// write down in that time what came of it, because the store was away. A handler recognises a repeat by the delivery's id.
//
// All processes that share an inbox take what is due, the one that is due for longest first, for an attempt's time and a little more; nobody else
// gets it in that time. What came of it is written down only if nobody has taken it since. While the store is away, what came of deliveries is kept in
// mind, and nothing is begun.
//
// # What an outcome means
//
//   - ok and skip: done.
//   - fail: dead at once.
//   - retry, an error and an attempt that took too long: it is tried again after the source's next pause (Standard Webhooks' by default, each a fifth
//     more or less), or when the handler says. After an attempt that no pause is left for, it is dead.
//   - [*Down]: nothing. It spends no attempt and is due at once. The source pauses, tries with one delivery now and then (after 5 seconds at most), and goes
//     on when that one was handled, from one at a time to many.
//   - [*Died]: the handler's process ended. Who was alone with it has spent an attempt, and after three such deaths is quarantined: it is
//     handled again only when a person says so. Who was not alone has spent nothing; as nobody knows who it was, each of them is tried once
//     more alone in the plugin, which all others wait for. So nobody is blamed for another's doing.
//
// # Sources that wait
//
// [Dispatcher.Now] handles a delivery at once and returns the handler's answer. If that takes longer than the source waits, it goes on like any other.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// Handler handles deliveries. It is called from many goroutines.
type Handler interface {
	// Handle makes one attempt, the first one being 1, with the plugin that d.Plugin names. It returns soon after ctx has ended. Its error is *Down when
	// nothing has happened because the plugin is not there, and *Died when the plugin's process ended while it had the delivery; any other one is an attempt
	// that failed. When both are possible it is *Died.
	Handle(ctx context.Context, d inbox.Delivery, attempt int) (Outcome, error)
}

// Kind is what came of an attempt.
type Kind string

// Kinds of outcomes.
const (
	OK    Kind = "ok"    // done
	Skip  Kind = "skip"  // nothing to do about it: done
	Retry Kind = "retry" // to be tried again
	Fail  Kind = "fail"  // never to be tried again
)

// Outcome is what a handler says of an attempt.
type Outcome struct {
	Kind   Kind
	Reason string        // for the operator
	After  time.Duration // of Retry: not before that. 0: as the source's schedule says
	Answer *Answer       // for a source that waits; nil: it says nothing
}

// Answer is what a source that waits is told.
type Answer struct {
	Status int // 0: 200
	Header []inbox.Field
	Body   []byte
}

// Down is the error of a handler that was not there: nothing has happened to the delivery.
type Down struct{ Err error }

func (d *Down) Error() string { return fmt.Sprintf("the handler is not there: %v", d.Err) }

// Unwrap is why.
func (d *Down) Unwrap() error { return d.Err }

// Died is the error of a handler whose process ended while it had the delivery.
type Died struct{ Err error }

func (d *Died) Error() string { return fmt.Sprintf("the handler ended: %v", d.Err) }

// Unwrap is why.
func (d *Died) Unwrap() error { return d.Err }

// Inbox is where deliveries are: [*inbox.Inbox]. Its Woken tells of what it has kept, of what is due at once after Settle, and of the next one of a line.
type Inbox interface {
	Ensure(ctx context.Context) error
	Take(ctx context.Context, source string, hold time.Duration) (*inbox.Taken, error)
	TakeID(ctx context.Context, id string, hold time.Duration) (*inbox.Taken, error)
	Settle(ctx context.Context, t *inbox.Taken, r inbox.Result) error
	Due(ctx context.Context, source string) (bool, error)
	Woken(source string) <-chan struct{}
}

// Options are what a Dispatcher needs.
type Options struct {
	Inbox   Inbox
	Handler Handler
	Log     *slog.Logger
}

// Dispatcher delivers. Its methods may be called at the same time.
type Dispatcher struct {
	inbox   Inbox
	handler Handler
	log     *slog.Logger
	slack   time.Duration // what an attempt may take beyond the source's timeout
	poll    time.Duration // how often a line looks for what is due

	changed   chan struct{} // holds one when lines are new to Run
	unsettled atomic.Int32  // attempts that have ended and could not be written down yet

	mu        sync.Mutex
	sources   map[string]config.Webhook
	lines     map[string]*line     // by source
	rooms     map[string]*room     // by plugin
	questions map[string]*question // by a delivery's id
	shift     *shift               // nil: Run is not running
}

// New returns a dispatcher that delivers nothing before [Dispatcher.Use] and [Dispatcher.Run].
func New(o Options) *Dispatcher {
	return &Dispatcher{
		inbox: o.Inbox, handler: o.Handler, log: o.Log, slack: slack, poll: poll, changed: make(chan struct{}, 1),
		lines: make(map[string]*line), rooms: make(map[string]*room), questions: make(map[string]*question),
	}
}

// Use makes these the sources from now on. Attempts under way end as they began. Deliveries of a source that has no plugin any more wait for its return.
func (d *Dispatcher) Use(sources map[string]config.Webhook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sources = make(map[string]config.Webhook, len(sources))
	for name, source := range sources {
		if source.Plugin == "" {
			continue
		}
		if source.Timeout <= 0 {
			source.Timeout = defaultTimeout
		}
		if source.Concurrency <= 0 {
			source.Concurrency = defaultConcurrency
		}
		d.sources[name] = source
		if known := d.lines[name]; known != nil {
			known.slots.Resize(source.Concurrency)
			known.crew.resize(source.Concurrency)
			known.poke()
		} else {
			d.lines[name] = newLine(d, name, source.Concurrency)
		}
		if d.rooms[source.Plugin] == nil {
			d.rooms[source.Plugin] = newRoom()
		}
	}
	for name := range d.lines {
		if _, ok := d.sources[name]; !ok {
			delete(d.lines, name)
		}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// ErrLater says that the answer did not come in time, or could not be asked for. The delivery goes on by itself.
var ErrLater = errors.New("the answer comes later")

// Status is how a source's deliveries do in this process.
type Status struct {
	Source string `json:"source"`
	Plugin string `json:"plugin"`
	Busy   int    `json:"busy"`            // attempts under way
	Paused bool   `json:"paused"`          // its plugin was not there the last time
	Error  string `json:"error,omitempty"` // why the last attempt came to nothing; "" when it was handled
}

// Status returns all sources that have a plugin, by name.
func (d *Dispatcher) Status() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]Status, 0, len(d.lines))
	for name, l := range d.lines {
		all = append(all, Status{Source: name, Plugin: d.sources[name].Plugin, Busy: int(l.busy.Load()), Paused: l.breaker.Paused(), Error: l.lastError()})
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Source, b.Source) })
	return all
}
