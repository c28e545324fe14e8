package proxy

import (
	"errors"
	"sync/atomic"
	"time"
)

// defaultIdle holds where neither host nor rule set an idle limit (ALB's idle timeout).
const defaultIdle = 60 * time.Second

// What interrupts an attempt, beside the visitor's leaving.
var (
	errTargetSilent = errors.New("proxy: target is silent")
	errClientSilent = errors.New("proxy: client is silent")
	errDrained      = errors.New("proxy: target's drain has ended")
)

// silence is how long nothing has moved in an attempt, in either direction. Waiting for a visitor who takes in the answer
// slowly does not count: the front sets limits to that.
type silence struct {
	limit    time.Duration
	moves    atomic.Uint32 // how often something moved
	writes   atomic.Int32  // writes to the visitor in progress
	answered atomic.Bool   // the head of the answer has come

	// The guard's own notes.
	seen   uint32
	lasted time.Duration
	fresh  bool // not looked at yet
}

func (s *silence) reset(limit time.Duration) {
	if limit <= 0 {
		limit = defaultIdle
	}
	s.limit, s.fresh, s.lasted = limit, true, 0
	s.writes.Store(0)
	s.answered.Store(false)
}

// touch says that something moved.
func (s *silence) touch() { s.moves.Add(1) }

// pause and resume bracket a write to the visitor.
func (s *silence) pause() { s.writes.Add(1) }

func (s *silence) resume() {
	s.touch()
	s.writes.Add(-1)
}

// over is asked by the guard, each time with the time since it last asked.
func (s *silence) over(elapsed time.Duration) bool {
	moves := s.moves.Load()
	if s.fresh || moves != s.seen || s.writes.Load() > 0 {
		s.fresh, s.seen, s.lasted = false, moves, 0
		return false
	}
	s.lasted += elapsed
	return s.lasted >= s.limit
}
