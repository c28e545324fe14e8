package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// defaultIdle holds where neither host nor rule set an idle limit (ALB's idle timeout).
const defaultIdle = 60 * time.Second

// Causes with which an attempt's context ends, beside the visitor's own.
var (
	errTargetSilent = errors.New("proxy: target is silent")
	errClientSilent = errors.New("proxy: client is silent")
	errDrained      = errors.New("proxy: target's drain has ended")
)

// silence ends an attempt in which nothing moved, in either direction, for the idle limit. Waiting for a visitor who
// takes in the answer slowly does not count: the front sets limits to that.
type silence struct {
	limit  time.Duration
	cancel context.CancelCauseFunc
	body   *requestBody // nil for a request without one

	last     atomic.Int64 // when something moved, in Unix nanoseconds
	writes   atomic.Int32 // writes to the visitor in progress
	answered atomic.Bool  // the head of the answer has come

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func startSilence(limit time.Duration, cancel context.CancelCauseFunc, body *requestBody) *silence {
	if limit <= 0 {
		limit = defaultIdle
	}
	s := &silence{limit: limit, cancel: cancel, body: body}
	if body != nil {
		body.silence = s
	}
	s.touch()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(limit, s.fire)
	return s
}

// touch says that something moved.
func (s *silence) touch() { s.last.Store(time.Now().UnixNano()) }

// pause and resume bracket a write to the visitor.
func (s *silence) pause() { s.writes.Add(1) }

func (s *silence) resume() {
	s.touch()
	s.writes.Add(-1)
}

func (s *silence) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.timer.Stop()
}

func (s *silence) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	left := s.limit
	if s.writes.Load() == 0 {
		left -= time.Duration(time.Now().UnixNano() - s.last.Load())
	}
	switch {
	case left > 0:
		s.timer.Reset(left)
	case s.body != nil && !s.answered.Load() && s.body.isReading():
		s.cancel(errClientSilent) // it is the visitor who owes the next byte
	default:
		s.cancel(errTargetSilent)
	}
}
