package submissions

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstPause  = time.Second
	lastPause   = 30 * time.Second // of a function that is away
	failedPause = 5 * time.Second  // of one that fails: it is there, and may do better with the next submission
	suspicious  = 5                // failures in a row that make a function look broken whatever it is called with
	wideOpen    = 1000
	longestWait = 2 * time.Hour // that a function may ask for
)

// breaker spares a function that is away. While it is, nothing is delivered but one submission after each pause; when it has taken one, two at
// once may go, then three, and so on.
type breaker struct {
	changed chan struct{} // holds one when somebody who waits may pass; one goroutine waits at most

	mu       sync.Mutex
	busy     int
	limit    int // deliveries at once
	failures int // in a row
	pauses   int // in a row
	opened   time.Time
	until    time.Time
}

func newBreaker() *breaker { return &breaker{changed: make(chan struct{}, 1), limit: wideOpen} }

// pass waits until a delivery may begin; it reports false when ctx ended before. Each that has passed has to leave.
func (b *breaker) pass(ctx context.Context) bool {
	for ctx.Err() == nil {
		b.mu.Lock()
		pause := time.Until(b.until)
		free := pause <= 0 && b.busy < b.limit
		if free {
			b.busy++
		}
		b.mu.Unlock()
		if free {
			return true
		}
		var over <-chan time.Time
		if pause > 0 {
			over = time.After(pause)
		}
		select {
		case <-ctx.Done():
		case <-b.changed:
		case <-over:
		}
	}
	return false
}

func (b *breaker) leave() {
	b.mu.Lock()
	b.busy--
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// took notes that the function has answered, and reports whether that is news.
func (b *breaker) took(began time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
	if began.Before(b.opened) {
		return false
	}
	news = b.pauses > 0
	b.pauses, b.limit = 0, min(b.limit+1, wideOpen)
	return news
}

// failed notes that the function could not do what it was called for, and reports whether it looks broken since.
func (b *breaker) failed(began time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.failures >= suspicious {
		_, news = b.pause(began, 0, 1, failedPause)
	}
	return news
}

// away notes that the function can't be called, and returns how long to wait. A function that is only throttled goes on with half as many at once.
func (b *breaker) away(began time.Time, after time.Duration, throttled bool) (pause time.Duration, news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := 1
	if throttled {
		limit = max(1, min(b.limit, b.busy)/2)
	}
	return b.pause(began, after, limit, lastPause)
}

// pause is called with the lock held. What began before the last pause did says nothing new.
func (b *breaker) pause(began time.Time, after time.Duration, limit int, most time.Duration) (pause time.Duration, news bool) {
	now := time.Now()
	if !began.Before(b.opened) {
		news = b.pauses == 0
		pause = min(firstPause<<min(b.pauses, 10), most)
		pause = max(pause-rand.N(pause/5), min(after, longestWait))
		b.pauses, b.limit = b.pauses+1, limit
		b.opened, b.until = now, now.Add(pause)
	}
	return max(b.until.Sub(now), firstPause), news
}
