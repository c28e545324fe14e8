// Package rules is the table that says which host and which action a request gets: host → rules → action, as in ALB.
//
// [Build] makes a whole [Table] from a valid configuration; nothing in it changes afterwards, so requests read it without
// a lock and a request keeps the table that it started with. [Check] says what is wrong with a configuration, and
// [Table.Explain] says what would happen to a request, by the same compiled conditions that live requests meet.
//
// In comes what decides about a request or changes it on its way to the action. What an action does lives elsewhere:
// here it is an exchange.Handler.
package rules

import (
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// Actions gives the table the actions that live in other rooms.
type Actions interface {
	// Site returns what answers with the files of a site of the configuration.
	Site(name string) (exchange.Handler, error)
	// Forward returns what forwards to target groups of the configuration, each with its weight.
	Forward(weights map[string]int) (exchange.Handler, error)
	// API returns what answers for the content API of the configuration.
	API() (exchange.Handler, error)
	// Forms returns what takes the forms of the configuration.
	Forms() (exchange.Handler, error)
	// Webhooks returns what takes the webhooks of the configuration.
	Webhooks() (exchange.Handler, error)
	// Function returns what invokes a function of the configuration for requests of a route.
	Function(name string, route *Route) (exchange.Handler, error)
	// Draining reports whether the server is about to stop: health paths answer 503 then. It is asked per request.
	Draining() bool
}

// A Table is every host with its rules. It is immutable.
type Table struct {
	hosts     []*Host
	names     map[string]*Host // names and aliases
	wildcards map[string]*Host // by what follows "*."
	other     *Host            // "*", nil if there is none
}

// A Host is a hostname with its rules.
type Host struct {
	Name   string // as in the configuration, in lower case: "example.com", "*.example.com", "*"
	Index  int    // unique within the table, from 0 to len(Hosts())-1
	Plain  bool   // served on plain http (tls: off)
	Limits config.Limits
	Place  string // FILE:LINE of the host in the configuration, "" if it stands in none

	aliases     map[string]bool
	health      string // path, "" for none
	rules       []*Rule
	ordered     []*Rule // the part of rules that has conditions, in file order
	def         *Rule
	healthRule  *Rule
	aliasRule   *Rule
	maintenance *Rule
	hsts        string // value of the field, "" for none
}

// A Rule is what is done with the requests that get it.
type Rule struct {
	// Name is "1", "2", … in file order, "default", or one of the built-in ones:
	// "health" (the host's health path), "alias" (the redirect to the host), "maintenance".
	Name    string
	Index   int // unique within the host, from 0 to len(Rules())-1
	Limits  config.Limits
	Handler exchange.Handler // answers the exchange whole: header changes, CORS, authentication, rewrite, action
	Place   string           // FILE:LINE in the configuration, the host's for a built-in one

	conditions []condition
	about      about
}

// Host returns the host for a normal hostname (see exchange.NormalHostname): the one of that name or alias, else the
// wildcard for its first label, else "*", else nil.
func (t *Table) Host(hostname string) *Host {
	if h := t.names[hostname]; h != nil {
		return h
	}
	if len(t.wildcards) > 0 {
		if dot := strings.IndexByte(hostname, '.'); dot > 0 {
			if h := t.wildcards[hostname[dot+1:]]; h != nil {
				return h
			}
		}
	}
	return t.other
}

// Hosts returns all hosts in the order of their names. The caller must not change it.
func (t *Table) Hosts() []*Host { return t.hosts }

// Rules returns every rule that Match may return, by Index. The caller must not change it.
func (h *Host) Rules() []*Rule { return h.rules }

// Match returns the rule that r gets; there always is one. In this order: the health path (so that a load balancer in front is
// answered whatever else is set), the redirect from an alias, maintenance, the rules in file order, the default.
//
// r's Path, Hostname and Client must have been set. Match neither locks nor allocates, but for a query value
// with percent-encodings of more than 512 bytes.
func (h *Host) Match(r *exchange.Request) *Rule {
	if rule := h.builtIn(r); rule != nil {
		return rule
	}
	for _, rule := range h.ordered {
		if rule.holds(r) {
			return rule
		}
	}
	return h.def
}

// builtIn returns the built-in rule that r gets, or nil.
func (h *Host) builtIn(r *exchange.Request) *Rule {
	switch {
	case h.healthRule != nil && r.Path == h.health && (r.Method == "GET" || r.Method == "HEAD"):
		return h.healthRule
	case h.aliasRule != nil && h.aliases[r.Hostname]:
		return h.aliasRule
	default:
		return h.maintenance
	}
}

func (rule *Rule) holds(r *exchange.Request) bool {
	for _, c := range rule.conditions {
		if !c.holds(r) {
			return false
		}
	}
	return true
}

// Refuse answers x with an error in place of the rule's handler (see reply.Error): with the header changes, HSTS and CORS that the
// rule's own answers have, so that a script in a browser may read that it has to wait.
func (rule *Rule) Refuse(x *exchange.Exchange, status int, reason string) {
	if p, ok := rule.Handler.(*pipeline); ok {
		p.mark(x)
	}
	reply.Error(x, status, reason)
}
