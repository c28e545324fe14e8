package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// connectTimeout bounds connecting to a target, and its TLS handshake, each.
const connectTimeout = 5 * time.Second

// dialer makes connections to one target.
type dialer struct {
	connect func(context.Context) (net.Conn, error)
	tls     *tls.Config // nil: plain
	h2c     bool        // answers name the request that they are for: no socket is needed to tell them apart
	buffers buffers
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	plain, err := d.plain(ctx)
	if err != nil {
		return nil, &connectError{err}
	}
	var s *socket
	if !d.h2c {
		if s = newSocket(plain); s != nil {
			plain = s
		}
	}
	if d.tls == nil {
		return &conn{Conn: plain, socket: s, buffers: &d.buffers}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	secure := tls.Client(plain, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, &connectError{err}
	}
	return &conn{Conn: secure, socket: s, buffers: &d.buffers}, nil
}

func (d *dialer) plain(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return d.connect(ctx)
}

// conn is a connection to a target that knows whether anything was sent on it, and for whom.
type conn struct {
	net.Conn
	socket  *socket // at the bottom of Conn; nil for h2c
	buffers *buffers
	sent    atomic.Int64 // bytes
	// body is what the request in progress sends. Whoever closes the connection must not wait for the visitor.
	body atomic.Pointer[requestBody]
}

// Write counts. It fails, and has sent nothing, when a request would begin on a connection that is not clean.
func (c *conn) Write(p []byte) (int, error) {
	if c.socket != nil {
		if err := c.socket.begin(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// ReadFrom sends what r has. net/http would take new memory for every body to do that.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	buf := c.buffers.get()
	defer c.buffers.put(buf)
	var total int64
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			written, werr := c.Write(buf[:n])
			total += int64(written)
			if werr != nil {
				return total, werr
			}
		}
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// Close also ends reading the body that was being sent: http.Transport waits for that before it reports that the
// target has gone, however long the visitor is silent.
func (c *conn) Close() error {
	err := c.Conn.Close()
	if body := c.body.Load(); body != nil {
		_ = body.Close()
	}
	return err
}

// CloseWrite says that nothing more is sent.
func (c *conn) CloseWrite() error { return closeWrite(c.Conn) }

// closeWrite ends one direction of a connection. It is errors.ErrUnsupported where there is no such thing.
func closeWrite(c io.Writer) error {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
