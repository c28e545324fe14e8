package submissions

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(engines.Around(m))
}

var quiet = slog.New(slog.DiscardHandler)

// spy is a store that tells when something has been written.
type spy struct {
	store.Store
	written chan struct{}
	writes  func() error // nil, or what becomes of writes that were carried out
	mu      sync.Mutex
	calls   map[string]int
}

func spied(s store.Store) *spy {
	return &spy{Store: s, written: make(chan struct{}, 1), calls: make(map[string]int)}
}

func (s *spy) called(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
}

func (s *spy) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

func (s *spy) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	s.called("find")
	return s.Store.Find(ctx, q)
}

func (s *spy) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	s.called("claim")
	return s.Store.Claim(ctx, q, c)
}

func (s *spy) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	s.called("apply")
	touched, err := s.Store.Apply(ctx, writes...)
	if s.writes != nil && err == nil {
		err = s.writes()
	}
	select {
	case s.written <- struct{}{}:
	default:
	}
	return touched, err
}

// await waits until something holds, which may begin to hold with a write.
func (s *spy) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.After(60 * time.Second)
	for !holds() {
		select {
		case <-s.written:
		case <-end:
			t.Fatal("not so: " + what)
		}
	}
}

// function is one that is called in the test's process.
type function struct {
	answer func(ctx context.Context, name, event string) (lambda.Result, error)
	mu     sync.Mutex
	events map[string]int // how often it was called with each
	order  []string
}

func newFunction(answer func(ctx context.Context, name, event string) (lambda.Result, error)) *function {
	return &function{answer: answer, events: make(map[string]int)}
}

func (f *function) Invoke(ctx context.Context, name string, event []byte) (lambda.Result, error) {
	f.mu.Lock()
	f.events[string(event)]++
	f.order = append(f.order, string(event))
	f.mu.Unlock()
	return f.answer(ctx, name, string(event))
}

func (f *function) calls(event string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events[event]
}

func (f *function) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.order...)
}

func says(payload string) func(context.Context, string, string) (lambda.Result, error) {
	return func(context.Context, string, string) (lambda.Result, error) {
		return lambda.Result{Payload: []byte(payload)}, nil
	}
}

func fails(kind lambda.Kind) func(context.Context, string, string) (lambda.Result, error) {
	return func(context.Context, string, string) (lambda.Result, error) {
		return lambda.Result{}, &lambda.Error{Function: "f", Kind: kind, Message: "no"}
	}
}

// Two forms have functions of their own, and one has none.
var (
	forms = map[string]config.Form{
		"contact": {Function: "mail", Retention: time.Hour}, "subscribe": {Function: "list", Retention: 60 * 24 * time.Hour}, "notes": {},
	}
	functions = map[string]config.Function{"mail": {Timeout: 10 * time.Second, Concurrency: 13}, "list": {Timeout: 10 * time.Second, Concurrency: 13}} // 10 of them for deliveries
)

// on is submissions in a store that are delivered to f when they run.
func on(s store.Store, f *function) *Submissions {
	all := New(Options{Store: s, Invoke: f, Log: quiet})
	all.Use(forms, functions)
	return all
}

// runs has submissions be delivered until the test ends, or until what it returns is called.
func runs(t *testing.T, s *Submissions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// sent is a submission of the form contact whose event is its name.
func sent(name string) Submission {
	return Submission{Form: "contact", Function: "mail", Event: []byte(name)}
}

func keep(t *testing.T, s *Submissions, sub Submission) Submission {
	t.Helper()
	kept, repeat, err := s.Keep(context.Background(), sub)
	if err != nil || repeat {
		t.Fatal(repeat, err)
	}
	return kept
}

func get(t *testing.T, s *Submissions, id string) Submission {
	t.Helper()
	sub, err := s.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// inState counts the submissions of the form contact that are in a state.
func inState(t *testing.T, s store.Store, state State) int {
	t.Helper()
	n, err := s.Count(context.Background(), collection, store.And{store.Eq("form", "contact"), store.Eq("state", string(state))})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("event %d", i)
	}
	return all
}
