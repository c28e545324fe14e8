package proxy

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/onehost/edge/edge/internal/http1"
)

// An h1Conn is a connection to a target that speaks HTTP/1.1. It carries one request at a time, and belongs to whoever
// took it from the pool.
type h1Conn struct {
	net.Conn
	raw   syscall.RawConn // of the socket, which may be below TLS; nil if it is not the kernel's
	in    http1.Input
	used  bool      // has carried a request
	since time.Time // when it became idle

	look  func(fd uintptr) bool // asks whether it is quiet; bound once
	quiet bool                  // the answer
}

func newH1Conn(conn, socket net.Conn) *h1Conn {
	c := &h1Conn{Conn: conn}
	c.in.From = conn
	if system, ok := socket.(syscall.Conn); ok {
		c.raw, _ = system.SyscallConn()
	}
	c.look = func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		c.quiet = err == syscall.EAGAIN
		return true
	}
	return c
}

// isClean reports whether a request may be sent on a connection that was idle: the target has said nothing on it since its
// last answer, and has not closed it. What it did say would be taken for the answer to the next request (RFC 9112, section
// 6.3), which may be another visitor's: any visitor can cause such bytes where an app answers HEAD with a body or counts its
// Content-Length wrong. What is said only after the next request was sent can't be told from its answer, by nobody.
func (c *h1Conn) isClean() bool {
	if len(c.in.Unread()) > 0 || c.raw == nil {
		return false
	}
	if secure, ok := c.Conn.(*tls.Conn); ok && !isDrained(secure) {
		return false
	}
	c.quiet = false
	return c.raw.Read(c.look) == nil && c.quiet
}

// isDrained reports whether TLS holds no bytes back that it has decrypted. Of those that it would have to read first the
// socket tells.
func isDrained(c *tls.Conn) bool {
	if c.SetReadDeadline(past) != nil {
		return false
	}
	var b [1]byte
	n, err := c.Read(b[:])
	return n == 0 && isTimeout(err) && c.SetReadDeadline(time.Time{}) == nil
}

// cut ends the connection in the middle of something, without TLS' goodbye: crypto/tls waits five seconds for a target to
// read that.
func (c *h1Conn) cut() {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		_ = secure.NetConn().Close()
		return
	}
	_ = c.Close()
}

// CloseWrite says that nothing more is sent.
func (c *h1Conn) CloseWrite() error { return closeWrite(c.Conn) }

// Read returns what came with the answer's head first.
func (c *h1Conn) Read(p []byte) (int, error) { return c.in.Read(p) }
