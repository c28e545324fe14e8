package rules

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// An Explanation says what happens to a request, and why.
type Explanation struct {
	URL       string `json:"url"`
	Method    string `json:"method"`
	Host      string `json:"host,omitempty"` // the configured host, "" if there is none for the URL
	HostPlace string `json:"host_place,omitempty"`
	// Certificate is what the host is served under. The table does not know, nor what else there is about TLS; who asks it may.
	Certificate string     `json:"certificate,omitempty"`
	Issuers     []Issuer   `json:"issuers,omitempty"`   // who may issue it, in order of preference
	ClientCA    string     `json:"client_ca,omitempty"` // the file of the authorities that vouch for visitors
	Protocols   []string   `json:"protocols,omitempty"` // h1, h2, h3
	Note        string     `json:"note,omitempty"`      // what happens before or instead of a rule
	Rule        string     `json:"rule,omitempty"`
	Place       string     `json:"place,omitempty"` // FILE:LINE of the rule
	Action      string     `json:"action,omitempty"`
	Location    string     `json:"location,omitempty"` // where a redirect leads
	Form        string     `json:"form,omitempty"`     // that takes the request
	Webhook     string     `json:"webhook,omitempty"`  // the source whose delivery it is
	Rewritten   string     `json:"rewritten,omitempty"`
	Earlier     []NotTaken `json:"earlier,omitempty"` // the rules that were asked before
	Limits      *InForce   `json:"limits,omitempty"`
	HSTS        string     `json:"hsts,omitempty"`
	Auth        string     `json:"auth,omitempty"`
	CORS        string     `json:"cors,omitempty"`
	Rewrite     string     `json:"rewrite,omitempty"`
	Headers     []string   `json:"headers,omitempty"`
}

// Issuer is who issues certificates, by name or directory, and the challenges by which the name can be proved: none for a local CA.
type Issuer struct {
	Name       string   `json:"name"`
	Challenges []string `json:"challenges,omitempty"`
}

// String returns "letsencrypt (http-01, tls-alpn-01)".
func (i Issuer) String() string {
	if len(i.Challenges) == 0 {
		return i.Name
	}
	return i.Name + " (" + strings.Join(i.Challenges, ", ") + ")"
}

// NotTaken is a rule that did not get the request.
type NotTaken struct {
	Rule   string `json:"rule"`
	Place  string `json:"place,omitempty"`
	Reason string `json:"reason"` // the first condition that does not hold: "method: POST is not GET"
}

// InForce are the limits that a request meets: its host's and its rule's apply both.
type InForce struct {
	Host    Limits  `json:"host"`
	Rule    Limits  `json:"rule"`
	Form    *Limits `json:"form,omitempty"`    // of a form that takes the request
	Webhook *Limits `json:"webhook,omitempty"` // of a source of webhooks
	Idle    string  `json:"idle"`              // silence after which a request is given up
}

// Limits are the limits of a host or rule, as they are written in a configuration; those that are not set are "" or 0.
type Limits struct {
	Concurrency int    `json:"concurrency,omitempty"`
	Rate        string `json:"rate,omitempty"`
	Burst       int    `json:"burst,omitempty"`
	Body        int64  `json:"body,omitempty"` // bytes
}

// Explain says what would happen to r, by the same compiled conditions that live requests meet. r needs what the chain
// sets too: Hostname and Client; Path is set here if it is not.
func (t *Table) Explain(r *exchange.Request) Explanation {
	e := Explanation{URL: requestURL(r), Method: r.Method}
	if r.Method == "TRACE" || r.Method == "CONNECT" {
		e.Note = "refused with 405: no host takes " + r.Method
		return e
	}
	h := t.Host(r.Hostname)
	if h == nil {
		e.Note = "no host of that name: 404 on http; on https no certificate, so no connection"
		return e
	}
	e.Host, e.HostPlace, e.HSTS = h.Name, h.Place, h.hsts
	request := *r // Explain changes nothing
	if request.Path == "" {
		path, err := exchange.NormalPath(request.RawPath)
		if err != nil {
			e.Note = "refused with 400: " + err.Error()
			return e
		}
		request.Path = path
	}
	rule := h.Match(&request)
	switch {
	case r.Scheme == "http" && !h.Plain && rule != h.healthRule:
		e.Note = "http is redirected to https; this is what https gets"
		request.Scheme = "https"
	case r.Scheme == "https" && h.Plain:
		e.Note = "the host has tls: off; https comes here only by way of a trusted proxy that ends it"
	}
	e.Earlier = h.notTaken(rule, &request)
	e.describe(h, rule, &request)
	return e
}

func (e *Explanation) describe(h *Host, rule *Rule, r *exchange.Request) {
	e.Rule, e.Place, e.Action = rule.Name, rule.Place, rule.about.action
	e.Auth, e.CORS, e.Rewrite, e.Headers = rule.about.auth, rule.about.cors, rule.about.rewrite, rule.about.headers
	if r.Scheme != "https" {
		e.HSTS = ""
	}
	idle := cmp.Or(rule.Limits.Idle, h.Limits.Idle)
	e.Limits = &InForce{Host: limitsOf(h.Limits), Rule: limitsOf(rule.Limits), Idle: idle.String()}
	if p, ok := rule.Handler.(*pipeline); ok {
		if p.cors != nil && isPreflight(r) {
			e.Action = "respond 204 to the CORS preflight"
			return
		}
		if p.rewrite != nil {
			if err := p.rewrite.apply(r); err != nil {
				e.Action = "respond 500: the rewrite fails: " + err.Error()
				return
			}
			e.Rewritten = requestURL(r)
		}
	}
	if rule.about.location != nil {
		e.Location = rule.about.location(r)
	}
	if rule.about.forms != nil {
		e.describeForm(rule.about.forms, r.Path)
	}
	if rule.about.prefix != "" {
		e.describeContent(rule.about.prefix, r.Path)
	}
	if rule.about.webhooks != nil {
		e.describeWebhook(rule.about.webhooks, r.Path)
	}
}

// notTaken says for each rule that was asked before rule why it did not get r.
func (h *Host) notTaken(rule *Rule, r *exchange.Request) []NotTaken {
	var earlier []NotTaken
	if h.builtIn(r) != nil {
		return nil
	}
	for _, other := range h.ordered {
		if other == rule {
			break
		}
		for _, c := range other.conditions {
			if !c.holds(r) {
				earlier = append(earlier, NotTaken{other.Name, other.Place, c.why(r)})
				break
			}
		}
	}
	return earlier
}

// requestURL returns the URL of r as the visitor would write it.
func requestURL(r *exchange.Request) string {
	u := r.Scheme + "://" + r.Host + redirectPath(r)
	if r.RawQuery != "" {
		u += "?" + r.RawQuery
	}
	return u
}

func limitsOf(l config.Limits) Limits {
	out := Limits{Concurrency: l.Concurrency, Burst: l.Burst, Body: int64(l.Body)}
	if l.Rate.N > 0 {
		unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[l.Rate.Per]
		if unit == "" {
			unit = l.Rate.Per.String()
		}
		out.Rate = strconv.Itoa(l.Rate.N) + "/" + unit
	}
	return out
}

// String returns the limits in words, "none" if there are none.
func (l Limits) String() string {
	var parts []string
	if l.Concurrency > 0 {
		parts = append(parts, fmt.Sprintf("%d requests at once", l.Concurrency))
	}
	if l.Rate != "" {
		rate := l.Rate + " per client"
		if l.Burst > 0 {
			rate += fmt.Sprintf(" (burst %d)", l.Burst)
		}
		parts = append(parts, rate)
	}
	if l.Body > 0 {
		parts = append(parts, fmt.Sprintf("body %s", sizeText(l.Body)))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func sizeText(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + " " + unit.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// WriteTo writes e for people: a line for each thing, what matters first.
func (e Explanation) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	line := func(label, text, place string) {
		if text == "" {
			return
		}
		if place != "" {
			text += "  (" + place + ")"
		}
		fmt.Fprintf(&b, "  %-11s %s\n", label, text)
	}
	fmt.Fprintf(&b, "%s %s\n", e.Method, e.URL)
	line("host", e.Host, e.HostPlace)
	line("certificate", e.Certificate, "")
	if e.ClientCA != "" {
		line("client_ca", "visitors show a certificate that "+e.ClientCA+" vouches for", "")
	}
	line("protocols", strings.Join(e.Protocols, ", "), "")
	line("note", e.Note, "")
	line("rule", e.Rule, e.Place)
	line("action", e.Action, "")
	line("location", e.Location, "")
	for _, n := range e.Earlier {
		line("not "+n.Rule, n.Reason, n.Place)
	}
	line("rewrite", e.Rewrite, "")
	line("rewritten", e.Rewritten, "")
	line("auth", e.Auth, "")
	line("cors", e.CORS, "")
	for _, h := range e.Headers {
		line("headers", h, "")
	}
	if e.Limits != nil {
		line("limits", "host: "+e.Limits.Host.String(), "")
		line("", "rule: "+e.Limits.Rule.String(), "")
		if e.Limits.Form != nil {
			line("", "form: "+e.Limits.Form.String(), "")
		}
		if e.Limits.Webhook != nil {
			line("", "webhook: "+e.Limits.Webhook.String(), "")
		}
		line("", "idle: "+e.Limits.Idle, "")
	}
	line("hsts", e.HSTS, "")
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
