package host

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
)

// unit is one plugin of the configuration: the process that is of service, and those that end. All that is started is started by its goroutine (run).
type unit struct {
	host    *Host
	name    string
	changed chan struct{} // holds one when spec is another
	reloads chan chan error
	first   chan struct{}           // closed when the first start has ended, well or not
	started sync.Once               // closes first
	over    chan struct{}           // closed when run has returned
	cancel  context.CancelFunc      // of run; guarded by host.mu
	current atomic.Pointer[process] // of service; nil: none
	ending  sync.WaitGroup          // processes that end

	mu       sync.Mutex
	spec     config.Plugin
	state    State
	since    time.Time
	restarts int
	failures int // in a row
	last     error
	lastAt   time.Time
	giveUp   context.CancelCauseFunc // the start under way, if there is one

	// Of run alone:
	program *program  // what was last of service; nil: none yet
	next    time.Time // when a start is tried again
	taken   version   // of the file, when it was last taken
	seen    version   // of the file, when it was last looked at
	settled time.Time // when seen is whole, if it does not change until then
}

func newUnit(h *Host, name string, spec config.Plugin) *unit {
	return &unit{
		host: h, name: name, spec: spec, state: Stopped, since: time.Now(),
		changed: make(chan struct{}, 1), reloads: make(chan chan error), first: make(chan struct{}), over: make(chan struct{}), cancel: func() {},
	}
}

var errSuperseded = errors.New("the configuration has changed since")

// change has the plugin go on with another configuration.
func (u *unit) change(spec config.Plugin) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if reflect.DeepEqual(u.spec, spec) {
		return
	}
	u.spec = spec
	if u.giveUp != nil {
		u.giveUp(errSuperseded)
	}
	select {
	case u.changed <- struct{}{}:
	default: // it is told already
	}
}

// reload starts it anew, from its program as it is now.
func (u *unit) reload(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case u.reloads <- done:
	case <-u.over:
		return fmt.Errorf("the plugin %s has been stopped", u.name)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the plugin %s is still being reloaded: %w", u.name, ctx.Err())
	}
}

// run keeps the plugin running until ctx ends.
func (u *unit) run(ctx context.Context) {
	defer close(u.over)
	defer u.close()
	for {
		var ended <-chan struct{}
		current := u.current.Load()
		if current != nil {
			ended = current.group.ended
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
			u.fell(current)
		case done := <-u.reloads:
			done <- u.replace(ctx, true)
		case <-u.changed:
			u.adapt(ctx)
		case <-u.again():
			_ = u.replace(ctx, false) // it is in the log
		case <-u.look():
			if u.renewed() {
				_ = u.replace(ctx, true)
			}
		}
	}
}

// again is when a start is to be tried: there is no process, or one of another configuration.
func (u *unit) again() <-chan time.Time {
	if !u.stale() {
		return nil
	}
	return time.After(time.Until(u.next))
}

// stale reports whether the process is not the one that the configuration wants.
func (u *unit) stale() bool {
	current := u.current.Load()
	u.mu.Lock()
	defer u.mu.Unlock()
	return current == nil || !same(current.spec, u.spec)
}

// same reports whether a process of one configuration does for another.
func same(a, b config.Plugin) bool {
	a.Watch, b.Watch = false, false
	return reflect.DeepEqual(a, b)
}

// adapt takes another configuration into use, if it needs another process.
func (u *unit) adapt(ctx context.Context) {
	if u.stale() {
		u.mu.Lock()
		u.failures = 0 // of another configuration
		u.mu.Unlock()
		_ = u.replace(ctx, true)
	}
}

// replace starts a process and puts it in the place of the one there is. If it is not well, all is as it was. It is started from the program that was of service last; when somebody has asked
// for it, when it is not to go on with what fails, or when there is none, from the file as it is now.
func (u *unit) replace(ctx context.Context, asked bool) error {
	u.mu.Lock()
	spec := u.spec
	starting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u.giveUp = cancel
	fresh := asked || u.program == nil || u.failures >= crashLoop || u.program.command != spec.Command || u.program.sha256 != spec.SHA256
	if u.current.Load() == nil {
		switch {
		case u.failures >= crashLoop: // it stays one
		case u.failures > 0:
			u.enter(Restarting)
		default:
			u.enter(Starting)
		}
		if u.failures > 0 {
			u.restarts++
		}
	}
	u.mu.Unlock()
	p, err := u.start(starting, spec, fresh)
	u.mu.Lock()
	u.giveUp = nil
	u.mu.Unlock()
	if err != nil {
		if starting.Err() == nil {
			u.failed(err)
			u.tried()
		}
		return fmt.Errorf("the plugin %s: %w", u.name, err)
	}
	u.serve(p, asked)
	u.tried()
	return nil
}

// tried says that there was a start.
func (u *unit) tried() { u.started.Do(func() { close(u.first) }) }

// awaitFirst waits for the first start to end, if that does not take long: nobody has to hear that a plugin is away because edge itself has just started.
func (u *unit) awaitFirst(ctx context.Context) {
	select {
	case <-u.first:
		return
	default:
	}
	select {
	case <-u.first:
	case <-u.over:
	case <-ctx.Done():
	case <-time.After(u.host.times.first):
	}
}

func (u *unit) start(ctx context.Context, spec config.Plugin, fresh bool) (*process, error) {
	if !fresh {
		return u.host.start(ctx, u.name, spec, u.program.hold())
	}
	folder, err := u.host.room.open()
	if err != nil {
		return nil, err
	}
	u.taken, _ = versionOf(spec.Command)
	taken, err := take(folder, spec.Command, spec.SHA256)
	if err != nil {
		return nil, err
	}
	return u.host.start(ctx, u.name, spec, taken)
}

// serve takes a process into service. The one before it ends what it is at.
func (u *unit) serve(p *process, asked bool) {
	if u.program != p.program {
		if u.program != nil {
			u.program.release()
		}
		u.program = p.program.hold()
	}
	u.mu.Lock()
	old := u.current.Swap(p)
	if asked {
		u.failures, u.last = 0, nil
	}
	u.enter(Running)
	u.mu.Unlock()
	p.log.Info("plugin is of service", "sdk", p.said.GetSdk(), "took", time.Since(p.since))
	if old != nil {
		u.ending.Go(func() { old.retire(u.host.times.drain) })
	}
}

// fell notes that the process of service has ended by itself.
func (u *unit) fell(p *process) {
	u.mu.Lock()
	u.current.CompareAndSwap(p, nil)
	u.enter(Restarting)
	u.mu.Unlock()
	<-p.ended // what it printed is read
	u.mu.Lock()
	if time.Since(p.since) >= u.host.times.stable {
		u.failures = 0
	}
	u.mu.Unlock()
	u.failed(p.failure())
}

// failed notes that a process has ended, or could not be started, and when to try again.
func (u *unit) failed(err error) {
	there := u.current.Load() != nil
	stale := u.stale()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last, u.lastAt = err, time.Now()
	if !stale {
		u.host.log.Error("plugin was not reloaded: the process that there was goes on", "plugin", u.name, "err", err)
		return
	}
	t := u.host.times
	pause := min(t.longest, t.backoff<<min(u.failures, 16))
	u.failures++
	if u.failures >= crashLoop {
		pause = t.longest
	}
	u.next = time.Now().Add(pause)
	switch {
	case there:
		u.host.log.Error("plugin could not be started as the configuration says now: the process that there was goes on", "plugin", u.name, "err", err, "again_in", pause)
	case u.failures >= crashLoop:
		u.enter(CrashLoop)
		u.host.log.Error("plugin fails again and again: it needs a person", "plugin", u.name, "err", err, "failures", u.failures, "again_in", pause)
	default:
		u.enter(Restarting)
		u.host.log.Error("plugin failed", "plugin", u.name, "err", err, "again_in", pause)
	}
}

// enter changes the state. u.mu is held.
func (u *unit) enter(s State) {
	if u.state != s || s == Running {
		u.state, u.since = s, time.Now()
	}
}

// look is when the program's file is looked at.
func (u *unit) look() <-chan time.Time {
	u.mu.Lock()
	watch := u.spec.Watch
	u.mu.Unlock()
	if !watch {
		return nil
	}
	if u.settled.IsZero() {
		return time.After(u.host.times.watch)
	}
	return time.After(time.Until(u.settled))
}

// renewed reports whether the program's file is another one than was taken, and whole.
func (u *unit) renewed() bool {
	u.mu.Lock()
	command := u.spec.Command
	u.mu.Unlock()
	now, runs := versionOf(command)
	switch {
	case now == u.taken || now == (version{}):
		u.settled = time.Time{}
		return false
	case now != u.seen || u.settled.IsZero():
		u.seen, u.settled = now, time.Now().Add(u.host.times.settle)
		return false
	}
	u.settled = time.Time{}
	return runs
}

// close ends all processes.
func (u *unit) close() {
	u.mu.Lock()
	p := u.current.Swap(nil)
	u.enter(Stopped)
	u.mu.Unlock()
	if p != nil {
		p.retire(u.host.times.drain)
	}
	u.ending.Wait()
	if u.program != nil {
		u.program.release()
	}
}

// hold returns the process of service, with a call begun.
func (u *unit) hold() (*process, error) {
	for {
		p := u.current.Load()
		if p == nil {
			return nil, u.absent()
		}
		if p.acquire() {
			return p, nil
		}
		if u.current.Load() == p { // it has just ended
			return nil, u.absent()
		}
	}
}

// absent says why there is no process.
func (u *unit) absent() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last != nil && u.state != Stopped {
		return fmt.Errorf("the plugin %s is not running (%s): %w", u.name, u.state, u.last)
	}
	if u.state == Running {
		return errors.New("the plugin " + u.name + " has just ended")
	}
	return fmt.Errorf("the plugin %s is not running (%s)", u.name, u.state)
}
