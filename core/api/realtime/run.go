package realtime

import (
	"context"
	"errors"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	soon  = 100 * time.Millisecond
	later = 5 * time.Second
)

// Run follows the changes until ctx ends. When the store is away it goes on from the last change as soon as it is back.
func (r *Realtime) Run(ctx context.Context) error {
	defer r.drain()
	last, pause := "", soon
	for ctx.Err() == nil {
		reached, err := r.follow(ctx, last)
		if reached != last {
			last, pause = reached, soon
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) {
			last = "" // what happened since is not kept
		}
		r.log.WarnContext(ctx, "changes of entries can't be followed now, and who follows them waits", "error", err, "again_in", pause)
		wait(ctx, pause)
		pause = min(2*pause, later)
	}
	return nil
}

// follow puts all that happens after a position into the ring, until that can't be gone on with. It returns the position that it has come to.
func (r *Realtime) follow(ctx context.Context, last string) (string, error) {
	feed, err := r.store.Watch(ctx, changes.Name, last)
	if err != nil {
		return last, err
	}
	defer func() { _ = feed.Close() }()
	if last == "" {
		r.ring.missed()
		if err := r.fence(ctx); err != nil {
			return last, err
		}
	}
	for {
		e, err := feed.Next(ctx)
		if err != nil {
			return last, err
		}
		last = e.Position
		if e.Kind == store.Inserted { // others are changes that are forgotten
			r.ring.put(newItem(e))
		}
	}
}

// fence writes a change that is none. It has a position, which those have heard of to whom nothing has happened yet, and which those reach who come from before.
func (r *Realtime) fence(ctx context.Context) error {
	id := store.NewID()
	_, err := r.store.Apply(ctx, store.Insert{Collection: changes.Name, Document: store.Document{"id": id}}, store.Delete{Collection: changes.Name, Filter: store.ID(id)})
	return err
}

// wait waits, unless ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
