package front

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A body is what follows a request's head. It is made anew for each request that has one and not used again, so that
// a handler which reads on after it has returned gets an error and not the next request.
type body struct {
	mu      sync.Mutex
	h       *h1 // nil once the exchange is over
	chunked bool
	part    chunkPart
	left    int64 // of the body, or of the current chunk
	extra   int   // bytes of chunk extensions so far
	err     error // what every further Read returns; io.EOF after a whole body
}

// A chunkPart is what comes next of a chunked body (RFC 9112, section 7.1).
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkData
	chunkEnd
)

const (
	// maxChunkLine bounds a chunk's size with its extensions, which nobody uses and which are ignored;
	// maxChunkExtras bounds all extensions of a body. Both are enough for anything but an attack.
	maxChunkLine   = 256
	maxChunkExtras = 16 << 10
	// maxChunkDigits keeps sizes within an int64.
	maxChunkDigits = 15
)

var errBodyClosed = errors.New("front: request body read after its exchange")

func newBody(h *h1, length int64) *body {
	return &body{h: h, chunked: length < 0, left: max(length, 0)}
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

// readPart reads from what is left of a body of known length, or of a chunk.
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
	for {
		switch b.part {
		case chunkSize:
			if err := b.readSize(); err != nil {
				return 0, err
			}
			if b.left > 0 {
				b.part = chunkData
				continue
			}
			if err := b.readTrailers(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		case chunkData:
			// A small chunk comes through the buffer, together with what follows it.
			if in := &b.h.in; in.r == in.w && b.left < inputSize {
				if err := in.fill(inputSize); err != nil {
					return 0, b.h.readFailed(err)
				}
			}
			n, err := b.readPart(p)
			if b.left == 0 {
				b.part = chunkEnd
			}
			return n, err
		case chunkEnd:
			line, err := b.readLine(0)
			if err != nil {
				return 0, err
			}
			if len(line) > 0 {
				return 0, exchange.ErrMalformedBody
			}
			b.part = chunkSize
		}
	}
}

// readLine returns the next line without its CRLF, valid until the next read. It has at most limit bytes.
func (b *body) readLine(limit int) ([]byte, error) {
	in := &b.h.in
	scanned := 0
	for {
		unread := in.unread()
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			end := scanned + i
			if end == 0 || unread[end-1] != '\r' || end-1 > limit {
				return nil, exchange.ErrMalformedBody
			}
			in.r += end + 1
			return unread[:end-1], nil
		}
		scanned = len(unread)
		if scanned > limit+1 {
			return nil, exchange.ErrMalformedBody
		}
		if err := in.fill(limit + 2); err != nil {
			return nil, b.h.readFailed(err)
		}
	}
}

// readSize reads chunk-size [ chunk-ext ] CRLF: digits only, no whitespace; extensions are checked and ignored.
func (b *body) readSize() error {
	line, err := b.readLine(maxChunkLine)
	if err != nil {
		return err
	}
	size, extension, _ := bytes.Cut(line, []byte{';'})
	if len(size) == 0 || len(size) > maxChunkDigits {
		return exchange.ErrMalformedBody
	}
	b.left = 0
	for _, c := range size {
		d := hexDigit(c)
		if d < 0 {
			return exchange.ErrMalformedBody
		}
		b.left = b.left<<4 | int64(d)
	}
	for _, c := range extension {
		if c < ' ' && c != '\t' || c >= 0x7f {
			return exchange.ErrMalformedBody
		}
	}
	if b.extra += len(extension); b.extra > maxChunkExtras {
		return exchange.ErrMalformedBody
	}
	return nil
}

// readTrailers reads trailer lines as strictly as header lines. Those that would change framing, routing or the
// connection are dropped (RFC 9110, section 6.5.1); framing in disguise is as malformed as in a head.
func (b *body) readTrailers() error {
	limits := &b.h.s.limits
	size := 0
	for count := 0; ; count++ {
		line, err := b.readLine(limits.Field)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if size += len(line); count == limits.Fields || size > limits.Head {
			return exchange.ErrMalformedBody
		}
		name, value, why := parseField(string(line))
		if why != accepted {
			return exchange.ErrMalformedBody
		}
		if dropsTrailer(name) {
			continue
		}
		if looksLikeFraming(name) {
			return exchange.ErrMalformedBody
		}
		b.h.x.Trailers.Add(name, value)
	}
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
	case errors.Is(err, errInputFull):
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
