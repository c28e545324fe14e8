package accounts

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Who sends a token that is not good learns one of these.
var (
	errCredentials = problem.Unauthorized("Missing or invalid credentials")
	errUser        = problem.Unauthorized("Invalid credentials") // the token is good, its user is not
)

// maxToken bounds what is looked at as a token, in bytes.
const maxToken = 4 << 10

// Authenticate finds out who sends a request. The error of a token that is not good is a [problem.Error] with 401; a request without a token
// is the public's.
func (a *Accounts) Authenticate(ctx context.Context, r *http.Request) (access.Caller, error) {
	c := access.Caller{Role: access.Public, RequestID: r.Header.Get("X-Request-Id"), Address: addressOf(r)}
	scheme, text, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	text = strings.TrimSpace(text)
	switch {
	case !strings.EqualFold(scheme, "Bearer") || text == "":
		return c, nil
	case len(text) > maxToken:
		return c, errCredentials
	case strings.Count(text, ".") == 2:
		return a.session(ctx, c, text)
	}
	var err error
	c.Token, err = a.token(ctx, text)
	return c, err
}

// session finds the user and the session of a JWT.
func (a *Accounts) session(ctx context.Context, c access.Caller, text string) (access.Caller, error) {
	said, err := a.accepted(ctx, text)
	if err != nil {
		return c, errCredentials
	}
	user, err := a.Store.Get(ctx, rows.Name(a.rules.Load().user), sessionUser(said.session))
	if fault.CodeOf(err) == fault.NotFound || err == nil && user.Int(rows.Number) != said.user {
		return c, errUser
	}
	if err != nil {
		return c, err
	}
	return a.caller(ctx, c, user, said.session)
}

// caller is a user whose session goes on.
func (a *Accounts) caller(ctx context.Context, c access.Caller, user store.Document, session string) (access.Caller, error) {
	if user.Bool("blocked") || a.rules.Load().config.Confirm && !user.Bool("confirmed") {
		return c, errUser
	}
	s, err := a.Store.Get(ctx, sessions, session)
	if fault.CodeOf(err) == fault.NotFound || err == nil && !a.now().Before(s.Time("until")) {
		return c, errCredentials
	}
	if err != nil {
		return c, err
	}
	if c.Role, err = a.roleOf(ctx, user); err != nil {
		return c, err
	}
	c.User, c.Session = user, session
	return c, nil
}

// Valid reports whether a caller that Authenticate returned still is: for what goes on for long after a request was let in.
func (a *Accounts) Valid(ctx context.Context, c access.Caller) bool {
	switch {
	case c.Token != nil:
		d, err := a.Store.Get(ctx, tokens, c.Token.ID)
		end := d.Time("expires")
		return err == nil && (end.IsZero() || a.now().Before(end))
	case c.User == nil:
		return true
	}
	user, err := a.Store.Get(ctx, rows.Name(a.rules.Load().user), c.User.String(rows.DocumentID))
	if err != nil {
		return false
	}
	now, err := a.caller(ctx, access.Caller{}, user, c.Session)
	return err == nil && now.Role == c.Role
}

// addressOf is the address of who sends a request.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
