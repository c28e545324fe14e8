package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	collection = "leases"
	floor      = "*" // the id of the floor; all other ids are names of leases

	keepUnused   = 24 * time.Hour
	removeAtOnce = 100
	attempts     = 10
)

// Collection describes where leases are kept, for [store.Store.Ensure]. A document has the holder, the id of the taking and the time until which
// it is held, none of the first two when it is free; the token of the last taking; and how many writes were guarded.
func Collection() store.Collection {
	return store.Collection{Name: collection, Indexes: []store.Index{{Fields: []string{"until"}}}, Private: true}
}

// mine holds for the lease's document as long as nobody else has taken it.
func (l *Lease) mine() store.Filter { return store.And{store.ID(l.name), store.Eq("taking", l.taking)} }

// taken is what taking the lease makes of its document.
func (l *Lease) taken() store.Change {
	return store.Change{
		Set: store.Document{"holder": l.leases.holder, "taking": l.taking, "until": store.Now(l.ttl)},
		Add: map[string]int64{"token": 1},
	}
}

// take makes the lease this one's if it is free.
func (l *Lease) take(ctx context.Context) error {
	free := store.Or{store.Null("taking"), store.Lte("until", store.Now(0))}
	for range attempts {
		d, err := l.leases.store.Claim(ctx, store.Query{Collection: collection, Filter: store.And{store.ID(l.name), free}}, l.taken())
		if err == nil {
			l.token = d.Int("token")
			return nil
		}
		if !errors.Is(err, fault.NotFound) {
			return err
		}
		d, err = l.leases.store.Get(ctx, collection, l.name)
		switch {
		case err == nil && d.String("taking") != "":
			return &Held{l.name, d.String("holder")}
		case errors.Is(err, fault.NotFound):
			err = l.takeNew(ctx)
		}
		if err == nil && l.token > 0 || err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return fmt.Errorf("others are always faster: %w", fault.Unavailable)
}

// takeNew takes a lease that has no document. It is a conflict when it has one by now, or the floor has risen.
func (l *Lease) takeNew(ctx context.Context) error {
	s := l.leases.store
	removeUnused(ctx, s)
	token, err := floorToken(ctx, s)
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx,
		changeFloor(token, store.Change{}),
		store.Insert{Collection: collection, Document: store.Document{"id": l.name, "token": token}},
		store.Update{Collection: collection, Filter: store.ID(l.name), Change: l.taken(), Must: 1})
	if err == nil {
		l.token = token + 1
	}
	return err
}

// renew has the lease's time begin anew. It is a conflict when another has the lease.
func (l *Lease) renew(within time.Duration) error {
	ctx, cancel := context.WithTimeout(l.renewal, within)
	defer cancel()
	change := store.Change{Set: store.Document{"until": store.Now(l.ttl)}}
	_, err := l.leases.store.Apply(ctx, store.Update{Collection: collection, Filter: l.mine(), Change: change, Must: 1})
	return err
}

// free lets others take the lease, if it is still this one's.
func (l *Lease) free(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	change := store.Change{Set: store.Document{"until": store.Now(0)}, Unset: []string{"holder", "taking"}}
	_, err := l.leases.store.Apply(ctx, store.Update{Collection: collection, Filter: l.mine(), Change: change})
	return err
}

// floorToken returns the token from which new documents begin.
func floorToken(ctx context.Context, s store.Store) (int64, error) {
	d, err := s.Get(ctx, collection, floor)
	if errors.Is(err, fault.NotFound) {
		_, err = s.Apply(ctx, store.Insert{Collection: collection, Document: store.Document{"id": floor, "token": 0}})
		if errors.Is(err, fault.Conflict) {
			d, err = s.Get(ctx, collection, floor)
		}
	}
	return d.Int("token"), err
}

// changeFloor makes an Apply a conflict when the floor's token is another by now. It always changes the document, so that
// two of them at one moment are carried out one after the other.
func changeFloor(token int64, c store.Change) store.Write {
	c.Add = map[string]int64{"changes": 1}
	return store.Update{Collection: collection, Filter: store.And{store.ID(floor), store.Eq("token", token)}, Change: c, Must: 1}
}

// removeUnused removes some of the documents that nobody has used for long, and raises the floor to the greatest of their tokens. That it did
// not succeed matters to nobody: it is tried with the next new document.
func removeUnused(ctx context.Context, s store.Store) {
	unused := store.Lte("until", store.Now(-keepUnused))
	found, err := s.Find(ctx, store.Query{
		Collection: collection, Filter: unused, Sort: []store.Order{{Field: "until"}}, Limit: removeAtOnce, Fields: []string{"token"},
	})
	if err != nil || len(found) == 0 {
		return
	}
	before, err := floorToken(ctx, s)
	if err != nil {
		return
	}
	ids, top := make([]any, len(found)), before
	for i, d := range found {
		ids[i], top = d.ID(), max(top, d.Int("token"))
	}
	_, _ = s.Apply(ctx,
		changeFloor(before, store.Change{Set: store.Document{"token": top}}),
		store.Delete{Collection: collection, Filter: store.And{store.In{Field: "id", Values: ids}, unused, store.Lte("token", top)}})
}

// Carry has the tokens of all leases in to go on from those in from, where no lease is held any more: for a store that takes the place of
// another. Leases themselves are not carried over.
func Carry(ctx context.Context, from, to store.Store) error {
	for _, s := range []store.Store{from, to} {
		if err := s.Ensure(ctx, Collection()); err != nil {
			return err
		}
	}
	greatest, err := from.Find(ctx, store.Query{
		Collection: collection, Sort: []store.Order{{Field: "token", Descending: true}}, Limit: 1, Fields: []string{"token"},
	})
	if err != nil || len(greatest) == 0 {
		return err
	}
	if _, err := floorToken(ctx, to); err != nil {
		return err
	}
	token := greatest[0].Int("token")
	_, err = to.Apply(ctx, store.Update{
		Collection: collection, Filter: store.Lt("token", token), Change: store.Change{Set: store.Document{"token": token}},
	})
	return err
}
