package inbox

import (
	"context"
	"errors"
	"slices"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// A line is what is pending with the same key. One of it, the oldest, has a time when it is due; the others have none until it is theirs to be the oldest. Two rules keep that so, whatever
// several processes do at once:
//
//   - Who adds one to the others (keeps it, sends it back, wants it handled again) looks afterwards whether the oldest is due, and makes it so. Who takes the oldest away makes the next one
//     due with the same write, and looks afterwards too. Both write first and read then, so one of them sees what the other did.
//   - Who takes one puts it in front of its line, and looks then: if another is in front as well, or an older one behind, it is sent back. So two that are taken at the same time may both be
//     sent back, but never both be held.
//
// What is left undone by a process that died in between is found by [Inbox.mend].

// oldest returns the first that are pending in a line, the one that is held before all others: their ids, places, and whether and when they are due.
func (i *Inbox) oldest(ctx context.Context, line string, n int) ([]store.Document, error) {
	return i.store.Find(ctx, store.Query{
		Collection: collection, Filter: store.Eq("line", line), Sort: []store.Order{{Field: "place"}}, Limit: n, Fields: []string{"next", "place"},
	})
}

// goOn makes one due that waits in its line.
func goOn(id string) store.Write {
	return store.Update{
		Collection: collection, Filter: store.And{store.ID(id), store.Eq("state", string(Pending)), store.Null("next")},
		Change: store.Change{Set: store.Document{"next": store.Now(-headStart)}},
	}
}

// next makes the one due that comes after a delivery in its line, if it waits.
func (i *Inbox) next(ctx context.Context, t *Taken) ([]store.Write, error) {
	first, err := i.oldest(ctx, t.line, 2)
	if err != nil {
		return nil, err
	}
	for _, other := range first {
		if other.ID() != t.ID && other.Time("next").IsZero() {
			return []store.Write{goOn(other.ID())}, nil
		}
		if other.ID() != t.ID {
			break
		}
	}
	return nil, nil
}

// leads reports whether a delivery that was taken is the one of its line that may be handled; if not, it has been sent back.
func (i *Inbox) leads(ctx context.Context, t *Taken, doc store.Document) (bool, error) {
	if t.line == "" {
		return true, nil
	}
	if doc.String("place") != front {
		if err := i.put(ctx, t, store.Change{Set: store.Document{"place": front}}); err != nil {
			return false, notMine(err)
		}
	}
	first, err := i.oldest(ctx, t.line, 2)
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(first, func(other store.Document) bool {
		return other.ID() != t.ID && other.String("place") < place(t.At, t.ID)
	}) {
		return true, nil
	}
	err = i.put(ctx, t, store.Change{Set: store.Document{"place": t.place()}, Unset: []string{"next", "claimed"}})
	if err == nil {
		i.advance(ctx, t.Source, t.line)
	}
	return false, notMine(err)
}

// put changes a delivery that was taken.
func (i *Inbox) put(ctx context.Context, t *Taken, c store.Change) error {
	_, err := i.store.Apply(ctx, store.Update{Collection: collection, Filter: mine(t.ID, t.turn), Change: c, Must: 1})
	return err
}

// notMine is the error of writing to a delivery that was taken: when another has it now, there is nothing to be done.
func notMine(err error) error {
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// advance makes the oldest of a line due, if it is not, and nobody holds another of it. What fails is made up for by mend.
func (i *Inbox) advance(ctx context.Context, source, line string) {
	going, err := i.tryAdvance(ctx, line)
	if err != nil {
		i.unsure.Store(true)
		i.log.Debug("webhooks: a line is looked at again", "source", source, "error", err)
	}
	if going {
		i.wake(source)
	}
}

func (i *Inbox) tryAdvance(ctx context.Context, line string) (going bool, err error) {
	oldest, err := i.oldest(ctx, line, 1)
	if err != nil || len(oldest) == 0 || !oldest[0].Time("next").IsZero() { // one that is held has a time as well
		return false, err
	}
	_, err = i.store.Apply(ctx, goOn(oldest[0].ID()))
	return err == nil, err
}

// mend makes the oldest of every line of a source due that is not. It leaps from line to line, and asks for nothing when no delivery waits.
func (i *Inbox) mend(ctx context.Context, source string) error {
	waiting, err := i.store.Find(ctx, store.Query{
		Collection: collection, Filter: append(in(source, Pending), store.Null("next")), Limit: 1, Fields: []string{},
	})
	if err != nil || len(waiting) == 0 {
		return err
	}
	end := source + "\x01"
	for last := source + "\x00"; ; {
		found, err := i.store.Find(ctx, store.Query{
			Collection: collection, Filter: store.And{store.Gt("line", last), store.Lt("line", end)},
			Sort: []store.Order{{Field: "line"}, {Field: "place"}}, Limit: 1, Fields: []string{"line", "next"},
		})
		if err != nil || len(found) == 0 {
			return err
		}
		last = found[0].String("line")
		if found[0].Time("next").IsZero() {
			i.advance(ctx, source, last)
		}
	}
}
