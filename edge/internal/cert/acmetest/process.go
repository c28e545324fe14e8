package acmetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The servers are tools of go.mod. `go tool -n` builds what is not built yet into Go's build cache, under its lock, and says
// where it is: any number of test binaries share one build.
var (
	pebblePath       = sync.OnceValues(func() (string, error) { return tool("pebble") })
	challtestsrvPath = sync.OnceValues(func() (string, error) { return tool("pebble-challtestsrv") })
)

const (
	buildWithin = 5 * time.Minute
	startWithin = 30 * time.Second
)

func tool(name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildWithin)
	defer cancel()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "github.com/letsencrypt/pebble/v2/cmd/"+name) //nolint:gosec // two names, both in this file
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, complaints.Bytes())
	}
	return string(bytes.TrimSpace(out)), nil
}

// process is a server that lives no longer than its test, nor than the test's process.
type process struct {
	name   string
	pid    int
	output *tail
	exited chan struct{}
}

// start starts a server with nothing in its environment but env. When the test ends it is killed with all that it started; if
// the test failed, what it printed is logged.
func start(t testing.TB, env []string, file string, args ...string) *process {
	t.Helper()
	p := &process{name: path.Base(file), output: &tail{}, exited: make(chan struct{})}
	cmd := exec.Command(file, args...)
	cmd.Env = env
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		// Pdeathsig is sent when the thread that started the process ends (prctl(2)): one is kept for it, and given back after, since
		// what others started from it would die with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it always ends by a signal, or by an error that it prints
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	p.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			t.Logf("what %s printed:\n%s", p.name, p.output)
		}
	})
	return p
}

// until asks again and again until the server answers, and fails the test when it does not or has exited.
func (p *process) until(t testing.TB, answers func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-p.exited:
			t.Fatalf("%s exited before it was ready", p.name)
		case <-ctx.Done():
			t.Fatalf("%s is not ready after %v: %v", p.name, startWithin, errors.Join(ctx.Err(), err))
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailKeeps = 128 << 10 // bytes

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p...)
	if over := len(o.kept) - tailKeeps; over > tailKeeps {
		o.kept = append(o.kept[:0], o.kept[over:]...)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}
