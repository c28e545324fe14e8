package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
	"golang.org/x/sys/unix"
)

const (
	graceTime  = 3 * time.Second        // from SIGTERM to SIGKILL
	killWithin = 500 * time.Millisecond // from SIGKILL to the end
	readWithin = 500 * time.Millisecond // from the end to that of the output, which others may hold open
)

func (a *Actions) command(ctx context.Context, j config.Job, r jobs.Run) (jobs.Result, error) {
	if ctx.Err() != nil {
		return jobs.Result{}, fmt.Errorf("the command was not started: %w", context.Cause(ctx))
	}
	read, write, err := os.Pipe()
	if err != nil {
		return jobs.Result{}, fmt.Errorf("the command could not be started: %w", err)
	}
	defer read.Close()
	p := newProcess(j, r, write)
	err = p.start()
	write.Close()
	if err != nil {
		return jobs.Result{}, fmt.Errorf("the command could not be started: %w", err)
	}
	var output tail
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&output, read) // until its end or the deadline
	}()
	err = p.wait(ctx)
	_ = read.SetReadDeadline(time.Now().Add(readWithin))
	<-done
	return jobs.Result{Output: output.String()}, err
}

// process is a command under way.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it is reaped and its group is gone

	mu     sync.Mutex
	reaped bool // its id may be another's
}

func newProcess(j config.Job, r jobs.Run, output *os.File) *process {
	var env []string
	for _, key := range slices.Sorted(maps.Keys(j.Env)) {
		env = append(env, key+"="+j.Env[key])
	}
	env = append(env, "EDGE_RUN="+r.ID, "EDGE_JOB="+r.Job, "EDGE_DUE="+r.Due.UTC().Format(time.RFC3339))
	return &process{ended: make(chan struct{}), cmd: &exec.Cmd{
		Path: j.Command, Args: append([]string{j.Command}, j.Args...), Env: env, Dir: filepath.Dir(j.Command), // no Stdin: /dev/null
		Stdout: output, Stderr: output,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}}
}

// start starts the process, in a thread of its own that lasts as long: the kernel ends a process by Pdeathsig when the thread that started it ends (prctl(2)).
func (p *process) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()                               // for good: the thread ends with the goroutine, since what follows makes it one that others can't use
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // a kernel that can't has none of it
		_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.await()
		}
	}()
	return <-started
}

// await waits until the process has ended, kills what it has left behind in its group, and reaps it. Until then its id is its own, so that nobody else is killed.
func (p *process) await() {
	for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	p.signal(unix.SIGKILL)
	p.mu.Lock()
	_ = p.cmd.Wait() // how it ended stands in ProcessState
	p.reaped = true
	p.mu.Unlock()
	close(p.ended)
}

// signal sends a signal to the group.
func (p *process) signal(s unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.cmd.Process.Pid, s) // a group that is gone needs none
	}
}

// wait waits for the end, or brings it about when ctx ends. It returns how the process ended.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.exit()
	case <-ctx.Done():
	}
	p.signal(unix.SIGTERM)
	if !p.endedWithin(graceTime) {
		p.signal(unix.SIGKILL)
		if !p.endedWithin(killWithin) {
			return fmt.Errorf("the command was stopped and has not ended since (process %d): %w", p.cmd.Process.Pid, context.Cause(ctx))
		}
	}
	return fmt.Errorf("the command was stopped before it had ended: %w", context.Cause(ctx))
}

func (p *process) endedWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// exit says how the process ended.
func (p *process) exit() error {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return fmt.Errorf("the command was ended by a signal: %v", status.Signal())
	case !p.cmd.ProcessState.Success():
		return fmt.Errorf("the command ended with the exit status %d", p.cmd.ProcessState.ExitCode())
	}
	return nil
}
