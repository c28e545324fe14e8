package front

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/onehost/edge/edge/internal/exchange"
)

// extendedConnect takes a CONNECT with :protocol (RFC 9220), which asks for a switch of protocols on one stream, as what it
// is in HTTP/1.1: a GET with Upgrade (RFC 8441, section 5). So rules see the same. x/net refuses it for h2.
func (h *streamHead) extendedConnect() refusal {
	switch r := h.request; {
	case !strings.EqualFold(h.from.Proto, "websocket"):
		return refusal{http.StatusNotImplemented, ReasonUnknownProtocol} // RFC 9220, section 3
	case len(h.from.Header["Content-Length"]) > 0: // what follows is no body
		return bad(ReasonUndefinedLength)
	default:
		r.Method, r.Upgrade = http.MethodGet, "websocket"
		return accepted
	}
}

// isExtendedConnect says so by what quic-go gives as the version then: the value of :protocol.
func (h *streamHead) isExtendedConnect() bool {
	return h.protocol == exchange.HTTP3 && h.from.Method == http.MethodConnect && h.from.Proto != h.protocol.String()
}

// switchStatus says with what an extended CONNECT is answered: any 2xx opens the stream. So that is what a 101
// becomes; and the answer of somebody who did not understand, a page of a site for example, must not stay one.
func switchStatus(r *exchange.Response) int {
	switch {
	case r.Status == http.StatusSwitchingProtocols:
		return http.StatusOK
	case r.Status <= 299:
		r.Status = http.StatusBadRequest
	}
	return r.Status
}

// Upgrade is of [exchange.Stream]. The stream carries bytes both ways from then on, in DATA frames, under the limits of a
// body and an answer.
func (st *stream) Upgrade() (io.ReadWriteCloser, error) {
	w, ok := st.w.(http3.HTTPStreamer)
	if !ok || st.x.Response.Status != http.StatusSwitchingProtocols || st.switched != nil {
		return nil, exchange.ErrNoUpgrade
	}
	st.given.Store(true)
	raw, err := w.HTTPStream() // sends the head
	if err != nil {
		return nil, st.writeFailed(err)
	}
	st.answered.Store(st.of.s.clock.now()) // from now on both sides speak when they like
	st.to, st.body = raw, &streamBody{st: st}
	st.switched = &switchedStream{st: st, raw: raw, in: st.body, done: make(chan struct{})}
	return st.switched, nil
}

// A switchedStream is no longer HTTP. As in h1, its owner reads and writes it until he closes it.
type switchedStream struct {
	raw  *http3.Stream
	in   *streamBody
	done chan struct{}
	once sync.Once

	mu    sync.Mutex // held while writing
	st    *stream    // nil once the exchange is over
	ended bool       // nothing can be written any more
}

// Read reads what the visitor sends.
func (u *switchedStream) Read(p []byte) (int, error) { return u.in.Read(p) }

func (u *switchedStream) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.st == nil || u.ended {
		return 0, io.ErrClosedPipe
	}
	return u.st.Write(p)
}

// CloseWrite tells the visitor that nothing more comes, while he may go on.
func (u *switchedStream) CloseWrite() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.st != nil {
		u.end()
	}
	return nil
}

// end ends the writing side, after what has been written. Of an end within a frame the visitor is told as of an error.
func (u *switchedStream) end() {
	if u.ended {
		return
	}
	u.ended = true
	if u.st.writeErr != nil {
		u.raw.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		return
	}
	_ = u.raw.Close() // fails where it has ended already
}

// Close ends the stream. Reads and writes that wait fail.
func (u *switchedStream) Close() error {
	u.once.Do(func() {
		u.raw.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError))
		if !u.mu.TryLock() { // somebody writes
			u.raw.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
			u.mu.Lock()
		}
		u.end()
		u.st = nil
		u.mu.Unlock()
		close(u.done)
	})
	return nil
}
