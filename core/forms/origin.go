package forms

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// origins are the pages that may send a form. None means that all may.
type origins struct {
	all      bool
	exact    map[string]bool
	patterns [][2]string // around the "*" of https://*.example.com
}

func newOrigins(list []string) origins {
	o := origins{all: len(list) == 0, exact: make(map[string]bool)}
	for _, origin := range list {
		origin = strings.ToLower(origin)
		switch before, after, star := strings.Cut(origin, "*"); {
		case origin == "*":
			o.all = true
		case star:
			o.patterns = append(o.patterns, [2]string{before, after})
		default:
			o.exact[origin] = true
		}
	}
	return o
}

func (o *origins) has(origin string) bool {
	if o.all || o.exact[origin] {
		return true
	}
	for _, p := range o.patterns {
		label, ok := strings.CutPrefix(origin, p[0])
		if label, ok = cutSuffix(label, p[1], ok); ok && label != "" && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" {
			return true
		}
	}
	return false
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	s, has := strings.CutSuffix(s, suffix)
	return s, ok && has
}

// A provenance is where a request says that it comes from.
type provenance int

const (
	allowed provenance = iota // a page that may send the form
	unsaid                    // neither Origin nor Referer: programs, and browsers that hide it
	own                       // the host of the form itself, which is not among the origins
	foreign                   // another page
)

// from says where a request comes from: its Origin, or without one its Referer. "null", which pages without an origin send, is foreign.
//
// The form's own host needs no mention where all may send. Where origins are named it has to be among them like any other; but edge's own
// pages (the form again, the one button) stand there, and are known by the token that they carry.
func (o *origins) from(r *http.Request) provenance {
	if o.all {
		return allowed
	}
	origin := r.Header.Get("Origin")
	if len(r.Header["Origin"]) > 1 {
		return foreign
	}
	if origin == "" {
		referer := r.Header.Get("Referer")
		if referer == "" {
			return unsaid
		}
		var whole bool
		if origin, whole = originOf(referer); !whole {
			return foreign
		}
	}
	origin = strings.ToLower(origin)
	switch {
	case o.has(origin):
		return allowed
	case isOwn(r, origin):
		return own
	}
	return foreign
}

func originOf(page string) (string, bool) {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}

// isOwn reports whether origin is the host that r asks. Without TLS here there may be some before it.
func isOwn(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, r.Host) && (scheme == "https" || scheme == "http" && r.TLS == nil)
}

// mark lets scripts of a page that may send the form read the answer. Credentials are never asked for.
func (o *origins) mark(h http.Header, origin string) bool {
	if o.all {
		h["Access-Control-Allow-Origin"] = []string{"*"}
	} else {
		h.Add("Vary", "Origin")
		if origin == "" || !o.has(strings.ToLower(origin)) {
			return false
		}
		h["Access-Control-Allow-Origin"] = []string{origin}
	}
	h["Access-Control-Expose-Headers"] = []string{"Retry-After, X-Request-Id"}
	return true
}

// preflight answers OPTIONS as API Gateway's HTTP APIs do: 204, and for a page that may not send the form nothing that would let it.
func (o *origins) preflight(w http.ResponseWriter, r *http.Request, allow string) {
	h := w.Header()
	marked := o.mark(h, r.Header.Get("Origin"))
	if r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Allow", allow)
	} else if marked {
		h.Del("Access-Control-Expose-Headers")
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		h.Set("Access-Control-Allow-Headers", "content-type, idempotency-key, x-request-id")
		h.Set("Access-Control-Max-Age", "7200") // what Chrome believes at most
	}
	w.WriteHeader(http.StatusNoContent)
}

// checkOrigin says what is wrong with an origin of the configuration.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	plain := strings.Replace(origin, "://*.", "://x.", 1)
	u, err := url.Parse(plain)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Contains(plain, "*"):
		return errors.New(`is not an origin; write https://app.example.com, https://*.example.com or "*"`)
	case !strings.EqualFold(u.Scheme+"://"+u.Host, plain):
		return errors.New("is more than an origin; leave out what follows the host and port, even a slash")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return errors.New("names the default port, which browsers leave out; leave it out")
	}
	return nil
}

// hostnames are the hosts of origins, for who judges a captcha's.
func hostnames(list []string) (hosts []string) {
	for _, origin := range list {
		if origin == "*" {
			return nil
		}
		if u, err := url.Parse(strings.Replace(origin, "*.", "x.", 1)); err == nil {
			host := u.Hostname()
			if strings.Contains(origin, "*.") {
				host = "*." + strings.TrimPrefix(host, "x.")
			}
			hosts = append(hosts, host)
		}
	}
	return hosts
}
