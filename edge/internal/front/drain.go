package front

import (
	"context"
	"fmt"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

const (
	// parting is how long an h1 connection without a request stays open when it is told to go: closed at once, it would lose a request that is on its
	// way already. Who is busy asks again in this time, and is answered with Connection: close.
	parting     = 500 * time.Millisecond
	partingTick = 100 * time.Millisecond

	// afterCut is how long a handler has to notice that its visitor was cut off.
	afterCut = 2 * time.Second
)

// leavers are connections that were told to go and have not gone.
type leavers struct {
	who  map[connection]struct{}
	gone chan struct{} // closed when there are none any more
}

func (l *leavers) add(c connection) {
	c.at().leaving.Store(true)
	l.who[c] = struct{}{}
}

func (l *leavers) remove(c connection) {
	if _, waited := l.who[c]; !waited {
		return
	}
	delete(l.who, c)
	l.check()
}

func (l *leavers) check() {
	if len(l.who) == 0 && l.gone != nil {
		close(l.gone)
		l.gone = nil
	}
}

// Ebb has the connections that are open now end: answers say Connection: close, h2 and h3 connections get GOAWAY, idle ones are closed. New ones are taken,
// and served as ever. It returns nil when those have ended, or the cause of ctx, and cuts nothing. It is the first part of a stop where nobody takes
// this server's place before it has ended: as long as an exchange lasts, nobody has to wait for that.
func (s *Server) Ebb(ctx context.Context) error { return s.dismiss(ctx, false) }

// LastCall is Ebb for those who came since; and whoever comes from now on gets one answer. It makes what is left for Drain short.
func (s *Server) LastCall(ctx context.Context) error {
	s.draining.Store(true)
	return s.dismiss(ctx, false)
}

// Drain is the end: all connections are told to go, as by Ebb, new QUIC connections are not even refused, so that their visitors ask again and find the next
// server, and it returns nil when all connections have ended. When ctx is done first, or when all that is left has had its time in Ebb or LastCall, it cuts
// what is left and returns how much that was. TCP listeners are not its business: close them before.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	defer s.door.close()
	defer s.guards.Wait()
	defer s.stop()
	err := s.dismiss(ctx, true)
	select {
	case <-s.empty:
		return nil
	default:
		if err == nil {
			err = errHadItsTime
		}
		return s.cutOff(err)
	}
}

var errHadItsTime = fmt.Errorf("they had the time that a drain has: %w", context.DeadlineExceeded)

// dismiss tells all to go who were not told yet, and waits for them. At the end everybody who still comes is one of them.
func (s *Server) dismiss(ctx context.Context, end bool) error {
	gone := make(chan struct{})
	s.mu.Lock()
	s.leaving = leavers{make(map[connection]struct{}, len(s.lines)), gone}
	for c := range s.lines {
		if !c.at().leaving.Load() {
			s.leaving.add(c)
			c.drain()
		}
	}
	if end {
		s.closing = true
		for _, ln := range s.quic {
			ln.Close()
		}
		s.checkEmpty()
	}
	s.leaving.check()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaving = leavers{}
	}()
	return s.seeOff(ctx, gone)
}

// seeOff waits for those who leave, and closes behind those who have nothing to say.
func (s *Server) seeOff(ctx context.Context, gone <-chan struct{}) error {
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(parting):
	}
	again := time.NewTicker(partingTick)
	defer again.Stop()
	for {
		s.mu.Lock()
		for c := range s.leaving.who {
			c.part()
		}
		s.mu.Unlock()
		select {
		case <-gone:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

// cutOff tells handlers before visitors, so that none takes what happens to his visitor for the visitor's own doing.
func (s *Server) cutOff(why error) error {
	s.mu.Lock()
	left := len(s.lines)
	s.cut(exchange.ErrShutdown)
	for l := range s.lines {
		l.giveUp(exchange.ErrShutdown)
		l.reset()
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		return fmt.Errorf("front: %d connections cut off: %w", left, why)
	case <-time.After(afterCut):
		return fmt.Errorf("front: %d connections cut off and some of their handlers still run: %w", left, why)
	}
}

// abortIfCut breaks off an answer whose handler has ended it because the server's time is over: it must not look whole.
func (s *Server) abortIfCut(x *exchange.Exchange) {
	if s.work.Err() != nil {
		x.Abort(exchange.ErrShutdown)
	}
}
