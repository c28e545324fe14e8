package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// redirect answers with another place, as ALB does (API reference, RedirectActionConfig): a URL is protocol, host, port, path
// and query; what To leaves out keeps its value; #{protocol} #{host} #{port} #{path} #{query} are the request's,
// #{path} without its leading slash. The result is always a whole URL, so no path can be taken for another host.
//
// A port that To leaves out is the one that visitors reach this server by if the host is one of ours, else the
// protocol's own. #{path} and #{query} are as the visitor sent them.
type redirect struct {
	status     int
	protocol   string // "http", "https", or "" for the request's
	host       template
	port       string // digits, portKeyword, or "" for the one that was left out
	path       template
	query      template
	fragment   string
	ours       bool // the host is one of this server's
	publicPort int
}

const portKeyword = "#{port}"

// maxLocation bounds a Location in bytes, as ALB does (CloudWatch metrics, HTTP_Redirect_Url_Limit_Exceeded_Count).
const maxLocation = 8 << 10

func (d *redirect) ServeExchange(x *exchange.Exchange) {
	u := d.location(&x.Request)
	switch {
	case u.host == "": // HTTP/1.0 without Host, and a redirect to #{host}
		reply.Error(x, 400, "no_host")
	case u.scheme == "http" && x.Scheme == "https":
		reply.Error(x, 500, "redirect_downgrade")
	case u.isOf(&x.Request, d.publicPort):
		reply.Error(x, 500, "redirect_loop")
	default:
		to := u.String()
		if len(to) > maxLocation {
			reply.Error(x, 500, "redirect_too_long")
			return
		}
		reply.Redirect(x, to, d.status)
	}
}

// location returns where r is sent.
func (d *redirect) location(r *exchange.Request) location {
	u := location{scheme: d.protocol, fragment: d.fragment}
	if u.scheme == "" {
		u.scheme = r.Scheme
	}
	values := keywords{protocol: r.Scheme, host: bracketed(r.Hostname), port: strconv.Itoa(ownPort(r.Scheme, d.publicPort, r)), path: redirectPath(r)[1:], query: r.RawQuery}
	u.host = d.host.expand(&values)
	u.path = d.path.expand(&values)
	u.query = d.query.expand(&values)
	switch {
	case d.port == portKeyword:
		u.port = ownPort(r.Scheme, d.publicPort, r)
	case d.port != "":
		u.port, _ = strconv.Atoi(d.port) // newRedirect saw to it
	case d.ours:
		u.port = ownPort(u.scheme, d.publicPort, r)
	default:
		u.port = defaultPort(u.scheme)
	}
	return u
}

// redirectPath is the path that a redirect starts from: "OPTIONS *" has none.
func redirectPath(r *exchange.Request) string {
	if !strings.HasPrefix(r.RawPath, "/") {
		return "/"
	}
	return r.RawPath
}

// ownPort is the port by which visitors reach this server: the public one for https, the listener's for http.
func ownPort(scheme string, publicPort int, r *exchange.Request) int {
	switch {
	case scheme == "https" && publicPort != 0:
		return publicPort
	case scheme == "http" && r.Scheme == "http" && r.Local.Port() != 0:
		return int(r.Local.Port())
	}
	return defaultPort(scheme)
}

func defaultPort(scheme string) int {
	if scheme == "http" {
		return 80
	}
	return 443
}

func bracketed(hostname string) string {
	if strings.Contains(hostname, ":") {
		return "[" + hostname + "]"
	}
	return hostname
}

// A location is a URL in parts.
type location struct {
	scheme, host          string // host with brackets if it is an IPv6 address
	port                  int
	path, query, fragment string
}

func (u *location) String() string {
	b := make([]byte, 0, 256)
	b = append(b, u.scheme...)
	b = append(b, "://"...)
	b = append(b, u.host...)
	if u.port != defaultPort(u.scheme) {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(u.port), 10)
	}
	b = append(b, u.path...)
	if u.query != "" {
		b = append(b, '?')
		b = append(b, u.query...)
	}
	if u.fragment != "" {
		b = append(b, '#')
		b = append(b, u.fragment...)
	}
	return string(b)
}

// isOf reports whether u is the URL of r itself.
func (u *location) isOf(r *exchange.Request, publicPort int) bool {
	return u.scheme == r.Scheme && strings.EqualFold(u.host, bracketed(r.Hostname)) && u.port == ownPort(r.Scheme, publicPort, r) &&
		u.path == redirectPath(r) && u.query == r.RawQuery
}

// A template is text with ALB's keywords in it.
type template []templatePart

type templatePart struct{ literal, keyword string }

// keywords are the request's values of the keywords.
type keywords struct{ protocol, host, port, path, query string }

var errKeyword = errors.New("has an unknown #{…}; there are #{protocol} #{host} #{port} #{path} #{query}")

func newTemplate(text string, allowed ...string) (template, error) {
	var t template
	for text != "" {
		before, after, found := strings.Cut(text, "#{")
		if before != "" {
			t = append(t, templatePart{literal: before})
		}
		if !found {
			break
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok || !isKeyword(name) {
			return nil, errKeyword
		}
		if !slices.Contains(allowed, name) {
			return nil, fmt.Errorf("has #{%s} where only %s may stand", name, orList(allowed))
		}
		t = append(t, templatePart{keyword: name})
		text = rest
	}
	return t, nil
}

func isKeyword(name string) bool {
	switch name {
	case "protocol", "host", "port", "path", "query":
		return true
	}
	return false
}

// is reports whether t is text and nothing else.
func (t template) is(text string) bool { return t.String() == text }

// String returns the text that t was made of.
func (t template) String() string {
	s := ""
	for _, p := range t {
		s += p.literal
		if p.keyword != "" {
			s += "#{" + p.keyword + "}"
		}
	}
	return s
}

// literals returns what t has besides keywords.
func (t template) literals() string {
	s := ""
	for _, p := range t {
		s += p.literal
	}
	return s
}

func (t template) expand(k *keywords) string {
	if len(t) == 1 && t[0].keyword == "" {
		return t[0].literal
	}
	b := make([]byte, 0, 128)
	for _, p := range t {
		switch p.keyword {
		case "protocol":
			b = append(b, k.protocol...)
		case "host":
			b = append(b, k.host...)
		case "port":
			b = append(b, k.port...)
		case "path":
			b = append(b, k.path...)
		case "query":
			b = append(b, k.query...)
		default:
			b = append(b, p.literal...)
		}
	}
	return string(b)
}
