package rules

import (
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// A pipeline is what happens to an exchange that got a rule, in the order of its fields. It is immutable.
//
// The first hook on the answer's head has the last word: what the operator says of a field in headers.response wins over
// what hsts and cors make of it. All of them work on edge's own errors too, so that a browser may read why a call failed.
type pipeline struct {
	response *fieldChanges // nil: none
	hsts     *hsts         // nil: none
	cors     *cors         // nil: none
	auth     *auth         // nil: none
	request  *fieldChanges // nil: none
	rewrite  *rewrite      // nil: none
	action   exchange.Handler
}

func (p *pipeline) ServeExchange(x *exchange.Exchange) {
	p.mark(x)
	if p.cors != nil && isPreflight(&x.Request) {
		answerPreflight(x)
		return
	}
	if p.auth != nil && !p.auth.admit(x) {
		return
	}
	if p.request != nil {
		p.request.apply(&x.Request.Fields)
	}
	if p.rewrite != nil {
		p.rewrite.serve(x, p.action)
		return
	}
	p.action.ServeExchange(x)
}

// mark sees to it that the answer gets the fields that every answer of the rule has, whoever makes it.
func (p *pipeline) mark(x *exchange.Exchange) {
	if p.response != nil {
		x.BeforeHead(p.response)
	}
	if p.hsts != nil && x.Scheme == "https" {
		x.BeforeHead(p.hsts)
	}
	if p.cors != nil {
		x.BeforeHead(p.cors.mark(x.Fields.Get("Origin")))
	}
}

// isEmpty reports whether nothing happens on the way to the action.
func (p *pipeline) isEmpty() bool {
	return p.response == nil && p.hsts == nil && p.cors == nil && p.auth == nil && p.request == nil && p.rewrite == nil
}

// hsts tells browsers to come by https only. It is sent over https alone (RFC 6797, section 7.2).
type hsts struct{ value string }

func (h *hsts) BeforeHead(x *exchange.Exchange) {
	x.Response.Fields.Set("Strict-Transport-Security", h.value)
}

// health answers a load balancer in front: 200, or 503 once the server is about to stop.
type health struct {
	draining     func() bool
	ok, stopping exchange.Handler
}

func newHealth(draining func() bool) *health {
	return &health{
		draining: draining,
		ok:       reply.Fixed(200, "text/plain; charset=utf-8", "ok"),
		stopping: reply.Fixed(503, "text/plain; charset=utf-8", "draining"),
	}
}

func (h *health) ServeExchange(x *exchange.Exchange) {
	x.Response.Fields.Set("Cache-Control", "no-store")
	if h.draining() {
		h.stopping.ServeExchange(x)
		return
	}
	h.ok.ServeExchange(x)
}

// alias redirects from an alias to its host: 301, or 308 where the method has to stay what it is (RFC 9110, section 15.4.9).
type alias struct {
	host string
	port int // the public one for https
}

func (a *alias) ServeExchange(x *exchange.Exchange) {
	status := 308
	if x.Method == "GET" || x.Method == "HEAD" {
		status = 301
	}
	reply.Redirect(x, a.location(&x.Request), status)
}

func (a *alias) location(r *exchange.Request) string {
	u := location{scheme: r.Scheme, host: a.host, port: ownPort(r.Scheme, a.port, r), path: redirectPath(r), query: r.RawQuery}
	return u.String()
}
