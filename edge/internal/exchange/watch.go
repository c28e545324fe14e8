package exchange

import (
	"context"
	"sync"
)

// A Watch implements [Stream]'s Watch for a stream that has a context anyway.
type Watch struct {
	mu      sync.Mutex
	watcher Watcher
	stop    func() bool
	turn    uint64 // of who watches: streams and watchers are used again, so that the same two may meet
}

// Set has w told when ctx is done, with the cause that why returns then, or not if that is nil. Without w it only ends what
// was set before.
func (t *Watch) Set(ctx context.Context, w Watcher, why func() error) {
	t.End()
	if w == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watcher = w
	t.turn++
	turn := t.turn
	t.stop = context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.turn != turn {
			return // late
		}
		if cause := why(); cause != nil {
			t.tell(cause)
		}
	})
}

// Tell has whoever watches told at once.
func (t *Watch) Tell(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(why)
}

func (t *Watch) tell(why error) {
	if w := t.watcher; w != nil {
		t.watcher = nil
		w.Gone(why)
	}
}

// End tells nobody any more, from its return on.
func (t *Watch) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	t.stop, t.watcher = nil, nil
}
