package local

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one process of a function. It has a listener of its own: all that a runtime is told is an address (AWS_LAMBDA_RUNTIME_API), so with one address for all
// the process of one function could answer for another by a mistake no worse than a wrong request id. The port of a process is told to that process
// alone, and a connection from another user of this machine is refused (peers).
type process struct {
	pool    *pool
	version version
	api     net.Listener
	out     *output
	cmd     *exec.Cmd

	ready    chan struct{} // closed when it asks for its first invocation
	stop     chan struct{} // closed when it has to end
	ended    chan struct{} // closed when it is gone
	exit     *os.ProcessState
	stopOnce sync.Once

	work chan *invocation // of 1

	// Guarded by pool.mu:
	state     state
	since     time.Time   // of idle and returning
	current   *invocation // that it has to answer
	initError *failure    // that it told of

	mu     sync.Mutex
	reaped bool // its id may be another's
}

func newProcess(p *pool, v version) *process {
	return &process{
		pool: p, version: v, state: starting, work: make(chan *invocation, 1),
		ready: make(chan struct{}), stop: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start starts the program.
func (pr *process) start(ctx context.Context) error {
	f := pr.pool.f
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	pr.api = &peers{TCPListener: listener}
	read, write, err := os.Pipe()
	if err != nil {
		listener.Close()
		return err
	}
	defer write.Close()
	pr.out = newOutput(read, f.service.log.With("function", f.spec.Name))
	pr.cmd = &exec.Cmd{
		Path: f.spec.Command, Args: append([]string{f.spec.Command}, f.spec.Args...), Dir: f.dir,
		Env:    append(append(make([]string, 0, len(f.env)+1), f.env...), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String()),
		Stdout: write, Stderr: write,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err := f.service.starter.Do(ctx, pr.cmd.Start); err != nil {
		listener.Close()
		pr.out.close()
		return err
	}
	go pr.supervise()
	return nil
}

// supervise waits for the end of a process, or brings it about.
func (pr *process) supervise() {
	var served sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(pr.serve), ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 2 << 20} // aws-lambda-go sends a field of 1 MB with errors
	served.Go(func() { _ = server.Serve(pr.api) })
	served.Go(pr.out.read)
	exited := make(chan struct{})
	go func() { defer close(exited); pr.await() }()
	select {
	case <-exited:
	case <-pr.stop:
		pr.signal(unix.SIGTERM)
		timer := time.NewTimer(graceTime)
		select {
		case <-exited:
		case <-timer.C:
			pr.kill()
			<-exited
		}
		timer.Stop()
	}
	pr.kill() // what it has started and left behind; its id is its own until it is reaped
	pr.mu.Lock()
	_ = pr.cmd.Wait() // how it ended stands in ProcessState
	pr.exit, pr.reaped = pr.cmd.ProcessState, true
	pr.mu.Unlock()
	pr.out.flush()
	pr.out.close()
	_ = server.Close() // it is gone: nothing is lost
	served.Wait()
	pr.pool.gone(pr)
	close(pr.ended)
	pr.pool.f.service.leave(pr.pool.f)
}

// await returns when the process has ended, and leaves it to be reaped.
func (pr *process) await() {
	for {
		err := unix.Waitid(unix.P_PID, pr.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// terminate has it end, in the time that it needs for that, within graceTime.
func (pr *process) terminate() { pr.stopOnce.Do(func() { close(pr.stop) }) }

// kill ends it and all that it started, as Lambda does when the time is over.
func (pr *process) kill() { pr.signal(unix.SIGKILL) }

func (pr *process) signal(s unix.Signal) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if !pr.reaped {
		_ = unix.Kill(-pr.cmd.Process.Pid, s) // a group that is gone needs none
	}
}
