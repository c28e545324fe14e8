package api

import (
	"net/http"
	"slices"
	"strings"
)

const (
	corsMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
	corsExposed = "ETag, Retry-After, X-Request-Id"
	corsAge     = "7200"  // seconds that a browser remembers a preflight: few do so for longer than two hours
	maxAsked    = 1 << 10 // bytes of a list of names of fields
)

// Origins are the pages whose scripts may read answers (WHATWG Fetch, CORS protocol).
type origins []string

// anybody reports whether the pages of all hosts may; cookies do not count then.
func (o origins) anybody() bool { return len(o) == 0 || slices.Contains(o, "*") }

func (o origins) have(origin string) bool {
	return slices.ContainsFunc(o, func(pattern string) bool {
		scheme, domain, wild := strings.Cut(pattern, "*")
		if !wild {
			return strings.EqualFold(origin, pattern)
		}
		origin := strings.ToLower(origin)
		below, ok := strings.CutPrefix(origin, strings.ToLower(scheme))
		return ok && strings.HasSuffix(below, strings.ToLower(domain)) && len(below) > len(domain)
	})
}

// mark tells a browser whether the page that asks may read the answer.
func (o origins) mark(h http.Header, origin string) {
	if o.anybody() {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return
	}
	h.Set("Vary", "Origin")
	if origin != "" && o.have(origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", corsExposed)
	}
}

// preflight answers OPTIONS, after mark. What fields a page may send is not restricted: they mean nothing but what they mean here.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Allow", corsMethods)
	} else if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Max-Age", corsAge)
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) <= maxAsked && !strings.ContainsFunc(asked, notOfNames) {
			h.Set("Access-Control-Allow-Headers", asked)
			addVary(h, "Access-Control-Request-Headers")
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// notOfNames reports whether a character can't stand in a list of names of fields.
func notOfNames(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_., ", r)
}
