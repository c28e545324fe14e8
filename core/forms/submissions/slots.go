package submissions

import (
	"context"
	"slices"
	"sync"
)

// slots are the invocations of one function that may be under way at once. Who waits for one gets it in turn.
type slots struct {
	mu      sync.Mutex
	size    int
	busy    int
	waiting []chan struct{} // each closed when its turn has come
}

func newSlots(size int) *slots { return &slots{size: max(size, 1)} }

// resize gives more slots, or fewer as they are given back.
func (s *slots) resize(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = max(size, 1)
	s.admit()
}

// acquire waits for a slot; it reports false when ctx ended before.
func (s *slots) acquire(ctx context.Context) bool {
	turn := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, turn)
	s.admit()
	s.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, turn); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return false
	}
	s.busy--
	s.admit()
	return false
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.admit()
}

// admit is called with the lock held.
func (s *slots) admit() {
	for s.busy < s.size && len(s.waiting) > 0 {
		s.busy++
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}
