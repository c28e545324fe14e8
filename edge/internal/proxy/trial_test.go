package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/target"
)

// fakeTarget answers at once, but for /long, whose answer begins and has no end.
func fakeTarget(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		switch head := readHead(r); {
		case head == "":
			return
		case strings.HasPrefix(head, "GET /long "):
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			_, _ = io.Copy(io.Discard, r)
			return
		default:
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

// TestNewsOfALongAnswer: a target that is tried again is taken in when its answer begins, however long that lasts; and when
// that ends, it says nothing of a target that has been left out since.
func TestNewsOfALongAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		groups := target.NewGroups(target.Options{NewPool: NewPool, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			if down.Load() && address == "a:80" {
				return nil, syscall.ECONNREFUSED
			}
			ours, theirs := net.Pipe()
			go fakeTarget(theirs)
			return ours, nil
		}})
		plan := groups.Plan(map[string]config.TargetGroup{"app": {
			Targets: []config.Target{{URL: "http://a:80", Weight: 1}, {URL: "http://b:80", Weight: 1}}, Health: config.Health{Off: true},
		}})
		plan.Commit()
		h, err := New(Options{}).Forward(plan.Group, map[string]int{"app": 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go groups.Run(ctx)
		defer func() { cancel(); synctest.Wait() }()

		ejectA := func() {
			down.Store(true)
			time.Sleep(2 * idleConns)
			for range 2 { // one of them begins with a
				if _, r := ask(h, "/"); r.Status != 200 {
					t.Errorf("status %d", r.Status)
				}
			}
			if a := groups.Status()[0].Targets[0]; a.EjectedUntil == nil {
				t.Fatalf("not ejected: %+v", a)
			}
			time.Sleep(5 * time.Second) // half-open
		}
		ejectA()
		down.Store(false)
		x, long := exchangetest.New("GET", "/long")
		begun, ended := make(chan struct{}), make(chan struct{})
		long.OnFlush = func() { close(begun) }
		go func() { defer close(ended); long.Serve(h) }()
		<-begun
		if a := groups.Status()[0].Targets[0]; a.EffectiveWeight != 1 || x.Record.Target != "http://a:80" {
			t.Errorf("its answer has begun, and it gets no requests: %+v", a)
		}
		ejectA()
		long.Cancel(exchange.ErrClientGone)
		<-ended
		if a := groups.Status()[0].Targets[0]; a.EffectiveWeight != 0 {
			t.Errorf("old news has taken it in: %+v", a)
		}
	})
}

func ask(h exchange.Handler, path string) (*exchange.Exchange, *exchangetest.Recorder) {
	x, r := exchangetest.New("GET", path)
	r.Serve(h)
	return x, r
}

// TestStickyVisitorStaysWithItsGroup: groups drawn by weight share the default name of the cookie.
func TestStickyVisitorStaysWithItsGroup(t *testing.T) {
	groups := target.NewGroups(target.Options{NewPool: NewPool})
	sticky := func(u string) config.TargetGroup {
		return config.TargetGroup{
			Targets: []config.Target{{URL: u, Weight: 1}}, Health: config.Health{Off: true},
			Stickiness: &config.Stickiness{Cookie: "EDGESESSION", For: time.Hour},
		}
	}
	plan := groups.Plan(map[string]config.TargetGroup{"a": sticky(says200(t)), "b": sticky(says200(t)), "plain": {}})
	defer plan.Abandon()
	h, err := New(Options{}).Forward(plan.Group, map[string]int{"a": 1, "b": 1, "plain": 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		x, r := ask(h, "/")
		set, sent := r.Fields.Lookup("Set-Cookie")
		if !sent { // of the group without stickiness, which has no targets
			continue
		}
		mine, _, _ := strings.Cut(set, ";")
		for range 10 {
			again, r := exchangetest.New("GET", "/", exchangetest.Field("Cookie", mine))
			r.Serve(h)
			if again.Record.Target != x.Record.Target || r.Fields.Has("Set-Cookie") {
				t.Fatalf("%s after %s, %v", again.Record.Target, x.Record.Target, r.Fields)
			}
		}
	}
}

func says200(t *testing.T) string {
	return raw(t, func(_ int, c net.Conn, _ *bufio.Reader) { fakeTarget(c) })
}
