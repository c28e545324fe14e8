package front

import (
	"crypto/tls"
	"io"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An upgraded connection is no longer HTTP. Its owner reads and writes it until he closes it; only silence in both
// directions ends it before.
type upgraded struct {
	h    *h1
	once sync.Once
	done chan struct{}
}

// Upgrade is of [exchange.Stream].
func (h *h1) Upgrade() (io.ReadWriteCloser, error) {
	if h.x.Response.Status != 101 || !h.headSent || h.upgraded != nil {
		return nil, exchange.ErrNoUpgrade
	}
	if h.answer.err != nil {
		return nil, h.answer.err
	}
	if !h.line.enter(phaseUpgraded) {
		return nil, exchange.ErrClientGone
	}
	h.upgraded = &upgraded{h: h, done: make(chan struct{})}
	return h.upgraded, nil
}

// Read reads what the visitor sends, first what he sent with his request.
func (u *upgraded) Read(p []byte) (int, error) {
	n, err := u.h.in.Read(p)
	if n == 0 && err != nil && u.h.line.slow.Load() {
		err = exchange.ErrTooSlow
	}
	return n, err
}

func (u *upgraded) Write(p []byte) (int, error) {
	n, err := u.h.conn.Write(p)
	if err != nil && u.h.line.slow.Load() {
		err = exchange.ErrTooSlow
	}
	return n, err
}

// CloseWrite tells the visitor that nothing more comes, while he may go on.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.h.conn.(*tls.Conn); ok {
		return c.CloseWrite()
	}
	if c, ok := u.h.line.sock.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Close ends the connection. Reads and writes that wait fail.
func (u *upgraded) Close() error {
	err := u.h.conn.Close()
	u.once.Do(func() { close(u.done) })
	return err
}
