package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/store"
)

// timeout bounds a request: one that checks a password may have to wait for its turn.
const timeout = 15 * time.Second

// A Router takes routes: a [bunrouter.Group], or what also notes them.
type Router interface {
	Handle(method, path string, handler bunrouter.HandlerFunc)
}

// Routes adds the paths of accounts to a group. caller returns what Authenticate did of a request; errors of handlers are to be answered by wire.Error.
func (a *Accounts) Routes(g Router, caller func(*http.Request) access.Caller) {
	serve := func(method, path string, handle func(*request) error) {
		g.Handle(method, path, func(w http.ResponseWriter, r bunrouter.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			return handle(a.request(w, r.WithContext(ctx), caller(r.Request)))
		})
	}
	for path, handle := range map[string]func(*request) error{
		"/auth/local":                   (*request).login,
		"/auth/local/register":          (*request).register,
		"/auth/forgot-password":         (*request).forgot,
		"/auth/reset-password":          (*request).reset,
		"/auth/change-password":         (*request).change,
		"/auth/send-email-confirmation": (*request).sendConfirmation,
		"/auth/refresh":                 (*request).refresh,
		"/auth/logout":                  (*request).logout,
		"/users":                        (*request).createUser,
		"/users-permissions/roles":      (*request).refuseRoles,
	} {
		serve(http.MethodPost, path, handle)
	}
	for path, handle := range map[string]func(*request) error{
		"/auth/email-confirmation":       (*request).confirm,
		"/auth/:provider/callback":       (*request).provider,
		"/connect/*provider":             (*request).provider,
		"/auth/sessions":                 (*request).listSessions,
		"/users":                         (*request).listUsers,
		"/users/count":                   (*request).countUsers,
		"/users/me":                      (*request).me,
		"/users/:id":                     (*request).getUser,
		"/users-permissions/roles":       (*request).listRoles,
		"/users-permissions/roles/:id":   (*request).getRole,
		"/users-permissions/permissions": (*request).permissions,
	} {
		serve(http.MethodGet, path, handle)
		if path != "/auth/email-confirmation" { // which does something
			serve(http.MethodHead, path, handle)
		}
	}
	serve(http.MethodPut, "/users/me", (*request).updateMe)
	serve(http.MethodPut, "/users/:id", (*request).updateUser)
	serve(http.MethodDelete, "/users/:id", (*request).deleteUser)
	serve(http.MethodDelete, "/auth/sessions/:id", (*request).endSession)
	serve(http.MethodPut, "/users-permissions/roles/:id", (*request).refuseRoles)
	serve(http.MethodDelete, "/users-permissions/roles/:id", (*request).refuseRoles)
}

// A request is one request, and what is known of who sends it. It sees the same rules from its beginning to its end.
type request struct {
	*Accounts
	*rules
	http.ResponseWriter
	bunrouter.Request

	caller access.Caller
	rights *access.Rights
	body   map[string]any

	byCookie bool // a session is renewed by the cookie
}

func (a *Accounts) request(w http.ResponseWriter, r bunrouter.Request, c access.Caller) *request {
	u := a.rules.Load()
	return &request{Accounts: a, rules: u, ResponseWriter: w, Request: r, caller: c, rights: u.policy.For(c)}
}

// allowed is an error unless the caller may do that with accounts.
func (r *request) allowed(controller, action string) error {
	if !r.rights.Allows(controller, action) {
		return problem.Forbidden()
	}
	return nil
}

// limited reads the body, and counts the request: about the account that a field names, or about who sends it.
func (r *request) limited(action, identifier string) (err error) {
	if err = r.allowed("auth", action); err != nil {
		return err
	}
	if r.body, err = wire.Body(r.ResponseWriter, r.Request.Request, 0); err != nil {
		return err
	}
	about, _ := r.body[identifier].(string)
	if r.caller.User != nil {
		about = r.caller.User.ID()
	}
	address, _ := netip.ParseAddr(r.caller.Address) // of nobody in particular, if it is none
	left, wait := r.limits.take(r.Route(), strings.ToLower(about), address, r.now())
	h := r.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(perBoth))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	if wait > 0 {
		return problem.TooMany(wait)
	}
	return nil
}

// Header is the answer's.
func (r *request) Header() http.Header { return r.ResponseWriter.Header() }

func (r *request) checker() *checker { return &checker{body: r.body} }

// by is who changes entries in the course of this request.
func (r *request) by(scope access.Scope) entries.Change {
	return entries.Change{Scope: scope, By: r.caller}
}

// secure reports whether the request came over TLS.
func (r *request) secure() bool {
	return r.TLS != nil || r.Request.Header.Get("X-Forwarded-Proto") == "https"
}

// base is where the api is seen. The host is one that the configuration names, or the rules would not have led here.
func (r *request) base() string {
	scheme := "http://"
	if r.secure() {
		scheme = "https://"
	}
	return scheme + r.Host + r.config.Prefix
}

// entry is a user's row as it is shown.
func (r *request) entry(row store.Document) json.RawMessage {
	return wire.AppendEntry(nil, &entries.Entry{Type: r.user, Row: row}, wire.Flat)
}

// isMissing reports whether nothing was found.
func isMissing(err error) bool {
	p, ok := errors.AsType[*problem.Error](err)
	return ok && p.Status == http.StatusNotFound
}

func (r *request) none() error {
	r.WriteHeader(http.StatusNoContent)
	return nil
}
