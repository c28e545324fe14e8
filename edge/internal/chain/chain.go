// Package chain is what every request passes, whatever carried it and whoever answers it: it gets its id, its client's address
// and a normal path, loses the fields that must not go on, finds its host, is kept within limits, counted, logged, and survives
// a panic of whoever answers it.
//
// In comes what is the same for all requests. What differs by host and rule is in rules; what needs the connection is in front.
package chain

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/front"
	"github.com/onehost/edge/edge/internal/reply"
	"github.com/onehost/edge/edge/internal/rules"
)

// Why the chain answers instead of the rule: Record.ErrorReason and edge_refused_total.
const (
	reasonMethod      = "method_not_allowed"
	reasonConnection  = "bad_connection_field"
	reasonPath        = "bad_path"
	reasonNoHost      = "no_host"
	reasonUnknownHost = "unknown_host"
	reasonMisdirected = "misdirected"
	reasonRate        = "rate_limited"
	reasonConcurrency = "concurrency_limited"
	reasonBody        = "body_too_large"
	reasonPanic       = "panic"
	reasonClientGone  = "client_gone"
	reasonShutdown    = "shutdown"
	reasonTooSlow     = "too_slow"
	reasonShortAnswer = "short_answer" // less body than was declared
	reasonAborted     = "aborted"
)

// statusClientGone is what ALB's access log says of a visitor who left before there was an answer.
const statusClientGone = 460

var errPanic = errors.New("panic while answering")

// Options is what a Chain works with.
type Options struct {
	// Covers reports whether hostname may be served on a connection, nil for one without TLS: whether the handshake was for it,
	// and the visitor has shown the certificate that it asks for.
	Covers func(connection *tls.ConnectionState, hostname string) bool
	// Challenge returns what a CA has to find at a path on plain http, if it is looking for an answer there. Nil: none does.
	Challenge func(path string) (body string, ok bool)
	// TrustedProxies are those whose X-Forwarded-* are believed (listen.trusted_proxies).
	TrustedProxies []netip.Prefix
	// PublicPort is the port of https that redirects name (listen.public_port).
	PublicPort int
	// AltSvc tells visitors who came by TLS over TCP where h3 is served (RFC 7838; RFC 9114, section 3.1.1):
	// `h3=":443"; ma=86400`. "" for nowhere.
	AltSvc  string
	Access  *AccessLog
	Metrics *Metrics
	Log     *slog.Logger
}

// A Chain hands each exchange to the rule that it is for.
type Chain struct {
	covers  func(connection *tls.ConnectionState, hostname string) bool
	answers func(path string) (body string, ok bool)
	trusted trust
	port    string // ":8443", or "" for the default one
	marks   marks
	certs   clientCerts
	access  *AccessLog
	metrics *Metrics
	log     *slog.Logger
	current atomic.Pointer[generation]
}

// New makes a chain without a table: it knows no host until the first Swap.
func New(o Options) *Chain {
	c := &Chain{covers: o.Covers, answers: o.Challenge, marks: marks{o.AltSvc}, access: o.Access, metrics: o.Metrics, log: o.Log}
	for _, p := range o.TrustedProxies {
		c.trusted = append(c.trusted, p.Masked())
	}
	if o.PublicPort != 443 {
		c.port = ":" + strconv.Itoa(o.PublicPort)
	}
	return c
}

// Swap makes table the one that exchanges get from now on; those under way keep theirs. Limits that did not change go on where
// they are: buckets stay as empty as they were, and requests in flight are counted. One Swap at a time.
func (c *Chain) Swap(table *rules.Table) {
	c.current.Store(newGeneration(table, c.current.Load(), c.metrics))
}

// A passage is one exchange on its way through the chain.
type passage struct {
	*exchange.Exchange
	host   *hostState // nil: unknown
	counts *hostMetrics
	shard  *hostShard  // of counts
	rule   *rules.Rule // nil until the host is found to be the right one
	held   [2]*limiter // whose places in flight are taken: the host's and the rule's
}

// ServeExchange answers x, completely: the answer's head is sent when it returns, so that what is logged is what happened.
func (c *Chain) ServeExchange(x *exchange.Exchange) {
	if x.Record.Start.IsZero() {
		x.Record.Start = time.Now()
	}
	p := passage{Exchange: x, counts: c.metrics.other}
	if g := c.current.Load(); g != nil {
		if p.host = g.find(x.Hostname); p.host != nil {
			p.counts, x.Record.Host = p.host.metrics, p.host.host.Name
		}
	}
	p.shard = p.counts.shard(x.Peer.Port())
	p.shard.inFlight.Add(1)
	c.answer(&p)
	for _, l := range p.held {
		l.leave(p.Client)
	}
	c.account(&p)
	x.Rest = mayRest(x)
}

// mayRest reports whether the client was told by edge itself to come later. Behind a trusted proxy others share its connection.
func mayRest(x *exchange.Exchange) bool {
	switch x.Response.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return x.Record.Target == "" && x.Client == plainAddr(x.Peer.Addr()) && x.Response.Fields.Has("Retry-After")
	default:
		return false
	}
}

// account counts and logs an exchange that has been answered.
func (c *Chain) account(p *passage) {
	if p.Record.ErrorReason == "" {
		p.Record.ErrorReason = abortReason(p.Aborted())
	}
	if r := p.Record.ErrorReason; (r == reasonClientGone || r == reasonAborted) && errors.Is(context.Cause(p.Context()), exchange.ErrShutdown) {
		p.Record.ErrorReason = reasonShutdown // to who worked for the visitor it looked the same
	}
	took, status := time.Since(p.Record.Start), statusOf(p.Exchange)
	if p.Record.ErrorReason == reasonBody {
		p.counts.limited[limitBody].Add(1)
	}
	p.counts.done(p.shard, status, took, p.Record.BytesIn, p.Record.BytesOut)
	p.shard.inFlight.Add(-1)
	c.access.exchange(p.Exchange, status, took)
}

// statusOf returns the status that the visitor got: 0 if none, or 460 if because the visitor left.
func statusOf(x *exchange.Exchange) int {
	if x.HeadSent() {
		return x.Response.Status
	}
	if x.Record.ErrorReason == reasonShutdown {
		return 0
	}
	if x.Record.ErrorReason == reasonClientGone || errors.Is(x.Aborted(), exchange.ErrClientGone) || x.Context().Err() != nil {
		return statusClientGone
	}
	return 0
}

// abortReason says why an answer was broken off, where nobody who did it has said.
func abortReason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, exchange.ErrShutdown):
		return reasonShutdown
	case errors.Is(err, exchange.ErrClientGone):
		return reasonClientGone
	case errors.Is(err, exchange.ErrTooSlow):
		return reasonTooSlow
	case errors.Is(err, io.ErrUnexpectedEOF):
		return reasonShortAnswer
	default:
		return reasonAborted
	}
}

// answer never panics, whatever the rule does.
func (c *Chain) answer(p *passage) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(p.Exchange, v)
		}
	}()
	if c.receive(p.Exchange) && c.locate(p) {
		c.serve(p)
	}
	_ = p.Finish() // is in Aborted as well
}

// panicked answers 500 in place of a handler that panicked, or breaks off what that had begun to send.
func (c *Chain) panicked(x *exchange.Exchange, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like that, too
		x.Abort(http.ErrAbortHandler)
		return
	}
	c.metrics.panics.Inc()
	c.log.Error("panic while answering a request", "id", x.ID, "host", x.Record.Host, "method", x.Method, "path", x.RawPath,
		"panic", v, "stack", string(debug.Stack()))
	x.Record.ErrorReason = reasonPanic
	defer func() {
		if recover() != nil { // sending the answer panics, too
			x.Abort(errPanic)
		}
	}()
	if x.HeadSent() {
		x.Abort(errPanic)
		return
	}
	reply.Error(x, http.StatusInternalServerError, reasonPanic)
	_ = x.Finish()
}

// receive makes of what a visitor sent what may go on. It reports false when it has answered.
func (c *Chain) receive(x *exchange.Exchange) bool {
	peer := plainAddr(x.Peer.Addr())
	trusted := c.trusted.holds(peer)
	id, dropped, ok := cleanFields(x, trusted)
	x.ID, x.Client = "", peer
	if trusted {
		x.Client = c.trusted.client(peer, x.Fields)
		if validID(id) {
			x.ID = id
		}
		if scheme, ok := forwardedScheme(x.Fields); ok {
			x.Scheme = scheme
		}
		x.Fields.Del("X-Forwarded-Proto") // goes on as Scheme, lest a target reads a list of them in another way
	}
	if x.ID == "" {
		id := newID()
		x.ID = x.Text(id[:])
	}
	x.BeforeHead(&c.marks)
	if dropped > 0 {
		c.metrics.fields.Add(float64(dropped))
	}
	if x.Request.Upgrade != "websocket" {
		x.Request.Upgrade = ""
	}
	if !ok {
		return c.refuse(x, http.StatusBadRequest, reasonConnection)
	}
	if x.Method == http.MethodTrace || x.Method == http.MethodConnect {
		x.Response.Fields.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		return c.refuse(x, http.StatusMethodNotAllowed, reasonMethod)
	}
	path, err := exchange.NormalPath(x.RawPath)
	if err != nil {
		return c.refuse(x, http.StatusBadRequest, reasonPath)
	}
	x.Path = path
	return true
}

// refuse answers in place of a rule and returns false.
func (c *Chain) refuse(x *exchange.Exchange, status int, reason string) bool {
	c.metrics.refused.WithLabelValues(reason).Inc()
	reply.Error(x, status, reason)
	return false
}

// marks are what every answer carries.
type marks struct{ altSvc string }

// BeforeHead has the last word. An id that a target sent is replaced, and so is its Alt-Svc where edge has one: what
// another address for the visitor's host is, only who has the host's address knows (ALB, which can't do h3, lets it through).
func (m *marks) BeforeHead(x *exchange.Exchange) {
	fields := &x.Response.Fields
	fields.Set("X-Request-Id", x.ID)
	switch {
	case m.altSvc == "" || x.TLS == nil:
	case x.Protocol == exchange.HTTP3: // is there already
		fields.Del("Alt-Svc")
	default:
		fields.Set("Alt-Svc", m.altSvc)
	}
}

// Refused counts and logs a request that a front refused before it was an exchange, and gives it an id.
func (c *Chain) Refused(r *front.Refusal) {
	id := newID()
	r.ID = string(id[:])
	c.metrics.refused.WithLabelValues(r.Reason).Inc()
	c.metrics.other.answered(c.metrics.other.shard(r.Peer.Port()), r.Status)
	x := exchange.Exchange{ID: r.ID}
	x.Peer, x.Local, x.Client = r.Peer, r.Local, plainAddr(r.Peer.Addr())
	x.Record.Start, x.Record.ErrorReason = time.Now(), r.Reason
	c.access.exchange(&x, r.Status, 0)
}
