package pace

import (
	"context"
	"slices"
	"sync"
)

// Slots are the calls that may be under way at once. Who waits for one gets it in turn. Its methods may be called at the same time.
type Slots struct {
	mu      sync.Mutex
	size    int
	busy    int
	waiting []chan struct{} // each closed when its turn has come
}

// NewSlots returns so many slots, one at least.
func NewSlots(size int) *Slots { return &Slots{size: max(size, 1)} }

// Resize gives more slots, or fewer as they are given back.
func (s *Slots) Resize(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = max(size, 1)
	s.admit()
}

// Acquire waits for a slot; it reports false when ctx ended before. Each that was acquired has to be released.
func (s *Slots) Acquire(ctx context.Context) bool {
	s.mu.Lock()
	if s.busy < s.size && len(s.waiting) == 0 {
		s.busy++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
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

// Release gives a slot back.
func (s *Slots) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.admit()
}

// Busy is how many are taken now.
func (s *Slots) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

// admit is called with the lock held.
func (s *Slots) admit() {
	for s.busy < s.size && len(s.waiting) > 0 {
		s.busy++
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}
