package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/webhooks/inbox"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

var quiet = slog.New(slog.DiscardHandler)

// Two sources share a plugin, and one has another.
var sources = map[string]config.Webhook{
	"github":  {Plugin: "planner", Timeout: 10 * time.Second, Concurrency: 8, MaxKept: 100_000},
	"billing": {Plugin: "planner", Timeout: 10 * time.Second, Concurrency: 8, MaxKept: 100_000},
	"slack":   {Plugin: "chat", Timeout: 10 * time.Second, Concurrency: 2, MaxKept: 100_000, Sync: &config.WebhookSync{}},
}

// plugin is a handler in the test's process. It keeps in mind who called it.
type plugin struct {
	handle func(ctx context.Context, d inbox.Delivery, attempt int) (Outcome, error)
	mu     sync.Mutex
	calls  []call
	busy   int
	most   int // at once
}

type call struct {
	event   string
	plugin  string
	attempt int
	at      time.Time
}

func (p *plugin) Handle(ctx context.Context, d inbox.Delivery, attempt int) (Outcome, error) {
	p.mu.Lock()
	p.calls = append(p.calls, call{d.EventID, d.Plugin, attempt, time.Now()})
	p.busy++
	p.most = max(p.most, p.busy)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.busy--
		p.mu.Unlock()
	}()
	return p.handle(ctx, d, attempt)
}

// of are the calls with an event; of all when it is "".
func (p *plugin) of(event string) (all []call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if event == "" || c.event == event {
			all = append(all, c)
		}
	}
	return all
}

// atOnce is how many calls were under way at most.
func (p *plugin) atOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

func says(o Outcome, err error) *plugin {
	return &plugin{handle: func(context.Context, inbox.Delivery, int) (Outcome, error) { return o, err }}
}

// takes is a handler that needs some time.
func takes(long time.Duration, o Outcome) *plugin {
	return &plugin{handle: func(ctx context.Context, _ inbox.Delivery, _ int) (Outcome, error) {
		select {
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		case <-time.After(long):
			return o, nil
		}
	}}
}

var errGone = errors.New("no such process")

// process is a handler whose process ends with whoever is poison, and takes all others with it.
type process struct {
	mu    sync.Mutex
	lives context.Context
	kill  func()
}

func newProcess() *process {
	p := &process{}
	p.lives, p.kill = context.WithCancel(context.Background())
	return p
}

func (p *process) handle(_ context.Context, d inbox.Delivery, _ int) (Outcome, error) {
	p.mu.Lock()
	lives, kill := p.lives, p.kill
	p.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-lives.Done():
		return Outcome{}, &Died{errGone}
	}
	if !strings.HasPrefix(d.EventID, "poison") {
		return Outcome{Kind: OK}, nil
	}
	p.mu.Lock()
	kill()
	p.lives, p.kill = context.WithCancel(context.Background())
	p.mu.Unlock()
	return Outcome{}, &Died{errGone}
}

// stand is an inbox and a dispatcher of it.
type stand struct {
	*Dispatcher
	in   *inbox.Inbox
	kept store.Store
	log  *lines
}

// lines is a log that can be looked at.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with are the lines that have all of these in them.
func (l *lines) with(texts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			n++
		}
	}
	return n
}

// on is a dispatcher of what is in a store.
func on(s store.Store, h Handler) *stand {
	log := &lines{}
	in := inbox.New(inbox.Options{Store: s, Log: quiet})
	in.Use(sources)
	d := New(Options{Inbox: in, Handler: h, Log: slog.New(slog.NewTextHandler(log, nil))})
	d.Use(sources)
	return &stand{d, in, s, log}
}

// runs has deliveries be handled until the test ends, or until what it returns is called.
func (s *stand) runs(t *testing.T) (stop func()) {
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

// keep keeps a delivery of github, unless change says otherwise.
func (s *stand) keep(t *testing.T, event string, change ...func(*inbox.Delivery)) inbox.Delivery {
	t.Helper()
	d := inbox.Delivery{Source: "github", Plugin: "planner", EventID: event, Method: "POST", Path: "/github", Body: []byte(`{}`)}
	for _, c := range change {
		c(&d)
	}
	kept, repeat, err := s.in.Keep(context.Background(), d)
	if err != nil || repeat {
		t.Fatal(repeat, err)
	}
	return kept
}

func from(source string) func(*inbox.Delivery) {
	return func(d *inbox.Delivery) {
		d.Source, d.Plugin = source, sources[source].Plugin
		d.Sync = sources[source].Sync != nil
	}
}

func (s *stand) get(t *testing.T, id string) inbox.Delivery {
	t.Helper()
	d, err := s.in.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// are counts deliveries in a state.
func (s *stand) are(t *testing.T, state inbox.State) int {
	t.Helper()
	n, err := s.kept.Count(context.Background(), "deliveries", store.Eq("state", string(state)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// open are the questions that have not ended.
func (s *stand) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.questions)
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("event %d", i)
	}
	return all
}
