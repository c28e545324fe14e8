package local

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	returnTime   = 50 * time.Millisecond // that a process may take to ask for more after an answer, before another one is started instead
	busyTime     = time.Second           // the same, when no other may be started
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

var errBusy = errors.New("all processes are busy")

// state is what a process does.
type state int

const (
	starting  state = iota
	busy            // somebody has it, or it has an invocation
	returning       // it has answered, and did not ask for more yet
	idle            // it asks for more
	ending          // it gets nothing any more
)

// pool is the processes of a function. The one that came back last is used first, so that those which nobody needs grow old.
type pool struct {
	f *Function

	mu      sync.Mutex // guards what processes say is the pool's, too
	all     map[*process]bool
	idle    []*process      // the last one is the warmest
	waiters []chan *process // of 1; nil says: look again
	version version         // of the program that is run
	retired bool

	failure  *failure // why the last start came to nothing; nil if it came to something
	failures int      // in a row
	again    time.Time
}

func newPool(f *Function) *pool { return &pool{f: f, all: make(map[*process]bool)} }

// acquire returns a process that has asked for an invocation, which is the caller's to give. The error is a *failure if a process could not be started, errBusy, or that of ctx.
func (p *pool) acquire(ctx context.Context) (*process, error) {
	waited := false
	for {
		p.mu.Lock()
		p.refresh()
		if n := len(p.idle); n > 0 {
			pr := p.idle[n-1]
			p.idle = p.idle[:n-1]
			pr.state = busy
			p.mu.Unlock()
			return pr, nil
		}
		live, back := p.live()
		room := live < p.f.spec.Concurrency
		switch {
		case room && (back == 0 || waited):
			pr, err := p.add()
			p.mu.Unlock()
			if err != nil {
				return nil, err
			}
			return pr, p.start(ctx, pr)
		case !room && (back == 0 || waited):
			p.mu.Unlock()
			return nil, errBusy
		}
		wait := make(chan *process, 1)
		p.waiters = append(p.waiters, wait)
		p.mu.Unlock()
		limit := busyTime
		if room {
			limit = returnTime
		}
		pr, err := p.await(ctx, wait, limit)
		if pr != nil || err != nil {
			return pr, err
		}
		waited = true
	}
}

// await waits for a process that somebody gives back: nil if none was in time.
func (p *pool) await(ctx context.Context, wait chan *process, limit time.Duration) (*process, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case pr := <-wait:
		return pr, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters = slices.DeleteFunc(p.waiters, func(w chan *process) bool { return w == wait })
	select {
	case pr := <-wait: // it came at the same moment
		if err != nil && pr != nil {
			p.free(pr)
			return nil, err
		}
		return pr, err
	default:
		return nil, err
	}
}

// live counts the processes that do, or will do, something, and those of them that are about to ask for more.
func (p *pool) live() (live, back int) {
	for pr := range p.all {
		switch pr.state {
		case returning:
			back++
			live++
		case starting, busy, idle:
			live++
		case ending:
		}
	}
	return live, back
}

// refresh ends what runs a program that was built again. While the file is not there, which it isn't for a moment of a build, what runs goes on.
func (p *pool) refresh() {
	now := p.f.version()
	if now == p.version || now == (version{}) {
		return
	}
	p.version, p.failure, p.failures = now, nil, 0
	for _, pr := range p.idle {
		p.end(pr)
	}
	p.idle = nil
}

// add makes a process that is still to be started, unless that has just failed.
func (p *pool) add() (*process, error) {
	if p.failure != nil && time.Now().Before(p.again) {
		return nil, p.failure
	}
	if !p.f.service.enroll(p.f) {
		return nil, context.Canceled
	}
	pr := newProcess(p, p.version)
	p.all[pr] = true
	return pr, nil
}

// start starts a process and waits until it asks for its first invocation.
func (p *pool) start(ctx context.Context, pr *process) error {
	if err := pr.start(ctx); err != nil {
		p.gone(pr)
		p.f.service.leave(p.f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return p.failed(invalidEntrypoint(err))
	}
	timer := time.NewTimer(InitTime)
	defer timer.Stop()
	select {
	case <-pr.ready:
		p.mu.Lock()
		p.failure, p.failures = nil, 0
		p.mu.Unlock()
		return nil
	case <-pr.ended:
		p.mu.Lock()
		said := pr.initError
		p.mu.Unlock()
		if said == nil {
			said = exited(pr.exit)
		}
		return p.failed(said)
	case <-timer.C:
		pr.kill()
		return p.failed(timedOut(InitTime))
	case <-ctx.Done():
		pr.kill()
		return ctx.Err()
	}
}

// failed notes that a start came to nothing: for a while, which grows from one to the next, nothing is started, and the same is said to all. So a program that
// ends at once does not keep the host busy.
func (p *pool) failed(why *failure) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = why
	p.again = time.Now().Add(min(lastBackoff, firstBackoff<<min(p.failures, 16)))
	p.failures++
	return why
}

// free takes a process that asks for more: the next who waits gets it. p.mu is held.
func (p *pool) free(pr *process) {
	switch {
	case pr.state == ending:
	case pr.version != p.version:
		p.end(pr)
		p.wake()
	case len(p.waiters) > 0:
		pr.state = busy
		p.waiters[0] <- pr
		p.waiters = p.waiters[1:]
	case p.retired:
		p.end(pr)
	default:
		pr.state, pr.since = idle, time.Now()
		p.idle = append(p.idle, pr)
	}
}

// unlist takes a process that was idle out of those that can be had. p.mu is held.
func (p *pool) unlist(pr *process) {
	pr.state, pr.since = returning, time.Now()
	p.idle = slices.DeleteFunc(p.idle, func(q *process) bool { return q == pr })
}

// end has a process end by itself, soon. p.mu is held.
func (p *pool) end(pr *process) {
	pr.state = ending
	pr.terminate()
}

// wake has one who waits look again. p.mu is held.
func (p *pool) wake() {
	if len(p.waiters) > 0 {
		p.waiters[0] <- nil
		p.waiters = p.waiters[1:]
	}
}

// gone forgets a process that has ended.
func (p *pool) gone(pr *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr.state = ending
	delete(p.all, pr)
	p.idle = slices.DeleteFunc(p.idle, func(q *process) bool { return q == pr })
	p.wake()
}

// endIdle ends what has been idle since before a time, and what answered then and never asked for more.
func (p *pool) endIdle(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pr := range p.all {
		late := pr.state == returning && time.Since(pr.since) > p.f.spec.Timeout
		if late || pr.state == idle && pr.since.Before(before) {
			p.end(pr)
		}
	}
	p.idle = slices.DeleteFunc(p.idle, func(pr *process) bool { return pr.state == ending })
}

func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	p.endIdle(time.Now().Add(time.Hour))
}

// close ends all processes, whatever they do.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired, p.idle = true, nil
	for pr := range p.all {
		p.end(pr)
	}
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
