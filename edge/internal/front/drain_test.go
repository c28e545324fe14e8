package front

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// slow answers /slow when finish is closed, and says on working that it has begun.
func slow() (handler exchange.HandlerFunc, working, finish chan bool) {
	working, finish = make(chan bool, 9), make(chan bool)
	return func(x *exchange.Exchange) {
		if x.RawPath == "/slow" {
			working <- true
			<-finish
		}
		text("x")(x)
	}, working, finish
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWhileTheOldEbbNewOnesAreServedAsEver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		handler, working, finish := slow()
		h := start(t, secure, Limits{}, handler)
		old := h.visit()
		old.send(requestLine("GET /slow HTTP/1.1"))
		<-working
		ebbed := make(chan error, 1)
		go func() { ebbed <- h.server.Ebb(soon(t)) }()
		waitFor(t, func() bool { return leave(h.server) == 1 })
		newer := h.visit()
		for range 3 {
			newer.send(get())
			if r := newer.expect("GET", 200, "x"); r.Close {
				t.Fatal("a newer connection is told to end")
			}
		}
		close(finish)
		if r := old.expect("GET", 200, "x"); !r.Close {
			t.Error("the older connection is not told to end")
		}
		old.expectEnd()
		old.Close()
		if err := <-ebbed; err != nil {
			t.Error(err)
		}
		newer.send(get())
		newer.expect("GET", 200, "x")
		called := make(chan error, 1)
		go func() { called <- h.server.LastCall(soon(t)) }()
		newer.expectEnd()
		newer.Close()
		if err := <-called; err != nil {
			t.Error(err)
		}
		last := h.visit()
		last.send(get())
		if r := last.expect("GET", 200, "x"); !r.Close {
			t.Error("who came after the last call may go on")
		}
	})
}

// leave is how many connections were told to go and have not gone.
func leave(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.leaving.who)
}

func TestEbbOfAllProtocols(t *testing.T) {
	t.Parallel()
	handler, working, finish := slow()
	h := start(t, true, Limits{Window: 200 * time.Millisecond}, handler)
	protocols := []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3}
	answers := make(chan seen, len(protocols))
	for _, p := range protocols {
		go func() { answers <- h.ask(t, p, "GET", "/slow", nil, nil, nil) }()
		<-working
	}
	ebbed := make(chan error, 1)
	go func() { ebbed <- h.server.Ebb(soon(t)) }()
	waitFor(t, func() bool { return leave(h.server) == len(protocols) })
	for _, p := range protocols {
		if a := h.ask(t, p, "GET", "/", nil, nil, nil); a.Body != "x" || a.Broken {
			t.Errorf("%v, new: %+v", p, a)
		}
	}
	close(finish)
	for range protocols {
		if a := <-answers; a.Body != "x" || a.Broken {
			t.Errorf("%+v", a)
		}
	}
	if err := <-ebbed; err != nil {
		t.Error(err)
	}
}

// An idle connection may have its next request on the way when it is told to go.
func TestWhoIsIdleMayAskOnceMore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, text("x"))
		v := h.visit()
		v.send(get())
		v.expect("GET", 200, "x")
		waitFor(t, func() bool { return h.server.Connections().Idle == 1 })
		drained := make(chan error, 1)
		go func() { drained <- h.server.Drain(soon(t)) }()
		waitFor(t, func() bool { return leave(h.server) == 1 })
		v.send(get())
		if r := v.expect("GET", 200, "x"); !r.Close {
			t.Error("the last answer does not say that the connection ends")
		}
		v.expectEnd()
		v.Close()
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestADrainDoesNotWaitForWhoSaysNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, text("x"))
		conn, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		waitFor(t, func() bool { return h.server.Connections().Open == 1 })
		began := time.Now()
		if err := h.server.Drain(soon(t)); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// What had its time in Ebb gets no more in Drain, for which others wait outside.
func TestWhatIsLeftOfEbbIsCutAsSoonAsTheOthersAreGone(t *testing.T) {
	t.Parallel()
	handler, working, finish := slow()
	defer close(finish)
	h := start(t, true, Limits{}, handler)
	old := h.visit()
	old.send(requestLine("GET /slow HTTP/1.1"))
	<-working
	brief, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.server.Ebb(brief); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ebb: %v", err)
	}
	newer := h.visit()
	newer.send(get())
	newer.expect("GET", 200, "x")
	began := time.Now()
	if err := h.server.Drain(soon(t)); !errors.Is(err, errHadItsTime) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	newer.expectEnd()
}
