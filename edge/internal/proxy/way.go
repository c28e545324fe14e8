package proxy

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/target"
)

// A way is how requests get to one target, in the protocol that it speaks. It keeps the connections to it, and Close
// closes those that no attempt is using.
type way interface {
	io.Closer
	// send sends the attempt's request and returns the head of the answer, or an error, and in attempt.progress how far it
	// got. It returns when the head is there, the attempt is interrupted or the target has failed. It may go on
	// reading the request's body after that.
	send(*attempt) (*answer, error)
	// switches reports whether it can carry an upgrade to another protocol.
	switches() bool
}

// A pool is what is kept for a target as long as it exists.
type pool struct {
	way
	gate     *gate
	guard    guard
	reported atomic.Int64 // when an answer was last said to be refused, in Unix seconds
}

// NewPool is for target.Options.
func NewPool(t *target.Target) io.Closer {
	address := t.Address()
	d := &dialer{connect: t.Dial, tls: address.TLSConfig()}
	p := &pool{gate: newGate(maxRequests)}
	if address.Scheme == "h2c" {
		p.way = newH2CWay(d, address.Host)
	} else {
		p.way = newH1Way(d, address.Host)
	}
	return p
}

// Close ends what is under way, too.
func (p *pool) Close() error {
	p.guard.close()
	return p.way.Close()
}

// answer is what a target answered.
type answer struct {
	status    int
	fields    exchange.Fields // those of the exchange's answer, and after them the target's without hop-by-hop and framing ones
	length    int64           // -1: not known
	body      answerBody      // never nil
	announced exchange.Fields // names of trailers
	// switched is the connection after a 101 to the protocol that was asked for, else nil.
	switched io.ReadWriteCloser
}

// An answerBody is the body of an answer. Close ends the use of what it came over, which may be kept only if the body has
// been read to its end.
type answerBody interface {
	io.ReadCloser
	// ready reports whether the next Read surely returns at once.
	ready() bool
	// trailers are those that may go on, once the body has ended.
	trailers() exchange.Fields
}

// progress is how far a request got, as its way has seen it.
type progress struct {
	connected bool          // there was a connection to send it on
	reused    bool          // which had carried other requests before
	sent      bool          // the target may have seen some of it
	begun     bool          // the first byte of an answer, be it a 1xx, has come
	connect   time.Duration // to get a connection; 0 for a pooled one
	wait      time.Duration // from the request's head sent to the answer's, after those with 1xx, or to where waiting ended without one
}

// A connectError says that there is no connection to the target: nothing was sent.
type connectError struct {
	err error
}

func (e *connectError) Error() string { return "connecting to the target: " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }
