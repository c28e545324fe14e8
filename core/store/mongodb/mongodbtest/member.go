package mongodbtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Member is a mongod of a test's own. Its address and its data stay the same when it ends and is started again.
type Member struct {
	set         *Set
	mongod      string
	folder      string
	port        int
	releasePort func()
	args        []string // beyond those that all have

	mu      sync.Mutex // guards what follows
	process *process   // the last one
}

// Addr is its host and port.
func (m *Member) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port)) }

// URI is for talking to this member alone, with the credentials of Set.URI.
func (m *Member) URI() string {
	if m.set.auth {
		return m.set.compose(adminUser(), m.Addr(), url.Values{"authSource": {"admin"}})
	}
	return m.set.compose(nil, m.Addr(), nil)
}

// Kill ends the process as a power failure would (SIGKILL), and returns when it is gone.
func (m *Member) Kill(t testing.TB) {
	t.Helper()
	if err := m.end(unix.SIGKILL); err != nil {
		t.Errorf("killing %s: %v", m.Addr(), err)
	}
}

// Stop ends the process in order (SIGTERM): a primary hands over first. It returns when it is gone.
func (m *Member) Stop(t testing.TB) {
	t.Helper()
	if err := m.end(unix.SIGTERM); err != nil {
		t.Errorf("stopping %s: %v", m.Addr(), err)
	}
}

// Pause has the process stand still (SIGSTOP) and returns when it does: connections stay open, and nobody answers.
func (m *Member) Pause(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endWithin)
	defer cancel()
	p, err := m.signal(unix.SIGSTOP)
	if err == nil {
		err = p.until(ctx, p.standsStill)
	}
	if err != nil {
		t.Errorf("pausing %s: %v", m.Addr(), err)
	}
}

// Resume has it go on (SIGCONT).
func (m *Member) Resume(t testing.TB) {
	t.Helper()
	if _, err := m.signal(unix.SIGCONT); err != nil {
		t.Errorf("resuming %s: %v", m.Addr(), err)
	}
}

// Restart starts it again on the same address and data, after Kill or Stop, and returns when it is a primary or a secondary: of a set of which too
// few run, it is a secondary.
func (m *Member) Restart(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	err := m.start(ctx)
	if err == nil {
		err = m.awaitMembership(ctx)
	}
	if err != nil {
		t.Errorf("starting %s again: %v", m.Addr(), err)
	}
}

// start returns when connections are accepted.
func (m *Member) start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil && !m.process.gone() {
		return errors.New("it runs already")
	}
	data := filepath.Join(m.folder, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	p, err := startProcess(m.logFile(), m.mongod, append(m.commonArgs(data), m.args...)...)
	if err != nil {
		return err
	}
	m.process = p
	return p.until(ctx, func() error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Addr())
		if err == nil {
			err = connection.Close()
		}
		return err
	})
}

func (m *Member) commonArgs(data string) []string {
	return []string{
		"--dbpath", data, "--bind_ip", "127.0.0.1", "--port", strconv.Itoa(m.port), "--nounixsocket", "--quiet",
		"--wiredTigerCacheSizeGB", "0.25",
		"--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)", // else 300 MB of journal from the start
		"--setParameter", "diagnosticDataCollectionEnabled=false",
		"--setParameter", "ttlMonitorSleepSecs=1",
		"--setParameter", "transactionLifetimeLimitSeconds=5", // how long that of a process that was killed is in the way of others
		"--setParameter", "oplogNetworkTimeoutBufferSeconds=1", // how long a member follows a primary that stands still
		"--setParameter", "shutdownTimeoutMillisForSignaledShutdown=1000", // how long Stop looks for somebody to hand over to
	}
}

func (m *Member) signal(signal unix.Signal) (*process, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil || m.process.gone() {
		return nil, errors.New("it does not run")
	}
	return m.process, unix.Kill(m.process.pid, signal)
}

func (m *Member) end(signal unix.Signal) error {
	p, err := m.signal(signal)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(endWithin)
	defer timeout.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timeout.C:
		return fmt.Errorf("it runs still, %v after %v", endWithin, signal)
	}
}

// close kills it if it runs, and gives its port away.
func (m *Member) close() {
	_ = m.end(unix.SIGKILL) // it may have ended before
	m.releasePort()
}

func (m *Member) logFile() string { return filepath.Join(m.folder, "log") }
