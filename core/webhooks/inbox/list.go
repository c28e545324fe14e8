package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	defaultLimit = 100
	maxLimit     = 500
	maxSources   = 1000
)

// Filter says which deliveries are wanted; its zero value is all.
type Filter struct {
	Source string
	Type   string
	State  State
	Since  time.Time // that came then or later
	Until  time.Time // that came before
	After  string    // the ID of the last one of the page before
	Limit  int       // 0: 100; at most 500
}

func (f Filter) check() error {
	if f.State != "" && !slices.Contains(states[:], f.State) {
		return fmt.Errorf("%q is no state: use pending, done, dead, quarantined or kept: %w", f.State, fault.Invalid)
	}
	return nil
}

// List returns deliveries without their headers, bodies and attempts, the newest first.
func (i *Inbox) List(ctx context.Context, f Filter) ([]Delivery, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.Limit < 0 || f.Limit > maxLimit {
		return nil, fmt.Errorf("a limit of %d: 1 to %d are listed at once: %w", f.Limit, maxLimit, fault.Invalid)
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	asked := states[:]
	if f.State != "" {
		asked = []State{f.State}
	}
	w, err := i.walk(ctx, f, asked, true, listed)
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", err)
	}
	var page []Delivery
	for len(page) < f.Limit {
		doc, err := w.next(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing deliveries: %w", err)
		}
		if doc == nil {
			break
		}
		page = append(page, decode(doc))
	}
	return page, nil
}

// Get returns a delivery as a whole, or not_found.
func (i *Inbox) Get(ctx context.Context, id string) (Delivery, error) {
	doc, err := i.get(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	return decode(doc), nil
}

func (i *Inbox) get(ctx context.Context, id string) (store.Document, error) {
	if id == "" || len(id) > store.MaxID {
		return nil, fmt.Errorf("%.100q is no delivery's id: %w", id, fault.Invalid)
	}
	err := i.Ensure(ctx)
	var doc store.Document
	if err == nil {
		doc, err = i.store.Get(ctx, collection, id)
	}
	if err == nil && State(doc.String("state")) == forgotten || errors.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("there is no delivery %.100q, or no longer: %w", id, fault.NotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("the delivery %.100q: %w", id, err)
	}
	return doc, nil
}

// listed are the fields of a document that List shows.
var listed = []string{"source", "event", "type", "key", "plugin", "at", "state", "method", "path", "client", "request", "sync", "tries", "deaths", "replays", "next", "ended", "error"}

// walk goes through deliveries in the order in which they came: every source and state has an index, and their heads are compared.
type walk struct {
	store  store.Store
	newest bool // the newest first
	fields []string
	lanes  []*lane
	seen   string // the last one; it may have come to another state since it was read
}

// lane is one source's deliveries of one state.
type lane struct {
	filter store.And // without where it begins
	after  store.Document
	ready  []store.Document
	begun  bool
	ended  bool
}

const (
	fewAtATime  = 8 // that are read first: most lanes give none
	manyAtATime = 200
)

func (i *Inbox) walk(ctx context.Context, f Filter, asked []State, newest bool, fields []string) (*walk, error) {
	w := &walk{store: i.store, newest: newest, fields: fields}
	if err := i.Ensure(ctx); err != nil {
		return nil, err
	}
	sources := []string{f.Source}
	if f.Source == "" {
		var err error
		if sources, err = i.names(ctx); err != nil {
			return nil, err
		}
	}
	var after store.Document
	if f.After != "" {
		var err error
		if after, err = i.store.Get(ctx, collection, f.After); errors.Is(err, fault.NotFound) {
			return nil, fmt.Errorf("the delivery %.100q, after which the page begins, is there no longer: begin with the first page: %w", f.After, fault.NotFound)
		} else if err != nil {
			return nil, err
		}
	}
	for _, source := range sources {
		for _, state := range asked {
			w.lanes = append(w.lanes, &lane{filter: f.within(source, state), after: after})
		}
	}
	return w, nil
}

// within is the condition on one lane.
func (f Filter) within(source string, state State) store.And {
	all := in(source, state)
	if !f.Since.IsZero() {
		all = append(all, store.Gte("at", f.Since))
	}
	if !f.Until.IsZero() {
		all = append(all, store.Lt("at", f.Until))
	}
	if f.Type != "" {
		all = append(all, store.Eq("type", f.Type))
	}
	return all
}

// next returns the next one, nil at the end.
func (w *walk) next(ctx context.Context) (store.Document, error) {
	for {
		var first *lane
		for _, l := range w.lanes {
			if err := w.fill(ctx, l); err != nil {
				return nil, err
			}
			if len(l.ready) > 0 && (first == nil || w.before(l.ready[0], first.ready[0])) {
				first = l
			}
		}
		if first == nil {
			return nil, nil
		}
		doc := first.ready[0]
		first.ready = first.ready[1:]
		if doc.ID() != w.seen {
			w.seen = doc.ID()
			return doc, nil
		}
	}
}

// before reports whether a comes before b.
func (w *walk) before(a, b store.Document) bool {
	c := a.Time("at").Compare(b.Time("at"))
	if c == 0 {
		c = strings.Compare(a.ID(), b.ID())
	}
	return c < 0 != w.newest
}

// fill reads on in a lane that is empty.
func (w *walk) fill(ctx context.Context, l *lane) error {
	if len(l.ready) > 0 || l.ended {
		return nil
	}
	limit := manyAtATime
	filter := l.filter
	if l.after != nil {
		beyond, beside := store.Gt, store.Gte
		if w.newest {
			beyond, beside = store.Lt, store.Lte
		}
		at := l.after.Time("at")
		filter = append(filter[:len(filter):len(filter)], beside("at", at), store.Or{beyond("at", at), beyond("id", l.after.ID())})
	}
	if !l.begun {
		limit = fewAtATime
	}
	found, err := w.store.Find(ctx, store.Query{
		Collection: collection, Filter: filter, Sort: []store.Order{{Field: "at", Descending: w.newest}}, Limit: limit, MaxBytes: 1 << 20, Fields: w.fields,
	})
	if err != nil {
		return err
	}
	l.ready, l.begun, l.ended = found, true, len(found) == 0
	if len(found) > 0 {
		l.after = found[len(found)-1]
	}
	return nil
}
