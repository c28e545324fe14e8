package pace

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstPause = time.Second
	suspicious = 5 // failures in a row that make somebody look broken whatever he is called with
	wideOpen   = 1000
)

// Pauses are how long somebody is left alone at most before he is tried again, unless he asked for more.
type Pauses struct {
	Away   time.Duration // who can't be called
	Failed time.Duration // who can, but fails: he is there, and may do better with the next call
}

// Breaker spares somebody who is away. While he is, nobody calls but one after each pause; when he has answered, two at
// once may, then three, and so on. Its methods may be called at the same time.
type Breaker struct {
	pauses Pauses

	mu       sync.Mutex
	changed  chan struct{} // closed when somebody who waits may pass; nil when nobody does
	busy     int
	limit    int // calls at once
	failures int // in a row
	paused   int // pauses in a row
	opened   time.Time
	until    time.Time
}

// NewBreaker returns a breaker that all may pass.
func NewBreaker(p Pauses) *Breaker { return &Breaker{pauses: p, limit: wideOpen} }

// Pass waits until a call may begin; it reports false when ctx ended before. Each that has passed has to leave.
func (b *Breaker) Pass(ctx context.Context) bool {
	for ctx.Err() == nil {
		pause, changed, free := b.enter()
		if free {
			return true
		}
		var over <-chan time.Time
		if pause > 0 {
			over = time.After(pause)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-over:
		}
	}
	return false
}

// enter lets somebody pass, or says what he has to wait for.
func (b *Breaker) enter() (pause time.Duration, changed <-chan struct{}, free bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pause = time.Until(b.until); pause <= 0 && b.busy < b.limit {
		b.busy++
		return 0, nil, true
	}
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return pause, b.changed, false
}

// Leave ends a call.
func (b *Breaker) Leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy--
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Took notes that a call that began then was answered, and reports whether that is news.
func (b *Breaker) Took(began time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
	if began.Before(b.opened) {
		return false
	}
	news = b.paused > 0
	b.paused, b.limit = 0, min(b.limit+1, wideOpen)
	return news
}

// Failed notes that a call came to nothing for a reason that may lie in what was asked; after five in a row it is taken for one that does not. It
// reports whether somebody looks broken since this one.
func (b *Breaker) Failed(began time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.failures >= suspicious {
		_, news = b.pause(began, 0, 1, b.pauses.Failed)
	}
	return news
}

// Away notes that a call could not be made, and returns how long to wait: after at least. Who is only throttled goes on with half as many at once.
func (b *Breaker) Away(began time.Time, after time.Duration, throttled bool) (pause time.Duration, news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := 1
	if throttled {
		limit = max(1, min(b.limit, b.busy)/2)
	}
	return b.pause(began, after, limit, b.pauses.Away)
}

// Paused reports whether somebody was away when he was called last.
func (b *Breaker) Paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused > 0
}

// pause is called with the lock held. What began before the last pause did says nothing new.
func (b *Breaker) pause(began time.Time, after time.Duration, limit int, most time.Duration) (pause time.Duration, news bool) {
	now := time.Now()
	if !began.Before(b.opened) {
		news = b.paused == 0
		pause = min(firstPause<<min(b.paused, 10), most)
		pause = max(pause-rand.N(pause/5), after)
		b.paused, b.limit = b.paused+1, limit
		b.opened, b.until = now, now.Add(pause)
	}
	return max(b.until.Sub(now), firstPause), news
}
