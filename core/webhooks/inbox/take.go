package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Due reports whether Take would find something, which costs less than to take in vain. What is the first of its line by its time only may be due and not be taken.
func (i *Inbox) Due(ctx context.Context, source string) (bool, error) {
	if err := i.Ensure(ctx); err != nil {
		return false, fmt.Errorf("looking for deliveries of %s: %w", source, err)
	}
	q := due(source)
	q.Fields = []string{}
	found, err := i.store.Find(ctx, q)
	if err != nil {
		return false, fmt.Errorf("looking for deliveries of %s: %w", source, err)
	}
	return len(found) > 0, nil
}

// Take takes the delivery of a source that is due for longest, and holds it for a time; not_found when none is due. After the time it is due again: who takes it has to [Inbox.Settle] it before.
func (i *Inbox) Take(ctx context.Context, source string, hold time.Duration) (*Taken, error) {
	if err := i.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("taking a delivery of %s: %w", source, err)
	}
	configured, _ := i.source(source)
	for {
		doc, err := i.store.Claim(ctx, due(source), held(hold, configured))
		if err != nil {
			return nil, fmt.Errorf("taking a delivery of %s: %w", source, err)
		}
		t := taken(doc)
		leads, err := i.leads(ctx, t, doc)
		if err != nil {
			return nil, fmt.Errorf("taking a delivery of %s: %w", source, err)
		}
		if leads {
			return t, nil
		}
	}
}

// TakeID takes a delivery that is pending, due or not, and holds it. It is not_found when there is none, and a conflict when it is not pending, is held, or has others before it in its line.
func (i *Inbox) TakeID(ctx context.Context, id string, hold time.Duration) (*Taken, error) {
	if err := i.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("taking the delivery %.100q: %w", id, err)
	}
	free := store.Or{store.Null("claimed"), store.Lte("next", store.Now(0))}
	q := store.Query{Collection: collection, Filter: store.And{store.ID(id), store.Eq("state", string(Pending)), free}, Limit: 1}
	doc, err := i.store.Claim(ctx, q, held(hold, config.Webhook{}))
	if errors.Is(err, fault.NotFound) {
		if _, err = i.Get(ctx, id); err == nil {
			err = fmt.Errorf("the delivery %s is not pending, or is held: %w", id, fault.Conflict)
		}
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("taking the delivery %.100q: %w", id, err)
	}
	t := taken(doc)
	leads, err := i.leads(ctx, t, doc)
	if err == nil && !leads {
		err = fmt.Errorf("others are before it in its line: %w", fault.Conflict)
	}
	if err != nil {
		return nil, fmt.Errorf("taking the delivery %s: %w", id, err)
	}
	return t, nil
}

// held is what taking makes of a delivery of a source.
func held(hold time.Duration, source config.Webhook) store.Change {
	c := store.Change{
		Set: store.Document{"claimed": store.Now(0), "next": store.Now(hold)},
		Add: map[string]int64{"turn": 1},
	}
	if source.Plugin != "" {
		c.Set["plugin"] = source.Plugin
	}
	if source.FIFO != "" { // most are in lines
		c.Set["place"] = front
	}
	return c
}

func taken(doc store.Document) *Taken {
	return &Taken{Delivery: decode(doc), turn: doc.Int("turn"), line: doc.String("line")}
}

// place is where it stands when it is not held; nil in no line.
func (t *Taken) place() any {
	if t.line == "" {
		return nil
	}
	return place(t.At, t.ID)
}

// Settle writes down what came of a delivery, if nobody has taken it since: then it is a conflict, and nothing was done. After unavailable it may have been done: who tries again takes a conflict for that.
func (i *Inbox) Settle(ctx context.Context, t *Taken, r Result) error {
	change, err := i.becomes(t, r)
	if err != nil {
		return err
	}
	writes := []store.Write{store.Update{Collection: collection, Filter: mine(t.ID, t.turn), Change: change, Must: 1}}
	if t.line != "" && r.State != Pending {
		next, err := i.next(ctx, t)
		if err != nil {
			return fmt.Errorf("looking for the next one in the line of %s: %w", t.ID, err)
		}
		writes = append(writes, next...)
	}
	touched, err := i.store.Apply(ctx, writes...)
	switch {
	case err != nil:
		return fmt.Errorf("what came of the delivery %s: %w", t.ID, err)
	case len(touched) > 1 && touched[1] == 1 || r.State == Pending && r.After <= 0:
		i.wake(t.Source)
	case t.line != "": // others may have come to wait meanwhile
		i.advance(ctx, t.Source, t.line)
	}
	return nil
}

// becomes is what a result makes of a delivery.
func (i *Inbox) becomes(t *Taken, r Result) (store.Change, error) {
	c := store.Change{Set: store.Document{"state": string(r.State)}, Unset: []string{"claimed"}, Add: make(map[string]int64)}
	source, _ := i.source(t.Source)
	switch r.State {
	case Pending:
		c.Set["next"] = store.Now(max(0, r.After))
		c.Set["place"] = t.place()
	case Done, Kept:
		i.ended(c, source.Retention)
	case Dead, Quarantined:
		i.ended(c, max(source.Retention, leastKnown))
	default:
		return store.Change{}, fmt.Errorf("%q is no state that a delivery can come to: %w", r.State, fault.Invalid)
	}
	if r.State != Pending {
		c.Unset = append(c.Unset, "line", "place")
	}
	if r.Try {
		c.Add["tries"] = 1
	}
	if r.Died {
		c.Add["deaths"] = 1
	}
	a := r.Attempt
	if a.Outcome == "" {
		return c, nil
	}
	if a.N == 0 {
		a.N = t.Tries + 1
	}
	c.Set["attempts"] = encodeAttempts(append(t.Attempts[:len(t.Attempts):len(t.Attempts)], a))
	if r.State == Done || a.Reason == "" {
		c.Unset = append(c.Unset, "error")
	} else {
		c.Set["error"] = short(a.Reason)
	}
	return c, nil
}

// ended adds what becomes of a delivery that is done with: the event id stays for as long as repeats have to be known.
func (i *Inbox) ended(c store.Change, retention time.Duration) {
	c.Set["ended"], c.Set["expires"] = store.Now(0), store.Now(max(retention, leastKnown))
	if retention < leastKnown {
		c.Set["next"] = store.Now(retention)
	} else {
		c.Set["next"] = nil
	}
}
