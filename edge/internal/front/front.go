// Package front turns the bytes of HTTP/1.1, HTTP/2 and HTTP/3 connections into exchanges, and answers into bytes.
//
// HTTP/1.1 is parsed here, strictly: a request that two servers could read differently is refused before any rule
// sees it. HTTP/2 comes from x/net/http2, HTTP/3 from quic-go. One [Server] accepts connections of all, keeps them
// within [Limits], notices slow and vanished visitors, and drains.
//
// In comes what only those who see the connection can do. What concerns one request, whatever carried it, is chain's.
package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// Options is what a Server works with.
type Options struct {
	Handler exchange.Handler
	TLS     *tls.Config    // for listeners served as secure. Its NextProtos say whether h2 is offered
	Limits  Limits         // zero values take the documented defaults
	Log     *slog.Logger   // nil: slog.Default
	QUICKey []byte         // 32 bytes or more that survive a restart: after it, visitors of h3 then learn at once that their connections are gone. nil: random
	Refused func(*Refusal) // nil, or told of every request that was refused before it was an exchange
}

// A Refusal is a request that never became an exchange.
type Refusal struct {
	Peer, Local netip.AddrPort
	Secure      bool   // over TLS
	Status      int    // what the visitor is answered: 400, 405, 408, 414, 417, 431, 501 or 505
	Reason      string // one of the Reason constants
	ID          string // the request id. Options.Refused may set it; it is then sent as X-Request-Id
}

// Counts says how many connections there are.
type Counts struct {
	Open, Idle, Active  int // idle: without a request
	HTTP1, HTTP2, HTTP3 int // open ones by protocol; those in a handshake are none of them
	Accepted            uint64
	HandshakeErrors     uint64
	Refused             uint64 // requests
	OverShare           uint64 // connections closed because their client had its share of Limits.Connections
	TurnedAway          uint64 // connections closed because too many waited for their TLS handshake
}

// A Server accepts connections and serves the exchanges that they carry.
type Server struct {
	handler exchange.Handler
	tls     *tls.Config
	limits  Limits
	log     *slog.Logger
	refused func(*Refusal)
	h2      *h2
	h3      *h3
	door    *door

	ctx     context.Context // ends with Drain, when connections have ended
	end     context.CancelFunc
	work    context.Context // of handlers: ends just before their connections are cut off
	cut     context.CancelCauseFunc
	clock   clock
	pools   pools
	streams sync.Pool     // of *stream
	slots   chan struct{} // one for each connection that may be open
	starts  sync.Once
	guards  sync.WaitGroup // the goroutine of guard

	draining        atomic.Bool // whoever comes now gets one answer
	accepted        atomic.Uint64
	handshakeErrors atomic.Uint64
	refusals        atomic.Uint64
	overShare       atomic.Uint64
	turnedAway      atomic.Uint64

	mu      sync.Mutex
	lines   map[connection]struct{}
	clients map[netip.Addr]int // how many of the lines are whose
	empty   chan struct{}      // closed when drained for good and lines is empty
	closing bool               // nobody comes any more: when lines is empty it stays so
	leaving leavers            // whom a drain waits for
	quic    []*quic.Listener
}

// New makes a server. Its one background goroutine starts with the first Serve and ends with Drain.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	limits := o.Limits.withDefaults()
	ctx, end := context.WithCancel(context.Background())
	work, cut := context.WithCancelCause(ctx)
	s := &Server{
		handler: o.Handler,
		tls:     o.TLS,
		limits:  limits,
		log:     o.Log,
		refused: o.Refused,
		ctx:     ctx,
		end:     end,
		work:    work,
		cut:     cut,
		slots:   make(chan struct{}, limits.Connections),
		lines:   make(map[connection]struct{}),
		clients: make(map[netip.Addr]int),
		empty:   make(chan struct{}),
		pools:   pools{in: http1.Buffers{Size: inputSize}},
		streams: sync.Pool{New: func() any { return &stream{text: make([]byte, 0, textSize)} }},
	}
	s.clock.set(time.Now())
	s.door = newDoor(doorPlaces())
	s.h2 = newH2(s)
	s.h3 = newH3(s, o.QUICKey)
	return s
}

// Serve accepts connections until the listener is closed or Drain has ended and then returns nil. It does not close
// the listener, and connections go on.
// secure puts TLS on them; HTTP/1.1 or HTTP/2 is then what ALPN says. Without it they speak HTTP/1.1.
func (s *Server) Serve(ln net.Listener, secure bool) error {
	if secure && s.tls == nil {
		return errors.New("front: a secure listener needs a TLS configuration")
	}
	if !s.start() {
		return nil
	}
	var pause backoff
	breath := newBreather()
	defer breath.close()
	for i := uint(1); ; i++ {
		if i%acceptedInARow == 0 && s.door != nil {
			breath.breathe()
		}
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
		case errors.Is(err, net.ErrClosed):
			return nil
		case isTemporary(err):
			s.log.Warn("accepting connections paused", "listener", ln.Addr().String(), "error", err)
			if !pause.wait(s.ctx) {
				return nil
			}
			continue
		default:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		if !s.slot() {
			conn.Close()
			return nil
		}
		l := newLine(s, conn)
		if !s.add(l) {
			conn.Close()
			<-s.slots
			return nil
		}
		s.accepted.Add(1)
		go s.serve(l, secure)
	}
}

// start begins to look after connections. It reports false after Drain: there is nothing to serve then, which is no error.
func (s *Server) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.starts.Do(func() { s.guards.Go(s.guard) })
	return true
}

// stop is the counterpart of start.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// slot waits until another connection may be open. Meanwhile new ones wait in the kernel's backlog, which is what
// tells visitors and a load balancer in front that this host is full.
func (s *Server) slot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	again := time.NewTicker(s.limits.tick()) // who was told to go may have found something to do
	defer again.Stop()
	for {
		s.closeLongestIdle()
		select {
		case s.slots <- struct{}{}:
			return true
		case <-s.ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// serve is the goroutine of one connection.
func (s *Server) serve(l *line, secure bool) {
	defer func() {
		r := recover()
		if r != nil {
			l.reset() // or what was sent of an answer might look whole
		}
		if r != nil && r != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			s.log.Error("connection broken off by a bug", "peer", l.peer.String(), "panic", r, "stack", string(debug.Stack()))
		}
		l.Conn.Close()
		s.remove(l)
		<-s.slots
	}()
	l.learnAddresses()
	if !s.admit(&l.seat) {
		s.overShare.Add(1)
		return
	}
	if !secure {
		l.protocol.Store(uint32(exchange.HTTP11))
		newH1(s, l, l, nil).serve()
		return
	}
	if s.door.full(l.peer.Addr()) {
		s.turnAway(l)
		return
	}
	conn := tls.Server(l, s.tls)
	if err := l.shake(conn); err != nil {
		s.handshakeFailed(l, err)
		return
	}
	switch state := conn.ConnectionState(); state.NegotiatedProtocol {
	case "h2":
		l.protocol.Store(uint32(exchange.HTTP2))
		s.h2.serve(l, conn)
	case "", "http/1.1", "http/1.0":
		l.protocol.Store(uint32(exchange.HTTP11))
		newH1(s, l, conn, &state).serve()
	default: // acme-tls/1: with the handshake all is said (RFC 8737, section 3)
		_ = conn.Close()
	}
}

// handshakeFailed counts it, and tells who spoke plain HTTP to a TLS port what is wrong, as every server does.
func (s *Server) handshakeFailed(l *line, err error) {
	if errors.Is(err, errTurnedAway) {
		s.turnAway(l)
		return
	}
	s.handshakeErrors.Add(1)
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) && notTLS.Conn != nil && looksLikeHTTP(notTLS.RecordHeader[:]) && l.enter(phaseHead) {
		newH1(s, l, l, nil).refuse(refusal{http.StatusBadRequest, ReasonPlainOnTLS})
		return
	}
	s.log.Debug("TLS handshake failed", "peer", l.peer.String(), "error", err)
}

// turnAway has the connection end by a reset, which costs the least.
func (s *Server) turnAway(l *line) {
	s.turnedAway.Add(1)
	l.forgetUnsent()
}

func looksLikeHTTP(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '/' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// add reports false when Drain has ended: nobody would look after the connection.
func (s *Server) add(c connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.empty:
		return false
	default:
	}
	s.lines[c] = struct{}{}
	if s.closing && s.leaving.who != nil {
		s.leaving.add(c)
	}
	return true
}

// closed reports whether Drain has closed the QUIC listeners.
func (s *Server) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// admit counts the connection for its client, and reports false when that has its share already. Its address is known
// only here, and not when the connection is accepted: under PROXY protocol the visitor must send it first.
func (s *Server) admit(p *seat) bool {
	client, shares := exchange.ClientNetwork(p.peer.Addr())
	if !shares {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[client] >= s.limits.perClient() {
		return false
	}
	s.clients[client]++
	p.client = client
	return true
}

func (s *Server) remove(c connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, c)
	s.leaving.remove(c)
	client := c.at().client
	if s.clients[client]--; s.clients[client] <= 0 { // also of nobody's
		delete(s.clients, client)
	}
	s.checkEmpty()
}

// checkEmpty wants s.mu held.
func (s *Server) checkEmpty() {
	if len(s.lines) > 0 || !s.closing {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// Connections counts what is there now.
func (s *Server) Connections() Counts {
	c := Counts{
		Accepted:        s.accepted.Load(),
		HandshakeErrors: s.handshakeErrors.Load(),
		Refused:         s.refusals.Load(),
		OverShare:       s.overShare.Load(),
		TurnedAway:      s.turnedAway.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Open = len(s.lines)
	for l := range s.lines {
		switch exchange.Protocol(l.at().protocol.Load()) {
		case exchange.HTTP3:
			c.HTTP3++
		case exchange.HTTP2:
			c.HTTP2++
		case exchange.HTTP11:
			c.HTTP1++
		default:
		}
		if p, _ := l.at().phase(); p == phaseIdle || p == phaseResting {
			c.Idle++
		}
	}
	c.Active = c.Open - c.Idle
	return c
}
