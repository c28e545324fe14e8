// Package submissions keeps what visitors have sent with forms, durably, and delivers it to functions, again and again until
// the function has taken it. A function that is away is invisible to visitors: what they sent was kept before they were thanked.
//
// In come submissions that were screened elsewhere, and people's judgements of them (spam, ham, again). What is in a submission is
// not known here, nor how a function is reached.
//
// # At least once
//
// What [Submissions.Keep] has returned is on disk, and its function is called until it answers. It may be called twice for one
// submission, but only when a process died, was paused for longer than a delivery may take, or could not write down in that time what came of it,
// because the store was away. The function recognises a repeat by the submission's id, which whoever makes the Event puts into it as the field
// x-edge-submission; so ids are made before events ([Submission].ID).
//
// # Delivery
//
// All processes that share a store deliver what is due: first what was never tried, then what has failed, each the oldest first. They claim a submission for the function's timeout and a
// little more by the store's clock, and nobody else gets it in that time. Every claim and every judgement of a person counts up the
// submission's turn, and what came of a delivery is written down only if the turn is still the one that it began with: a process that was paused comes too
// late and changes nothing.
//
// Each form has a line of its own, so that none waits for another one's function; lines that share a function share its concurrency
// in turns. A line whose function is away pauses, tries with one submission now and then (after 30 seconds at most; after 5 when it is there, but has failed five times in a row), and goes from one at a time to
// many as they succeed, so that neither the function's end nor its return is a storm.
//
// # What an answer means
//
//   - A status under 400, or JSON without one: done.
//   - 408, 429 and 5xx, an error of the function, a timeout, and an answer that can't be read (which API Gateway makes a 502): it is tried again after 5 s,
//     30 s, 2 m, 10 m, 30 m, 1 h, and then every 2 h, each a fifth more or less, or when Retry-After says if that is later. Three days after the first attempt it is dead.
//     A function that fails five times in a row pauses its line as if it were away, for 5 s at most; but not by 429, which a function may say to one visitor
//     who sends too much: others do not wait for him.
//   - Any other 4xx, and an event that is too large: the function will never take it; it is dead at once.
//   - A function that is throttled, unavailable, missing or denied says nothing about the submission: it is tried again as soon as the line does. It too is dead after
//     three days of attempts.
//
// # How long it is kept
//
// What is done or spam is removed after the form's retention; what is dead too, but after 30 days at least, because somebody has to look at it. What is
// pending is never removed. Submissions of a form that is no longer configured, or has no function any more, wait for its return.
package submissions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda/gateway"
	"github.com/onehost/edge/core/pace"
	"github.com/onehost/edge/core/store"
)

// State is how far a submission has come.
type State string

// States of a submission.
const (
	Pending State = "pending" // it is delivered, or will be
	Done    State = "done"    // its function has taken it, or the form had none
	Dead    State = "dead"    // its function will not take it; Error says why
	Spam    State = "spam"    // kept aside until a person says otherwise
)

// Submission is what one visitor sent with one form.
type Submission struct {
	ID        string    `json:"id"`                 // of [store.NewID]; what Event says in x-edge-submission
	Form      string    `json:"form"`               // its name
	Function  string    `json:"function,omitempty"` // who gets it; "": nobody, it is kept to be looked at
	At        time.Time `json:"at"`                 // when it was taken
	State     State     `json:"state"`
	Reasons   []string  `json:"reasons,omitempty"` // why it is taken for spam, or was
	Fields    []Field   `json:"fields,omitempty"`  // in the order in which they came
	Files     []File    `json:"files,omitempty"`
	Client    string    `json:"client,omitempty"` // the visitor's address
	Page      string    `json:"page,omitempty"`   // where the form stood
	RequestID string    `json:"request_id,omitempty"`
	Key       string    `json:"key,omitempty"`      // idempotency key: a form has one submission of it. "": it has none
	Digest    string    `json:"digest,omitempty"`   // tells whether two of the same key are the same
	Event     []byte    `json:"event,omitempty"`    // what the function is called with
	Attempts  int       `json:"attempts,omitempty"` // how often the function was called
	Next      time.Time `json:"next,omitzero"`      // of what is pending: when it is delivered; while it is, when that is given up
	Ended     time.Time `json:"ended,omitzero"`     // when it became done, dead or spam
	Error     string    `json:"error,omitempty"`    // why the last attempt failed
}

// Field is one field of a form.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// File is one file that was sent; its bytes are in the event.
type File struct {
	Field string `json:"field"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Size  int64  `json:"size"` // bytes
}

const (
	maxKey           = 512                  // bytes of an idempotency key
	growth           = 16 << 10             // bytes by which a document may grow after it was kept
	headStart        = 365 * 24 * time.Hour // new submissions are due that long before they came: before all that have failed, whatever the clock of this host says
	defaultRetention = 90 * 24 * time.Hour
	leastDead        = 30 * 24 * time.Hour
	keepAttempts     = 3
)

// Submissions keeps and delivers. Its methods may be called at the same time.
type Submissions struct {
	store   store.Store
	invoke  gateway.Invoker
	log     *slog.Logger
	slack   time.Duration // what a delivery may take beyond the function's timeout
	poll    time.Duration // how often a line looks for what is due
	ensured atomic.Bool

	settings  atomic.Pointer[settings]
	changed   chan struct{} // holds one when settings are new to Run
	unsettled atomic.Int32  // deliveries that have ended and could not be written down yet

	rooms rooms

	mu    sync.Mutex
	lines map[string]*line       // by form
	slots map[string]*pace.Slots // by function
}

// Options are what Submissions needs.
type Options struct {
	Store  store.Store
	Invoke gateway.Invoker
	Log    *slog.Logger
}

// New returns submissions that nobody delivers before [Submissions.Run] and [Submissions.Use].
func New(o Options) *Submissions {
	s := &Submissions{
		store: o.Store, invoke: o.Invoke, log: o.Log, slack: slack, poll: poll,
		changed: make(chan struct{}, 1), lines: make(map[string]*line), slots: make(map[string]*pace.Slots), rooms: rooms{byForm: make(map[string]*room)},
	}
	s.settings.Store(&settings{})
	return s
}

// settings are what is configured at a moment.
type settings struct {
	forms     map[string]config.Form
	functions map[string]config.Function
}

// target returns who gets the submissions of a form now.
func (c *settings) target(form string) (name string, f config.Function, ok bool) {
	name = c.forms[form].Function
	f, ok = c.functions[name]
	if f.Timeout <= 0 {
		f.Timeout = 30 * time.Second
	}
	return name, f, ok
}

// retention is how long a form's submissions are kept.
func (c *settings) retention(form string) time.Duration {
	if kept := c.forms[form].Retention; kept > 0 {
		return kept
	}
	return defaultRetention
}

// deliveries is how many of a function's invocations may be deliveries: a quarter, and one at least where there is more than one, is left to visitors who wait for it.
func deliveries(f config.Function) int {
	return max(1, f.Concurrency-max(1, f.Concurrency/4))
}

// Use makes these the forms and functions from now on. Deliveries under way end as they began.
func (s *Submissions) Use(forms map[string]config.Form, functions map[string]config.Function) {
	s.mu.Lock()
	for name, f := range functions {
		if known := s.slots[name]; known != nil {
			known.Resize(deliveries(f))
		} else {
			s.slots[name] = pace.NewSlots(deliveries(f))
		}
	}
	maps.DeleteFunc(s.slots, func(name string, _ *pace.Slots) bool { _, ok := functions[name]; return !ok })
	s.settings.Store(&settings{maps.Clone(forms), maps.Clone(functions)})
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Keep keeps a submission: with Reasons as spam, without a function as done, else pending. When it returns, it is on disk, and
// will be delivered. A submission without an ID is given one, without At the time of now; State and what comes of deliveries are set here.
//
// If the form has a submission of that Key already, that one is returned and repeat is true, when their digests are the same; otherwise it is a conflict. What can't be
// kept is invalid (see [store.Normal]) or too_large, and unavailable when the form has as many as it may. After unavailable it may have been kept all the same, which a Key makes harmless.
func (s *Submissions) Keep(ctx context.Context, sub Submission) (kept Submission, repeat bool, err error) {
	if sub.Form == "" || len(sub.Key) > maxKey {
		return Submission{}, false, fmt.Errorf("a submission needs a form, and a key of %d bytes at most: %w", maxKey, fault.Invalid)
	}
	sub = s.begun(sub)
	d := encode(sub)
	if sub.State != Pending {
		d["expires"] = sub.Ended.Add(s.settings.Load().retention(sub.Form))
	}
	if size := store.Size(d); size > store.MaxDocument-growth {
		return Submission{}, false, fmt.Errorf("a submission of %d bytes: %d can be kept: %w", size, store.MaxDocument-growth, fault.TooLarge)
	}
	if err := s.ensure(ctx); err != nil {
		return Submission{}, false, fmt.Errorf("keeping a submission of %s: %w", sub.Form, err)
	}
	if err := s.enter(ctx, sub.Form); err != nil {
		return Submission{}, false, fmt.Errorf("keeping a submission of %s: %w", sub.Form, err)
	}
	for range keepAttempts { // the one that was before may go meanwhile
		_, err = s.store.Apply(ctx, store.Insert{Collection: collection, Document: d})
		if err == nil {
			s.wake(sub.Form, sub.State)
			return sub, false, nil
		}
		if taken, ok := errors.AsType[*store.Duplicate](err); !ok || len(taken.Fields) == 0 {
			break
		}
		kept, err = s.first(ctx, sub)
		if err == nil || !errors.Is(err, fault.NotFound) {
			return kept, err == nil, err
		}
	}
	return Submission{}, false, fmt.Errorf("keeping a submission of %s: %w", sub.Form, err)
}

// begun is a submission as it is in the beginning.
func (s *Submissions) begun(sub Submission) Submission {
	if sub.ID == "" {
		sub.ID = store.NewID()
	}
	if sub.At.IsZero() {
		sub.At = time.Now()
	}
	sub.At = sub.At.UTC().Truncate(time.Millisecond)
	sub.Attempts, sub.Next, sub.Ended, sub.Error = 0, time.Time{}, sub.At, ""
	switch {
	case len(sub.Reasons) > 0:
		sub.State = Spam
	case sub.Function == "":
		sub.State = Done
	default:
		sub.State, sub.Next, sub.Ended = Pending, sub.At, time.Time{}
	}
	return sub
}

// first returns the submission that has the key of another, if it is the same.
func (s *Submissions) first(ctx context.Context, sub Submission) (Submission, error) {
	found, err := s.store.Find(ctx, store.Query{
		Collection: collection, Filter: store.And{store.Eq("form", sub.Form), store.Eq("key", sub.Key)}, Limit: 1,
	})
	switch {
	case err != nil:
		return Submission{}, fmt.Errorf("looking for the submission of %s with the same key: %w", sub.Form, err)
	case len(found) == 0:
		return Submission{}, fault.NotFound
	case found[0].String("digest") != sub.Digest:
		return Submission{}, fmt.Errorf("something else was sent to %s with this idempotency key: send it with a new one: %w", sub.Form, fault.Conflict)
	}
	return decode(found[0]), nil
}

// ensure has the collection be there.
func (s *Submissions) ensure(ctx context.Context) error {
	if s.ensured.Load() {
		return nil
	}
	err := s.store.Ensure(ctx, Collection())
	if err == nil {
		s.ensured.Store(true)
	}
	return err
}

// wake tells a form's line that something is due.
func (s *Submissions) wake(form string, state State) {
	if state != Pending {
		return
	}
	s.mu.Lock()
	l := s.lines[form]
	s.mu.Unlock()
	if l != nil {
		l.poke()
	}
}
