package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestDrainClosesTheDoorInTime has a host with a health path, whose listeners stay open for half of the time: whoever comes
// later is not let in, and the request under way is still answered.
func TestDrainClosesTheDoorInTime(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "answered")
	}))
	defer slow.Close()
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	s := serve(t, `
target_groups: {app: {targets: ["APP"], health: off}}
hosts: {localhost: {health: /healthz, default: {forward: app}}}
`, "APP", slow.URL, "shutdown: 5s", "shutdown: 2s")
	answer := make(chan string, 1)
	client := s.client("h1")
	go func() {
		defer close(answer) // if that fails
		answer <- fetch(t, client, "GET", "https://localhost/", "").text
	}()
	<-arrived
	go s.stop()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.listeners.HTTPS[0].Addr().String())
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("a stopping server goes on letting people in")
		}
	}
	let()
	if got := <-answer; got != "answered" {
		t.Errorf("the request under way: %q", got)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestFailedStartLeavesNothing makes a start fail at each thing that it opens. Goroutines that stay are TestMain's to find.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const host = "tls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {body: x}}}}\n"
	for name, test := range map[string]struct{ yaml, said string }{
		"a port that is taken": {"listen: {http: [], https: [127.0.0.1:0, TAKEN], metrics: 127.0.0.1:0}\n" + host, "is taken by another program"},
		"a metrics port":       {"listen: {http: [], https: 127.0.0.1:0, metrics: TAKEN}\n" + host, "listen.metrics"},
		"no such group":        {"listen: {http: [], https: 127.0.0.1:0, admin_group: no-such-group}\n" + host, "no-such-group"},
		"the access log":       {"listen: {http: [], https: 127.0.0.1:0}\nlog: {access: /nowhere/access.log}\n" + host, "log.access"},
		"the key of cookies":   {"listen: {http: [], https: 127.0.0.1:0}\n" + host, "keys/stickiness has 3 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "edge")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			file, data := filepath.Join(dir, "edge.yaml"), filepath.Join(dir, "data")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(test.yaml, "TAKEN", taken.Addr().String())), 0o644); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "key") {
				os.MkdirAll(filepath.Join(data, "keys"), 0o700)
				os.WriteFile(filepath.Join(data, "keys", "stickiness"), []byte("bad"), 0o600)
			}
			status, out, errOut := command(t, "run", "-c", file)
			if status != exitFailed || out != "" || !strings.Contains(errOut, test.said) || strings.Count(errOut, "edge: ") != 1 {
				t.Errorf("%d %s%s", status, out, errOut)
			}
			if _, err := os.Stat(filepath.Join(data, "admin.sock")); err == nil {
				t.Error("the admin socket is still there")
			}
		})
	}
}

// TestRunPrintsWarnings starts a server with something to warn of: it says so, with its place, and serves.
func TestRunPrintsWarnings(t *testing.T) {
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "edge.yaml")
	os.WriteFile(file, []byte("sites: {unused: {root: .}}\nlisten: {http: [], https: 127.0.0.1:0}\ntls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {body: x}}}}\n"), 0o644)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var errOut safeBuffer
	ended := make(chan int, 1)
	go func() { ended <- execute(ctx, []string{"run", "-c", file}, io.Discard, &errOut) }()
	await(t, "the server", func() bool { return strings.Contains(errOut.String(), "msg=serving") })
	stop()
	if status := <-ended; status != exitDone {
		t.Errorf("status %d", status)
	}
	if !strings.HasPrefix(errOut.String(), file+":1:9: warning: ") || !strings.Contains(errOut.String(), "\n"+strings.Repeat(" ", 8)+"^\n") {
		t.Errorf("it says\n%s", errOut.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "admin.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the admin socket: %v", err)
	}
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	awaitFor(t, 20*time.Second, what, so)
}

// awaitFor is await for what may take long.
func awaitFor(t *testing.T, most time.Duration, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(most); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

// edgeProcess, set in the environment, has this test binary be the command edge.
const edgeProcess = "EDGE_TEST_AS_COMMAND"

// process starts `edge run` as a process of its own, and waits until it serves.
func process(t *testing.T, file string) (*exec.Cmd, *safeBuffer) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := new(safeBuffer)
	edge := exec.Command(binary, "run", "-c", file)
	edge.Env = append(os.Environ(), edgeProcess+"=1")
	edge.Stderr = said
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		edge.Process.Kill()
		edge.Wait()
	})
	await(t, "the server", func() bool { return strings.Contains(said.String(), "msg=serving") })
	return edge, said
}

// TestSignals sends a real process what a supervisor sends: SIGHUP reloads, SIGTERM drains, a second one stops at once.
func TestSignals(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, socket := filepath.Join(dir, "edge.yaml"), filepath.Join(dir, "data", "admin.sock")
	text := "listen: {http: 127.0.0.1:0, https: []}\nshutdown: 30s\ntarget_groups: {app: {targets: [\"" + slow.URL + "\"], health: off}}\n" +
		"hosts: {localhost: {tls: off, default: {forward: app}}}\n"
	os.WriteFile(file, []byte(text), 0o644)
	ask := func() {
		_, out, _ := command(t, "status", "-c", file)
		var address string
		for line := range strings.Lines(out) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == "http" {
				address = strings.TrimSpace(value)
			}
		}
		go func() {
			request, _ := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
			request.Host = "localhost"
			if answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request); err == nil {
				answer.Body.Close()
			}
		}()
		<-arrived
	}

	edge, said := process(t, file)
	os.WriteFile(file, bytes.Replace([]byte(text), []byte("30s"), []byte("20s"), 1), 0o644)
	edge.Process.Signal(syscall.SIGHUP)
	await(t, "a reload", func() bool { return strings.Contains(said.String(), "msg=reloaded") })
	ask()
	edge.Process.Signal(syscall.SIGTERM)
	await(t, "draining", func() bool { return strings.Contains(said.String(), "msg=draining at_most=20s") })
	release <- struct{}{}
	if err := edge.Wait(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, said.String())
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the admin socket: %v", err)
	}

	edge, said = process(t, file)
	ask()
	edge.Process.Signal(syscall.SIGTERM)
	await(t, "draining", func() bool { return strings.Contains(said.String(), "msg=draining") })
	began := time.Now()
	edge.Process.Signal(syscall.SIGTERM)
	if err := edge.Wait(); err == nil || time.Since(began) > 10*time.Second { // of 20
		t.Errorf("a second SIGTERM: %v after %v", err, time.Since(began))
	}
}
