package front

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A framing is how an answer's end is told (RFC 9112, section 6.3).
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// An answer is the way of an answer to the visitor. Head and first body bytes leave in one write; what is larger than
// a buffer and has a known length is not copied.
type answer struct {
	lent    *[]byte
	b       []byte // to be sent
	framing framing
	chunk   int // where the open chunk's data begins in b, after room for its size; 0: none is open
	err     error
}

// chunkRoom is kept before a chunk's data for its size: four digits and CRLF.
const chunkRoom = 6

func (a *answer) borrow(p *pools) {
	if a.lent == nil {
		a.lent = p.output()
		a.b = (*a.lent)[:0]
	}
}

func (a *answer) giveBack(p *pools) {
	if a.lent != nil {
		p.out.Put(a.lent)
		a.lent, a.b = nil, nil
	}
}

// SendInformational is of [exchange.Stream].
func (h *h1) SendInformational(status int, fields exchange.Fields) error {
	if status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		return fmt.Errorf("front: %d is not an informational status", status)
	}
	h.sending.Lock()
	defer h.sending.Unlock()
	if status == http.StatusContinue {
		return h.writeFailed(h.sendContinue())
	}
	a := &h.answer
	a.borrow(&h.s.pools)
	a.b = appendStatus(a.b, status)
	a.b = h.appendFields(a.b, fields)
	a.b = append(a.b, '\r', '\n')
	return h.flush()
}

// wanted is called when the handler asks for the body.
func (h *h1) wanted() {
	if h.bodyWanted.Swap(true) {
		return
	}
	h.sending.Lock()
	defer h.sending.Unlock()
	if !h.headSent {
		_ = h.sendContinue() // if it fails, so will the read
	}
}

// mustContinue says whether the visitor still waits to be told to send his body.
func (h *h1) mustContinue() bool {
	h.sending.Lock()
	defer h.sending.Unlock()
	return h.head.expect
}

// sendContinue wants h.sending held.
func (h *h1) sendContinue() error {
	if !h.head.expect {
		return nil
	}
	h.head.expect = false
	_, err := h.conn.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// SendHead is of [exchange.Stream].
func (h *h1) SendHead(r *exchange.Response, bodiless bool) error {
	h.sending.Lock()
	defer h.sending.Unlock()
	h.headSent = true
	a := &h.answer
	a.borrow(&h.s.pools)
	h.chooseFraming(r, bodiless)
	h.chooseEnd(r)
	a.b = appendStatus(a.b, r.Status)
	if !r.Fields.Has("Date") {
		a.b = append(append(append(a.b, "Date: "...), (*h.s.clock.date.Load())[0]...), '\r', '\n')
	}
	a.b = h.appendFields(a.b, r.Fields)
	a.b = h.appendFraming(a.b, r)
	a.b = append(a.b, '\r', '\n')
	if r.Status == http.StatusSwitchingProtocols {
		return h.flush()
	}
	return nil
}

func (h *h1) chooseFraming(r *exchange.Response, bodiless bool) {
	switch {
	case bodiless || r.Status == http.StatusSwitchingProtocols:
		h.answer.framing = noBody
	case r.Length >= 0:
		h.answer.framing = byLength
	case h.x.Protocol == exchange.HTTP10:
		h.answer.framing = byClose
	default:
		h.answer.framing = byChunks
	}
}

// chooseEnd decides whether the connection ends with this answer.
func (h *h1) chooseEnd(r *exchange.Response) {
	unreadTooLong := h.x.Length > lingerBytes && !h.bodyWanted.Load()
	if h.answer.framing == byClose || h.head.expect || unreadTooLong || h.bodyBroken.Load() || h.line.leaves() || r.Fields.HasToken("Connection", "close") {
		h.close = true
	}
}

func (h *h1) appendFraming(b []byte, r *exchange.Response) []byte {
	switch {
	case h.answer.framing == byChunks:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		b = appendTrailerNames(b, r.Trailers)
	case r.Length >= 0 && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified && r.Status != http.StatusSwitchingProtocols:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, '\r', '\n')
	}
	switch {
	case r.Status == http.StatusSwitchingProtocols:
		b = append(b, "Connection: Upgrade\r\n"...)
		if !r.Fields.Has("Upgrade") {
			b = append(append(append(b, "Upgrade: "...), h.x.Request.Upgrade...), '\r', '\n')
		}
	case h.close:
		b = append(b, "Connection: close\r\n"...)
	case h.x.Protocol == exchange.HTTP10:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

func appendTrailerNames(b []byte, trailers exchange.Fields) []byte {
	for i := range trailers {
		if i == 0 {
			b = append(b, "Trailer: "...)
		} else {
			b = append(b, ", "...)
		}
		b = append(b, trailers[i].Name...)
	}
	if len(trailers) > 0 {
		b = append(b, '\r', '\n')
	}
	return b
}

func appendStatus(b []byte, status int) []byte {
	if status == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	return append(b, '\r', '\n')
}

// appendFields leaves out what is the front's own business, and what would break the head: a name that is no token,
// a value with CR, LF or NUL.
func (h *h1) appendFields(b []byte, fields exchange.Fields) []byte {
	for i := range fields {
		f := &fields[i]
		if ownField(f.Name) && (h.x.Response.Status != http.StatusSwitchingProtocols || !exchange.EqualName(f.Name, "Upgrade")) {
			continue
		}
		if !exchange.IsToken(f.Name) || !exchange.IsFieldValue(f.Value) {
			h.s.log.Warn("answer's field left out: not allowed in a head", "name", strconv.Quote(f.Name), "path", strconv.Quote(h.x.RawPath))
			continue
		}
		b = append(b, f.Name...)
		b = append(b, ':', ' ')
		b = append(b, f.Value...)
		b = append(b, '\r', '\n')
	}
	return b
}

// ownField says which fields of an answer only the front writes: framing and hop-by-hop ones (RFC 9110, section 7.6.1).
func ownField(name string) bool {
	is := exchange.EqualName
	switch len(name) {
	case 7:
		return is(name, "Upgrade") || is(name, "Trailer")
	case 10:
		return is(name, "Connection") || is(name, "Keep-Alive")
	case len(contentLength):
		return is(name, contentLength)
	case len("proxy-connection"):
		return is(name, "Proxy-Connection")
	case len(transferEncoding):
		return is(name, transferEncoding)
	}
	return false
}

// Write is of [exchange.Stream].
func (h *h1) Write(p []byte) (int, error) {
	a := &h.answer
	if a.err != nil {
		return 0, a.err
	}
	if a.framing == byChunks {
		return h.writeChunked(p)
	}
	size := 0
	if len(a.b) > 0 && len(a.b)+len(p) > outputSize {
		size = max(0, outputSize-len(a.b))
		a.b = append(a.b, p[:size]...)
		if err := h.flush(); err != nil {
			return 0, err
		}
		p = p[size:]
	}
	if len(p) < outputSize {
		a.b = append(a.b, p...)
		return size + len(p), nil
	}
	n, err := h.write(p)
	return size + n, h.writeFailed(err)
}

// writeChunked joins small writes into one chunk, and makes chunks of a large one that fill a TLS record each.
func (h *h1) writeChunked(p []byte) (written int, err error) {
	a := &h.answer
	for len(p) > 0 {
		if a.chunk == 0 {
			if len(a.b)+chunkRoom+2 >= outputSize {
				if err := h.flush(); err != nil {
					return written, err
				}
			}
			a.b = append(a.b, "0000\r\n"...)
			a.chunk = len(a.b)
		}
		n := min(len(p), outputSize-2-len(a.b))
		a.b = append(a.b, p[:n]...)
		p = p[n:]
		if len(p) > 0 {
			if err := h.flush(); err != nil {
				return written, err
			}
		}
		written += n
	}
	return written, nil
}

// closeChunk writes the open chunk's size before its data, in as few digits as it has.
func (a *answer) closeChunk() {
	if a.chunk == 0 {
		return
	}
	data := a.b[a.chunk:]
	b := strconv.AppendInt(a.b[:a.chunk-chunkRoom], int64(len(data)), 16)
	b = append(b, '\r', '\n')
	a.b = append(append(b, data...), '\r', '\n')
	a.chunk = 0
}

// Flush is of [exchange.Stream].
func (h *h1) Flush() error { return h.flush() }

func (h *h1) flush() error {
	a := &h.answer
	if a.err != nil {
		return a.err
	}
	a.closeChunk()
	if len(a.b) == 0 {
		return nil
	}
	_, err := h.write(a.b)
	a.b = a.b[:0]
	return h.writeFailed(err)
}

// write has all records of p sent together.
func (h *h1) write(p []byte) (int, error) {
	if h.tls == nil {
		return h.line.Write(p)
	}
	h.line.hold(len(p))
	n, err := h.conn.Write(p)
	if e := h.line.release(); err == nil {
		err = e
	}
	return n, err
}

// end sends what is left of a whole answer: the last chunk and trailers (RFC 9112, section 7.1.2).
func (h *h1) end() error {
	a := &h.answer
	if a.framing == byChunks && a.err == nil {
		a.closeChunk()
		a.b = append(a.b, "0\r\n"...)
		a.b = h.appendFields(a.b, h.x.Response.Trailers)
		a.b = append(a.b, '\r', '\n')
	}
	return h.flush()
}

// writeFailed says in the handler's terms why nothing more can be sent, and gives the exchange up.
func (h *h1) writeFailed(err error) error {
	if err == nil {
		return nil
	}
	switch {
	case h.line.slow.Load():
		err = exchange.ErrTooSlow
	case errors.Is(err, os.ErrDeadlineExceeded): // the handler's own
	default:
		err = exchange.ErrClientGone
	}
	h.answer.err = err
	h.giveUp(err)
	return err
}
