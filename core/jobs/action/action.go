// Package action does what a job does: it has a plugin run it, invokes a function, makes a request or runs a command. And it tells an outside watcher.
//
// In come the kinds of jobs, and the watchers' protocol. When a job is due, how often it is tried and what is remembered of it is package jobs' business.
//
// # What a failure means
//
// An error is a run that failed and may be tried again, unless it is a [*jobs.Permanent], which would fail again, or a [*jobs.Down]: nothing has happened.
// One that is a [*Later] says when to come back.
//
//   - A plugin says itself which of them it is. One that is not there is down; one that ended while it ran the job has failed.
//   - A function that failed, timed out, is missing or may not be invoked has failed: a person mends that, and retries may bridge it. One that is throttled has
//     not run: it is down.
//   - A request has succeeded with a status from 200 to 299 and all of its answer, or the first 64 KiB of that. As Amazon SNS does, it is not repeated after another
//     status from 300 to 499, since the same request gets the same answer, but for those that speak of the moment: 408, 409, 423, 425 and 429. A Retry-After is heeded.
//   - A command has succeeded when it ended by itself with the exit status 0.
//
// # Requests
//
// The URL is the operator's own, and may be of this host or its network. Where an answer sends us is not: a redirect is followed to the same host and port only (from port
// 80 also to https on 443), five times at most, and never from https to http. The proxy is the one of edge's environment, if there is one.
//
// # Commands
//
// A command has the environment that it is configured with, so no PATH unless that is in it, and EDGE_RUN, EDGE_JOB and EDGE_DUE (RFC 3339, UTC). Its working directory is the
// program's folder, its input empty. It can't gain privileges (sudo), and has none of the capabilities that systemd may have given edge. It leads a process group, which ends with it: when its time is over the group gets
// SIGTERM and, three seconds later, SIGKILL; what the command leaves behind in its group when it ends is killed as well. A process that leaves the group gets away: what has to stay is a service of systemd's.
// The command is killed when edge is; what it has started then ends with edge's unit.
package action

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
)

var _ jobs.Runner = (*Actions)(nil)

// Options are what Actions need.
type Options struct {
	Plugins   Plugins
	Functions Functions
	Client    *http.Client // makes requests; its redirects and cookies are ignored. nil: one that verifies certificates and keeps no connections
	Log       *slog.Logger
}

// Actions is the jobs.Runner of all kinds of jobs. Its methods may be called at the same time.
type Actions struct {
	plugins   Plugins
	functions Functions
	client    *http.Client
	log       *slog.Logger
	jobs      atomic.Pointer[map[string]config.Job]
}

// New returns Actions that know no job.
func New(o Options) *Actions {
	a := &Actions{plugins: o.Plugins, functions: o.Functions, client: careful(o.Client), log: o.Log}
	a.Use(nil)
	return a
}

// Use makes these the jobs from now on. The map must not change any more. What is under way ends as it began.
func (a *Actions) Use(configured map[string]config.Job) { a.jobs.Store(&configured) }

// Run does what the run's job does. It returns within four seconds after ctx has ended: that long may a command take to end.
func (a *Actions) Run(ctx context.Context, r jobs.Run) (jobs.Result, error) {
	j, ok := (*a.jobs.Load())[r.Job]
	switch {
	case !ok:
		return jobs.Result{}, &jobs.Permanent{Err: fmt.Errorf("the job %.100q is not configured any more", r.Job)}
	case j.Plugin != "":
		return a.plugin(ctx, j, r)
	case j.Function != "":
		return a.function(ctx, j, r)
	case j.HTTP != nil:
		return a.request(ctx, j.HTTP, r)
	case j.Command != "":
		return a.command(ctx, j, r)
	}
	return jobs.Result{}, &jobs.Permanent{Err: fmt.Errorf("the job %s has nothing to do: give it a plugin, function, http or command", r.Job)}
}

// Later is a failure that is not to be tried again before some time has passed.
type Later struct {
	Err   error
	After time.Duration // up to a day
}

func (l *Later) Error() string {
	return fmt.Sprintf("%v (it asks to be left alone for %v)", l.Err, l.After)
}

// Unwrap returns the reason.
func (l *Later) Unwrap() error { return l.Err }

// RetryAfter is After.
func (l *Later) RetryAfter() time.Duration { return l.After }

const longestAfter = 24 * time.Hour

// later is err with the time to wait, if there is one.
func later(err error, after time.Duration) error {
	if after <= 0 {
		return err
	}
	return &Later{Err: err, After: min(after, longestAfter)}
}

const connectWithin = 10 * time.Second // to connect, and again for TLS

// careful is a copy of the client that follows our redirects only and has no cookies.
func careful(client *http.Client) *http.Client {
	own := http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectWithin}).DialContext,
		TLSHandshakeTimeout:    connectWithin,
		MaxResponseHeaderBytes: bodyMost,
		DisableKeepAlives:      true, // the next request is minutes away
	}}
	if client != nil {
		own = *client
	}
	own.CheckRedirect, own.Jar = follow, nil
	return &own
}
