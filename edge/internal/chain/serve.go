package chain

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// healthRule is the name of the rule that answers a load balancer in front. Limits don't hold for it, lest a busy host be taken
// for a dead one, and http doesn't redirect it: ALB's health checks come without X-Forwarded-Proto.
const healthRule = "health"

// challengeRule is the name of what answers a CA that looks whether a name is ours.
const challengeRule = "acme"

// find returns what is kept for the host that hostname belongs to, or nil.
func (g *generation) find(hostname string) *hostState {
	h := g.table.Host(hostname)
	if h == nil {
		return nil
	}
	return &g.hosts[h.Index]
}

// locate sees to it that the exchange came to its host the right way. It reports false when it has answered.
func (c *Chain) locate(p *passage) bool {
	if (p.TLS != nil || p.Scheme == "https") && !c.served(p) {
		if p.TLS != nil && strings.EqualFold(p.TLS.ServerName, p.Hostname) {
			p.BeforeHead(newHandshake{})
		}
		return c.refuse(p.Exchange, http.StatusMisdirectedRequest, reasonMisdirected)
	}
	if p.TLS == nil && c.challenged(p.Exchange) {
		return false
	}
	if p.host == nil {
		return c.refuse(p.Exchange, http.StatusNotFound, reasonUnknownHost)
	}
	p.rule = p.host.host.Match(&p.Request)
	if p.TLS == nil && p.Scheme != "https" && !p.host.host.Plain && p.rule.Name != healthRule {
		return c.toHTTPS(p.Exchange)
	}
	return true
}

// newHandshake ends the connection of who came to the right name, and whose handshake is not the one that the host asks for by
// now: client_ca has changed. On this connection no request would ever be answered in another way, and clients keep theirs.
type newHandshake struct{}

// BeforeHead has the front close it: HTTP/2 and HTTP/3 say it by GOAWAY.
func (newHandshake) BeforeHead(x *exchange.Exchange) { x.Response.Fields.Set("Connection", "close") }

// challenged answers a CA, and reports whether it was one.
func (c *Chain) challenged(x *exchange.Exchange) bool {
	if c.answers == nil || x.Method != http.MethodGet && x.Method != http.MethodHead {
		return false
	}
	body, ok := c.answers(x.RawPath)
	if ok {
		x.Record.Rule = challengeRule
		reply.Fixed(http.StatusOK, "application/octet-stream", body).ServeExchange(x)
	}
	return ok
}

// served reports whether the exchange came by a handshake that its host may be served under (RFC 9110, section 7.4). A
// trusted proxy's word that the visitor came by https counts as one, but never as a visitor's certificate.
func (c *Chain) served(p *passage) bool {
	if p.host == nil {
		return p.TLS == nil || strings.EqualFold(p.TLS.ServerName, p.Hostname) && p.Hostname != ""
	}
	return c.covers(p.TLS, p.Hostname)
}

// toHTTPS redirects to the same place on https. The host is one that the table knows, and comes first, so that no path
// can lead elsewhere. 308 keeps the method; 301 is what the oldest clients know (RFC 9110, section 15.4). It returns false.
func (c *Chain) toHTTPS(x *exchange.Exchange) bool {
	if x.Hostname == "" { // HTTP/1.0 without Host, and there is a host "*"
		return c.refuse(x, http.StatusBadRequest, reasonNoHost)
	}
	status := http.StatusPermanentRedirect
	if x.Method == http.MethodGet || x.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	host, path, query := x.Hostname, x.RawPath, ""
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if path == "*" {
		path = "/"
	}
	if x.HasQuery {
		query = "?" + x.RawQuery
	}
	reply.Redirect(x, "https://"+host+c.port+path+query, status)
	return false
}

// serve keeps the exchange within the limits of its host and of its rule, and hands it over.
func (c *Chain) serve(p *passage) {
	rule := p.rule
	p.Record.Rule = rule.Name
	c.addClientCert(p.Exchange)
	if rule.Name == healthRule {
		rule.Handler.ServeExchange(p.Exchange)
		return
	}
	if !p.admit(0, p.host.limiter) || !p.admit(1, p.host.rules[rule.Index]) {
		return
	}
	if idle := cmp.Or(rule.Limits.Idle, p.host.host.Limits.Idle); idle > 0 {
		p.SetIdle(idle)
	}
	if p.Length != 0 && !p.limitBody(int64(p.host.host.Limits.Body), int64(rule.Limits.Body)) {
		rule.Refuse(p.Exchange, http.StatusRequestEntityTooLarge, reasonBody)
		return
	}
	rule.Handler.ServeExchange(p.Exchange)
}

// admit lets the exchange in by l or answers that it must wait. The rate comes first: who asks too often
// hears so, and takes no place of others'.
func (p *passage) admit(i int, l *limiter) bool {
	if wait := l.take(p.Client, p.Record.Start); wait > 0 {
		p.counts.limited[limitRate].Add(1)
		p.tooBusy(http.StatusTooManyRequests, reasonRate, wait)
		return false
	}
	if !l.enter(p.Client, p.Record.Start) {
		p.counts.limited[limitConcurrency].Add(1)
		p.tooBusy(http.StatusServiceUnavailable, reasonConcurrency, time.Second)
		return false
	}
	p.held[i] = l
	return true
}

// tooBusy answers that the visitor may come back after wait, in whole seconds (RFC 9110, section 10.2.3).
func (p *passage) tooBusy(status int, reason string, wait time.Duration) {
	seconds := (wait + time.Second - 1) / time.Second
	p.Response.Fields.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	p.rule.Refuse(p.Exchange, status, reason)
}

// limitBody applies both limits, of which 0 is none, and begins to count the body. It reports false when the declared length is
// over one of them.
func (p *passage) limitBody(host, rule int64) bool {
	fits := p.LimitBody(exchange.Unlimited)
	for _, n := range [...]int64{host, rule} {
		if n > 0 && !p.LimitBody(n) {
			fits = false
		}
	}
	return fits
}
