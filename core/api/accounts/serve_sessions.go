package accounts

import (
	"errors"
	"net/http"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/store"
)

// Answers about sessions have the status of Strapi's refresh mode (its package plugin-users-permissions 5.54).
var (
	errNoRenewal  = &problem.Error{Status: http.StatusBadRequest, Name: "BadRequestError", Message: "Missing refresh token", Details: problem.None{}}
	errRenewal    = problem.Unauthorized("Invalid refresh token")
	errNobody     = problem.Unauthorized("Missing authentication")
	errNoSession  = &problem.Error{Status: http.StatusNotFound, Name: "NotFoundError", Message: "Session not found", Details: problem.None{}}
	errNotAsUsers = problem.Unauthorized("Unauthorized")
)

// renewing is an error when the configuration says that sessions are not renewed.
func (r *request) renewing() error {
	if !r.config.Sessions.Refresh {
		return problem.NotFound()
	}
	return nil
}

// refresh answers POST /auth/refresh.
func (r *request) refresh() (err error) {
	if err := r.renewing(); err != nil {
		return err
	}
	if err := r.allowed("auth", "refresh"); err != nil {
		return err
	}
	if r.body, err = wire.Body(r.ResponseWriter, r.Request.Request, 0); err != nil {
		return err
	}
	token := r.renewal()
	if token == "" {
		return errNoRenewal
	}
	g, err := r.renew(r.Context(), token)
	if errors.Is(err, errToken) {
		return errRenewal
	}
	if err != nil {
		return err
	}
	return r.grantTo(g, nil)
}

// renewal is the token that the client has to renew its session: of the cookie, or of the body.
func (r *request) renewal() string {
	if c, err := r.Cookie(refreshCookie); err == nil && c.Value != "" && len(c.Value) <= maxToken {
		r.byCookie = true
		return c.Value
	}
	token, _ := r.body["refreshToken"].(string)
	if len(token) > maxToken {
		return ""
	}
	return token
}

// logout answers POST /auth/logout: it ends this session, those of a device, or all. Strapi has it only with refresh; here there is a session to end without, too.
func (r *request) logout() (err error) {
	if err := r.allowed("auth", "logout"); err != nil {
		return err
	}
	if r.caller.User == nil {
		return errNobody
	}
	if r.body, err = wire.Body(r.ResponseWriter, r.Request.Request, 0); err != nil {
		return err
	}
	user := store.Eq("user", r.caller.User.ID())
	which := store.And{user, store.ID(r.caller.Session)}
	if device, _ := r.body["deviceId"].(string); device != "" {
		which = store.And{user, store.Eq("device", cut(device))}
	}
	if scope, _ := r.body["scope"].(string); scope == "all" {
		which = store.And{user}
	}
	if _, err := r.Store.Apply(r.Context(), store.Delete{Collection: sessions, Filter: which}); err != nil {
		return err
	}
	if _, err := r.Cookie(refreshCookie); err == nil || r.wantsCookie() {
		http.SetCookie(r.ResponseWriter, r.cookie("", -1))
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, done{true})
	return nil
}

// shownSession is a session as its user sees it.
type shownSession struct {
	ID         string    `json:"id"`
	DeviceID   string    `json:"deviceId,omitempty"`
	DeviceName string    `json:"deviceName,omitempty"`
	Current    bool      `json:"current"`
	LoginAt    time.Time `json:"loginAt"`
	LastActive time.Time `json:"lastActiveAt"`
}

// listSessions answers GET /auth/sessions: the session that asks comes first.
func (r *request) listSessions() error {
	if err := r.renewing(); err != nil {
		return err
	}
	if err := r.allowed("auth", "logout"); err != nil {
		return err
	}
	if r.caller.User == nil {
		return errNobody
	}
	docs, err := r.listed(r.Context(), r.caller.User.ID())
	if err != nil {
		return err
	}
	all := make([]shownSession, 0, len(docs))
	for _, d := range docs {
		s := shownSession{d.ID(), d.String("device"), d.String("agent"), d.ID() == r.caller.Session, d.Time("begun"), d.Time("used")}
		if all = append(all, s); s.Current {
			copy(all[1:], all[:len(all)-1])
			all[0] = s
		}
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, map[string]any{"data": all})
	return nil
}

// endSession answers DELETE /auth/sessions/ID.
func (r *request) endSession() error {
	if err := r.renewing(); err != nil {
		return err
	}
	if err := r.allowed("auth", "logout"); err != nil {
		return err
	}
	if r.caller.User == nil {
		return errNobody
	}
	ended, err := r.endOne(r.Context(), r.caller.User.ID(), r.Param("id"))
	if err != nil {
		return err
	}
	if !ended {
		return errNoSession
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, map[string]any{"data": struct{}{}})
	return nil
}
