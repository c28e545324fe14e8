package mongodbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a mongod that doesn't outlive the process of the tests, however that ends.
type process struct {
	pid    int
	exited chan struct{} // closed when it is gone
}

// startProcess starts a program with an empty environment in a process group of its own, so that an interrupt from the terminal is the tests'
// alone. What it prints is added to the file.
func startProcess(output, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(program, args...)
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p := &process{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.exited)
		// Pdeathsig is sent when the thread that started the process ends (prctl(2)): one is kept for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it ends by a signal, or by an error that it prints
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// until asks again and again until there is no error, or the process or the context has ended.
func (p *process) until(ctx context.Context, try func() error) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-p.exited:
			return errors.New("it has ended; its log says why")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// standsStill is nil once, after the process was stopped.
func (p *process) standsStill() error {
	var found unix.Siginfo
	if err := unix.Waitid(unix.P_PID, p.pid, &found, unix.WSTOPPED|unix.WNOHANG, nil); err != nil {
		return err
	}
	if found.Signo == 0 { // nothing to tell of (wait(2))
		return errors.New("it runs still")
	}
	return nil
}
