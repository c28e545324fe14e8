package acmetest

import (
	"fmt"
	"syscall"
	"testing"
)

// Port reserves a TCP port of 127.0.0.1 until the test ends, and returns its number: a listener of the test, or of a process it
// starts, can be bound to it, closed and bound again, and meanwhile nobody else is given it.
//
// It holds a socket that is bound and does not listen. Linux lets a listener share the address with it when both set SO_REUSEADDR
// (socket(7)), which Go's net.Listen does, and gives the port to nobody who asks for any port. While nobody listens, connections
// are refused. Between closing a listener and binding the port again, call AwaitForks.
func Port(t testing.TB) int {
	t.Helper()
	port, release, err := holdPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

func holdPort() (port int, release func(), err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("a socket that holds a port: %w", err)
	}
	release = func() { _ = syscall.Close(socket) }
	err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var bound syscall.Sockaddr
	if err == nil {
		bound, err = syscall.Getsockname(socket)
	}
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("holding a port: %w", err)
	}
	return bound.(*syscall.SockaddrInet4).Port, release, nil
}

// AwaitForks waits until nothing that was closed before is open still. A process that is just being started has a copy of every
// descriptor until it execs: a listener that was closed meanwhile listens on, and its port can't be bound. Tests that run in
// parallel with ours start processes at any time.
func AwaitForks() {
	syscall.ForkLock.RLock() // held by os/exec until the new process has exec'd
	defer syscall.ForkLock.RUnlock()
}

func localhost(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
