package front

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An h3 serves HTTP/3 (RFC 9114) by quic-go, over QUIC (RFC 9000).
//
// What quic-go does against floods: a client that has not shown that its address is its own is sent three times what it sent
// at most; a stream's place is free again only when its handler has returned, so resets do not make room for more handlers;
// heads are bounded by MaxHeaderBytes, QPACK's dynamic table is not used, and control frames that wait are bounded.
type h3 struct {
	s         *Server
	quic      *quic.Config
	resetKey  quic.StatelessResetKey
	tokenKey  quic.TokenGeneratorKey
	unshaken  atomic.Int64 // connections in their handshakes
	unslotted atomic.Int64 // connections that wait for one of Server.slots
	warned    atomic.Bool  // of the socket's buffer
}

const (
	// h3Unproven is how many handshakes may be under way before clients must show that their addresses are their own,
	// by a Retry (RFC 9000, section 8.1.2), which costs them a round trip.
	h3Unproven = 32
	// h3Backlog is how many connections may wait until another has gone, as others do in the kernel's backlog.
	h3Backlog = 64
	// h3ControlStreams are those that a visitor may open besides requests; he needs three (RFC 9114, section 6.2).
	h3ControlStreams = 8
	// h3Silence is after how long without a packet a visitor has vanished, and h3Ping how often he is asked.
	h3Silence, h3Ping = 60 * time.Second, 20 * time.Second
)

func newH3(s *Server, key []byte) *h3 {
	h := &h3{s: s, quic: &quic.Config{
		HandshakeIdleTimeout:           s.limits.Handshake / 2, // in twice that the handshake must be complete
		MaxIdleTimeout:                 h3Silence,
		KeepAlivePeriod:                h3Ping,
		InitialStreamReceiveWindow:     h2StreamWindow / 2,
		MaxStreamReceiveWindow:         h2StreamWindow,
		InitialConnectionReceiveWindow: h2LineWindow / 2,
		MaxConnectionReceiveWindow:     h2LineWindow,
		MaxIncomingStreams:             int64(s.limits.Streams),
		MaxIncomingUniStreams:          h3ControlStreams,
	}}
	if key == nil {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
	}
	derive := func(to []byte, use string) {
		derived, err := hkdf.Key(sha256.New, key, nil, use, len(to))
		if err != nil {
			panic("front: " + err.Error()) // the lengths are ours
		}
		copy(to, derived)
	}
	derive(h.resetKey[:], "QUIC stateless reset")
	derive(h.tokenKey[:], "QUIC address validation")
	return h
}

// ServeQUIC serves HTTP/3 on a UDP socket until it is closed or Drain has ended, and then returns nil. It does not close
// the socket. All connections live on it: close it after Drain.
func (s *Server) ServeQUIC(pc net.PacketConn) error {
	if s.tls == nil {
		return errors.New("front: HTTP/3 needs a TLS configuration")
	}
	if !s.start() {
		return nil
	}
	// quic-go would print to standard error what warnOfBuffer says to the log.
	if err := os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true"); err != nil {
		return fmt.Errorf("front: %w", err)
	}
	transport := &quic.Transport{
		Conn:                pc,
		ConnectionIDLength:  8,
		StatelessResetKey:   &s.h3.resetKey,
		TokenGeneratorKey:   &s.h3.tokenKey,
		VerifySourceAddress: func(net.Addr) bool { return s.h3.busy() },
		ConnContext:         s.h3.come,
	}
	ln, err := transport.Listen(h3TLS(s), s.h3.quic)
	if err != nil {
		return fmt.Errorf("HTTP/3 on %s: %w", pc.LocalAddr(), err)
	}
	defer transport.Close() // what is left has been told
	s.mu.Lock()
	s.quic = append(s.quic, ln)
	s.mu.Unlock()
	s.h3.warnOfBuffer(pc)
	for {
		conn, err := ln.Accept(s.ctx)
		switch {
		case err == nil:
			go s.h3.serve(conn)
		case errors.Is(err, quic.ErrServerClosed) && s.closed(): // by Drain, while connections go on
			<-s.ctx.Done()
			return nil
		case s.ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return nil
		default:
			return fmt.Errorf("accept QUIC on %s: %w", pc.LocalAddr(), err)
		}
	}
}

// h3TLS asks base anew for each handshake, as it is then: its session ticket keys may have been changed meanwhile. One handshake
// after the other is let in.
func h3TLS(s *Server) *tls.Config {
	base := s.tls
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{http3.NextProtoH3},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if !s.door.pass(hello.Context(), addrPort(hello.Conn.RemoteAddr()).Addr()) {
				s.turnedAway.Add(1)
				return nil, errTurnedAway
			}
			config := base
			if base.GetConfigForClient != nil {
				own, err := base.GetConfigForClient(hello)
				if err != nil {
					return nil, err
				}
				if own != nil {
					config = own
				}
			}
			config = http3.ConfigureTLSConfig(config)
			config.MinVersion = tls.VersionTLS13
			return config, nil
		},
	}
}

// wantedBuffer is what quic-go asks the kernel for, so that packets that come at once are not lost.
const wantedBuffer = 7 << 20

// warnOfBuffer says once, however many sockets there are, if the kernel gave less.
func (h *h3) warnOfBuffer(pc net.PacketConn) {
	size := receiveBuffer(pc)
	if size == 0 || size >= wantedBuffer || h.warned.Swap(true) {
		return
	}
	h.s.log.Info("the kernel keeps UDP buffers small: large uploads by HTTP/3 are slower than they could be; `sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000` allows more",
		"listener", pc.LocalAddr().String(), "bytes", size)
}

// busy reports whether clients must show that their addresses are their own before they get a connection.
func (h *h3) busy() bool {
	return h.unshaken.Load() >= h3Unproven || len(h.s.slots) == cap(h.s.slots)
}

var (
	errFull      = errors.New("no more connections")
	errDrained   = errors.New("the server has ended")
	errOverShare = errors.New("one client's share is used up")
)

// come is what quic-go calls for each new connection, on the one goroutine that reads new connections' packets. ctx is
// done when the connection has ended, or the handshake has failed. On error the client is told CONNECTION_REFUSED.
//
// Only an address that has been shown counts for its client's share here: others would be counted for somebody
// whose address was forged.
func (h *h3) come(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	s := h.s
	l := newH3line(s, client.RemoteAddr)
	select {
	case s.slots <- struct{}{}:
	default:
		l.unslotted = true
		if h.unslotted.Add(1) > h3Backlog {
			h.unslotted.Add(-1)
			return nil, errFull
		}
	}
	l.admitted = client.AddrVerified
	if !s.add(l) {
		h.leave(l)
		return nil, errDrained
	}
	if l.admitted && !s.admit(&l.seat) {
		h.leave(l)
		s.overShare.Add(1)
		return nil, errOverShare
	}
	s.accepted.Add(1)
	h.unshaken.Add(1)
	context.AfterFunc(ctx, l.miss)
	return context.WithValue(ctx, h3Key{}, l), nil
}

// h3Key is under which a connection's context has its h3line.
type h3Key struct{}

// leave gives back what come took.
func (h *h3) leave(l *h3line) {
	h.s.remove(l)
	if l.unslotted {
		h.unslotted.Add(-1)
		return
	}
	<-h.s.slots
}

// serve is the goroutine of one connection, whose handshake is complete.
func (h *h3) serve(conn *quic.Conn) {
	l, ok := conn.Context().Value(h3Key{}).(*h3line)
	if !ok {
		panic("front: a QUIC connection that never came")
	}
	l.conn = conn
	l.local = addrPort(conn.LocalAddr())
	l.seat.protocol.Store(uint32(exchange.HTTP3))
	if !l.turn(phaseHandshake, phaseWaiting) {
		l.close(http3.ErrCodeNoError)
		return
	}
	h.unshaken.Add(-1)
	defer h.leave(l)
	if l.unslotted {
		if !h.s.slot() {
			l.close(http3.ErrCodeNoError)
			return
		}
		l.unslotted = false
		h.unslotted.Add(-1)
	}
	if !l.admitted && !h.s.admit(&l.seat) {
		h.s.overShare.Add(1)
		l.close(http3.ErrCodeExcessiveLoad)
		return
	}
	if !l.turn(phaseWaiting, phaseResting) { // told to go meanwhile
		return
	}
	_ = l.base.ServeQUICConn(conn) // why it ended concerns nobody: its streams have been told
	l.close(http3.ErrCodeNoError)
	l.end()
}
