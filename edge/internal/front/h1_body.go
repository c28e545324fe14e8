package front

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// A body is what follows a request's head. It is made anew for each request that has one and not used again, so that
// a handler which reads on after it has returned gets an error and not the next request.
type body struct {
	mu      sync.Mutex
	h       *h1 // nil once the exchange is over
	chunked bool
	chunks  http1.Chunks // of a chunked one
	left    int64        // of one whose length is known
	err     error        // what every further Read returns; io.EOF after a whole body
}

var errBodyClosed = errors.New("front: request body read after its exchange")

func newBody(h *h1, length int64) *body {
	b := &body{h: h, chunked: length < 0, left: max(length, 0)}
	if b.chunked {
		b.chunks.Reset(&h.in, b)
	}
	return b
}

// Read reads the body and, when it is wanted for the first time, tells a visitor who waits for that to send it.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.h == nil:
		return 0, errBodyClosed
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	b.h.wanted()
	var n int
	if b.chunked {
		n, b.err = b.readChunked(p)
	} else {
		n, b.err = b.readPart(p)
		if b.err == nil && b.left == 0 {
			b.err = io.EOF
		}
	}
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		b.h.bodyBroken.Store(true)
	}
	if n > 0 && !errors.Is(b.err, io.EOF) {
		return n, nil // an error waits for the next Read
	}
	return n, b.err
}

// readPart reads from what is left of a body of known length.
func (b *body) readPart(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.h.in.Read(p)
	b.left -= int64(n)
	if n == 0 && err != nil {
		return 0, b.h.readFailed(err)
	}
	return n, nil
}

func (b *body) readChunked(p []byte) (int, error) {
	n, err := b.chunks.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, b.h.readFailed(err)
}

// Trailer is of [http1.Trailers]. Those that would change framing, routing or the connection are dropped (RFC 9110, section
// 6.5.1); framing in disguise is as malformed as in a head.
func (b *body) Trailer(name, value string) error {
	if dropsTrailer(name) {
		return nil
	}
	if looksLikeFraming(name) {
		return http1.ErrMalformed
	}
	b.h.x.Trailers.Add(name, value)
	return nil
}

// TrailerLimits is of [http1.Trailers]: those of a head.
func (b *body) TrailerLimits() (line, all, count int) {
	limits := &b.h.s.limits
	return limits.Field, limits.Head, limits.Fields
}

func dropsTrailer(name string) bool {
	for _, n := range []string{contentLength, transferEncoding, "host", "connection", "trailer", "te", "upgrade",
		"expect", "authorization", "cookie", "content-encoding", "content-type", "content-range", "keep-alive", "proxy-connection"} {
		if exchange.EqualName(name, n) {
			return true
		}
	}
	return false
}

// finish ends the body with its exchange and reports whether the connection stands at the next request: a small rest
// is read and dropped, but not one that the visitor has not been told to send, and not if the connection ends anyway.
func (b *body) finish(ends bool) bool {
	h := b.h
	if !b.mu.TryLock() { // somebody still reads, against the rules
		h.line.Conn.SetReadDeadline(past)
		b.mu.Lock()
	}
	b.mu.Unlock()
	defer b.close()
	if b.err == nil && !ends && !h.mustContinue() && h.line.enter(phaseLinger) {
		_, _ = io.CopyN(discard{}, b, lingerBytes)
	}
	return errors.Is(b.err, io.EOF)
}

func (b *body) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.h = nil
}

// readFailed says in the handler's terms why the visitor's bytes do not come, and gives the exchange up.
func (h *h1) readFailed(err error) error {
	switch {
	case errors.Is(err, http1.ErrMalformed), errors.Is(err, http1.ErrFull):
		return exchange.ErrMalformedBody
	case h.line.slow.Load():
		err = exchange.ErrTooSlow
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err // the handler's own
	default:
		err = exchange.ErrClientGone
	}
	h.giveUp(err)
	return err
}
