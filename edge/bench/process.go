//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cores are who runs where.
type cores struct {
	server, load, all unix.CPUSet
}

// chooseCores gives the first core that this process may use to servers, and binds the process itself, and so what it starts, to the second.
func chooseCores() (cores, error) {
	var c cores
	if err := unix.SchedGetaffinity(0, &c.all); err != nil {
		return c, err
	}
	if c.all.Count() < 2 {
		return c, errors.New("this machine has one core for us, and a server that shares it with its load can't be measured: two are needed")
	}
	for core, found := 0, 0; found < 2; core++ {
		if !c.all.IsSet(core) {
			continue
		}
		if found++; found == 1 {
			c.server.Set(core)
		} else {
			c.load.Set(core)
		}
	}
	runtime.GOMAXPROCS(1) // the upstream and the load of handshakes are here
	return c, bindThreads(&c.load)
}

// bindThreads binds every thread of this process. A thread inherits its core from the one that started it, so after a round that met no new one all are bound.
func bindThreads(set *unix.CPUSet) error {
	bound := map[string]bool{}
	for news := true; news; {
		news = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil || bound[task.Name()] {
				continue
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("binding to a core: %w", err)
			}
			bound[task.Name()], news = true, true
		}
	}
	return nil
}

// A program is what to start, and where.
type program struct {
	args   []string
	folder string // working folder
	env    []string
	in     *os.File  // nil: nothing to read
	out    io.Writer // both streams
	cores  *unix.CPUSet
}

// A child is a running program, in a process group of its own.
type child struct {
	command *exec.Cmd
	cancel  context.CancelFunc
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; after done
}

// start starts p. It ends with ctx, with stop, or with this process, whichever is first.
func start(ctx context.Context, p program) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, p.args[0], p.args[1:]...) //nolint:gosec // to start what the user named is its purpose
	command.Dir, command.Env = p.folder, append(os.Environ(), p.env...)
	command.Stdout, command.Stderr = p.out, p.out
	if p.in != nil {
		command.Stdin = p.in
	}
	// TERM, not KILL, when this process dies: nginx's master must be able to end its workers.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	if err := onCores(p.cores, command.Start); err != nil {
		cancel()
		return nil, err
	}
	c := &child{command: command, cancel: cancel, done: make(chan struct{})}
	go func() {
		c.err = command.Wait()
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // whom it left behind; mostly nobody
		close(c.done)
	}()
	return c, nil
}

// onCores calls f on a thread that is bound to set for that time: what f starts stays there.
func onCores(set *unix.CPUSet, f func() error) error {
	if set == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, set); err != nil {
		return err
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &before))
}

// stop ends the child and waits for that, 5 s for its own way of ending.
func (c *child) stop() {
	c.cancel()
	<-c.done
}

func (c *child) pid() int { return c.command.Process.Pid }

// output runs p to its end, for limit at most, and returns what it wrote, of which it keeps 1 MiB.
func output(ctx context.Context, limit time.Duration, p program) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out tail
	p.out = &out
	c, err := start(ctx, p)
	if err != nil {
		return "", err
	}
	defer c.cancel()
	<-c.done
	if err := errors.Join(ctx.Err(), c.err); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(p.args[0]), err, lastLines(out.String()))
	}
	return out.String(), nil
}

// A tail keeps about the last MiB of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	const most = 1 << 20
	if over := t.Len() + len(p) - most; over > 0 {
		t.Next(over)
	}
	t.Buffer.Write(p[max(0, len(p)-most):])
	return len(p), nil
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// freePorts finds n TCP ports of 127.0.0.1 that nobody listens on, below those that outgoing connections get. It holds all until it has all.
func freePorts(n int) ([]int, error) {
	const first = 10240
	end := 32768
	if data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(data), &end)
	}
	var ports []int
	for i := range max(end-first, 0) {
		port := first + (os.Getpid()*64+i)%(end-first) // two runs at once begin at different ones
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer ln.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports from %d to %d", n, first, end)
}

// sleep waits for d, or for ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
