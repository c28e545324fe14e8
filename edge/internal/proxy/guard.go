package proxy

import (
	"sync"
	"time"
)

// The guard looks once in a tick: once a second, or eight times in the shortest limit of those that it looks after.
const (
	longestTick  = time.Second
	shortestTick = 5 * time.Millisecond
	ticksInLimit = 8
)

// A guard looks after the attempts at one target, so that none of them needs a timer of its own: it interrupts those in
// which nothing moves, and all of them when the target has ended.
type guard struct {
	mu       sync.Mutex
	attempts []*attempt
	timer    *time.Timer // nil before the first attempt
	running  bool        // the timer is
	tick     time.Duration
	looked   time.Time
	closed   bool
}

// add reports false when the target has ended.
func (g *guard) add(a *attempt) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	a.place = len(g.attempts)
	g.attempts = append(g.attempts, a)
	tick := tickOf(a.limit)
	if g.running && tick >= g.tick {
		return true
	}
	g.look(tick)
	return true
}

func tickOf(limit time.Duration) time.Duration {
	return min(max(limit/ticksInLimit, shortestTick), longestTick)
}

// look sets the timer. It wants g.mu held.
func (g *guard) look(tick time.Duration) {
	if !g.running {
		g.looked = time.Now()
	}
	g.running, g.tick = true, tick
	if g.timer == nil {
		g.timer = time.AfterFunc(tick, g.check)
		return
	}
	g.timer.Reset(tick)
}

func (g *guard) remove(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := len(g.attempts) - 1
	g.attempts[a.place] = g.attempts[last]
	g.attempts[a.place].place = a.place
	g.attempts[last] = nil
	g.attempts = g.attempts[:last]
}

// check is called by the timer, and sets it again while there is something to look after.
func (g *guard) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	elapsed := now.Sub(g.looked)
	g.looked = now
	tick := longestTick
	for _, a := range g.attempts {
		if a.over(elapsed) {
			a.interrupt(a.whoIsSilent())
		}
		tick = min(tick, tickOf(a.limit))
	}
	g.running = false
	if len(g.attempts) > 0 && !g.closed {
		g.look(tick)
	}
}

// whoIsSilent says who owes the next byte.
func (a *attempt) whoIsSilent() error {
	if a.body != nil && !a.answered.Load() && a.body.isReading() {
		return errClientSilent
	}
	return errTargetSilent
}

// close interrupts all attempts, since the target has ended.
func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
	for _, a := range g.attempts {
		a.interrupt(errDrained)
	}
}
