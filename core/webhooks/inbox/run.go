package inbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onehost/edge/core/store"
)

const (
	sweepEvery   = time.Minute
	mendEvery    = time.Hour
	sweepAtATime = 200
)

// Run removes what was sent when its time is over and the event id has to stay, and lets lines go on that a process has left while it died, until ctx ends. That the store is away ends nothing.
func (i *Inbox) Run(ctx context.Context) error {
	var mended time.Time
	failing := false
	for ctx.Err() == nil {
		mend := i.unsure.Swap(false) || time.Since(mended) >= mendEvery
		err := i.sweep(ctx, mend)
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			i.log.Warn("webhooks: the inbox is not cleared up while the store is away", "error", err)
		case err == nil && mend:
			mended = time.Now()
		}
		failing = err != nil
		if failing && mend {
			i.unsure.Store(true)
		}
		select {
		case <-ctx.Done():
		case <-time.After(sweepEvery - rand.N(sweepEvery/5)): // apart from other hosts
		}
	}
	return nil
}

// sweep does once what Run does.
func (i *Inbox) sweep(ctx context.Context, mend bool) error {
	names, err := i.names(ctx)
	if err != nil {
		return err
	}
	for _, source := range names {
		for _, state := range [...]State{Done, Kept} {
			if err := i.forget(ctx, source, state); err != nil {
				return fmt.Errorf("removing what %s has sent: %w", source, err)
			}
		}
		if mend {
			if err := i.mend(ctx, source); err != nil {
				return fmt.Errorf("looking at the lines of %s: %w", source, err)
			}
		}
	}
	return nil
}

// forget leaves of what is done with, and has been kept for long enough, the event id alone.
func (i *Inbox) forget(ctx context.Context, source string, state State) error {
	over := append(in(source, state), store.Lte("next", store.Now(0)))
	for {
		found, err := i.store.Find(ctx, store.Query{
			Collection: collection, Filter: over, Sort: []store.Order{{Field: "next"}}, Limit: sweepAtATime, MaxBytes: 1 << 20, Fields: []string{},
		})
		if err != nil || len(found) == 0 {
			return err
		}
		ids := make([]any, len(found))
		for n, doc := range found {
			ids[n] = doc.ID()
		}
		_, err = i.store.Apply(ctx, store.Update{
			Collection: collection,
			Filter:     append(over[:len(over):len(over)], store.In{Field: "id", Values: ids}),
			Change: store.Change{
				Set:   store.Document{"state": string(forgotten)},
				Unset: []string{"next", "type", "key", "plugin", "method", "path", "header", "body", "client", "request", "sync", "attempts", "tries", "deaths", "replays", "error"},
			},
		})
		if err != nil {
			return err
		}
	}
}
