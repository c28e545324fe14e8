package rules

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A condition is one thing that must hold for a rule. Its values are any-of.
type condition interface {
	holds(r *exchange.Request) bool
	// why says in words for people why it does not hold: "method: POST is not GET".
	why(r *exchange.Request) string
	// covers reports whether this one holds wherever other does. It may say no where yes is true, never the other way.
	covers(other condition) bool
}

// pathCondition is about the normalised path.
type pathCondition struct{ globs []*glob }

func (c *pathCondition) holds(r *exchange.Request) bool {
	for _, g := range c.globs {
		if g.matchPath(r.Path) {
			return true
		}
	}
	return false
}

func (c *pathCondition) why(r *exchange.Request) string {
	return fmt.Sprintf("path: %s does not match %s", r.Path, orList(globTexts(c.globs)))
}

func (c *pathCondition) covers(other condition) bool {
	o, ok := other.(*pathCondition)
	return ok && coverAll(c.globs, o.globs)
}

// regexCondition is about the normalised path too. An expression may match anywhere in it, as in nginx and Caddy.
type regexCondition struct {
	expressions []*regexp.Regexp
	shown       []string // for messages
}

func (c *regexCondition) holds(r *exchange.Request) bool {
	for _, e := range c.expressions {
		if e.MatchString(r.Path) {
			return true
		}
	}
	return false
}

func (c *regexCondition) why(r *exchange.Request) string {
	return fmt.Sprintf("path_regex: %s does not match %s", r.Path, orList(c.shown))
}

func (c *regexCondition) covers(other condition) bool {
	o, ok := other.(*regexCondition)
	return ok && containsAll(c.texts(), o.texts())
}

func (c *regexCondition) texts() []string {
	texts := make([]string, len(c.expressions))
	for i, e := range c.expressions {
		texts[i] = e.String()
	}
	return texts
}

// methodCondition is about the method, whose case counts (RFC 9110, section 9.1).
//
// A rule with CORS gets the preflight of the requests that it gets: it asks for the method that the browser wants to use.
type methodCondition struct {
	methods   []string
	preflight bool
}

func (c *methodCondition) holds(r *exchange.Request) bool {
	return slices.Contains(c.methods, r.Method) || c.preflight && isPreflight(r) && slices.Contains(c.methods, requestedMethod(r))
}

func (c *methodCondition) why(r *exchange.Request) string {
	method := r.Method
	if c.preflight && isPreflight(r) {
		method = "a preflight for " + requestedMethod(r)
	}
	return fmt.Sprintf("method: %s is not %s", method, orList(c.methods))
}

func (c *methodCondition) covers(other condition) bool {
	o, ok := other.(*methodCondition)
	return ok && containsAll(c.methods, o.methods) && (c.preflight || !o.preflight)
}

// headerCondition is about the lines of one header field: one of them has to match, ignoring case.
type headerCondition struct {
	name  string
	globs []*glob
}

func (c *headerCondition) holds(r *exchange.Request) bool {
	switch { // fields that a front keeps elsewhere
	case exchange.EqualName(c.name, "Host"):
		return matchAny(c.globs, r.Host)
	case exchange.EqualName(c.name, "Upgrade"):
		return r.Upgrade != "" && matchAny(c.globs, r.Upgrade)
	}
	for i := range r.Fields {
		if exchange.EqualName(r.Fields[i].Name, c.name) && matchAny(c.globs, r.Fields[i].Value) {
			return true
		}
	}
	return false
}

func (c *headerCondition) why(r *exchange.Request) string {
	value, found := r.Fields.Lookup(c.name)
	switch {
	case exchange.EqualName(c.name, "Host"):
		value, found = r.Host, true
	case exchange.EqualName(c.name, "Upgrade"):
		value, found = r.Upgrade, r.Upgrade != ""
	case isSecret(c.name):
		value = "its value"
	}
	if !found {
		return fmt.Sprintf("header %s: there is none", c.name)
	}
	return fmt.Sprintf("header %s: %s does not match %s", c.name, value, orList(globTexts(c.globs)))
}

func (c *headerCondition) covers(other condition) bool {
	o, ok := other.(*headerCondition)
	return ok && exchange.EqualName(c.name, o.name) && coverAll(c.globs, o.globs)
}

// queryCondition is about the parameters of the query whose key matches: one of them has to match, ignoring case.
type queryCondition struct {
	key   *glob
	globs []*glob
}

func (c *queryCondition) holds(r *exchange.Request) bool {
	for rest, more := r.RawQuery, r.RawQuery != ""; more; {
		var parameter string
		parameter, rest, more = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(parameter, "=")
		if parameter != "" && matchEncoded(key, c.key) && matchEncoded(value, c.globs...) {
			return true
		}
	}
	return false
}

func (c *queryCondition) why(r *exchange.Request) string {
	for parameter := range strings.SplitSeq(r.RawQuery, "&") {
		key, value, _ := strings.Cut(parameter, "=")
		if parameter != "" && matchEncoded(key, c.key) {
			return fmt.Sprintf("query %s: %s does not match %s", c.key.shown, decodeQuery(nil, value), orList(globTexts(c.globs)))
		}
	}
	return fmt.Sprintf("query %s: there is none", c.key.shown)
}

func (c *queryCondition) covers(other condition) bool {
	o, ok := other.(*queryCondition)
	return ok && c.key.covers(o.key) && coverAll(c.globs, o.globs)
}

// sourceCondition is about the visitor's address.
type sourceCondition struct{ prefixes []netip.Prefix }

func (c *sourceCondition) holds(r *exchange.Request) bool {
	client := r.Client.Unmap().WithZone("")
	for _, p := range c.prefixes {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

func (c *sourceCondition) why(r *exchange.Request) string {
	if !r.Client.IsValid() {
		return fmt.Sprintf("source_ip: the client's address is not given, so not in %s", orList(c.texts()))
	}
	return fmt.Sprintf("source_ip: %s is not in %s", r.Client, orList(c.texts()))
}

func (c *sourceCondition) covers(other condition) bool {
	o, ok := other.(*sourceCondition)
	return ok && !slices.ContainsFunc(o.prefixes, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(c.prefixes, func(q netip.Prefix) bool {
			return q.Bits() <= p.Bits() && q.Contains(p.Addr())
		})
	})
}

func (c *sourceCondition) texts() []string {
	texts := make([]string, len(c.prefixes))
	for i, p := range c.prefixes {
		texts[i] = p.String()
	}
	return texts
}

// matchAny reports whether one of globs matches s.
func matchAny[T text](globs []*glob, s T) bool {
	for _, g := range globs {
		if matchGlob(g, s) {
			return true
		}
	}
	return false
}

// coverAll reports whether each of theirs is covered by one of ours.
func coverAll(ours, theirs []*glob) bool {
	return !slices.ContainsFunc(theirs, func(o *glob) bool {
		return !slices.ContainsFunc(ours, func(g *glob) bool { return g.covers(o) })
	})
}

func containsAll(ours, theirs []string) bool {
	return !slices.ContainsFunc(theirs, func(s string) bool { return !slices.Contains(ours, s) })
}

func globTexts(globs []*glob) []string {
	texts := make([]string, len(globs))
	for i, g := range globs {
		texts[i] = g.shown
	}
	return texts
}

// orList is "a", "a or b", "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// isSecret reports whether a field's value is not to be shown.
func isSecret(name string) bool {
	return exchange.EqualName(name, "Authorization") || exchange.EqualName(name, "Cookie") || exchange.EqualName(name, "Proxy-Authorization")
}
