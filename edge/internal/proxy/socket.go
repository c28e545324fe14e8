package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// errSurplus says that a connection was not used because the target has said something on it, or closed it, since its last answer.
var errSurplus = errors.New("proxy: the connection is not clean: something came after the answer before")

// A socket is the connection to an http/1.1 target, below TLS if there is any. It keeps what a target says beyond its
// answer from being taken for the answer to the next request (RFC 9112, section 6.3): http.Transport gives a connection
// to the next request before it has looked whether bytes are left, and any visitor can cause such bytes where
// an app answers HEAD with a body or counts its Content-Length wrong.
//
// What the target says only after the next request was sent can't be told from its answer, by nobody.
type socket struct {
	net.Conn
	raw     syscall.RawConn
	take    func(fd uintptr) bool // receive, bound once
	settled chan struct{}         // capacity 1: dry or ended may have become true

	// Of the Read in progress.
	into []byte
	n    int
	err  error

	mu      sync.Mutex
	dry     bool // all that came has been read, and a Read waits for more
	claimed bool // a request is about to begin: nothing may come
	spoiled bool // something came
	ended   bool // closed
}

// newSocket returns nil for a connection that is not the kernel's.
func newSocket(c net.Conn) *socket {
	system, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{Conn: c, raw: raw, settled: make(chan struct{}, 1)}
	s.take = s.receive
	return s
}

// Read looks and reads in one step as seen from claim and begin.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.into = p
	err := s.raw.Read(s.take)
	s.into = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// receive is false when there is nothing to read yet.
func (s *socket) receive(fd uintptr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := syscall.Read(int(fd), s.into)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), s.into)
	}
	if s.dry = err == syscall.EAGAIN; s.dry {
		s.settle()
		return false
	}
	s.spoiled = s.spoiled || s.claimed
	switch {
	case err != nil:
		s.n, s.err = 0, os.NewSyscallError("read", err)
	case n == 0:
		s.n, s.err = 0, io.EOF
	case s.spoiled:
		s.n, s.err = 0, errSurplus
	default:
		s.n, s.err = n, nil
	}
	return true
}

func (s *socket) settle() {
	select {
	case s.settled <- struct{}{}:
	default:
	}
}

// claim waits until all that came with the answer before has been read, or the connection has ended because it was too
// much: that takes as long as http.Transport needs to look. From its return until begin nothing may come.
func (s *socket) claim(ctx context.Context) {
	for {
		s.mu.Lock()
		s.claimed = s.dry || s.ended
		ready := s.claimed
		s.mu.Unlock()
		if ready {
			return
		}
		select {
		case <-s.settled:
		case <-ctx.Done():
			return
		}
	}
}

// begin is called before the first byte of a request is sent. Its error says that the connection must not be used.
func (s *socket) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed {
		return nil
	}
	s.claimed = false
	if s.spoiled = s.spoiled || s.ended || s.isReadable(); s.spoiled {
		return errSurplus
	}
	return nil
}

// isReadable asks the kernel whether bytes, or the connection's end, wait to be read.
func (s *socket) isReadable() bool {
	readable := true
	_ = s.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		readable = err != nil || n > 0
	})
	return readable
}

// Close ends whoever waits for the socket, too.
func (s *socket) Close() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.settle()
	return s.Conn.Close()
}

// CloseWrite says that nothing more is sent.
func (s *socket) CloseWrite() error { return closeWrite(s.Conn) }
