package dispatch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// BenchmarkDelivery is what a delivery costs whose handler does nothing: with an inbox that costs nothing it is dispatch's own; "inbox" is the
// inbox's alone, taking and settling.
func BenchmarkDelivery(b *testing.B) {
	b.Run("dispatch", func(b *testing.B) {
		in := &endless{woken: make(chan struct{}), done: make(chan struct{}), most: int64(b.N)}
		through(b, in, in.done)
	})
	b.Run("sqlite/inbox", func(b *testing.B) { alone(b, filled(b, "sqlite")) })
	b.Run("sqlite/both", func(b *testing.B) { both(b, filled(b, "sqlite")) })
}

// endless is an inbox that costs nothing.
type endless struct {
	Inbox
	woken        chan struct{}
	done         chan struct{}
	took, ended  atomic.Int64
	most         int64
	noDeliveries inbox.Taken
}

func (e *endless) Ensure(context.Context) error              { return nil }
func (e *endless) Woken(string) <-chan struct{}              { return e.woken }
func (e *endless) Due(context.Context, string) (bool, error) { return false, nil }

func (e *endless) Take(context.Context, string, time.Duration) (*inbox.Taken, error) {
	if e.took.Add(1) > e.most {
		return nil, fault.NotFound
	}
	return &e.noDeliveries, nil
}

func (e *endless) Settle(context.Context, *inbox.Taken, inbox.Result) error {
	if e.ended.Add(1) == e.most {
		close(e.done)
	}
	return nil
}

// through has all that is in an inbox be handled.
func through(b *testing.B, in Inbox, done <-chan struct{}) {
	d := New(Options{Inbox: in, Handler: idle{}, Log: quiet})
	d.Use(map[string]config.Webhook{"github": sources["github"]})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(ended)
		_ = d.Run(ctx)
	}()
	<-done
	b.StopTimer()
	cancel()
	<-ended
}

type idle struct{}

func (idle) Handle(context.Context, inbox.Delivery, int) (Outcome, error) {
	return Outcome{Kind: OK}, nil
}

// counted is an inbox that tells when it is empty.
type counted struct {
	Inbox
	left atomic.Int64
	done chan struct{}
}

func (c *counted) Settle(ctx context.Context, t *inbox.Taken, r inbox.Result) error {
	err := c.Inbox.Settle(ctx, t, r)
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
	return err
}

// filled is an inbox with as many deliveries as are to be handled.
func filled(b *testing.B, engine string) *counted {
	b.Helper()
	s := on(enginetest.Opened(b, engines.Addresses()[engine](b)), nil)
	c := &counted{Inbox: s.in, done: make(chan struct{})}
	c.left.Store(int64(b.N))
	var keeping sync.WaitGroup
	var kept atomic.Int64
	for range 64 {
		keeping.Go(func() {
			for n := kept.Add(1); n <= int64(b.N); n = kept.Add(1) {
				d := inbox.Delivery{Source: "github", Plugin: "planner", EventID: fmt.Sprint(n), Method: "POST", Path: "/github", Body: make([]byte, 2000)}
				if _, _, err := s.in.Keep(b.Context(), d); err != nil {
					b.Error(err)
				}
			}
		})
	}
	keeping.Wait()
	return c
}

// alone takes and settles without a dispatcher, eight at once as the source does.
func alone(b *testing.B, in *counted) {
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for range sources["github"].Concurrency {
		all.Go(func() {
			for {
				t, err := in.Take(b.Context(), "github", time.Minute)
				if err != nil {
					return
				}
				if err := in.Settle(b.Context(), t, inbox.Result{State: inbox.Done, Try: true, Attempt: inbox.Attempt{Outcome: "ok"}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func both(b *testing.B, in *counted) { through(b, in, in.done) }
