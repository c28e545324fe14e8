package submissions

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/pace"
	"github.com/onehost/edge/core/store"
)

// poll is how often a line looks for what is due that nobody has told it of: retries, and what other processes have kept or left.
const poll = 5 * time.Second

// line delivers the submissions of one form.
type line struct {
	*Submissions
	form    string
	woken   chan struct{} // holds one when something may be due
	breaker *pace.Breaker
	failing bool // whether the store was away the last time
}

func newLine(s *Submissions, form string) *line {
	l := &line{Submissions: s, form: form, woken: make(chan struct{}, 1), breaker: pace.NewBreaker(pace.Pauses{Away: lastPause, Failed: failedPause})}
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

// run begins deliveries until ctx ends, and returns when they have ended, or some time after work has.
func (l *line) run(ctx, work context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for l.wait(ctx) {
		for l.begin(ctx, work, &under) {
		}
	}
}

// wait waits until something is due; it reports false when ctx ended before.
func (l *line) wait(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.woken:
			return ctx.Err() == nil
		case <-time.After(l.poll - rand.N(l.poll/5)): // apart from other lines and hosts
		}
		found, err := l.store.Find(ctx, l.look())
		l.note(ctx, err)
		if len(found) > 0 {
			return true
		}
	}
}

// look asks whether something is due: reading is cheaper than claiming in vain.
func (l *line) look() store.Query {
	q := due(l.form)
	q.Fields = []string{}
	return q
}

// note logs when the store goes away and when it comes back.
func (l *line) note(ctx context.Context, err error) {
	failing := err != nil && !errors.Is(err, fault.NotFound)
	if failing && !l.failing && ctx.Err() == nil {
		l.log.Warn("forms: nothing is delivered while the store is away", "form", l.form, "error", err)
	}
	l.failing = failing
}

// begin claims what has been due for longest and delivers it beside; it reports whether there may be more.
func (l *line) begin(ctx, work context.Context, under *sync.WaitGroup) bool {
	if !l.breaker.Pass(ctx) {
		return false
	}
	d := &delivery{line: l}
	if l.claim(ctx, d) {
		under.Go(func() {
			d.run(work)
			d.slots.Release()
			l.breaker.Leave()
		})
		return true
	}
	l.breaker.Leave()
	return false
}

// claim fills in a delivery, which has a slot then.
func (l *line) claim(ctx context.Context, d *delivery) bool {
	var ok bool
	if d.function, d.timeout, d.slots, ok = l.turn(); !ok || !d.slots.Acquire(ctx) {
		return false
	}
	d.began = time.Now()
	err := errUnsettled
	if l.unsettled.Load() == 0 { // a claim could be of one whose outcome waits to be written down
		var kept store.Document
		kept, err = l.store.Claim(ctx, due(l.form), claimed(d.function, d.timeout+l.slack))
		d.fill(kept)
		l.note(ctx, err)
	}
	if err != nil {
		d.slots.Release()
	}
	return err == nil
}

var errUnsettled = errors.New("outcomes wait to be written down")

// turn returns who gets the next submission.
func (l *line) turn() (function string, timeout time.Duration, of *pace.Slots, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	function, f, ok := l.settings.Load().target(l.form)
	of = l.slots[function]
	return function, f.Timeout, of, ok && of != nil
}
