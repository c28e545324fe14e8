// Package lambda invokes Lambda functions by the names that they have in the configuration. In comes the invoking of a function and what can be
// known of it from outside: limits, kinds of errors, counts. What an event says and what an answer means is who asks' business.
//
// A function is one of AWS, or the same program as a process of this host (local). There is one way to both: the Invoke of aws-sdk-go-v2,
// which finds the functions of this host behind a transport that leads to a handler in this process instead of to the network.
//
// Nothing is tried again here: an invocation that failed may have done its work (a mail is sent, a document is kept). Who knows that a second one does no harm
// asks Error.Retry.
package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda/local"
)

// MaxEvent is how long an event or an answer may be, in bytes: Lambda's 6 MB for synchronous invocations
// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; the exact number is what its error message names).
const MaxEvent = local.MaxPayload

const drainTime = 3 * time.Second // what is under way when Run's context ends has this long to end by itself

// Options are what Functions need.
type Options struct {
	Log *slog.Logger // what functions of this host print, and what goes wrong with their processes
}

// Functions are the functions of a configuration. All methods may be called at once.
type Functions struct {
	log   *slog.Logger
	aws   *clients
	local *local.Service

	mu     sync.Mutex
	byName map[string]*function
	closed bool
	calls  sync.WaitGroup // invocations under way; added to while mu is held

	base context.Context // of invocations under way: they end when it does
	end  context.CancelFunc
}

// New returns Functions without a function: Plan brings them in.
func New(o Options) *Functions {
	f := &Functions{log: o.Log, aws: newClients(), local: local.New(o.Log), byName: make(map[string]*function)}
	f.base, f.end = context.WithCancel(context.Background())
	return f
}

// Result is what came of an invocation.
type Result struct {
	Payload   []byte        // what the function answered: JSON, if it is one of Lambda's runtimes
	RequestID string        // under which the function's log has the invocation; "" if it did not come so far
	Duration  time.Duration // from the call to the answer, with waiting for a free place
	Log       string        // the end of what the function printed, 4 KB at most
}

// Invoke invokes a function and waits for its answer. The event must be JSON, of MaxEvent bytes at most, and stay as it is until the function's time is over: when ctx ends Invoke returns, and the
// function, which can't be told, goes on.
//
// An error is an *Error. The Result has the request id and the log with an error, too, if there are any.
func (f *Functions) Invoke(ctx context.Context, name string, event []byte) (Result, error) {
	begun := time.Now()
	fn, err := f.begin(name)
	if err != nil {
		return Result{}, err
	}
	done := make(chan outcome, 1)
	go func() {
		defer f.calls.Done()
		out := fn.call(ctx, f.base, event)
		out.result.Duration = time.Since(begun)
		fn.counts.note(out)
		done <- out
	}()
	select {
	case out := <-done:
		if out.err != nil { // not a nil *Error in an interface
			return out.result, out.err
		}
		return out.result, nil
	case <-ctx.Done():
		return Result{Duration: time.Since(begun)}, &Error{Function: name, Kind: TimedOut, Message: "nobody waits for the answer any more", Err: context.Cause(ctx)}
	}
}

// begin finds a function; from then on Run waits for the call.
func (f *Functions) begin(name string) (*function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn, ok := f.byName[name]
	switch {
	case f.closed:
		return nil, &Error{Function: name, Kind: Unavailable, Message: "edge is ending", Err: fault.Unavailable}
	case !ok:
		return nil, &Error{Function: name, Kind: Missing, Message: "the configuration has no such function", Err: fault.NotFound}
	}
	f.calls.Add(1)
	return fn, nil
}

// Run keeps the processes of functions of this host until ctx ends, and returns when there are none any more.
// Without it only functions in AWS can be invoked.
func (f *Functions) Run(ctx context.Context) error {
	services, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- f.local.Run(services) }()
	<-ctx.Done()

	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	idle := make(chan struct{})
	go func() { defer close(idle); f.calls.Wait() }()
	select {
	case <-idle:
	case <-time.After(drainTime):
	}
	f.end()
	stop()
	err := <-ended
	<-idle
	f.aws.close()
	if err != nil {
		return fmt.Errorf("functions of this host: %w", err)
	}
	return nil
}

// Status says how all functions do, by name.
func (f *Functions) Status() []Status {
	f.mu.Lock()
	fns := slices.Collect(maps.Values(f.byName))
	f.mu.Unlock()
	all := make([]Status, 0, len(fns))
	for _, fn := range fns {
		all = append(all, fn.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}
