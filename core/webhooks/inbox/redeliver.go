package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	maxSelected = 100_000 // deliveries of one Redeliver
	batch       = 50      // of them that are written together
)

// Selection is what is to be handled again: deliveries by their IDs, or all that a Filter lets through.
type Selection struct {
	IDs []string
	Filter
}

// Redeliver has deliveries handled again: they keep their ids and event ids, and get a new series of attempts. It returns the ids of those that are now pending; with dryRun, of those that would be, and changes nothing.
//
// By a filter these are all that are done, dead, quarantined or kept, or only what is in the State of the filter, the oldest first, 100,000 or the filter's Limit at most; what of it is held is left out, and so is what no plugin would handle: its source has none, or is configured no longer. After is the last id of what
// an earlier call has returned. By ids it is a conflict when one is held or nobody would handle it, and not_found when one is not there, and then nothing was done. When the store goes away in the middle, the
// ids are of those that were done until then. Nothing that says which is invalid: all has to be meant, such as by a Since.
func (i *Inbox) Redeliver(ctx context.Context, s Selection, dryRun bool) ([]string, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Filter == (Filter{}) == (len(s.IDs) == 0) {
		return nil, fmt.Errorf("say which deliveries are to be handled again: by their ids, or by source, type, state or time: %w", fault.Invalid)
	}
	if len(s.IDs) > maxSelected || s.Limit < 0 || s.Limit > maxSelected {
		return nil, fmt.Errorf("%d deliveries at most are handled again at once: %w", maxSelected, fault.Invalid)
	}
	if len(s.IDs) > 0 {
		return i.redeliverIDs(ctx, s.IDs, dryRun)
	}
	if s.Limit == 0 {
		s.Limit = maxSelected
	}
	asked := []State{Done, Dead, Quarantined, Kept}
	if s.State != "" {
		asked = []State{s.State}
	}
	w, err := i.walk(ctx, s.Filter, asked, false, replayed)
	if err != nil {
		return nil, fmt.Errorf("looking for deliveries: %w", err)
	}
	var done []string
	var some []store.Document
	for more := true; more; {
		doc, err := w.next(ctx)
		if err != nil {
			return done, fmt.Errorf("looking for deliveries: %w", err)
		}
		more = doc != nil && len(done)+len(some) < s.Limit
		if more && i.refusal(doc) == nil {
			some = append(some, doc)
		}
		if len(some) == batch || !more {
			ids, err := i.replay(ctx, some, dryRun)
			if done, some = append(done, ids...), nil; err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// replayed are the fields that Redeliver looks at.
var replayed = []string{"source", "state", "key", "plugin", "at", "turn", "claimed", "next"}

func (i *Inbox) redeliverIDs(ctx context.Context, ids []string, dryRun bool) (done []string, err error) {
	var all []store.Document
	seen := make(map[string]bool)
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		doc, err := i.get(ctx, id)
		if err == nil {
			err = i.refusal(doc)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, doc.Only(replayed))
	}
	for len(all) > 0 {
		n := min(batch, len(all))
		some, err := i.replay(ctx, all[:n], dryRun)
		if done = append(done, some...); err != nil {
			return done, err
		}
		all = all[n:]
	}
	return done, nil
}

// refusal says why a delivery can't be handled again now.
func (i *Inbox) refusal(doc store.Document) error {
	_, configured := i.source(doc.String("source"))
	switch {
	case !configured:
		return fmt.Errorf("the delivery %s: its source %s is configured no longer, so that nobody would handle it: %w", doc.ID(), doc.String("source"), fault.Conflict)
	case i.plugin(doc) == "":
		return fmt.Errorf("the delivery %s: its source %s has no plugin that would handle it: %w", doc.ID(), doc.String("source"), fault.Conflict)
	case !doc.Time("claimed").IsZero() && doc.Time("next").After(time.Now()):
		return fmt.Errorf("the delivery %s is being handled at the moment, until %s at the latest: try again when that has ended: %w",
			doc.ID(), doc.Time("next").Format(time.RFC3339), fault.Conflict)
	}
	return nil
}

// plugin is who handles a delivery now.
func (i *Inbox) plugin(doc store.Document) string {
	source, _ := i.source(doc.String("source"))
	return source.Plugin
}

// replay makes deliveries pending, all of them with one write if nobody disturbs, else one by one. It returns the ids of those that it has.
func (i *Inbox) replay(ctx context.Context, docs []store.Document, dryRun bool) (ids []string, err error) {
	writes := make([]store.Write, len(docs))
	for n, doc := range docs {
		ids, writes[n] = append(ids, doc.ID()), i.afresh(doc)
	}
	if dryRun || len(docs) == 0 {
		return ids, nil
	}
	_, err = i.store.Apply(ctx, writes...)
	if errors.Is(err, fault.Conflict) {
		ids = nil
		for n, doc := range docs {
			_, err = i.store.Apply(ctx, writes[n])
			if err == nil {
				ids = append(ids, doc.ID())
			} else if !errors.Is(err, fault.Conflict) {
				break
			}
			err = nil
		}
	} else if err != nil {
		ids = nil
	}
	i.arouse(ctx, docs)
	if err != nil {
		return ids, fmt.Errorf("having deliveries handled again: %w", err)
	}
	return ids, nil
}

// afresh makes a delivery pending as it was in the beginning, if nobody has changed it meanwhile. In a line it waits first.
func (i *Inbox) afresh(doc store.Document) store.Write {
	c := store.Change{
		Set:   store.Document{"state": string(Pending), "plugin": i.plugin(doc), "next": store.Now(-headStart)},
		Unset: []string{"ended", "expires", "error", "tries", "deaths", "claimed"},
		Add:   map[string]int64{"turn": 1, "replays": 1},
	}
	if line := lineOf(doc.String("source"), doc.String("key")); line != "" {
		c.Set["line"], c.Set["place"], c.Set["next"] = line, place(doc.Time("at"), doc.ID()), nil
	}
	free := store.Or{store.Null("claimed"), store.Lte("next", store.Now(0))}
	return store.Update{
		Collection: collection, Must: 1, Change: c,
		Filter: store.And{store.ID(doc.ID()), store.Eq("turn", doc.Int("turn")), store.Eq("state", doc.String("state")), free},
	}
}

// arouse has what became pending be taken.
func (i *Inbox) arouse(ctx context.Context, docs []store.Document) {
	lines := make(map[string]bool)
	for _, doc := range docs {
		source := doc.String("source")
		line := lineOf(source, doc.String("key"))
		switch {
		case line == "":
			i.wake(source)
		case !lines[line]:
			lines[line] = true
			i.advance(ctx, source, line)
		}
	}
}
