// Package sdk makes a plugin of edge out of a function: edge starts the program, gives it verified webhooks and jobs that are due, and tries again
// what did not work.
//
//	package main
//
//	import "github.com/onehost/edge/plugins/sdk"
//
//	func main() {
//		sdk.Serve(sdk.Webhook(func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
//			ctx.Log().Info("received", "type", d.Type)
//			return sdk.OK()
//		}))
//	}
//
// # What a handler can rely on
//
// A delivery was verified and kept on disk before a handler sees it. It is given to a handler at least once: again after a crash, a result that says so,
// or an operator's wish. So what must not happen twice goes into [Context.Once]. Handlers run at the same time, as many as the source's concurrency
// allows. Each has a deadline, after which its context is done and edge no longer waits. A panic is a failed attempt, not the end of the plugin; its stack
// is in the log.
//
// # Printing and logging
//
// Standard output is safe to print to: with Serve it leads to edge's log, also for C code and for programs that the plugin starts. Lines of
// [Context.Log] carry the delivery's id. Serve makes the standard log and slog write to edge's log as well.
//
// # Trying it
//
// Package sdktest runs a handler in a Go test, `edge plugins test NAME EVENT.json` runs the real program with a webhook from a file.
//
// In comes what a plugin author calls, and nothing of edge's insides: a plugin is built of this package, go-plugin and gRPC alone.
package sdk

import (
	"errors"
	"fmt"
	"slices"
)

// Option is what Serve is given: a function that handles webhooks or a job.
type Option func(*plugin)

// plugin is what a program serves.
type plugin struct {
	webhook func(Context, *Delivery) Result
	jobs    map[string]func(Context, *Run) Result
	wrong   []error
}

// Webhook has handle handle the deliveries of all sources that name this plugin. It is called by many goroutines at once. Not to be given twice.
func Webhook(handle func(ctx Context, d *Delivery) Result) Option {
	return func(p *plugin) {
		switch {
		case handle == nil:
			p.wrong = append(p.wrong, errors.New("sdk.Webhook was given no function"))
		case p.webhook != nil:
			p.wrong = append(p.wrong, errors.New("sdk.Webhook was given twice: use one function, which looks at Delivery.Source"))
		}
		p.webhook = handle
	}
}

// Job has run be called whenever the job name of edge's configuration is due.
func Job(name string, run func(ctx Context, r *Run) Result) Option {
	return func(p *plugin) {
		switch {
		case name == "":
			p.wrong = append(p.wrong, errors.New("sdk.Job was given no name: it is the one in edge's configuration"))
		case run == nil:
			p.wrong = append(p.wrong, fmt.Errorf("sdk.Job %q was given no function", name))
		case p.jobs[name] != nil:
			p.wrong = append(p.wrong, fmt.Errorf("sdk.Job %q was given twice", name))
		}
		p.jobs[name] = run
	}
}

// assemble puts the options together. Its errors are the author's mistakes.
func assemble(options []Option) (*plugin, error) {
	p := &plugin{jobs: make(map[string]func(Context, *Run) Result)}
	for _, option := range options {
		option(p)
	}
	if len(options) == 0 {
		p.wrong = append(p.wrong, errors.New("sdk.Serve was given nothing to serve: give it sdk.Webhook(...) or sdk.Job(...)"))
	}
	return p, errors.Join(p.wrong...)
}

// names are the jobs that it runs, sorted.
func (p *plugin) names() []string {
	names := make([]string, 0, len(p.jobs))
	for name := range p.jobs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
