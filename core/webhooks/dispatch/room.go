package dispatch

import (
	"context"
	"sync"
)

// room is a plugin's: it knows who is with it. Attempts share it; one that may have killed the plugin before has it for itself.
type room struct {
	mu      sync.Mutex
	inside  int
	alone   bool               // somebody has it for himself
	waiting int                // who wait to have it for themselves
	working map[*stay]struct{} // who are with the plugin
	changed chan struct{}      // closed when somebody who waits may enter; nil when nobody does
}

// stay is one attempt's.
type stay struct {
	room    *room
	alone   bool
	company bool // another was with the plugin at the same time
}

func newRoom() *room { return &room{working: make(map[*stay]struct{})} }

// enter waits until nobody has the room for himself, or waits for that; nil when ctx ended before. Each stay has to leave.
func (r *room) enter(ctx context.Context) *stay {
	return r.await(ctx, func() *stay {
		if r.alone || r.waiting > 0 {
			return nil
		}
		return &stay{room: r}
	})
}

// enterAlone waits until nobody else is inside; nil when ctx ended before.
func (r *room) enterAlone(ctx context.Context) *stay {
	r.mu.Lock()
	r.waiting++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting--
		r.tell()
	}()
	return r.await(ctx, func() *stay {
		if r.inside > 0 {
			return nil
		}
		r.alone = true
		return &stay{room: r, alone: true}
	})
}

// await waits until admit, which is called with the lock held, lets somebody in.
func (r *room) await(ctx context.Context, admit func() *stay) *stay {
	for {
		r.mu.Lock()
		if s := admit(); s != nil {
			r.inside++
			r.mu.Unlock()
			return s
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// begin says that the plugin has the delivery from now on.
func (s *stay) begin() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	for other := range s.room.working {
		other.company, s.company = true, true
	}
	s.room.working[s] = struct{}{}
}

// end says that the plugin has it no more, and returns whether it had others at the same time.
func (s *stay) end() (company bool) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	delete(s.room.working, s)
	return s.company
}

func (s *stay) leave() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.room.inside--
	if s.alone {
		s.room.alone = false
	}
	s.room.tell()
}

// tell is called with the lock held.
func (r *room) tell() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
