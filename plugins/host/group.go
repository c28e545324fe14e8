package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
	"github.com/onehost/edge/core/child"
	"golang.org/x/sys/unix"
)

// group is a process and what it starts: the leader of a session and of a process group. It is what go-plugin runs plugins by.
type group struct {
	name     string
	cmd      *exec.Cmd
	guardian *guardian

	stdout, stderr *os.File       // where we read
	shake          *io.PipeReader // what go-plugin reads: the handshake alone
	ended          chan struct{}  // closed when the process is reaped and its group is gone
	endedAt        time.Time      // when ended is closed
	state          *os.ProcessState

	mu     sync.Mutex
	reaped bool // its id may be another's
}

var _ runner.Runner = (*group)(nil)

// begin starts the group's process, in a thread that lasts, and its guardian.
func (g *group) begin(ctx context.Context, s *child.Starter, log *slog.Logger) error {
	if err := s.Do(ctx, g.cmd.Start); err != nil {
		close(g.ended)
		return fmt.Errorf("the program could not be started: %w", startError(err, g.cmd))
	}
	var err error
	if g.guardian, err = newGuardian(s, g.pid()); err != nil {
		log.Warn("if edge is killed, what a plugin has started may be left behind", "err", err)
	}
	go g.await()
	return nil
}

// startError says what is likely behind an error of exec.
func startError(err error, cmd *exec.Cmd) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: neither the interpreter of a script nor what a program is loaded with (ld.so) may be missing", unwrapped(err))
	case errors.Is(err, unix.EACCES) && cmd.SysProcAttr.Credential != nil:
		return fmt.Errorf("%w: its user has to be able to run it, and to enter its folder %s", unwrapped(err), cmd.Dir)
	}
	return unwrapped(err)
}

// await waits until the process has ended, ends what it has left behind, and reaps it. Until then its id is its own, so that nobody else is killed.
func (g *group) await() {
	for {
		err := unix.Waitid(unix.P_PID, g.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	g.kill()
	g.guardian.end()
	g.mu.Lock()
	_ = g.cmd.Wait() // how it ended stands in ProcessState
	g.state, g.reaped, g.endedAt = g.cmd.ProcessState, true, time.Now()
	g.mu.Unlock()
	close(g.ended)
}

// kill ends the process and all in its group, and what it has started in groups of their own.
func (g *group) kill() {
	g.signal(unix.SIGKILL)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reaped {
		return
	}
	for _, pid := range session(g.cmd.Process.Pid) {
		_ = unix.Kill(pid, unix.SIGKILL) // who is gone needs none
	}
}

// signal sends a signal to the group.
func (g *group) signal(s unix.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.reaped && g.cmd.Process != nil {
		_ = unix.Kill(-g.cmd.Process.Pid, s) // a group that is gone needs none
	}
}

func (g *group) pid() int { return g.cmd.Process.Pid }

// exit says how the process ended, once it has.
func (g *group) exit() string {
	if g.state == nil {
		return "it was never started"
	}
	status, ok := g.state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return "it was ended by a signal: " + status.Signal().String()
	}
	return "it ended: " + g.state.String()
}

// What follows is go-plugin's view. The process has been started when it gets to see it, and what the process prints, but for the handshake, is read elsewhere.

// Start has nothing to do.
func (g *group) Start(context.Context) error { return nil }

// Wait waits for the end.
func (g *group) Wait(ctx context.Context) error {
	select {
	case <-g.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill kills.
func (g *group) Kill(context.Context) error {
	g.kill()
	return nil
}

// Diagnose knows no more than is known anyway.
func (g *group) Diagnose(context.Context) string { return "" }

// Stdout is the handshake.
func (g *group) Stdout() io.ReadCloser { return g.shake }

// Stderr is empty.
func (g *group) Stderr() io.ReadCloser { return io.NopCloser(eof{}) }

// Name is the program's.
func (g *group) Name() string { return g.name }

// ID is the process's.
func (g *group) ID() string { return strconv.Itoa(g.pid()) }

// PluginToHost has nothing to translate.
func (g *group) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin has nothing to translate.
func (g *group) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// newCommand is how a program is run: see the package's comment.
func newCommand(p *program, args, env []string, who *syscall.Credential) *exec.Cmd {
	return &exec.Cmd{
		Path: p.path, Args: append([]string{p.command}, args...), Env: env, Dir: filepath.Dir(p.command), // no Stdin: /dev/null
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: who}, // who leads a session leads a group
	}
}
