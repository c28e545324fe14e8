package proxy

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// errBodyEnded is what a way gets that reads on after it has closed the body, or the attempt has ended.
var errBodyEnded = errors.New("proxy: request body is closed")

// requestBody lends the visitor's body to one attempt, whose way may read it on a goroutine of its own, even after it
// has given up or brought the answer. end takes it back: nobody reads the exchange after that.
type requestBody struct {
	x       *exchange.Exchange
	silence *silence
	atEnd   func() // called once the whole body has been read and its trailers are there; nil: nothing is to be done then

	mu          sync.Mutex
	idle        sync.Cond // reading became false
	reading     bool
	interrupted bool  // the way is done with the body
	deadline    bool  // a read in progress was cut short
	consumed    bool  // a read has begun: the target may have seen some of the body
	err         error // of the visitor's side, other than io.EOF
}

func newRequestBody(x *exchange.Exchange, s *silence) *requestBody {
	b := &requestBody{x: x, silence: s}
	b.idle.L = &b.mu
	return b
}

// Read is for the way.
func (b *requestBody) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := b.x.Request.Body.Read(p)
	b.silence.touch()
	if errors.Is(err, io.EOF) && b.atEnd != nil {
		b.atEnd()
		b.atEnd = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false // and from here on end may take the exchange back
	b.idle.Broadcast()
	switch {
	case err == nil || err == io.EOF:
	case b.interrupted && !isVisitors(err): // our own deadline, whatever the front calls that
		return n, errBodyEnded
	default:
		b.err = err
	}
	return n, err
}

// isVisitors reports whether an error is certainly the visitor's doing.
func isVisitors(err error) bool {
	return errors.Is(err, exchange.ErrBodyTooLarge) || errors.Is(err, exchange.ErrMalformedBody) ||
		errors.Is(err, exchange.ErrTooSlow) || errors.Is(err, exchange.ErrClientGone)
}

func (b *requestBody) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.interrupted {
		return errBodyEnded
	}
	b.reading, b.consumed = true, true
	return nil
}

// Close is for the way: a read in progress, and every later one, fails, since the target no longer listens. It does not wait.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.interrupted {
		return nil
	}
	b.interrupted = true
	if b.reading {
		b.deadline = true
		_ = b.x.SetReadDeadline(time.Unix(1, 0)) // without it the read ends with the visitor's next byte
	}
	return nil
}

// end takes the body back. It returns when no read is in progress.
func (b *requestBody) end() {
	_ = b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.reading {
		b.idle.Wait()
	}
	if b.deadline {
		_ = b.x.SetReadDeadline(time.Time{}) // whoever has the exchange next, another attempt or the front, reads on
	}
}

// isReading reports whether the visitor is waited for.
func (b *requestBody) isReading() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reading
}

// state is what became of the visitor's side. After end it does not change.
func (b *requestBody) state() (consumed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.consumed, b.err
}
