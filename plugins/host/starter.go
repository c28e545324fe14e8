package host

import (
	"context"
	"runtime"

	"golang.org/x/sys/unix"
)

// starter is the thread that all processes are children of. The kernel ends a process by Pdeathsig when the thread that started it ends (prctl(2)), and threads come and go in Go.
type starter struct {
	starts chan func()
}

func newStarter() *starter { return &starter{starts: make(chan func())} }

// run is the thread. It ends with it, since it is none that others could use: its children gain no privileges by what they run (PR_SET_NO_NEW_PRIVS), and
// get none of the capabilities that systemd may have given edge (AmbientCapabilities).
func (s *starter) run(stop <-chan struct{}) {
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

// do has the thread do something.
func (s *starter) do(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	select {
	case s.starts <- func() { done <- do() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}
