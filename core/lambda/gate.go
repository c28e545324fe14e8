package lambda

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	waitTime  = 2 * time.Second // for a free place: a burst passes, and a visitor does not wait for what will not come
	waitAhead = 4               // as many wait as can be under way, times this
)

// gate lets so many invocations be under way at once, and so many wait.
type gate struct {
	places chan struct{} // one value is one invocation inside
	queue  atomic.Int64
	most   int64
	wait   time.Duration
}

func newGate(concurrency int) *gate {
	concurrency = max(1, concurrency)
	return &gate{places: make(chan struct{}, concurrency), most: int64(waitAhead * concurrency), wait: waitTime}
}

// enter waits for a place, and reports whether there was one. Whoever has it leaves.
func (g *gate) enter(ctx, base context.Context) bool {
	select {
	case g.places <- struct{}{}:
		return true
	default:
	}
	defer g.queue.Add(-1)
	if g.queue.Add(1) > g.most {
		return false
	}
	timer := time.NewTimer(g.wait)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	case <-base.Done():
	}
	return false
}

func (g *gate) leave() { <-g.places }

func (g *gate) inside() int  { return len(g.places) }
func (g *gate) waiting() int { return int(g.queue.Load()) }
