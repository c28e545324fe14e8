// Package child starts processes that end when edge does.
//
// In comes what is the same for all processes of others that edge starts: functions and plugins. What they are, and how long they
// may take, their rooms know.
package child

import (
	"context"
	"runtime"

	"golang.org/x/sys/unix"
)

// Starter is the thread that processes are children of. The kernel ends a process by Pdeathsig when the thread that started it ends (prctl(2)), and threads
// come and go in Go.
type Starter struct {
	starts chan func()
}

// NewStarter returns a thread that carries out nothing before [Starter.Run].
func NewStarter() *Starter { return &Starter{starts: make(chan func())} }

// Run is the thread, until stop is closed. It ends with it, since it is none that others could use: its children gain no privileges by what they run
// (PR_SET_NO_NEW_PRIVS), and get none of the capabilities that systemd may have given edge (AmbientCapabilities).
func (s *Starter) Run(stop <-chan struct{}) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // a kernel that can't has none of it
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	for {
		select {
		case do := <-s.starts:
			do()
		case <-stop:
			return
		}
	}
}

// Do has the thread do something, such as starting a process, and returns its error, or that of ctx when it ended before the thread began.
func (s *Starter) Do(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	select {
	case s.starts <- func() { done <- do() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}
