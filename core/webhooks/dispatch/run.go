package dispatch

import (
	"context"
	"sync"
	"time"
)

const (
	drain       = 15 * time.Second // what is under way when Run has to end may take this long
	ensureAgain = 5 * time.Second
)

// shift is one Run: while it takes attempts on, they are waited for.
type shift struct {
	ending context.Context // ends when nothing more is begun
	work   context.Context // ends when what is under way is cut off
	under  sync.WaitGroup
}

// Run delivers until ctx ends; then it waits for what is under way, 25 seconds at most. An attempt that was cut off is not counted, and the delivery is due again
// at once. The handler has to outlive it. That the store or a handler is away ends nothing. Without Run, deliveries wait.
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.awaitStore(ctx) {
		return nil
	}
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	now := &shift{ending: ctx, work: work}
	d.mu.Lock()
	d.shift = now
	d.mu.Unlock()
	running := make(map[*line]func())
	for ctx.Err() == nil {
		d.arrange(now, running)
		select {
		case <-ctx.Done():
		case <-d.changed:
		}
	}
	d.mu.Lock()
	d.shift = nil
	d.mu.Unlock()
	late := time.AfterFunc(drain, cut)
	now.under.Wait()
	late.Stop()
	for _, stop := range running {
		stop()
	}
	return nil
}

// awaitStore waits for the store; it reports false when ctx ended before.
func (d *Dispatcher) awaitStore(ctx context.Context) bool {
	for failing := false; ; failing = true {
		err := d.inbox.Ensure(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		if !failing {
			d.log.Error("webhooks: the store does not take deliveries; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(ensureAgain):
		}
	}
}

// arrange has all lines run, and no other.
func (d *Dispatcher) arrange(now *shift, running map[*line]func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l, stop := range running {
		if d.lines[l.source] != l {
			stop()
			delete(running, l)
		}
	}
	for _, l := range d.lines {
		if running[l] != nil {
			continue
		}
		own, stop := context.WithCancel(now.ending)
		running[l] = stop
		now.under.Go(func() { l.run(own, now) })
	}
}
