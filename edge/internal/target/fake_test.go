package target

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNet is a network of targets in memory: what happens to who connects to an address.
type fakeNet struct {
	mu    sync.Mutex
	does  map[string]func(net.Conn) error // nil for what is not there
	calls map[string][]time.Time
}

func newFakeNet() *fakeNet {
	return &fakeNet{does: map[string]func(net.Conn) error{}, calls: map[string][]time.Time{}}
}

// set says what a target does with a connection.
func (f *fakeNet) set(url string, does func(net.Conn) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.does[mustParse(url).Dial] = does
}

// checks returns when a target was connected to.
func (f *fakeNet) checks(url string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[mustParse(url).Dial]
}

func (f *fakeNet) dial(_ context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[address] = append(f.calls[address], time.Now())
	does := f.does[address]
	if does == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	if err := does(nil); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		_ = does(theirs)
	}()
	return ours, nil
}

// What a target may do. With a nil connection the question is whether there is one.

func answers(status int) func(net.Conn) error {
	return says(fmt.Sprintf("HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\n\r\nok", status))
}

func says(answer string) func(net.Conn) error {
	return func(c net.Conn) error {
		if c == nil {
			return nil
		}
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return err
		}
		_, err := io.WriteString(c, answer)
		return err
	}
}

func hangs(c net.Conn) error {
	if c != nil {
		_, _ = io.Copy(io.Discard, c)
	}
	return nil
}

func failsWith(err error) func(net.Conn) error { return func(net.Conn) error { return err } }

func mustParse(url string) Address {
	a, err := ParseAddress(url)
	if err != nil {
		panic(err)
	}
	return a
}

const (
	a = "http://a:80"
	b = "http://b:80"
	c = "http://c:80"
	d = "http://d:80"
)

// group returns a configuration with ALB's defaults.
func group(urls ...string) config.TargetGroup {
	g := config.TargetGroup{
		Algorithm: "round_robin", Drain: 300 * time.Second, WhenAllUnhealthy: "forward",
		Health: config.Health{Path: "/", Interval: 30 * time.Second, Timeout: 5 * time.Second, Healthy: 5, Unhealthy: 2, Status: []config.StatusRange{{From: 200, To: 200}}},
	}
	for _, url := range urls {
		g.Targets = append(g.Targets, config.Target{URL: url, Weight: 1})
	}
	return g
}

// unchecked is a group whose targets' health is not checked.
func unchecked(urls ...string) config.TargetGroup {
	g := group(urls...)
	g.Health.Off = true
	return g
}

// weighted sets the weights of g's targets.
func weighted(g config.TargetGroup, weights ...int) config.TargetGroup {
	for i := range g.Targets {
		g.Targets[i].Weight = weights[i]
	}
	return g
}

// run runs Groups until the test ends.
func run(t *testing.T, o Options) *Groups {
	t.Helper()
	g := NewGroups(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g
}

// one commits a configuration with one group, called app, and returns it.
func (g *Groups) one(c config.TargetGroup) *Group {
	p := g.Plan(map[string]config.TargetGroup{"app": c})
	p.Commit()
	return p.Group("app")
}

// status returns what is known of a target of app: the registered one, if there is one.
func (g *Groups) status(t *testing.T, url string) TargetStatus {
	t.Helper()
	for _, group := range g.Status() {
		for _, s := range group.Targets {
			if group.Group == "app" && s.Target == url {
				return s
			}
		}
	}
	return TargetStatus{}
}

// bubble runs a test with a clock of its own and everybody on the network healthy.
func bubble(t *testing.T, test func(t *testing.T, g *Groups, network *fakeNet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := newFakeNet()
		for _, url := range []string{a, b, c, d} {
			network.set(url, answers(200))
		}
		test(t, run(t, Options{Dial: network.dial}), network)
	})
}

// pass lets time go by and everything happen that is due.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// picks chooses n times, ending each request at once, and returns how often each target was chosen.
func picks(t *testing.T, g *Group, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		l, ok := g.Choose(Choice{})
		if !ok {
			t.Fatal("nobody to choose")
		}
		got[l.Target.String()]++
		l.Done(Answered)
	}
	return got
}

// choose chooses once.
func choose(t *testing.T, g *Group, c Choice) Lease {
	t.Helper()
	l, ok := g.Choose(c)
	if !ok {
		t.Fatal("nobody to choose")
	}
	return l
}
