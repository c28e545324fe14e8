// Package exchangetest makes exchanges without a network, for the tests of whatever answers exchanges.
//
// In comes only what tests of several rooms need: an exchange as a front would hand it over, and a [Recorder]
// in the place of the visitor.
package exchangetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// An Option changes the request that [New] makes. What has no option here is a plain field of the exchange.
type Option func(*exchange.Exchange)

// Field adds a header field.
func Field(name, value string) Option {
	return func(x *exchange.Exchange) { x.Fields.Add(name, value) }
}

// Body gives the request a body of a declared length.
func Body(s string) Option {
	return BodyFrom(strings.NewReader(s), int64(len(s)))
}

// BodyFrom gives the request a body that is read from r; length is -1 if it is not declared.
func BodyFrom(r io.Reader, length int64) Option {
	return func(x *exchange.Exchange) { x.Request.Body, x.Request.Length = r, length }
}

// Protocol says which protocol carried the request.
func Protocol(p exchange.Protocol) Option {
	return func(x *exchange.Exchange) { x.Request.Protocol = p }
}

// Upgrade asks for a switch to protocol, as "Connection: upgrade" does.
func Upgrade(protocol string) Option {
	return func(x *exchange.Exchange) { x.Request.Upgrade = protocol }
}

// New returns an exchange with its request filled in, and the recorder that its answer goes to.
// target is a path with a query, or a whole URL; without one the request is for https://example.com over HTTP/1.1.
// Path, Hostname and Client are set too, as if the chain had seen the request.
// It panics when target is not what a front would accept.
func New(method, target string, options ...Option) (*exchange.Exchange, *Recorder) {
	r := &Recorder{Upgraded: make(chan net.Conn, 1), Length: -1}
	r.ctx, r.Cancel = context.WithCancelCause(context.Background())
	x := &exchange.Exchange{}
	x.Reset(r)
	r.x = x

	x.ID = "test-request"
	x.Record.Start = time.Now()
	x.Request.Protocol, x.Method = exchange.HTTP11, method
	x.Scheme, x.Host = "https", "example.com"
	x.Peer = netip.MustParseAddrPort("192.0.2.1:50000")
	x.Local = netip.MustParseAddrPort("192.0.2.2:443")
	x.Client = x.Peer.Addr()
	if scheme, rest, ok := strings.Cut(target, "://"); ok {
		slash := strings.IndexByte(rest+"/", '/')
		x.Scheme, x.Host, target = scheme, rest[:slash], rest[slash:]
	}
	x.RawPath, x.RawQuery, x.HasQuery = strings.Cut(target, "?")
	if x.RawPath == "" {
		x.RawPath = "/"
	}
	for _, o := range options {
		o(x)
	}

	var ok bool
	if x.Hostname, ok = exchange.NormalHostname(x.Host); !ok {
		panic("exchangetest: bad host " + x.Host)
	}
	var err error
	if x.Path, err = exchange.NormalPath(x.RawPath); err != nil {
		panic("exchangetest: " + err.Error())
	}
	return x, r
}

// A Recorder is what a visitor saw. Its fields may be read when [Recorder.Serve] has returned, or inside OnFlush.
type Recorder struct {
	Status        int             // 0: no head was sent
	Fields        exchange.Fields // of the head
	Length        int64           // declared with the head; -1 for none
	Bodiless      bool            // the head said that no body follows
	Body          bytes.Buffer
	Trailers      exchange.Fields
	Informational []Informational
	Flushes       int
	Aborted       error // why the answer was broken off; nil for a complete one

	Idle                        time.Duration // the last that was set
	ReadDeadline, WriteDeadline time.Time     // the last that were set

	// Upgraded receives the visitor's end of the connection once the handler has switched protocols.
	Upgraded chan net.Conn
	// Cancel makes the visitor go away: the exchange's context is done with this cause, and writing fails with it.
	Cancel context.CancelCauseFunc
	// OnFlush, if set, is called on the exchange's goroutine after every flush.
	OnFlush func()
	// WriteError, if set, is what writing the body returns from now on.
	WriteError error

	ctx   context.Context
	x     *exchange.Exchange
	watch exchange.Watch
}

// An Informational is a 1xx answer.
type Informational struct {
	Status int
	Fields exchange.Fields
}

// Serve runs h as a front would and returns when the answer is complete or broken off.
func (r *Recorder) Serve(h exchange.Handler) {
	h.ServeExchange(r.x)
	_ = r.x.Finish() // is in Aborted as well
	r.Trailers = r.x.Response.Trailers.Clone()
	r.Aborted = r.x.Aborted()
}

// SendInformational is the stream's side of the exchange.
func (r *Recorder) SendInformational(status int, fields exchange.Fields) error {
	r.Informational = append(r.Informational, Informational{status, fields.Clone()})
	return context.Cause(r.ctx)
}

// SendHead is the stream's side of the exchange.
func (r *Recorder) SendHead(head *exchange.Response, bodiless bool) error {
	if r.Status != 0 {
		return errors.New("exchangetest: a second head")
	}
	r.Status, r.Fields, r.Length, r.Bodiless = head.Status, head.Fields.Clone(), head.Length, bodiless
	return context.Cause(r.ctx)
}

// Write is the stream's side of the exchange.
func (r *Recorder) Write(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if r.WriteError != nil {
		return 0, r.WriteError
	}
	return r.Body.Write(p)
}

// Flush is the stream's side of the exchange.
func (r *Recorder) Flush() error {
	r.Flushes++
	if r.OnFlush != nil {
		r.OnFlush()
	}
	return context.Cause(r.ctx)
}

// Upgrade is the stream's side of the exchange.
func (r *Recorder) Upgrade() (io.ReadWriteCloser, error) {
	ours, visitors := net.Pipe()
	stop := context.AfterFunc(r.ctx, func() { _ = ours.Close() })
	r.Upgraded <- visitors
	return &upgraded{Conn: ours, stop: stop}, nil
}

// upgraded forgets the context when it is closed.
type upgraded struct {
	net.Conn
	stop func() bool
	once sync.Once
}

func (u *upgraded) Close() error {
	u.once.Do(func() { u.stop() })
	return u.Conn.Close()
}

// Context is the stream's side of the exchange.
func (r *Recorder) Context() context.Context { return r.ctx }

// Watch is the stream's side of the exchange.
func (r *Recorder) Watch(w exchange.Watcher) {
	r.watch.Set(r.ctx, w, func() error { return context.Cause(r.ctx) })
}

// SetIdle is the stream's side of the exchange.
func (r *Recorder) SetIdle(d time.Duration) { r.Idle = d }

// SetReadDeadline is the stream's side of the exchange.
func (r *Recorder) SetReadDeadline(t time.Time) error {
	r.ReadDeadline = t
	return nil
}

// SetWriteDeadline is the stream's side of the exchange.
func (r *Recorder) SetWriteDeadline(t time.Time) error {
	r.WriteDeadline = t
	return nil
}
