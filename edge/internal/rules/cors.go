package rules

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// cors answers preflights and marks answers (WHATWG Fetch, "CORS protocol") as API Gateway's HTTP APIs do
// ("Configure CORS for HTTP APIs"): a preflight never reaches the action, the target's own CORS fields are replaced,
// and an origin that is not allowed is answered as any other visitor, but without the fields that let a script read it.
//
// OPTIONS without Origin and Access-Control-Request-Method is no preflight and goes to the action.
type cors struct {
	anyOrigin   *corsMark // "*"
	origins     map[string]*corsMark
	patterns    []originPattern
	refused     *corsMark // for origins that are not allowed, and requests without one
	credentials bool
	expose      string
	preflight   exchange.Fields // what a preflight is told besides its origin
}

// An originPattern is an origin with "*" for its first label.
type originPattern struct{ before, after string }

func newCORS(c *config.CORS) *cors {
	s := &cors{origins: map[string]*corsMark{}, credentials: c.Credentials, expose: strings.Join(c.Expose, ", ")}
	s.refused = &corsMark{cors: s}
	for _, origin := range c.Origins {
		origin = strings.ToLower(origin)
		before, after, isPattern := strings.Cut(origin, "*")
		switch {
		case origin == "*":
			s.anyOrigin = &corsMark{cors: s, origin: origin}
		case isPattern:
			s.patterns = append(s.patterns, originPattern{before, after})
		default:
			s.origins[origin] = &corsMark{cors: s, origin: origin}
		}
	}
	if len(c.Methods) > 0 {
		s.preflight.Add("Access-Control-Allow-Methods", strings.Join(c.Methods, ", "))
	}
	if len(c.Headers) > 0 {
		s.preflight.Add("Access-Control-Allow-Headers", strings.Join(c.Headers, ", "))
	}
	if c.MaxAge > 0 {
		s.preflight.Add("Access-Control-Max-Age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	return s
}

// answerPreflight answers a preflight; the mark that x has says what is allowed.
func answerPreflight(x *exchange.Exchange) {
	x.Response.Status, x.Response.Length = 204, 0
	_ = x.SendHead() // a visitor who is gone is the front's to notice
}

// mark returns the hook that marks answers for an origin. It is asked for before anything changes the request's fields.
func (c *cors) mark(origin string) *corsMark {
	if c.anyOrigin != nil {
		return c.anyOrigin
	}
	if origin == "" {
		return c.refused
	}
	if m := c.origins[origin]; m != nil {
		return m
	}
	for _, p := range c.patterns {
		if p.matches(origin) {
			return &corsMark{cors: c, origin: origin}
		}
	}
	return c.refused
}

func (p originPattern) matches(origin string) bool {
	if len(origin) <= len(p.before)+len(p.after) || !strings.HasPrefix(origin, p.before) || !strings.HasSuffix(origin, p.after) {
		return false
	}
	for label, i := origin[len(p.before):len(origin)-len(p.after)], 0; i < len(label); i++ {
		if c := label[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// A corsMark puts the CORS fields for one origin into an answer; none for "".
type corsMark struct {
	cors   *cors
	origin string
}

func (m *corsMark) BeforeHead(x *exchange.Exchange) {
	f := &x.Response.Fields
	f.DelFunc(func(field exchange.Field) bool { return isCORS(field.Name) })
	if m.cors.anyOrigin == nil && !f.HasToken("Vary", "Origin") && !f.HasToken("Vary", "*") {
		f.Add("Vary", "Origin")
	}
	if m.origin == "" {
		return
	}
	f.Add("Access-Control-Allow-Origin", m.origin)
	if m.cors.credentials {
		f.Add("Access-Control-Allow-Credentials", "true")
	}
	if isPreflight(&x.Request) {
		*f = append(*f, m.cors.preflight...)
	} else if m.cors.expose != "" {
		f.Add("Access-Control-Expose-Headers", m.cors.expose)
	}
}

func isCORS(name string) bool {
	const prefix = "Access-Control-"
	return len(name) > len(prefix) && exchange.EqualName(name[:len(prefix)], prefix)
}

// isPreflight reports whether r is a CORS-preflight request (WHATWG Fetch).
func isPreflight(r *exchange.Request) bool {
	return r.Method == "OPTIONS" && r.Fields.Has("Origin") && r.Fields.Has("Access-Control-Request-Method")
}

func requestedMethod(r *exchange.Request) string {
	return r.Fields.Get("Access-Control-Request-Method")
}

// checkOrigin says what is wrong with an origin of the configuration.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	stars := strings.Count(origin, "*")
	if stars > 1 || stars == 1 && !strings.Contains(origin, "://*.") {
		return errors.New(`may have "*" only for the first label, as in https://*.example.com`)
	}
	u, err := url.Parse(strings.Replace(origin, "*", "x", 1))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New(`is not an origin; write https://app.example.com, https://*.example.com or "*"`)
	}
	if u.Scheme+"://"+u.Host != strings.Replace(strings.ToLower(origin), "*", "x", 1) && u.Scheme+"://"+u.Host != strings.Replace(origin, "*", "x", 1) {
		return errors.New("is more than an origin; leave out what follows the host and port, even a slash")
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return errors.New("names the default port, which browsers leave out; leave it out")
	}
	return nil
}
