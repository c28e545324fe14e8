package mongodbtest

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// holdPort takes a TCP port of 127.0.0.1 that nobody else is given until release, though a mongod can bind it, end and bind it again.
//
// It holds a socket that is bound and doesn't listen. Linux lets a listener share the address with it when both set SO_REUSEADDR
// (socket(7)), which mongod does, and refuses connections while nobody listens.
func holdPort() (port int, release func(), err error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("a socket that holds a port: %w", err)
	}
	release = func() { _ = unix.Close(socket) }
	err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var bound unix.Sockaddr
	if err == nil {
		bound, err = unix.Getsockname(socket)
	}
	if err != nil {
		release()
		return 0, nil, fmt.Errorf("holding a port: %w", err)
	}
	return bound.(*unix.SockaddrInet4).Port, release, nil
}
