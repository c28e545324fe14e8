// Package host starts plugins, watches over them, and hands them deliveries and jobs. A plugin is a process of somebody else's that speaks the plugins' protocol by
// go-plugin (gRPC over a socket in a private folder, mutual TLS): one that crashes, hangs or leaks hurts itself alone, and is started anew.
//
// What a plugin gets: the environment that its configuration says and go-plugin's own variables (PLUGIN_…, EDGE_PLUGIN), nothing of edge's, no PATH either; the folder of its program
// as working directory; /dev/null to read from; secrets in the first call (Start), so that they are in no environment. Its process is the leader of a session and a group of
// its own, may gain no privileges, and is killed with the group when edge ends, however edge ends.
//
// What is run is a private copy of the program, made when it is taken into service: its file may be overwritten at any time, and a process that crashes is started anew from the
// same copy, until a reload. Programs that can't do without their place are run where they are: scripts, and those that load libraries from beside themselves.
//
// As edge's own user a plugin may read what edge may read: this isolates crashes, not secrets. With user it isolates both.
//
// In comes what keeps processes running and calls in bounds. What deliveries are is the inbox's business, when they are handled is dispatch's.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/onehost/edge/core/child"
	"github.com/onehost/edge/core/fault"
)

// Services serves to a process of a plugin what of edge's it may call, until stop is called. uid is the user that the process runs as, -1 for edge's own.
type Services interface {
	Serve(plugin string, may []string, uid int) (target, token string, stop func(), err error)
}

// Options are what a Host needs.
type Options struct {
	Folder   string // for copies of programs and for sockets; made if it is missing
	Services Services
	Version  string // edge's
	Log      *slog.Logger
}

// Host runs the plugins of a configuration. Its methods may be called at the same time.
type Host struct {
	services Services
	version  string
	log      *slog.Logger
	times    times
	room     *room
	starter  *child.Starter

	mu      sync.Mutex
	plugins map[string]*unit
	running context.Context // of Run; nil while it does not run
	group   sync.WaitGroup  // units that run; added to while mu is held
	live    map[*process]bool
}

// times are how long things take, and may take.
type times struct {
	first    time.Duration // that a call waits for a plugin's first start
	start    time.Duration // from a process's start until it is of service
	ping     time.Duration // between two
	answer   time.Duration // to a ping
	backoff  time.Duration // after the first failure; doubled from one to the next
	longest  time.Duration // of backoffs, and of those of a crash loop
	stable   time.Duration // a process that has stood for so long starts with a clean slate
	drain    time.Duration // calls under way, of a process that is replaced or stopped
	grace    time.Duration // for a process that is asked to end, before it is killed
	memory   time.Duration // between two looks
	watch    time.Duration // between two looks at the files of programs
	settle   time.Duration // that a file has not changed, before it is run
	deadline time.Duration // of a call that has none
}

// standard is what holds outside of tests.
func standard() times {
	return times{
		first: 2 * time.Second, start: 10 * time.Second, ping: 10 * time.Second, answer: 5 * time.Second, backoff: 100 * time.Millisecond, longest: 30 * time.Second, stable: time.Minute,
		drain: 30 * time.Second, grace: 2 * time.Second, memory: 250 * time.Millisecond, watch: time.Second, settle: 300 * time.Millisecond, deadline: 15 * time.Minute,
	}
}

const crashLoop = 5 // failures in a row, with which a plugin becomes a matter for a person

// New returns a Host without a plugin.
func New(o Options) *Host {
	return &Host{
		services: o.Services, version: o.Version, log: o.Log, times: standard(),
		room: newRoom(o.Folder), starter: child.NewStarter(), plugins: make(map[string]*unit), live: make(map[*process]bool),
	}
}

// Run keeps the plugins running until ctx ends, and returns when all of their processes have ended: calls under way may end before, within 30 s.
func (h *Host) Run(ctx context.Context) error {
	stop := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { h.starter.Run(stop) })
	helpers.Go(func() { h.watchMemory(stop) })
	h.mu.Lock()
	h.running = ctx
	for _, u := range h.plugins {
		h.launch(u)
	}
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	h.running = nil
	h.mu.Unlock()
	h.group.Wait()
	close(stop)
	helpers.Wait()
	return h.room.close()
}

// launch has a unit run, if Run does. h.mu is held.
func (h *Host) launch(u *unit) {
	if h.running == nil || h.running.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(h.running)
	u.cancel = cancel
	h.group.Go(func() { u.run(ctx) })
}

// unit returns the plugin of a name.
func (h *Host) unit(name string) (*unit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.plugins[name]; u != nil {
		return u, nil
	}
	return nil, fmt.Errorf("there is no plugin %s in the configuration: %w", name, fault.NotFound)
}

func (h *Host) units() []*unit {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*unit
	for _, name := range slices.Sorted(maps.Keys(h.plugins)) {
		all = append(all, h.plugins[name])
	}
	return all
}

// Reload starts a plugin anew, from its program as it is now: the new process beside the old one, which goes when the new one is of service and its calls have ended.
// If the new one is not well, the old one stays, and the error says why.
func (h *Host) Reload(ctx context.Context, name string) error {
	u, err := h.unit(name)
	if err != nil {
		return err
	}
	return u.reload(ctx)
}

// track notes that there is a process, or that nothing is left of it.
func (h *Host) track(p *process, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if there {
		h.live[p] = true
	} else {
		delete(h.live, p)
	}
}
