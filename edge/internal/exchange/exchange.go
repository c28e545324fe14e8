// Package exchange is the one representation of a request and its answer (RFC 9110), whatever protocol carried it.
//
// A front (h1, h2, h3) fills an Exchange and hands it to a Handler; the chain, the rules, the targets, the sites
// and the replies know nothing else. In-process modules are ordinary http.Handlers behind [HTTP].
//
// In comes what every room on the way of a request needs to say about it, and nothing that only one of them does.
package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"time"
)

// A Handler answers an exchange. It runs on the exchange's own goroutine; when it returns the answer is complete:
// a head that it did not send is sent then, and a body that it did not read is drained or cut off by the front.
//
// The exchange, its strings and its fields belong to the front again after that. Clone what must live longer.
type Handler interface {
	ServeExchange(*Exchange)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(*Exchange)

// ServeExchange calls f.
func (f HandlerFunc) ServeExchange(x *Exchange) { f(x) }

// Errors that reading or writing a body may return, besides what the connection itself says.
var (
	// ErrBodyTooLarge says that the request's body is longer than its limit (see [Exchange.LimitBody]).
	ErrBodyTooLarge = errors.New("request body too large")
	// ErrTooSlow says that too few bytes moved in a window of time.
	ErrTooSlow = errors.New("too slow")
	// ErrMalformedBody says that the request's body breaks its framing (a bad chunk, a length that does not hold).
	ErrMalformedBody = errors.New("malformed request body")
	// ErrClientGone says that the visitor closed the connection or reset the stream.
	ErrClientGone = errors.New("client is gone")
	// ErrShutdown says that the time that a stopping server gives to what is under way is over.
	ErrShutdown = errors.New("server is shutting down")
	// ErrWrittenTooMuch says that a handler wrote more than the length that it declared.
	ErrWrittenTooMuch = errors.New("more body written than declared")
	// ErrNoUpgrade says that the protocol or the request does not allow a switch of protocols.
	ErrNoUpgrade = errors.New("no upgrade on this exchange")
	// ErrBadStatus says that a handler answered with a status that no final answer can have.
	ErrBadStatus = errors.New("not the status of a final answer")
)

// A Protocol is the version of HTTP that carried the exchange.
type Protocol uint8

// The protocols.
const (
	HTTP10 Protocol = iota + 1
	HTTP11
	HTTP2
	HTTP3
)

// String returns the name as it is written in a log: "HTTP/1.1".
func (p Protocol) String() string {
	switch p {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	case HTTP3:
		return "HTTP/3.0"
	default:
		return "HTTP/?"
	}
}

// Request is what the visitor sent. The front fills all but what a comment says otherwise.
type Request struct {
	Protocol Protocol
	Method   string
	Scheme   string // "https" or "http": how the visitor reached us
	Host     string // Host field or :authority, as sent
	Hostname string // Host in lower case, without port and trailing dot; IPv6 without brackets. By NormalHostname
	RawPath  string // path as sent, never empty; "*" for OPTIONS *
	RawQuery string // query as sent, without the "?"
	HasQuery bool   // whether there was a "?", even with nothing after it
	Path     string // RawPath normalised for matching. By the chain, with NormalPath

	Fields   Fields // header fields without framing ones (Transfer-Encoding; Content-Length is kept in Length) and without Host
	Trailers Fields // trailer fields; complete once Body has returned io.EOF

	Length int64     // bytes of body: 0 none, -1 not known beforehand
	Body   io.Reader // never nil; returns io.EOF at its end. Only the exchange's goroutine, or one that it waits for, may read it

	Upgrade        string // what the visitor wants to switch to, in lower case ("websocket"), or "". An extended CONNECT (RFC 9220) is a GET with it
	AcceptTrailers bool   // TE: trailers was sent

	TLS    *tls.ConnectionState // nil on plain http
	Peer   netip.AddrPort       // the other end of the connection (after PROXY protocol)
	Local  netip.AddrPort       // our end of it
	Client netip.Addr           // who asks: Peer's address, or what a trusted proxy says. By the chain
}

// Response is the answer. A handler sets it before the first Write, Flush or SendHead.
//
// Add to its lists, never put a list of your own in their place: Reset clears them for the next exchange.
type Response struct {
	Status   int    // 200 to 999; 0 is taken as 200. 101 is for Upgrade alone
	Fields   Fields // without framing ones (Transfer-Encoding; Content-Length is Length) and hop-by-hop ones
	Length   int64  // bytes of body, -1 not known beforehand (the value that a front starts with)
	Trailers Fields // sent after the body where the protocol can; may be set until the handler returns
}

// Record is what the access log says of an exchange beyond its request and answer. Whoever knows fills it in.
type Record struct {
	Start       time.Time     // when the request's head had been read
	Host        string        // the configured host that answered, "" if none
	Rule        string        // "1" is the first rule of the host, "default", "" before one was chosen
	Target      string        // URL of the target that answered
	TargetCode  int           // status that the target sent, 0 if none did
	Tries       int           // how often the request was given to a target, which may be another one each time
	Connect     time.Duration // to get a connection to the target; 0 for a pooled one
	Wait        time.Duration // from the request's last head byte sent to the answer's head, or to where waiting for it ended
	Transfer    time.Duration // from the answer's head to its last byte
	ErrorReason string        // one word for why edge itself answered or broke off; see reply
	BytesIn     int64         // of the request's body
	BytesOut    int64         // of the answer's body
}

// A Stream is the front's side of an exchange: how the answer gets to the visitor.
// Exchange calls it in the right order; nothing else should.
type Stream interface {
	// SendInformational sends a 1xx answer other than 101.
	SendInformational(status int, fields Fields) error
	// SendHead sends status and fields. A length of -1 means that it is not known: chunked, or until close.
	// bodiless says that no body follows whatever the length says (HEAD, 204, 304).
	SendHead(r *Response, bodiless bool) error
	// Write sends a part of the body. It may buffer.
	Write(p []byte) (int, error)
	// Flush sends what Write has buffered.
	Flush() error
	// Upgrade ends HTTP on this connection, or stream, after SendHead of a 101 and gives it to the caller until that closes it.
	// What the visitor had already sent is read first. It is ErrNoUpgrade where the protocol has no such thing.
	Upgrade() (io.ReadWriteCloser, error)
	// Context is done when the visitor has gone away or the front gives up the exchange.
	Context() context.Context
	// Watch has w told when Context would be done; nil ends that.
	Watch(w Watcher)
	// SetIdle sets how long reading and writing may be silent before they fail with ErrTooSlow.
	SetIdle(time.Duration)
	// SetReadDeadline and SetWriteDeadline bound reading and writing in addition to that, for http.ResponseController.
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// An Exchange is one request and its answer.
type Exchange struct {
	ID   string        // the request id, unique and printable. By the chain
	Idle time.Duration // what SetIdle was last given; 0: nobody set it. For waits that are not the front's own, such as a target's answer
	Rest bool          // the client asks for more than it may and was told to come later: its connection may wait before its next request. By the chain
	Request
	Response Response
	Record   Record

	stream    Stream
	text      []byte // see Text
	hooks     []HeadHook
	limit     body
	sent      bool
	bodiless  bool
	upgrading bool
	aborted   error
}

// A Watcher works on an exchange whose visitor may leave.
type Watcher interface {
	// Gone is called, at most once and from any goroutine, when the exchange's Context would be done; why is its cause.
	// It must not call the exchange.
	Gone(why error)
}

// A HeadHook may change the answer's head just before it is sent, and must not send anything itself.
// Hooks run in the reverse order of their adding: the outermost has the last word.
type HeadHook interface {
	BeforeHead(*Exchange)
}

// Reset makes x ready for a new request on stream s, keeping the memory of its lists.
func (x *Exchange) Reset(s Stream) {
	clear(x.Fields)
	clear(x.Trailers)
	clear(x.Response.Fields)
	clear(x.Response.Trailers)
	clear(x.hooks)
	poison(x.text)
	*x = Exchange{
		Request:  Request{Fields: x.Fields[:0], Trailers: x.Trailers[:0], Body: NoBody},
		Response: Response{Fields: x.Response.Fields[:0], Trailers: x.Response.Trailers[:0], Length: -1},
		stream:   s,
		hooks:    x.hooks[:0],
		text:     x.text[:0],
	}
}

// Context is done when the visitor has gone away or the front gives up the exchange.
func (x *Exchange) Context() context.Context { return x.stream.Context() }

// Watch has w told when Context would be done, which costs less than a context. Watch(nil) ends it: once that has returned,
// w is not being told and won't be. One Watcher at a time.
func (x *Exchange) Watch(w Watcher) { x.stream.Watch(w) }

// BeforeHead registers h to see the answer's head before it is sent.
func (x *Exchange) BeforeHead(h HeadHook) { x.hooks = append(x.hooks, h) }

// SetIdle sets how long reading and writing may be silent before they fail with ErrTooSlow.
func (x *Exchange) SetIdle(d time.Duration) {
	x.Idle = d
	x.stream.SetIdle(d)
}

// SetReadDeadline bounds reading the body.
func (x *Exchange) SetReadDeadline(t time.Time) error { return x.stream.SetReadDeadline(t) }

// SetWriteDeadline bounds writing the answer.
func (x *Exchange) SetWriteDeadline(t time.Time) error { return x.stream.SetWriteDeadline(t) }

// SendInformational sends a 1xx answer other than 101. It does nothing once the head is sent or on HTTP/1.0,
// which has no such answers.
func (x *Exchange) SendInformational(status int, fields Fields) error {
	if x.aborted != nil {
		return x.aborted
	}
	if x.sent || x.Protocol == HTTP10 {
		return nil
	}
	return x.stream.SendInformational(status, fields)
}

// HeadSent reports whether the answer's head has been sent: from then on only an abort can say that something went wrong.
func (x *Exchange) HeadSent() bool { return x.sent }

// SendHead sends the answer's head. The first Write or Flush does it too.
func (x *Exchange) SendHead() error {
	if x.aborted != nil {
		return x.aborted
	}
	if x.sent {
		return nil
	}
	if x.Response.Status == 0 {
		x.Response.Status = 200
	}
	for i := len(x.hooks) - 1; i >= 0; i-- {
		x.hooks[i].BeforeHead(x)
	}
	if s := x.Response.Status; s < 200 && !x.upgrading || s > 999 {
		x.Abort(ErrBadStatus)
		return ErrBadStatus
	}
	x.sent = true
	x.bodiless = x.isBodiless()
	return x.check(x.stream.SendHead(&x.Response, x.bodiless))
}

// check aborts the exchange when the stream has failed: whatever was going to be said, the visitor has not got it.
func (x *Exchange) check(err error) error {
	if err != nil {
		x.Abort(err)
	}
	return err
}

func (x *Exchange) isBodiless() bool {
	return x.Method == "HEAD" || x.Response.Status == 204 || x.Response.Status == 304
}

// Write sends a part of the answer's body, after the head. What it is given for an answer without a body (HEAD, 204, 304) is dropped.
func (x *Exchange) Write(p []byte) (int, error) {
	if err := x.SendHead(); err != nil {
		return 0, err
	}
	if x.bodiless {
		return len(p), nil
	}
	if left := x.Response.Length - x.Record.BytesOut; x.Response.Length >= 0 && int64(len(p)) > left {
		n, err := x.write(p[:left])
		if err == nil {
			err = ErrWrittenTooMuch
		}
		return n, err
	}
	return x.write(p)
}

func (x *Exchange) write(p []byte) (int, error) {
	n, err := x.stream.Write(p)
	x.Record.BytesOut += int64(n)
	return n, x.check(err)
}

// Flush sends all that was written so far, and the head if nothing was.
func (x *Exchange) Flush() error {
	if err := x.SendHead(); err != nil {
		return err
	}
	return x.check(x.stream.Flush())
}

// Upgrade answers 101 with the response's fields and gives the connection to the caller, who closes it.
func (x *Exchange) Upgrade() (io.ReadWriteCloser, error) {
	if x.sent || x.Request.Upgrade == "" {
		return nil, ErrNoUpgrade
	}
	x.upgrading = true
	x.Response.Status, x.Response.Length = 101, 0
	if err := x.SendHead(); err != nil {
		return nil, err
	}
	return x.stream.Upgrade()
}

// Abort breaks the answer off: the visitor sees a broken body (a connection closed, a stream reset), never a silently short one.
// Before the head was sent, nothing is sent at all.
func (x *Exchange) Abort(reason error) {
	if x.aborted == nil {
		x.aborted = reason
	}
}

// Aborted returns the reason of the first Abort, or nil. Fronts ask for it when the handler has returned.
func (x *Exchange) Aborted() error { return x.aborted }

// Finish is for fronts: it sends a head that the handler did not send and turns a body that is shorter than its declared length into an abort.
func (x *Exchange) Finish() error {
	if x.aborted != nil {
		return x.aborted
	}
	if !x.sent && x.Response.Length < 0 && !x.isBodiless() && len(x.Response.Trailers) == 0 {
		x.Response.Length = 0
	}
	if err := x.SendHead(); err != nil {
		return err
	}
	if !x.bodiless && x.Response.Status != 101 && x.Response.Length > x.Record.BytesOut {
		x.Abort(io.ErrUnexpectedEOF)
	}
	return x.aborted
}
