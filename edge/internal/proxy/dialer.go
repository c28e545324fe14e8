package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// connectTimeout is for a connection to a target and its TLS handshake, each.
const connectTimeout = 5 * time.Second

// A dialer makes connections to one target.
type dialer struct {
	connect func(context.Context) (net.Conn, error)
	tls     *tls.Config // nil: plain
}

// dial returns the connection, and what is below TLS. An error is a connectError.
func (d *dialer) dial(ctx context.Context) (conn, socket net.Conn, err error) {
	socket, err = d.plain(ctx)
	if err != nil {
		return nil, nil, &connectError{err}
	}
	if d.tls == nil {
		return socket, socket, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	secure := tls.Client(socket, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		return nil, nil, &connectError{err}
	}
	return secure, socket, nil
}

func (d *dialer) plain(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return d.connect(ctx)
}

// closeWrite ends one direction of a connection. It is errors.ErrUnsupported where there is no such thing.
func closeWrite(c io.Writer) error {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
