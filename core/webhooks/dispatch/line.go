package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/pace"
	"github.com/onehost/edge/core/webhooks/inbox"
)

const (
	// poll is how often a line looks for what is due that nobody has told it of: retries, and what other processes have kept or left.
	poll = 5 * time.Second

	lastPause = 5 * time.Second  // of a plugin that is away: it is of this host, where asking costs little
	slack     = 20 * time.Second // from a claim to the attempt, and from its end to the outcome on disk

	defaultTimeout     = 30 * time.Second
	defaultConcurrency = 4
)

// line delivers what one source has sent.
type line struct {
	*Dispatcher
	source  string
	woken   chan struct{} // holds one when something may be due
	breaker *pace.Breaker
	slots   *pace.Slots
	crew    *crew
	busy    atomic.Int32
	reason  atomic.Pointer[string] // why the last attempt came to nothing
	failing atomic.Bool            // whether the store was away the last time
}

func newLine(d *Dispatcher, source string, concurrency int) *line {
	l := &line{
		Dispatcher: d, source: source, woken: make(chan struct{}, 1),
		breaker: pace.NewBreaker(pace.Pauses{Away: lastPause, Failed: lastPause}), slots: pace.NewSlots(concurrency), crew: &crew{size: concurrency},
	}
	l.poke() // there may be some of before
	return l
}

// poke says that something may be due.
func (l *line) poke() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// lastError is why the last attempt came to nothing; "" when it was handled.
func (l *line) lastError() string {
	if reason := l.reason.Load(); reason != nil {
		return *reason
	}
	return ""
}

// run has what is due be tried until ctx ends.
func (l *line) run(ctx context.Context, now *shift) {
	for l.wait(ctx) {
		if l.crew.wake() {
			l.start(ctx, now)
		}
	}
}

// start has one more of the crew try what is due.
func (l *line) start(ctx context.Context, now *shift) {
	now.under.Go(func() {
		for goes := true; goes; {
			wakes := l.crew.looks()
			if l.next(ctx, now) {
				goes = l.crew.goesOn()
			} else {
				goes = l.crew.foundNothing(wakes)
			}
		}
	})
}

// wait waits until something is due; it reports false when ctx ended before.
func (l *line) wait(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.woken:
			return ctx.Err() == nil
		case <-l.inbox.Woken(l.source):
			return ctx.Err() == nil
		case <-time.After(l.poll - rand.N(l.poll/5)): // apart from other lines and hosts
		}
		due, err := l.inbox.Due(ctx, l.source)
		l.note(ctx, err)
		if due {
			return true
		}
	}
}

// note logs when the store goes away.
func (l *line) note(ctx context.Context, err error) {
	failing := err != nil && !errors.Is(err, fault.NotFound)
	if was := l.failing.Swap(failing); failing && !was && ctx.Err() == nil {
		l.log.Warn("webhooks: nothing is delivered while the store is away", "source", l.source, "error", err)
	}
}

// next takes what has been due for longest and tries it; it reports whether there was something. Beside it another of the crew looks for more.
func (l *line) next(ctx context.Context, now *shift) bool {
	a := l.admit(ctx)
	if a == nil {
		return false
	}
	defer a.leave()
	taken, err := l.inbox.Take(ctx, l.source, a.hold)
	l.note(ctx, err)
	if err != nil {
		return false
	}
	a.taken = taken
	if fresh(taken) {
		l.question(taken.ID)
	}
	if l.crew.join() {
		l.start(ctx, now)
	}
	a.run(now)
	return true
}

// fresh tells whether a source may still be going to ask for the answer.
func fresh(t *inbox.Taken) bool { return t.Sync && len(t.Attempts) == 0 && t.Replays == 0 }

// admit waits until an attempt may begin; nil when ctx ended before, or nothing can begin now. What it returns has to leave.
func (l *line) admit(ctx context.Context) *attempt {
	if !l.breaker.Pass(ctx) {
		return nil
	}
	passed := time.Now()
	if !l.slots.Acquire(ctx) {
		l.breaker.Leave()
		return nil
	}
	l.busy.Add(1)
	a := &attempt{line: l, passed: passed}
	if l.turn(a) {
		a.stay = a.room.enter(ctx)
	}
	if a.stay == nil || l.unsettled.Load() > 0 { // it could take one whose outcome waits to be written down
		a.leave()
		return nil
	}
	return a
}

// turn fills in the source as it is configured, and the room of its plugin.
func (l *line) turn(a *attempt) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.configured, ok = l.sources[l.source]; !ok {
		return false
	}
	a.room = l.rooms[a.configured.Plugin]
	for _, other := range l.sources {
		if other.Plugin == a.configured.Plugin {
			a.longest = max(a.longest, other.Timeout)
		}
	}
	a.hold = a.configured.Timeout + a.longest + l.slack
	return true
}
