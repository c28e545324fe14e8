package target

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestOnePassToEnterThenThresholds(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		g.one(group(a))
		want := func(after time.Duration, s State) {
			t.Helper()
			pass(after)
			if got := g.status(t, a); got.State != s {
				t.Fatalf("state %s (%s), want %s", got.State, got.Description, s)
			}
		}
		want(0, Healthy)
		pass(30 * time.Second) // the first interval is shortened by the target's phase

		network.set(a, answers(500))
		want(30*time.Second, Healthy) // one failure
		want(30*time.Second, Unhealthy)

		network.set(a, answers(200))
		want(4*30*time.Second, Unhealthy)
		want(30*time.Second, Healthy)

		network.set(a, answers(500))
		want(30*time.Second, Healthy)
		network.set(a, answers(200)) // failures must be in a row
		pass(30 * time.Second)
		network.set(a, answers(500))
		want(30*time.Second, Healthy)
	})
}

func TestNewTargetIsCheckedEverySecondUntilFirstHealthy(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(a, nil)
		g.one(group(a))
		pass(0)
		if s := g.status(t, a); s.State != Initial || s.Reason != InitialHealthChecking || !strings.Contains(s.Description, "connection refused") {
			t.Fatalf("after the first failure: %+v", s)
		}
		pass(1 * time.Second)
		if s := g.status(t, a); s.State != Unhealthy || s.Reason != FailedHealthChecks {
			t.Fatalf("after the second failure: %+v", s)
		}
		pass(58 * time.Second)
		if n := len(network.checks(a)); n != 60 {
			t.Fatalf("%d checks in 60 seconds, want one a second", n)
		}
		network.set(a, answers(200))
		pass(time.Second)
		if s := g.status(t, a); s.State != Healthy {
			t.Fatalf("one pass was not enough to enter: %+v", s)
		}
		before := len(network.checks(a))
		pass(300 * time.Second)
		if n := len(network.checks(a)) - before; n < 10 || n > 11 {
			t.Fatalf("%d checks in ten intervals", n)
		}
	})
}

func TestReasons(t *testing.T) {
	tests := []struct {
		name        string
		does        func(net.Conn) error
		reason      Reason
		description string
	}{
		{"refused", nil, FailedHealthChecks, "Health checks failed: connect: connection refused"},
		{"other status", answers(503), ResponseCodeMismatch, "Health checks failed with these codes: [503]"},
		{"a redirect is not followed", answers(301), ResponseCodeMismatch, "Health checks failed with these codes: [301]"},
		{"hangs", hangs, TimedOut, "Request timed out (5s)"},
		{"closes at once", says(""), FailedHealthChecks, "Health checks failed: the connection was closed before the answer was complete"},
		{"body is cut", says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"), FailedHealthChecks, "Health checks failed: the connection was closed before the answer was complete"},
		{"not HTTP", says("SSH-2.0-OpenSSH_9.9\r\n"), FailedHealthChecks, `Health checks failed: net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.9"`},
		{"no such name", failsWith(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}}), FailedHealthChecks, "Health checks failed: lookup a: no such host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
				network.set(a, test.does)
				g.one(group(a))
				pass(15 * time.Second)
				if s := g.status(t, a); s.State != Unhealthy || s.Reason != test.reason || s.Description != test.description {
					t.Errorf("got %s %s %q\nwant %s %q", s.State, s.Reason, s.Description, test.reason, test.description)
				}
			})
		})
	}
}

func TestMatcherRanges(t *testing.T) {
	ranges := []config.StatusRange{{From: 200, To: 204}, {From: 302, To: 302}}
	for status, want := range map[int]bool{199: false, 200: true, 204: true, 205: false, 301: false, 302: true, 303: false} {
		if matches(ranges, status) != want {
			t.Errorf("%d: want %v", status, want)
		}
	}
}

func TestOurOwnTroubleSaysNothingAboutATarget(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
			g.one(group(a))
			pass(0)
			network.set(a, failsWith(&net.OpError{Op: "dial", Err: fmt.Errorf("socket: %w", errno)}))
			pass(10 * time.Minute)
			if s := g.status(t, a); s.State != Healthy {
				t.Errorf("%v: %+v", errno, s)
			}
		})
	}
	if connectOutcome(errors.New("any")) != ConnectFailed || connectOutcome(syscall.EMFILE) != Unjudged {
		t.Error("connectOutcome")
	}
}

func TestChecksAreSpread(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		var urls []string
		for i := range 100 {
			urls = append(urls, fmt.Sprintf("http://t%d:80", i))
			network.set(urls[i], answers(200))
		}
		g.one(group(urls...))
		spread := func(when string) {
			pass(60 * time.Second)
			perSecond := map[int64]int{}
			for _, url := range urls {
				times := network.checks(url)
				perSecond[times[len(times)-1].Unix()]++
			}
			for second, n := range perSecond {
				if n > 30 { // chance gives 10, and 30 once in a hundred million runs
					t.Errorf("%s: %d of 100 targets checked in second %d", when, n, second)
				}
			}
		}
		spread("new")
		cfg := group(urls...)
		cfg.Health.Interval = 10 * time.Second
		g.one(cfg)
		spread("after a change")
	})
}

func TestHealthOff(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(a, nil)
		app := g.one(unchecked(a))
		pass(time.Minute)
		if s := g.status(t, a); s.State != Unavailable || s.Reason != HealthCheckDisabled || s.EffectiveWeight != 1 {
			t.Errorf("%+v", s)
		}
		if len(network.checks(a)) != 0 {
			t.Error("it was checked")
		}
		picks(t, app, 1)

		g.one(group(a)) // on: what was in stays in until checks say otherwise
		pass(0)
		if s := g.status(t, a); s.State != Healthy || len(network.checks(a)) != 1 {
			t.Errorf("after one failed check: %+v", s)
		}
		pass(30 * time.Second)
		if s := g.status(t, a); s.State != Unhealthy {
			t.Errorf("after two: %+v", s)
		}
		g.one(unchecked(a))
		pass(time.Minute)
		if s := g.status(t, a); s.State != Unavailable || len(network.checks(a)) > 3 {
			t.Errorf("off again: %+v, %d checks", s, len(network.checks(a)))
		}
	})
}

func TestAShorterIntervalHoldsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		cfg := group(a)
		cfg.Health.Interval = 300 * time.Second
		g.one(cfg)
		pass(600 * time.Second)
		before := len(network.checks(a))
		cfg.Health.Interval = 5 * time.Second
		g.one(cfg)
		pass(50 * time.Second)
		if n := len(network.checks(a)) - before; n < 10 {
			t.Errorf("%d checks in ten intervals", n)
		}
	})
}

func TestWhenAllAreUnhealthy(t *testing.T) {
	for _, test := range []struct {
		policy string
		want   bool
	}{{"forward", true}, {"fail", false}} {
		bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
			network.set(a, nil)
			network.set(b, nil)
			cfg := group(a, b)
			cfg.WhenAllUnhealthy = test.policy
			app := g.one(cfg)
			pass(2 * time.Second)
			l, ok := app.Choose(Choice{})
			if ok != test.want || g.Status()[0].FailOpen != test.want {
				t.Errorf("%s: chosen %v, status %+v", test.policy, ok, g.Status()[0])
			}
			if ok {
				l.Done(Answered)
			}
			network.set(b, answers(200))
			pass(2 * time.Second)
			if got := picks(t, app, 10); got[b] != 10 {
				t.Errorf("%s: one is healthy, but %v", test.policy, got)
			}
		})
	}
}
