package exchange

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// responseWriter is what the http.Handler answers with. It decides what net/http's server would decide: when the
// head is sent, with what length and type, and which keys of the header are trailers.
type responseWriter struct {
	x      *Exchange
	pools  *adapter
	header http.Header
	ended  atomic.Bool // read without mu by who sets a deadline for a Write that holds it

	mu       sync.Mutex // held while writing, so that nothing is written once the handler has returned
	status   int        // 0 until WriteHeader
	length   int64      // declared, or -1
	written  int64
	typed    bool     // the handler said the type, or that there is none to guess
	trailers []string // declared keys
	buffer   *[headBuffer]byte
	buffered int // bytes of buffer that wait for the head
	sent     bool
	switched *switched
}

func (w *responseWriter) Header() http.Header { return w.header }

// ErrorReason says in one word, which must be a constant, why the handler does not answer what was asked for.
func (w *responseWriter) ErrorReason(word string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended.Load() {
		w.x.Record.ErrorReason = word
	}
}

func (w *responseWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %d", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

// writeHeader takes a picture of the header: what is changed later can only become trailers.
func (w *responseWriter) writeHeader(status int) {
	if w.ended.Load() || w.status != 0 {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		var fields Fields
		appendFields(&fields, w.header, func(name string) bool { return name == "Content-Length" })
		_ = w.x.SendInformational(status, fields) // a visitor who is gone shows at the next Write
		return
	}
	w.status = status
	w.declare()
	appendFields(&w.x.Response.Fields, w.header, func(name string) bool {
		return name == "Content-Length" || status == http.StatusNotModified && name == "Content-Type"
	})
}

// declare reads what the header says of the body.
func (w *responseWriter) declare() {
	if length := w.header.Get("Content-Length"); length != "" {
		if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= 0 && bodyAllowed(w.status) {
			w.length = n
		} else {
			w.header.Del("Content-Length")
		}
	}
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header.Get("Content-Encoding") != "" || w.header.Get("Transfer-Encoding") != ""
	for _, list := range w.header["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.TrimString(name); isTrailer(name) {
				w.trailers = append(w.trailers, http.CanonicalHeaderKey(name))
			}
		}
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.account(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if w.sent {
		return w.x.Write(p)
	}
	if w.buffer == nil {
		w.buffer = w.pools.heads.Get().(*[headBuffer]byte)
	}
	n := copy(w.buffer[w.buffered:], p)
	w.buffered += n
	if n == len(p) {
		return n, nil
	}
	if err := w.send(false); err != nil {
		return 0, err
	}
	more, err := w.x.Write(p[n:])
	return n + more, err
}

// account refuses to write n bytes where none, or not as many, may be.
func (w *responseWriter) account(n int) error {
	switch {
	case w.switched != nil:
		return http.ErrHijacked
	case w.ended.Load():
		return errHandlerEnded
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if n > 0 && !bodyAllowed(w.status) {
		return http.ErrBodyNotAllowed
	}
	w.written += int64(n)
	if w.length >= 0 && w.written > w.length {
		return http.ErrContentLength
	}
	return nil
}

// ReadFrom spares io.Copy a buffer for each answer.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	buffer := w.pools.parts.Get().(*[copyBuffer]byte)
	defer w.pools.parts.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, r, buffer[:])
}

// send sends the head and what has been buffered. complete says that nothing follows, so that the length is known.
func (w *responseWriter) send(complete bool) error {
	if w.sent {
		return nil
	}
	w.sent = true
	var head []byte
	if w.buffer != nil {
		head = w.buffer[:w.buffered]
	}
	x := w.x
	x.Response.Status, x.Response.Length = w.status, w.length
	if !w.typed && len(head) > 0 {
		x.Response.Fields.Add("Content-Type", http.DetectContentType(head))
	}
	if complete && w.length < 0 && bodyAllowed(w.status) && !w.hasTrailers() && (len(head) > 0 || x.Method != http.MethodHead) {
		x.Response.Length = int64(len(head))
	}
	err := x.SendHead()
	if err == nil && len(head) > 0 {
		_, err = x.Write(head)
	}
	if w.buffer != nil {
		w.pools.heads.Put(w.buffer)
		w.buffer = nil
	}
	return err
}

func (w *responseWriter) hasTrailers() bool {
	if len(w.trailers) > 0 {
		return true
	}
	for key := range w.header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController's Flush calls.
func (w *responseWriter) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.account(0); err != nil {
		return err
	}
	if w.status == http.StatusSwitchingProtocols {
		return nil // Hijack sends it
	}
	if err := w.send(false); err != nil {
		return err
	}
	return w.x.Flush()
}

// finish completes the answer of a handler that has returned.
func (w *responseWriter) finish() {
	w.mu.Lock()
	if conn := w.switched; conn != nil {
		w.mu.Unlock() // who has the connection may still ask w for something, and is told that it is hijacked
		conn.wait(w.x.Context())
		return
	}
	defer w.mu.Unlock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if w.status == http.StatusSwitchingProtocols {
		w.x.Abort(ErrNoUpgrade)
		return
	}
	_ = w.send(true) // a failure has aborted the exchange
	for _, key := range w.trailers {
		appendValues(&w.x.Response.Trailers, key, w.header[key])
	}
	for _, key := range sortedKeys(w.header) {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && isTrailer(name) {
			appendValues(&w.x.Response.Trailers, http.CanonicalHeaderKey(name), w.header[key])
		}
	}
}

// end refuses everything from now on.
func (w *responseWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended.Store(true)
	if w.buffer != nil {
		w.pools.heads.Put(w.buffer)
		w.buffer = nil
	}
}

func (w *responseWriter) SetReadDeadline(t time.Time) error {
	if w.ended.Load() {
		return errHandlerEnded
	}
	return w.x.SetReadDeadline(t)
}

func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	if w.ended.Load() {
		return errHandlerEnded
	}
	return w.x.SetWriteDeadline(t)
}

// EnableFullDuplex has nothing to do: an exchange may always be read while it is answered.
func (w *responseWriter) EnableFullDuplex() error { return nil }

// Hijack switches protocols after WriteHeader(101).
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.switched != nil:
		return nil, nil, http.ErrHijacked
	case w.ended.Load():
		return nil, nil, errHandlerEnded
	case w.x.Request.Upgrade == "" || w.status != http.StatusSwitchingProtocols:
		return nil, nil, http.ErrNotSupported
	}
	conn, err := switchProtocols(w.x)
	if err != nil {
		return nil, nil, err
	}
	w.switched = conn
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// bodyAllowed reports whether an answer of this status may have a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// isTrailer reports whether a field of this name may come after a body (RFC 9110, section 6.5.1).
func isTrailer(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && httpguts.ValidTrailerHeader(http.CanonicalHeaderKey(name))
}

// appendFields adds the fields of h that an exchange may have, sorted by name.
func appendFields(to *Fields, h http.Header, leaveOut func(canonicalName string) bool) {
	for _, key := range sortedKeys(h) {
		switch name := http.CanonicalHeaderKey(key); name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		default:
			if !leaveOut(name) && httpguts.ValidHeaderFieldName(key) {
				appendValues(to, key, h[key])
			}
		}
	}
}

// appendValues adds a line for each value, with line breaks made spaces as net/http does.
func appendValues(to *Fields, name string, values []string) {
	for _, v := range values {
		if strings.ContainsAny(v, "\r\n") {
			v = strings.ReplaceAll(strings.ReplaceAll(v, "\r", " "), "\n", " ")
		}
		v = textproto.TrimString(v)
		if httpguts.ValidHeaderFieldValue(v) {
			to.Add(name, v)
		}
	}
}

func sortedKeys(h http.Header) []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
