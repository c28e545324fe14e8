package webhooks

import (
	"sync"
	"time"
)

// sayEvery is how often the same is said in the log at most.
const sayEvery = time.Minute

// A sayer knows how often something was not said that may come often.
type sayer struct {
	mu     sync.Mutex
	unsaid int
	said   time.Time
}

// say returns how often it came since it was last said; 0: that was a moment ago.
func (s *sayer) say(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaid++
	if !s.said.IsZero() && now.Sub(s.said) < sayEvery {
		return 0
	}
	n := s.unsaid
	s.unsaid, s.said = 0, now
	return n
}
