package front

import (
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/onehost/edge/edge/internal/exchange"
)

// streams are those of one connection of h2 or h3. Their libraries know only http.Handlers: each request becomes an exchange
// here, on the library's goroutine for it, and what the libraries do not do is done here: progress limits, the
// strictness of h1, refusals.
type streams struct {
	s        *Server
	protocol exchange.Protocol

	handlers sync.WaitGroup
	patience patience
	mu       sync.Mutex
	over     bool
	begun    uint64  // handlers
	first    *stream // of those whose handlers run

	in, out atomic.Int64 // bytes of bodies

	deliver func(flush func() error) // nil, or sees to it that an answer has left before its stream is reset
	dismiss func()                   // tells the visitor to open no more of them here

	rest func(resting bool) // nil, or told of the first handler and of the end of the last
}

// end waits for the handlers, whose contexts are done.
func (ss *streams) end() {
	ss.mu.Lock()
	ss.over = true
	ss.mu.Unlock()
	ss.handlers.Wait()
}

// begin reports false when the connection has ended before the handler could start.
func (ss *streams) begin(st *stream) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.over {
		return false
	}
	ss.handlers.Add(1)
	ss.begun++
	if ss.rest != nil && ss.first == nil {
		ss.rest(false)
	}
	st.next, st.previous = ss.first, nil
	if st.next != nil {
		st.next.previous = st
	}
	ss.first = st
	return true
}

func (ss *streams) forget(st *stream) {
	ss.mu.Lock()
	if st.next != nil {
		st.next.previous = st.previous
	}
	if st.previous != nil {
		st.previous.next = st.next
	} else {
		ss.first = st.next
	}
	if ss.rest != nil && ss.first == nil {
		ss.rest(true)
	}
	ss.mu.Unlock()
	ss.handlers.Done()
}

// giveUp is of [connection].
func (ss *streams) giveUp(why error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for st := ss.first; st != nil; st = st.next {
		st.watch.Tell(why)
	}
}

// serve is called for each request. It panics with http.ErrAbortHandler, which is how the libraries are told to reset the stream.
func (ss *streams) serve(w http.ResponseWriter, r *http.Request, peer, local netip.AddrPort) {
	growStack(0)
	st := ss.s.streams.Get().(*stream)
	st.reset(ss, w, r)
	st.x.Peer, st.x.Local = peer, local
	if !ss.begin(st) {
		panic(http.ErrAbortHandler)
	}
	whole := false
	func() {
		defer ss.forget(st)
		whole = st.serve()
		ss.patience.rest(r.Context(), st.x.Rest)
	}()
	st.x.LendText(nil)
	ss.s.streams.Put(st)
	if !whole {
		panic(http.ErrAbortHandler)
	}
}

// growStack makes room for a handler at once, while there is next to nothing to be moved: the libraries start a goroutine for
// each request, and nearly every handler would double its stack twice, far down in its calls.
//
//go:noinline
func growStack(i int) byte {
	var room [6 << 10]byte
	return room[i]
}
