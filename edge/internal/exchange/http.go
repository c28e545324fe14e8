package exchange

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// HTTP returns an ordinary http.Handler as a Handler, which is how in-process modules answer exchanges.
//
// The http.Handler sees what it would see under net/http's own server, and the visitor gets the answer that server would
// have sent. What it is given is its own: strings are copied, so a module may keep them. Besides:
//   - X-Request-Id of the request is the exchange's ID, whatever the visitor sent.
//   - RemoteAddr is who asks (Client), with port 0 when a trusted proxy said so; X-Forwarded-Proto is https when such a proxy ended TLS.
//   - [http.ResponseController] can do everything; Hijack only after WriteHeader(101) of an upgrade that was asked for,
//     otherwise it is http.ErrNotSupported. The connection may be used by other goroutines after ServeHTTP has returned:
//     the exchange lasts until it is closed.
//   - The http.ResponseWriter has a method ErrorReason(string), by which a module says in one word of a fixed set why it refuses: the access log shows it.
//   - A body over its limit ends with an error that is both ErrBodyTooLarge and an *http.MaxBytesError.
//   - panic(http.ErrAbortHandler) aborts the exchange; other panics go up.
//   - Reading and writing after ServeHTTP has returned are refused.
func HTTP(h http.Handler) Handler {
	return &adapter{
		h:     h,
		heads: sync.Pool{New: func() any { return new([headBuffer]byte) }},
		parts: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
	}
}

type adapter struct {
	h     http.Handler
	heads sync.Pool // of *[headBuffer]byte: what is written before the head is sent
	parts sync.Pool // of *[copyBuffer]byte: for ReadFrom
}

const (
	headBuffer = 2048 // as net/http's server: an answer of up to this size gets a Content-Length
	copyBuffer = 32 << 10
)

func (a *adapter) ServeExchange(x *Exchange) {
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	r, body, err := newRequest(ctx, x)
	if err != nil { // the chain has refused such paths already
		x.Response.Status = http.StatusBadRequest
		return
	}
	w := &responseWriter{x: x, pools: a, header: make(http.Header), length: -1}
	returned := false
	defer func() {
		w.end()
		_ = body.Close()
		if r.MultipartForm != nil {
			_ = r.MultipartForm.RemoveAll() // temporary files; as net/http does
		}
		if returned {
			return
		}
		switch p := recover(); p {
		case nil: // runtime.Goexit
			x.Abort(errHandlerEnded)
		case http.ErrAbortHandler:
			x.Abort(http.ErrAbortHandler)
		default:
			panic(p) // the stack of the first panic is still below this one
		}
	}()
	a.h.ServeHTTP(w, r)
	returned = true
	w.finish()
}

var errHandlerEnded = errors.New("http.Handler has returned")
