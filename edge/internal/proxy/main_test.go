package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// to returns the action that forwards to one group with these targets.
func to(t testing.TB, urls ...string) exchange.Handler {
	t.Helper()
	h, _ := toGroup(t, config.TargetGroup{}, urls...)
	return h
}

// toGroup is to with settings. drain drops all targets, which have no time to drain.
func toGroup(t testing.TB, settings config.TargetGroup, urls ...string) (h exchange.Handler, drain func()) {
	t.Helper()
	return toGroupOf(t, target.NewGroups(target.Options{NewPool: NewPool}), settings, urls...)
}

// toGroupOf is toGroup in groups, which run until the test has ended.
func toGroupOf(t testing.TB, groups *target.Groups, settings config.TargetGroup, urls ...string) (h exchange.Handler, drain func()) {
	t.Helper()
	settings.Health.Off = true
	for _, u := range urls {
		settings.Targets = append(settings.Targets, config.Target{URL: u, Weight: 1})
	}
	plan := groups.Plan(map[string]config.TargetGroup{"app": settings})
	plan.Commit()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- groups.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	h, err := New(Options{}).Forward(plan.Group, map[string]int{"app": 1})
	if err != nil {
		t.Fatal(err)
	}
	return h, func() {
		none := settings
		none.Targets = nil
		groups.Plan(map[string]config.TargetGroup{"app": none}).Commit()
	}
}

// app starts an http.Handler as a target and returns its URL.
func app(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// h2cApp is app over HTTP/2 without TLS.
func h2cApp(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http://", "h2c://", 1)
}

// bothTargets gives a target that speaks http/1.1 and one that speaks h2c.
func bothTargets(t *testing.T, h http.HandlerFunc) map[string]string {
	return map[string]string{"http": app(t, h), "h2c": h2cApp(t, h)}
}

// raw starts a target that serves each connection with its number, from 1, and closes it then.
func raw(t testing.TB, serve func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { c.Close() })
			serve(n, c, bufio.NewReader(c))
			stop()
			c.Close()
		}
	}()
	t.Cleanup(func() {
		cancel()
		ln.Close()
		<-ended
	})
	return "http://" + ln.Addr().String()
}

// says is a raw target that reads a head and answers with these bytes.
func says(t testing.TB, answer string) string {
	return raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readHead(r)
		_, _ = io.WriteString(c, answer)
	})
}

// readHead returns the bytes of a request up to and with the empty line.
func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// nobody is the URL of a port where nobody listens.
func nobody(testing.TB) string { return "http://127.0.0.1:1" } // a port that no test is ever given
