package rules

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/net/http/httpguts"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

func (c *compiler) method(cfg *config.Rule, path []any) condition {
	for i, m := range cfg.Method {
		switch {
		case !httpguts.ValidHeaderFieldName(m): // a method is a token, as a field name is
			c.wrong(fmt.Sprintf("method: %q is not a method", m), at(path, "method", i)...)
		case m != strings.ToUpper(m):
			c.warn(fmt.Sprintf("method: %s is not %s; the case of methods counts", m, strings.ToUpper(m)), at(path, "method", i)...)
		case m == "CONNECT" || m == "TRACE":
			c.warn(fmt.Sprintf("method: %s is refused before rules are asked", m), at(path, "method", i)...)
		}
	}
	return &methodCondition{cfg.Method, cfg.CORS != nil}
}

func (c *compiler) regex(texts []string, path []any) condition {
	r := &regexCondition{}
	for i, text := range texts {
		shown := c.cfg.Show(text, at(path, i)...)
		e, err := regexp.Compile(text)
		if err != nil {
			c.wrong("path_regex: "+regexProblem(err, shown), at(path, i)...)
			continue
		}
		r.expressions, r.shown = append(r.expressions, e), append(r.shown, shown)
	}
	return r
}

func (c *compiler) fieldChanges(cfg *config.HeaderChanges, request bool, path []any) *fieldChanges {
	if cfg == nil {
		return nil
	}
	changes, side := &cfg.Response, "response"
	if request {
		changes, side = &cfg.Request, "request"
	}
	check := func(name, value, key string, where ...any) {
		if err := checkChange(name, value, request); err != nil {
			c.wrong(fmt.Sprintf("headers: %s: %s: %s %v", side, key, strconv.Quote(name), err), at(path, append([]any{"headers", side, key}, where...)...)...)
		}
	}
	for i, name := range changes.Remove {
		check(name, "", "remove", i)
	}
	for _, name := range slices.Sorted(maps.Keys(changes.Set)) {
		check(name, changes.Set[name], "set", name)
	}
	for _, name := range slices.Sorted(maps.Keys(changes.Add)) {
		check(name, changes.Add[name], "add", name)
	}
	return newFieldChanges(*changes)
}

// checkConditionName says why no condition can be about a header field.
func checkConditionName(name string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name) || strings.ContainsAny(name, "*?"):
		return errors.New("is not a field name; names have no wildcards")
	case exchange.IsFraming(name) && !exchange.EqualName(name, "Upgrade"):
		return errors.New("belongs to the connection, not to the request; no rule sees it")
	}
	return nil
}

func checkChange(name, value string, request bool) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("is not a field name")
	case exchange.IsFraming(name):
		return errors.New("belongs to the connection and can't be changed")
	case request && exchange.EqualName(name, "Host"):
		return errors.New("is changed with rewrite: {host: …}")
	}
	return checkFieldValue(value)
}

func checkFieldValue(value string) error {
	if !httpguts.ValidHeaderFieldValue(value) {
		return errors.New("has a line break or another control character in its value")
	}
	return nil
}

func (c *compiler) cors(cfg *config.CORS, path []any) *cors {
	if len(cfg.Origins) == 0 {
		c.wrong(`cors: say which origins may read the answers; "*" is all`, at(path, "cors", "origins")...)
	}
	for i, origin := range cfg.Origins {
		if err := checkOrigin(origin); err != nil {
			where := at(path, "cors", "origins", i)
			c.wrong(fmt.Sprintf("cors: origin %s %v", c.cfg.Show(origin, where...), err), where...)
		}
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"methods", cfg.Methods}, {"headers", cfg.Headers}, {"expose", cfg.Expose}} {
		for i, name := range list.names {
			if !httpguts.ValidHeaderFieldName(name) {
				c.wrong(fmt.Sprintf("cors: %s: %q is not a name", list.key, name), at(path, "cors", list.key, i)...)
			}
			if name == "*" && cfg.Credentials {
				c.wrong(fmt.Sprintf(`cors: with credentials browsers take "*" for a name, not for all; list the %s`, list.key), at(path, "cors", list.key, i)...)
			}
		}
	}
	if cfg.Credentials && slices.Contains(cfg.Origins, "*") {
		c.wrong(`cors: with credentials origins can't be "*": every site could act as the visitor; list them`, at(path, "cors", "credentials")...)
	}
	return newCORS(cfg)
}

func (c *compiler) auth(h *Host, cfg *config.Auth, path []any) *auth {
	if len(cfg.Basic) == 0 {
		c.wrong("auth: basic needs at least one name and password, or nobody can sign in", at(path, "auth", "basic")...)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Basic)) {
		where := at(path, "auth", "basic", name)
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }) {
			c.wrong(fmt.Sprintf("auth: the name %q is empty or has a colon or control character", name), where...)
		}
		password := cfg.Basic[name]
		switch cost, err := bcrypt.Cost([]byte(password)); {
		case password == "":
			c.wrong("auth: the password of "+name+" is empty", where...)
		case !isBcrypt(password):
		case err != nil || len(password) != bcryptLength:
			c.wrong("auth: the password of "+name+" begins as a bcrypt hash does but is none (cut off, or eaten by ${…}?)", where...)
		case cost > maxBcryptCost:
			c.wrong(fmt.Sprintf("auth: the bcrypt cost %d of %s takes seconds for each try; use at most %d", cost, name, maxBcryptCost), where...)
		}
	}
	return newAuth(h.Name, cfg.Basic, c.gate)
}

const (
	bcryptLength  = 60 // of every bcrypt hash
	maxBcryptCost = 14 // about a second
)

// redirect compiles c.To and refuses what ALB refuses. It reports whether nothing is wrong with it.
func (c *compiler) redirect(h *Host, cfg *config.Redirect, path []any) (*redirect, bool) {
	d, err := newRedirect(cfg.To)
	d.status, d.publicPort = cfg.Status, c.cfg.Listen.PublicPort
	where := at(path, "redirect", "to")
	if err != nil {
		c.wrong(fmt.Sprintf("redirect: %s %v", c.cfg.Show(cfg.To, where...), err), where...)
		return d, false
	}
	d.ours = c.isOurs(d.host)
	switch {
	case d.protocol == "http" && !h.Plain:
		c.wrong("redirect: https can't be redirected to http: what is secret would go in the clear", where...)
	case d.changesNothing(h):
		c.wrong("redirect: a redirect has to change the protocol, host, port or path, or it leads back to where it starts", where...)
	default:
		return d, true
	}
	return d, false
}

// isOurs reports whether host is made of the request's, or is one that this server has.
func (c *compiler) isOurs(host template) bool {
	name, ok := exchange.NormalHostname(host.literals())
	return slices.ContainsFunc(host, func(p templatePart) bool { return p.keyword == "host" }) || ok && c.names[name] != nil
}

// newRedirect reads what a redirect is to. It returns a redirect even with an error.
func newRedirect(to string) (*redirect, error) {
	d := &redirect{port: portKeyword, ours: true}
	rest, fragment := cutFragment(to)
	d.fragment = fragment
	rest, query, hasQuery := strings.Cut(rest, "?")
	if !hasQuery {
		query = "#{query}"
	}
	host := "#{host}"
	if protocol, after, found := strings.Cut(rest, "://"); found {
		switch protocol = strings.ToLower(protocol); protocol {
		case "http", "https":
			d.protocol = protocol
		case "#{protocol}":
		default:
			return d, errors.New(`has a protocol that is not http, https or #{protocol}`)
		}
		slash := strings.IndexByte(after+"/", '/')
		host, rest = after[:slash], after[slash:]
		host, d.port = cutPort(host)
	} else if strings.HasPrefix(rest, "//") || rest != "" && rest[0] != '/' {
		return d, errors.New(`is neither a whole URL (https://…) nor a path with a leading "/"`)
	}
	if rest == "" {
		rest = "/#{path}"
	}
	if !hasQuery && to == "" {
		return d, errors.New("is empty")
	}
	if err := checkPort(d.port); err != nil {
		return d, err
	}
	return d, d.compile(host, rest, query)
}

// compile makes the templates.
func (d *redirect) compile(host, path, query string) (err error) {
	if d.host, err = newTemplate(host, "host"); err != nil {
		return err
	}
	sample := keywords{host: "example.com"}
	if _, ok := exchange.NormalHostname(d.host.expand(&sample)); !ok || host == "" {
		return errors.New("has no valid host")
	}
	if d.path, err = newTemplate(path, "host", "path", "port"); err != nil {
		return err
	}
	if d.query, err = newTemplate(query, "protocol", "host", "port", "path", "query"); err != nil {
		return err
	}
	return checkURLText(d.path.literals() + d.query.literals() + d.fragment)
}

// cutFragment cuts to at the "#" that begins no keyword.
func cutFragment(to string) (before, fragment string) {
	for i := range len(to) {
		if to[i] == '#' && !strings.HasPrefix(to[i:], "#{") {
			return to[:i], to[i+1:]
		}
	}
	return to, ""
}

// cutPort cuts "host:port". The port is "" if there is none.
func cutPort(authority string) (host, port string) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority, ""
	}
	return authority[:colon], authority[colon+1:]
}

func checkPort(port string) error {
	if port == "" || port == portKeyword {
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return errors.New("has a port that is not 1 to 65535 or #{port}")
	}
	return nil
}

// changesNothing reports whether d, as a rule of h, leads back to every request that gets it.
func (d *redirect) changesNothing(h *Host) bool {
	sameProtocol := d.protocol == "" || d.protocol == "https" && !h.Plain
	sameHost := d.host.is("#{host}") || strings.EqualFold(d.host.String(), bracketed(h.Name))
	samePort := d.port == portKeyword || d.port == "" || d.port == strconv.Itoa(d.publicPort) && !h.Plain
	return sameProtocol && sameHost && samePort && d.path.is("/#{path}")
}
