package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"go.uber.org/goleak"
)

// TestMain makes the plugin. It is a host to be killed when it is started as that.
func TestMain(m *testing.M) {
	pluginFile = os.Getenv("PLUGIN_TO_RUN")
	if folder := os.Getenv("HOST_TO_KILL"); folder != "" {
		serveHost(folder)
	}
	folder, err := os.MkdirTemp("", "h")
	if err != nil {
		panic(err)
	}
	pluginFile = filepath.Join(folder, "plugin")
	if out, err := exec.Command("go", "build", "-o", pluginFile, "./testdata/plugin").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the plugin: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.RemoveAll(folder); os.Exit(code) }))
}

var pluginFile string // the plugin of testdata

const within = 30 * time.Second // for what has to happen on a busy machine

// services is Services that serve nothing.
type services struct {
	mu    sync.Mutex
	open  int
	asked []string
}

func (s *services) Serve(plugin string, may []string, _ int) (string, string, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.asked = append(s.asked, plugin+" may "+strings.Join(may, ","))
	return "unix:/nowhere", "the token", func() { s.mu.Lock(); defer s.mu.Unlock(); s.open-- }, nil
}

func (s *services) left() int { s.mu.Lock(); defer s.mu.Unlock(); return s.open }

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// testHost is a host that runs, with quick times.
type testHost struct {
	*Host
	t        testing.TB
	log      *logged
	services *services
	stop     func()
}

func newTestHost(t testing.TB, adjust func(*times)) *testHost {
	t.Helper()
	h := &testHost{t: t, log: &logged{}, services: &services{}}
	folder, err := os.MkdirTemp("", "h") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	h.Host = New(Options{Folder: folder, Services: h.services, Version: "1.2.3", Log: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	h.times.start, h.times.watch, h.times.settle, h.times.memory = within, 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	if adjust != nil {
		adjust(&h.times)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := h.services.left(); n != 0 {
			t.Errorf("%d processes are still served", n)
		}
		if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) != 0 {
			t.Errorf("%v is left behind", left)
		}
		os.RemoveAll(folder)
	})
	t.Cleanup(func() {
		h.stop()
		if t.Failed() {
			t.Log(h.log)
		}
	})
	return h
}

// use has the host run these plugins.
func (h *testHost) use(plugins map[string]config.Plugin) {
	h.t.Helper()
	plan, err := h.Plan(&config.Config{Plugins: plugins})
	if err != nil {
		h.t.Fatal(err)
	}
	plan.Commit()
}

// one has the host run one plugin, of a mode.
func (h *testHost) one(mode string, adjust ...func(*config.Plugin)) {
	h.t.Helper()
	p := spec(mode)
	for _, a := range adjust {
		a(&p)
	}
	h.use(map[string]config.Plugin{"p": p})
}

// spec is a plugin of a mode.
func spec(mode string) config.Plugin {
	return config.Plugin{Command: pluginFile, Env: map[string]string{"MODE": mode}, Secrets: map[string]string{"KEY": "a secret value"}, May: []string{"mail"}}
}

// until waits for the plugin to be in a state.
func (h *testHost) until(what string, is func(Status) bool) Status {
	h.t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s := h.status()
		if is(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("it is not %s: %+v\n%s", what, s, h.log)
		}
	}
}

// status is how the plugin is, but for its memory, for which all of the machine's processes are looked at.
func (h *testHost) status() Status {
	all := h.units()
	if len(all) == 0 {
		return Status{}
	}
	return all[0].status(nil)
}

func (h *testHost) running() Status {
	h.t.Helper()
	return h.until("running", func(s Status) bool { return s.State == Running && s.PID != 0 })
}

// do has the plugin do something.
func (h *testHost) do(what string) (dispatch.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return h.Handle(ctx, delivery(what), 1)
}

// says has the plugin do something, and returns what it answers.
func (h *testHost) says(what string) string {
	h.t.Helper()
	out, err := h.do(what)
	if err != nil || out.Answer == nil {
		h.t.Fatalf("%s: %+v, %v", what, out, err)
	}
	return string(out.Answer.Body)
}

func delivery(body string) inbox.Delivery {
	return inbox.Delivery{
		ID: "d1", Source: "s", EventID: "e1", Type: "push", Plugin: "p", At: time.Unix(1700000000, 0), Method: "POST", Path: "/hooks/s?a=b", Body: []byte(body),
		Header: []inbox.Field{{Name: "X-A", Value: "1\xff"}, {Name: "Cookie", Value: "c"}, {Name: "authorization", Value: "b"}, {Name: "X-A", Value: "2"}},
	}
}

// logs waits for something to be logged.
func (h *testHost) logs(text string) {
	h.t.Helper()
	h.until("in the log: "+text, func(Status) bool { return strings.Contains(h.log.String(), text) })
}

func down(err error) bool { _, ok := errors.AsType[*dispatch.Down](err); return ok }
func died(err error) bool { _, ok := errors.AsType[*dispatch.Died](err); return ok }

// gone waits for a process to be no more.
func gone(t testing.TB, pid string) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the process %s is still there", pid)
		}
	}
}

// alive reports whether a process runs; one that nobody has reaped yet does not.
func alive(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// build makes a program of the plugin, which differs from others in its last bytes (mark).
func build(t testing.TB, path, mark string) {
	t.Helper()
	text, err := os.ReadFile(pluginFile)
	if err == nil {
		err = os.WriteFile(path, append(text, mark...), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
