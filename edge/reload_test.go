package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/onehost/edge/edge/internal/target"
)

const oneGroup = `
target_groups:
  api: {targets: ["APP"], health: {path: /health, interval: 5s}, drain: 2s}
hosts:
  api.localhost: {default: {forward: api}}
  note.localhost: {default: {respond: {body: "NOTE"}}}
`

func TestBadReloadChangesNothing(t *testing.T) {
	upstream := app(t, "one")
	s := serve(t, oneGroup, "APP", upstream.URL, "NOTE", "first")
	for name, bad := range map[string]string{
		"unknown key":        strings.Replace(oneGroup, "drain:", "drian:", 1),
		"bad regex":          oneGroup + "  re.localhost: {rules: [{path_regex: \"(\", respond: {body: x}}], default: {respond: {body: x}}}\n",
		"missing site":       oneGroup + "  s.localhost: {default: {site: nowhere}}\n",
		"unreadable site":    "sites: {a: {root: /does/not/exist}}\n" + oneGroup + "  s.localhost: {default: {site: a}}\n",
		"missing cert files": oneGroup + "  c.localhost: {tls: {cert: /no.crt, key: /no.key}, default: {respond: {body: x}}}\n",
		"not YAML":           "hosts: [",
	} {
		t.Run(name, func(t *testing.T) {
			s.write(bad, "APP", upstream.URL, "NOTE", "second")
			outcome, err := s.Reload(t.Context())
			if outcome.Applied || err == nil && len(outcome.Problems) == 0 {
				t.Errorf("applied: %+v, %v", outcome, err)
			}
			for _, p := range outcome.Problems {
				if p.File == "" || p.Line == 0 {
					t.Errorf("a problem without its place: %+v", p)
				}
			}
			if st := s.Status(); st.ReloadError == "" || !st.FilesDiffer {
				t.Errorf("status says nothing of it: %+v", st)
			}
			if got := fetch(t, s.client("h1"), "GET", "https://note.localhost/", "").text; got != "first" {
				t.Errorf("served %q", got)
			}
		})
	}
	s.reload(oneGroup, "APP", upstream.URL, "NOTE", "second")
	if st := s.Status(); st.ReloadError != "" || st.FilesDiffer {
		t.Errorf("after a good one: %+v", st)
	}
}

func TestReloadRefusesWhatNeedsARestart(t *testing.T) {
	s := serve(t, oneGroup, "APP", app(t, "one").URL, "NOTE", "first")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("./data", "./elsewhere", "public_port: 443", "public_port: 8443").Replace(string(text))
	if err := os.WriteFile(s.file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	outcome, err := s.Reload(t.Context())
	if err != nil || outcome.Applied {
		t.Fatalf("%+v, %v", outcome, err)
	}
	said := fmt.Sprint(outcome.Problems)
	for _, key := range []string{"data_dir", "listen.public_port"} {
		if !strings.Contains(said, key) {
			t.Errorf("%s is not named in %s", key, said)
		}
	}
	if strings.Contains(said, "listen.http ") {
		t.Errorf("a key that did not change is named: %s", said)
	}
}

// TestReloadKeepsStreams has a WebSocket and an upload go on through a reload that does not concern them, and through one that
// takes their host away.
func TestReloadKeepsStreams(t *testing.T) {
	var checks atomic.Int64
	uploaded := make(chan string, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			checks.Add(1)
		case "/ws":
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
			}
		case "/upload":
			data, _ := io.ReadAll(r.Body)
			uploaded <- string(data)
		}
	}))
	defer upstream.Close()
	s := serve(t, oneGroup, "APP", upstream.URL, "NOTE", "first")

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "wss://api.localhost/ws", &websocket.DialOptions{HTTPClient: s.client("h1")})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	echo := func(text string) {
		t.Helper()
		if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); err != nil || string(got) != text {
			t.Fatalf("echo %q: %q, %v", text, got, err)
		}
	}
	body, upload := io.Pipe()
	answered := make(chan error, 1)
	go func() {
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.localhost/upload", body)
		answer, err := s.client("h2").Do(request)
		if err == nil {
			answer.Body.Close()
		}
		answered <- err
	}()

	echo("before")
	io.WriteString(upload, "first ")
	awaitHealthy(t, s, upstream.URL)
	before := s.Targets()[0].Targets[0]
	counted := checks.Load()
	s.reload(oneGroup, "APP", upstream.URL, "NOTE", "second")
	if after := s.Targets()[0].Targets[0]; after.State != target.Healthy || !after.Since.Equal(before.Since) {
		t.Errorf("health was not carried over: %+v, before %+v", after, before)
	}
	if again := checks.Load(); again > counted+1 {
		t.Errorf("%d health checks for a reload that does not concern the target", again-counted)
	}
	echo("through a reload")
	io.WriteString(upload, "second ")
	s.reload("hosts: {note.localhost: {default: {respond: {body: third}}}}\n")
	echo("after its host is gone")
	io.WriteString(upload, "third")
	upload.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if got := <-uploaded; got != "first second third" {
		t.Errorf("uploaded %q", got)
	}
}

// TestReloadsUnderLoad and its soak have visitors ask without a break while the configuration changes: no request may fail,
// and nothing may be left behind.
func TestReloadsUnderLoad(t *testing.T) { reloadsUnderLoad(t, 40) }

func TestSoakReloads(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a long run; make soak runs it")
	}
	reloadsUnderLoad(t, 1000)
}

func reloadsUnderLoad(t *testing.T, reloads int) {
	const quiet = "log: {access: off}\n" + oneGroup // the log would grow in this process
	one, two := app(t, "one"), app(t, "two")
	s := serve(t, quiet, "APP", one.URL, "NOTE", "0")
	ctx, stop := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	var asked, failed atomic.Int64
	for _, protocol := range protocols {
		client := s.client(protocol)
		for range 2 {
			visitors.Go(func() {
				for ctx.Err() == nil {
					asked.Add(1)
					if err := asks(t, client); err != nil {
						failed.Add(1)
						t.Errorf("%s: %v", protocol, err)
						return
					}
				}
			})
		}
	}
	var goroutines, descriptors int
	var memory uint64
	for i := range reloads {
		upstream := one
		if i%2 == 0 {
			upstream = two
		}
		s.reload(quiet, "APP", upstream.URL, "NOTE", fmt.Sprint(i))
		if i == reloads/4 { // what is made once has been made
			goroutines, descriptors, memory = resources(t)
		}
	}
	stop()
	visitors.Wait()
	moreGoroutines, moreDescriptors, moreMemory := resources(t)
	t.Logf("%d reloads, %d requests, %d failed; goroutines %d → %d, descriptors %d → %d, heap %d → %d KiB", reloads, asked.Load(), failed.Load(),
		goroutines, moreGoroutines, descriptors, moreDescriptors, memory>>10, moreMemory>>10)
	if moreGoroutines > goroutines+40 || moreDescriptors > descriptors+40 || moreMemory > memory+4<<20 {
		t.Error("something is left behind by reloads")
	}
}

// ask sends a POST, which may not be sent twice, and a GET.
func asks(t *testing.T, client *http.Client) error {
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		var body io.Reader // strict fronts refuse a GET with one
		if method == http.MethodPost {
			body = strings.NewReader("body")
		}
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, "https://api.localhost/x", body)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err != nil {
			return err
		}
		if answer.StatusCode != 200 {
			return fmt.Errorf("%s: %s", method, answer.Status)
		}
	}
	return nil
}

// resources says how much of what a leak would eat is in use.
func resources(t *testing.T) (goroutines, descriptors int, heap uint64) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return runtime.NumGoroutine(), len(open), stats.HeapAlloc
}

// awaitHealthy waits until a target gets requests.
func awaitHealthy(t *testing.T, s *running, url string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, group := range s.Targets() {
			for _, tg := range group.Targets {
				if tg.Target == url && tg.State == target.Healthy {
					return
				}
			}
		}
	}
	t.Fatalf("%s is not healthy: %+v", url, s.Targets())
}

// TestStopDuringReload stops a server that waits for a new target which will never be healthy.
func TestStopDuringReload(t *testing.T) {
	asked := make(chan struct{}, 1)
	never := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		select {
		case asked <- struct{}{}:
		default:
		}
	}))
	defer never.Close()
	s := serve(t, oneGroup, "APP", app(t, "one").URL, "NOTE", "first")
	s.write(oneGroup, "APP", never.URL, "NOTE", "second")
	s.hangup <- syscall.SIGHUP
	<-asked
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > targetsPatience/2 {
		t.Errorf("the stop waited for the reload: %v", took)
	}
}
