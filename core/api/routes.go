package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/uptrace/bunrouter"
)

// Routes are the ways to handlers, below the prefix. A handler that returns an error has written nothing.
type routes struct {
	router  *bunrouter.Router
	methods map[string][]string // by route, what Allow says
	types   map[string]bool     // the first segments of content types' paths
}

// known are the methods that there are.
var known = [...]string{http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Handle adds a way.
func (r *routes) Handle(method, path string, h bunrouter.HandlerFunc) {
	r.router.Handle(method, path, h)
	r.methods[path] = append(r.methods[path], method)
}

// read adds the way of GET, and of HEAD.
func (r *routes) read(path string, h bunrouter.HandlerFunc) {
	r.Handle(http.MethodHead, path, h)
	r.Handle(http.MethodGet, path, h)
}

// allow are the methods of a route.
func (r *routes) allow(route string) string { return strings.Join(r.methods[route], ", ") }

// identified are routes whose handlers want to know who asks.
type identified struct {
	*routes
	service *service
}

func (i identified) Handle(method, path string, h bunrouter.HandlerFunc) {
	i.routes.Handle(method, path, i.service.known(h))
}

func (s *service) newRoutes() *routes {
	r := &routes{methods: map[string][]string{}, types: map[string]bool{}}
	r.router = bunrouter.New(
		bunrouter.WithNotFoundHandler(func(w http.ResponseWriter, q bunrouter.Request) error {
			if q.Method == http.MethodGet || q.Method == http.MethodHead {
				return problem.NotFound()
			}
			return refuseMethod(w, q.Method, "HEAD, GET")
		}),
		bunrouter.WithMethodNotAllowedHandler(func(w http.ResponseWriter, q bunrouter.Request) error {
			return refuseMethod(w, q.Method, r.allow(q.Route()))
		}))
	for _, t := range s.set.Types() {
		if t.Builtin {
			continue
		}
		path := "/" + pathOf(t)
		r.types[pathOf(t)] = true
		if t.Single {
			r.read(path, s.single(t))
			r.Handle(http.MethodPut, path, s.put(t))
			r.Handle(http.MethodDelete, path, s.deleteSingle(t))
		} else {
			r.read(path, s.find(t))
			r.Handle(http.MethodPost, path, s.create(t))
			r.read(path+"/:documentId", s.findOne(t))
			r.Handle(http.MethodPut, path+"/:documentId", s.update(t))
			r.Handle(http.MethodDelete, path+"/:documentId", s.delete(t))
		}
		r.Handle(http.MethodGet, "/realtime"+path, s.watch(t))
	}
	s.fileRoutes(r)
	s.Accounts.Routes(identified{r, s}, callerOf)
	for _, methods := range r.methods { // as they are shown
		slices.SortFunc(methods, func(a, b string) int { return slices.Index(known[:], a) - slices.Index(known[:], b) })
	}
	return r
}

func pathOf(t *schema.Type) string {
	if t.Single {
		return t.Name
	}
	return t.Plural
}

// refuseMethod answers as koa does: 405, and 501 to what is no method at all.
func refuseMethod(w http.ResponseWriter, method, allow string) error {
	status := http.StatusMethodNotAllowed
	if !slices.Contains(known[:], method) {
		status = http.StatusNotImplemented
	}
	h := w.Header()
	h.Set("Allow", allow)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(http.StatusText(status)))
	return nil
}

// serve answers one request.
func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	origins(s.config.Origins).mark(h, r.Header.Get("Origin"))
	if err := s.dispatch(w, r); err != nil {
		wire.Error(w, r, s.Log, err)
	}
}

func (s *service) dispatch(w http.ResponseWriter, r *http.Request) error {
	path, err := decoded(r.URL)
	if err != nil {
		return err
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if path == "/_health" && reads {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return nil
	}
	if name, ok := strings.CutPrefix(path, "/uploads/"); ok && reads {
		return s.uploads.ServeFile(w, r, name)
	}
	below, ok := s.below(path)
	if !ok {
		below = "/" // where nothing is
	}
	u, q := *r.URL, *r
	u.Path, u.RawPath = below, ""
	q.URL = &u
	return s.routes.router.ServeHTTPError(w, &q)
}

// decoded is the path of a request, which names one thing in one way: no redirect ever leads from one to the other.
func decoded(u *url.URL) (string, error) {
	path := u.Path
	if u.RawPath != "" {
		var err error
		if path, err = url.PathUnescape(u.RawPath); err != nil {
			return "", &problem.Error{Status: http.StatusBadRequest, Name: "BadRequestError", Message: "failed to decode"}
		}
	}
	if strings.ContainsRune(path, 0) {
		return "", &problem.Error{Status: http.StatusBadRequest, Name: "BadRequestError", Message: "Malicious Path"}
	}
	return path, nil
}

// below is the part of a path that comes after the prefix, as routes are written: in lower case, but for what a client has made up, and without a slash at its end.
func (s *service) below(path string) (string, bool) {
	prefix := strings.TrimSuffix(s.config.Prefix, "/")
	if len(path) <= len(prefix) || path[len(prefix)] != '/' || !strings.EqualFold(path[:len(prefix)], prefix) {
		return "", false
	}
	path = strings.TrimSuffix(path[len(prefix):], "/")
	if strings.HasSuffix(path, "/") || path == "" || bunrouter.CleanPath(path) != path { // the router would redirect
		return "", false
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if lower := strings.ToLower(first); s.routes.types[lower] {
		return "/" + lower + path[1+len(first):], true
	}
	return strings.ToLower(path), true
}

// A caller is who asks, and what he may.
type caller struct {
	access.Caller
	rights *access.Rights
}

func (s *service) caller(r *http.Request) (caller, error) {
	c, err := s.authenticate(r)
	if err != nil {
		return caller{}, err
	}
	return caller{c, s.policy.For(c)}, nil
}

type callerKey struct{}

// known finds out who asks before a handler does anything, and tells it by callerOf.
func (s *service) known(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.authenticate(r.Request)
		if err != nil {
			return err
		}
		return next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	}
}

func callerOf(r *http.Request) access.Caller {
	c, _ := r.Context().Value(callerKey{}).(access.Caller)
	return c
}

// may finds out who asks, and refuses who may not do that.
func (s *service) may(r *http.Request, t *schema.Type, a access.Action) (caller, error) {
	c, err := s.caller(r)
	if err == nil && !c.rights.May(t, a) {
		err = problem.Forbidden()
	}
	return c, err
}
