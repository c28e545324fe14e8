package front

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerGone asks the kernel, without reading, whether the other side has closed or reset the connection.
func peerGone(raw syscall.RawConn) bool {
	if raw == nil {
		return false
	}
	gone := false
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone
}

// bytesAcked is how many bytes the other side has confirmed since the connection began, 0 if the kernel does not say.
func bytesAcked(raw syscall.RawConn) (n int64) {
	if raw == nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int64(info.Bytes_acked)
		}
	})
	return n
}

// receiveBuffer is how many bytes the kernel keeps of what comes on a socket, 0 if it does not say.
func receiveBuffer(pc net.PacketConn) (n int) {
	c, ok := pc.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) // 0 on error
	})
	return n
}
