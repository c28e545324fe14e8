package listen

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyHeaderTimeout bounds the wait for a PROXY header, which the sender must send at once
// (HAProxy's PROXY protocol specification, section 2).
const proxyHeaderTimeout = 5 * time.Second

// proxied accepts connections that begin with a PROXY protocol v2 header when they come from one of the senders.
// From anybody else a header is not expected, and one that is there is read as the visitor's first bytes, and so refused.
type proxied struct {
	net.Listener
	senders []netip.Prefix
}

func wrap(listeners []net.Listener, senders []netip.Prefix) {
	for i, ln := range listeners {
		listeners[i] = proxied{ln, senders}
	}
}

func (p proxied) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil || !contains(p.senders, c.RemoteAddr()) {
		return c, err
	}
	return proxiedConn{proxyproto.NewConn(c,
		proxyproto.WithPolicy(proxyproto.REQUIRE),
		proxyproto.SetReadHeaderTimeout(proxyHeaderTimeout),
		proxyproto.ValidateHeader(onlyV2))}, nil
}

func onlyV2(h *proxyproto.Header) error {
	if h.Version != 2 {
		return errors.New("PROXY protocol v1: only v2 is spoken here")
	}
	return nil
}

// proxiedConn reads its header on the first Read, RemoteAddr or LocalAddr: on the connection's goroutine, not in Accept.
type proxiedConn struct {
	*proxyproto.Conn
}

// SyscallConn lets a front ask the kernel about the socket.
func (c proxiedConn) SyscallConn() (syscall.RawConn, error) {
	if tcp, ok := c.TCPConn(); ok {
		return tcp.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// RemoteAddr is the visitor's, if the header tells one of TCP. Without it (a health check's command LOCAL, sockets of
// other families) the sender is the visitor.
func (c proxiedConn) RemoteAddr() net.Addr { return tcpOr(c.Conn.RemoteAddr(), c.Raw().RemoteAddr()) }

// LocalAddr is where the visitor connected to, if the header tells.
func (c proxiedConn) LocalAddr() net.Addr { return tcpOr(c.Conn.LocalAddr(), c.Raw().LocalAddr()) }

func tcpOr(told, own net.Addr) net.Addr {
	if _, ok := told.(*net.TCPAddr); ok {
		return told
	}
	return own
}
