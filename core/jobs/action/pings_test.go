package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
)

// watched are jobs with a watcher each.
func watched(urls map[string]string) map[string]config.Job {
	all := map[string]config.Job{"unwatched": {}}
	for name, at := range urls {
		all[name] = config.Job{Ping: at}
	}
	return all
}

// sending runs pings; what is returned ends that, and waits until all are sent.
func sending(t *testing.T, p *Pings) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

// watcher is an outside watcher that keeps in mind what it was told.
type watcher struct {
	mu     sync.Mutex
	told   []string
	answer func(n int) (int, string) // nil: 200 OK
	heard  chan struct{}
}

func (w *watcher) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.told = append(w.told, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	n := len(w.told)
	w.mu.Unlock()
	status, text := 200, "OK"
	if w.answer != nil {
		status, text = w.answer(n)
	}
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, text)
	if w.heard != nil {
		w.heard <- struct{}{}
	}
}

func (w *watcher) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.told...)
}

func newPings(log io.Writer) *Pings {
	p := NewPings(PingOptions{Log: slog.New(slog.NewTextHandler(log, nil))})
	p.pauses = []time.Duration{0, 0}
	return p
}

func TestAWatcherIsToldInOrderUnderTheRunsUUID(t *testing.T) {
	w := &watcher{}
	s := serve(t, w.ServeHTTP)
	p := newPings(io.Discard)
	p.Use(watched(map[string]string{"nightly": s.URL + "/ping/secret?create=1"}))
	p.Started(run)
	p.Succeeded(run, time.Second, "5 mended")
	p.Started(run)
	p.Failed(run, errors.New("exit status 1"), "log")
	p.Started(jobs.Run{ID: "x", Job: "unwatched"})
	p.Started(jobs.Run{ID: "x", Job: "nobody's"})
	sending(t, p)()
	query := "?create=1&rid=" + runUUID(run.ID)
	want := []string{"POST /ping/secret/start" + query, "POST /ping/secret" + query + " 5 mended", "POST /ping/secret/start" + query, "POST /ping/secret/fail" + query + " exit status 1\n\nlog"}
	if got := w.all(); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestABodyIsOneThatTheWatcherKeepsAllOf(t *testing.T) {
	w := &watcher{}
	s := serve(t, w.ServeHTTP)
	p := newPings(io.Discard)
	p.Use(watched(map[string]string{"nightly": s.URL}))
	p.Failed(run, errors.New("why"), strings.Repeat("€", 20_000)+"\x1bend")
	sending(t, p)()
	_, body, _ := strings.Cut(w.all()[0], "rid="+runUUID(run.ID)+" ")
	if len(body) > pingMost || len(body) < pingMost-10 || !strings.HasPrefix(body, "why\n\n€") || !strings.HasSuffix(body, "€ end") || !strings.Contains(body, "\n…\n") {
		t.Errorf("%d bytes: %.20q … %q", len(body), body, body[len(body)-10:])
	}
}

func TestAPingIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status, tries int
	}{"server's error": {500, 3}, "timeout": {408, 3}, "not its": {404, 1}, "too many": {429, 1}} {
		w := &watcher{answer: func(int) (int, string) { return c.status, "" }}
		s := serve(t, w.ServeHTTP)
		p := newPings(io.Discard)
		p.Use(watched(map[string]string{"nightly": s.URL}))
		heard := make(chan struct{}, 10)
		w.heard = heard
		end := sending(t, p)
		p.Started(run)
		for range c.tries {
			<-heard
		}
		end()
		if got := len(w.all()); got != c.tries {
			t.Errorf("%s: %d tries, want %d", name, got, c.tries)
		}
	}
}

func TestAWatcherThatIsAwayIsLoggedOnceAndItsURLNever(t *testing.T) {
	away := true
	w := &watcher{answer: func(int) (int, string) {
		if away {
			return 200, "OK (not found)"
		}
		return 200, "OK"
	}}
	s := serve(t, w.ServeHTTP)
	var log bytes.Buffer
	p := newPings(&log)
	p.Use(watched(map[string]string{"nightly": s.URL + "/secret", "gone": "http://user:secret@127.0.0.1:1/secret", "bad": "http://[secret"}))
	for range 3 {
		p.Started(run)
		p.Started(jobs.Run{ID: "x", Job: "gone"})
		p.Started(jobs.Run{ID: "x", Job: "bad"})
	}
	sending(t, p)()
	if n := strings.Count(log.String(), "level=WARN"); n != 3 || strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "OK (not found)") {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
	log.Reset()
	away = false
	p.Started(run)
	p.Started(run)
	sending(t, p)()
	if n := strings.Count(log.String(), "level="); n != 1 || !strings.Contains(log.String(), "told again") {
		t.Errorf("it is back:\n%s", &log)
	}
}

func TestAWatcherThatHangsHoldsNobodyUp(t *testing.T) {
	release := make(chan struct{})
	hang := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	w := &watcher{heard: make(chan struct{}, 10)}
	s := serve(t, w.ServeHTTP)
	p := newPings(io.Discard)
	p.Use(watched(map[string]string{"nightly": s.URL, "slow": hang.URL}))
	end := sending(t, p)
	for i := range 10 * waitingMost {
		p.Started(jobs.Run{ID: fmt.Sprint(i), Job: "slow"})
	}
	p.Started(run)
	<-w.heard
	close(release)
	end()
	if p.waiting != 0 || len(p.lines) != 0 {
		t.Errorf("%d wait, of %d jobs", p.waiting, len(p.lines))
	}
}

// direct is a network of one server, without sockets.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func TestOfTooManyPingsTheOldestAreGivenUp(t *testing.T) {
	w := &watcher{}
	p := NewPings(PingOptions{Client: &http.Client{Transport: direct{w}}, Log: quiet})
	all := map[string]string{}
	for i := range 100 {
		all[fmt.Sprint("job", i)] = fmt.Sprint("http://watcher.example.com/", i)
	}
	p.Use(watched(all))
	for n := range 3 * jobsMost {
		for i := range 100 {
			p.Succeeded(jobs.Run{ID: "x", Job: fmt.Sprint("job", i)}, 0, fmt.Sprint(n))
		}
	}
	if p.waiting != waitingMost {
		t.Errorf("%d wait, want %d", p.waiting, waitingMost)
	}
	sending(t, p)()
	told := w.all()
	if len(told) != waitingMost {
		t.Errorf("told %d times", len(told))
	}
	for i := range 100 {
		last := ""
		for _, one := range told {
			if strings.Contains(one, fmt.Sprintf("/%d?", i)) {
				last = one
			}
		}
		if !strings.HasSuffix(last, fmt.Sprint(" ", 3*jobsMost-1)) {
			t.Fatalf("job %d's last ping is %q", i, last)
		}
	}
}

// hung is a network in which nothing is answered.
type hung struct{}

func (hung) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestTheEndWaitsForAHungWatcherInBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPings(PingOptions{Client: &http.Client{Transport: hung{}}, Log: quiet})
		p.Use(watched(map[string]string{"nightly": "http://watcher.example.com/"}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for range 2 * jobsMost {
			p.Started(run)
		}
		synctest.Wait()
		cancel()
		begun := time.Now()
		if err := <-done; err != nil || time.Since(begun) != pingsEnd {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestAPingHasADeadlineAndPausesBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := NewPings(PingOptions{Client: &http.Client{Transport: hung{}}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		p.Use(watched(map[string]string{"nightly": "http://watcher.example.com/"}))
		begun := time.Now()
		err := p.send(t.Context(), t.Context(), ping{url: "http://watcher.example.com/"}, false)
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != 3*pingWithin+6*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		begun = time.Now()
		_ = p.send(t.Context(), t.Context(), ping{url: "http://watcher.example.com/"}, true)
		if took := time.Since(begun); took != pingWithin {
			t.Errorf("one that is known to be away is tried for %v", took)
		}
	})
}
