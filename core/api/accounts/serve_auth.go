package accounts

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// refreshCookie has the token that renews a session, for clients that ask for a cookie.
const refreshCookie = "strapi_up_refresh"

// granted is the answer to who has logged in.
type granted struct {
	JWT     string          `json:"jwt,omitempty"`
	Renewal string          `json:"refreshToken,omitempty"`
	User    json.RawMessage `json:"user,omitempty"`
}

// grantTo answers with a session's tokens. user is nil when it is not told.
func (r *request) grantTo(g grant, user store.Document) error {
	answer := granted{JWT: g.access, Renewal: g.renewal}
	if user != nil {
		answer.User = r.entry(user)
	}
	if g.renewal != "" && r.wantsCookie() {
		answer.Renewal = ""
		http.SetCookie(r.ResponseWriter, r.cookie(g.renewal, int(g.until.Sub(r.now()).Seconds())))
	}
	r.Header().Set("Cache-Control", "no-store")
	wire.JSON(r.ResponseWriter, http.StatusOK, answer)
	return nil
}

// wantsCookie reports whether the client has asked for a cookie, or has one: what no script could read before, none reads afterwards.
func (r *request) wantsCookie() bool {
	return r.byCookie || r.Request.Header.Get("X-Strapi-Refresh-Cookie") == "httpOnly"
}

func (r *request) cookie(value string, seconds int) *http.Cookie {
	//nolint:gosec // a host that is tried out has no TLS, and its browser would keep no secure cookie
	return &http.Cookie{Name: refreshCookie, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: r.secure(), SameSite: http.SameSiteLaxMode}
}

// device is what the client says of what it runs on.
func (r *request) device() device {
	id, _ := r.body["deviceId"].(string)
	return device{id: cut(id), agent: cut(r.UserAgent()), address: r.caller.Address}
}

func cut(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxAgent)], "")
}

// login answers POST /auth/local. Who has logged in already may not, as in Strapi.
func (r *request) login() error {
	if r.caller.User != nil {
		return problem.Forbidden()
	}
	if err := r.limited("callback", "identifier"); err != nil {
		return err
	}
	c := r.checker()
	identifier, password := c.text("identifier"), c.text("password")
	if err := c.err(); err != nil {
		return err
	}
	user, g, err := r.Accounts.login(r.Context(), identifier, password, r.device())
	if err != nil {
		return err
	}
	return r.grantTo(g, user)
}

var errRegistration = problem.Application("Register action is currently disabled")

// register answers POST /auth/local/register.
func (r *request) register() error {
	if err := r.limited("register", "email"); err != nil {
		return err
	}
	if !r.config.Registration {
		return errRegistration
	}
	known := []string{"username", "password", "email"}
	if r.config.Sessions.Refresh {
		known = append(known, "deviceId")
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(r.body)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, cut(name))
		}
	}
	if len(unknown) > 0 {
		return problem.Validation("Invalid parameters: %s", strings.Join(unknown[:min(len(unknown), 20)], ", "))
	}
	c := r.checker()
	email, username, password := c.email(), c.text("username"), c.password()
	if err := c.err(); err != nil {
		return err
	}
	role, err := r.roleNamed(r.Context(), access.Authenticated)
	if err != nil {
		return err
	}
	data := map[string]any{"username": username, "email": email, "role": role, "confirmed": !r.config.Confirm}
	user, err := r.create(r.Context(), data, password, r.by(nil))
	if errors.Is(err, errTaken) {
		return problem.Application("Email or Username are already taken")
	}
	if err != nil {
		return err
	}
	if r.config.Confirm {
		if err := r.ask(r.Context(), confirm, email, r.base()); err != nil {
			return err
		}
		wire.JSON(r.ResponseWriter, http.StatusOK, granted{User: r.entry(user)})
		return nil
	}
	return r.enter(user)
}

// enter logs a user in whose password has just been set.
func (r *request) enter(user store.Document) error {
	kept, err := r.Store.Get(r.Context(), credentials, user.ID())
	if err != nil {
		return err
	}
	g, err := r.open(r.Context(), user, kept.String("hash"), r.device())
	if err != nil {
		return err
	}
	return r.grantTo(g, user)
}

// forgot answers POST /auth/forgot-password.
func (r *request) forgot() error {
	if err := r.limited("forgotPassword", "email"); err != nil {
		return err
	}
	c := r.checker()
	email := c.email()
	if err := c.err(); err != nil {
		return err
	}
	if err := r.ask(r.Context(), reset, email, r.base()); err != nil {
		return err
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, done{true})
	return nil
}

type done struct {
	OK bool `json:"ok"`
}

var errIncorrect = problem.Validation("Incorrect code provided")

// reset answers POST /auth/reset-password. Who has the code has read the mail: the address is confirmed.
func (r *request) reset() error {
	if err := r.limited("resetPassword", ""); err != nil {
		return err
	}
	c := r.checker()
	password, again, code := c.password(), c.text("passwordConfirmation"), c.text("code")
	if err := c.err(); err != nil {
		return err
	}
	if password != again {
		return problem.Validation("Passwords do not match")
	}
	user, use, err := r.owner(r.Context(), reset, code)
	if errors.Is(err, errCode) {
		return errIncorrect
	}
	if err != nil {
		return err
	}
	if user.Bool("blocked") {
		return errBlocked
	}
	err = r.setPassword(r.Context(), user.ID(), password, use)
	if fault.CodeOf(err) == fault.Conflict {
		return errIncorrect
	}
	if err != nil {
		return err
	}
	if user, err = r.confirmed(user); err != nil {
		return err
	}
	return r.enter(user)
}

// confirmed is the user after the address has been confirmed.
func (r *request) confirmed(user store.Document) (store.Document, error) {
	if user.Bool("confirmed") {
		return user, nil
	}
	by := r.by(nil)
	by.By.User = user
	if err := r.Entries.Update(r.Context(), r.user, user.ID(), map[string]any{"confirmed": true}, by); err != nil {
		return nil, err
	}
	return r.Store.Get(r.Context(), rows.Name(r.user), user.ID())
}

// change answers POST /auth/change-password.
func (r *request) change() error {
	if err := r.limited("changePassword", ""); err != nil {
		return err
	}
	if r.caller.User == nil {
		return problem.Application("You must be authenticated to reset your password")
	}
	c := r.checker()
	password, again, current := c.password(), c.text("passwordConfirmation"), c.text("currentPassword")
	if again != "" && again != password {
		c.fail("passwordConfirmation", "Passwords do not match", again)
	}
	if err := c.err(); err != nil {
		return err
	}
	ok, _, _, err := r.check(r.Context(), r.caller.User, current)
	switch {
	case err != nil:
		return err
	case !ok:
		return problem.Validation("The provided current password is invalid")
	case current == password:
		return problem.Validation("Your new password must be different than your current password")
	}
	if err := r.setPassword(r.Context(), r.caller.User.ID(), password); err != nil {
		return err
	}
	return r.enter(r.caller.User)
}

// confirm answers GET /auth/email-confirmation.
func (r *request) confirm() error {
	if err := r.allowed("auth", "emailConfirmation"); err != nil {
		return err
	}
	c := &checker{body: map[string]any{}}
	if all, ok := r.URL.Query()["confirmation"]; ok {
		c.body["confirmation"] = all[0]
	}
	code := c.text("confirmation")
	if err := c.err(); err != nil {
		return err
	}
	user, use, err := r.owner(r.Context(), confirm, code)
	if errors.Is(err, errCode) {
		return problem.Validation("Invalid token")
	}
	if err != nil {
		return err
	}
	if _, err := r.confirmed(user); err != nil {
		return err
	}
	if _, err := r.Store.Apply(r.Context(), use); err != nil && fault.CodeOf(err) != fault.Conflict {
		return err
	}
	if page := r.config.Pages.Confirmed; page != "" {
		http.Redirect(r.ResponseWriter, r.Request.Request, page, http.StatusFound)
		return nil
	}
	r.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = r.Write([]byte("Your address is confirmed. You can log in now.\n"))
	return nil
}

// sendConfirmation answers POST /auth/send-email-confirmation. Strapi tells of an address that it is confirmed already, or blocked: we don't.
func (r *request) sendConfirmation() error {
	if err := r.limited("sendEmailConfirmation", "email"); err != nil {
		return err
	}
	c := r.checker()
	email := c.email()
	if err := c.err(); err != nil {
		return err
	}
	if err := r.ask(r.Context(), confirm, email, r.base()); err != nil {
		return err
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, struct {
		Email string `json:"email"`
		Sent  bool   `json:"sent"`
	}{email, true})
	return nil
}

// provider answers for other ways to log in, of which there is none.
func (r *request) provider() error {
	if err := r.allowed("auth", "callback"); err != nil {
		return err
	}
	return problem.Application("This provider is disabled")
}
