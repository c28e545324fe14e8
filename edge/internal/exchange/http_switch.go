package exchange

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// switched is a connection after a 101, as http.Hijacker returns it. It does not use the exchange, which may be over.
type switched struct {
	io.ReadWriteCloser
	local, remote net.Addr
	once          sync.Once
	closed        chan struct{}
	err           error // of closing
}

func switchProtocols(x *Exchange) (*switched, error) {
	conn, err := x.Upgrade()
	if err != nil {
		return nil, err
	}
	return &switched{
		ReadWriteCloser: conn,
		local:           net.TCPAddrFromAddrPort(x.Local),
		remote:          net.TCPAddrFromAddrPort(x.Peer),
		closed:          make(chan struct{}),
	}, nil
}

// wait returns when the connection has been closed, and closes it when ctx is done.
func (s *switched) wait(ctx context.Context) {
	select {
	case <-s.closed:
	case <-ctx.Done():
		_ = s.Close()
	}
}

func (s *switched) Close() error {
	s.once.Do(func() {
		s.err = s.ReadWriteCloser.Close()
		close(s.closed)
	})
	return s.err
}

func (s *switched) LocalAddr() net.Addr  { return s.local }
func (s *switched) RemoteAddr() net.Addr { return s.remote }

func (s *switched) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

func (s *switched) SetReadDeadline(t time.Time) error {
	if c, ok := s.ReadWriteCloser.(interface{ SetReadDeadline(time.Time) error }); ok {
		return c.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}

func (s *switched) SetWriteDeadline(t time.Time) error {
	if c, ok := s.ReadWriteCloser.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return c.SetWriteDeadline(t)
	}
	return os.ErrNoDeadline
}
