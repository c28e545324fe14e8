package accounts

import (
	"errors"
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/store"
)

// may is an error unless the caller may do that with users.
func (r *request) may(a access.Action) error {
	if !r.rights.May(r.user, a) {
		return problem.Forbidden()
	}
	return nil
}

// query reads what the request asks for of users.
func (r *request) query(one bool) (*query.Query, error) {
	return query.Parse(r.URL.RawQuery, r.user, query.Options{
		Set: r.set, May: r.rights, PageSize: r.config.PageSize, MaxPageSize: r.config.MaxPageSize, One: one, Bare: !one,
	})
}

// listUsers answers GET /users.
func (r *request) listUsers() error {
	if err := r.may(access.Find); err != nil {
		return err
	}
	q, err := r.query(false)
	if err != nil {
		return err
	}
	found, err := r.Entries.Find(r.Context(), r.user, q, r.rights)
	if err != nil {
		return err
	}
	wire.BareList(r.ResponseWriter, found.Entries)
	return nil
}

// countUsers answers GET /users/count.
func (r *request) countUsers() error {
	if err := r.may(access.Count); err != nil {
		return err
	}
	q, err := r.query(false)
	if err != nil {
		return err
	}
	n, err := r.Entries.Count(r.Context(), r.user, q, counting{r.rights, r.user})
	if err != nil {
		return err
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, n)
	return nil
}

// counting lets who may count users find them, for that alone.
type counting struct {
	*access.Rights
	user *schema.Type
}

func (c counting) May(t *schema.Type, a access.Action) bool {
	return t == c.user && a == access.Find || c.Rights.May(t, a)
}

// me answers GET /users/me.
func (r *request) me() error {
	if err := r.may(access.Me); err != nil {
		return err
	}
	if r.caller.User == nil {
		return errNotAsUsers
	}
	q, err := r.query(true)
	if err != nil {
		return err
	}
	e, err := r.Entries.FindOne(r.Context(), r.user, r.caller.User.ID(), q, oneself{r.rights, r.user, r.caller.User.ID()})
	if err != nil {
		return err
	}
	wire.Bare(r.ResponseWriter, http.StatusOK, e)
	return nil
}

// oneself lets a user be found one at a time who is the one that asks, whatever else may be.
type oneself struct {
	*access.Rights
	user *schema.Type
	id   string
}

func (o oneself) May(t *schema.Type, a access.Action) bool {
	return t == o.user && a == access.FindOne || o.Rights.May(t, a)
}

func (o oneself) Only(t *schema.Type, a access.Action) query.Expr {
	if t == o.user && a == access.FindOne {
		return query.Test{Path: query.Path{System: query.DocumentID}, Op: query.Eq, Values: []any{o.id}}
	}
	return o.Rights.Only(t, a)
}

// getUser answers GET /users/ID.
func (r *request) getUser() error {
	if err := r.may(access.FindOne); err != nil {
		return err
	}
	q, err := r.query(true)
	if err != nil {
		return err
	}
	user, err := r.numbered(r.Context(), r.Param("id"))
	if err != nil {
		return err
	}
	if user == nil {
		return r.none()
	}
	e, err := r.Entries.FindOne(r.Context(), r.user, user.ID(), q, r.rights)
	if isMissing(err) {
		return r.none()
	}
	if err != nil {
		return err
	}
	wire.Bare(r.ResponseWriter, http.StatusOK, e)
	return nil
}

// createUser answers POST /users.
func (r *request) createUser() (err error) {
	if err := r.may(access.Create); err != nil {
		return err
	}
	if r.body, err = wire.Body(r.ResponseWriter, r.Request.Request, 0); err != nil {
		return err
	}
	c := r.checker()
	email, username, password := c.email(), c.text("username"), c.password()
	switch role := r.body["role"].(type) {
	case nil:
		c.fail("role", "role is a required field", nil)
	case []any:
		c.fail("role", "role must be one role", role)
	}
	if err := c.err(); err != nil {
		return err
	}
	data := r.data()
	data["email"], data["username"] = email, username
	other, err := r.byField(r.Context(), "email", email)
	if err != nil {
		return err
	}
	if other != nil {
		return errEmailTaken
	}
	user, err := r.create(r.Context(), data, password, r.by(r.rights))
	if err != nil {
		return err
	}
	return r.withRole(http.StatusCreated, user.ID())
}

var (
	errEmailTaken    = problem.Application("Email already taken")
	errUsernameTaken = problem.Application("Username already taken")
)

// data is the body without what is not kept with the entry.
func (r *request) data() map[string]any {
	data := make(map[string]any, len(r.body))
	for name, v := range r.body {
		switch name {
		case "password", "provider", "resetPasswordToken", "confirmationToken", "id", "documentId":
		default:
			data[name] = v
		}
	}
	return data
}

// withRole answers with a user and, if the caller may see roles, the user's.
func (r *request) withRole(status int, id string) error {
	q := &query.Query{Page: query.Page{Limit: 1}}
	if r.rights.Reads(r.role) {
		q.Populate = []query.Populate{{Attribute: r.user.Attribute("role"), Query: query.Query{Page: query.Page{Limit: 1}}}}
	}
	e, err := r.Entries.FindOne(r.Context(), r.user, id, q, nil)
	if err != nil {
		return err
	}
	wire.Bare(r.ResponseWriter, status, e)
	return nil
}

// updateMe answers PUT /users/me.
func (r *request) updateMe() error {
	if err := r.may(access.Update); err != nil {
		return err
	}
	if r.caller.User == nil {
		return errNotAsUsers
	}
	return r.update(r.caller.User)
}

var errNoUser = &problem.Error{Status: http.StatusNotFound, Name: "NotFoundError", Message: "User not found", Details: problem.None{}}

// updateUser answers PUT /users/ID.
func (r *request) updateUser() error {
	if err := r.may(access.Update); err != nil {
		return err
	}
	user, err := r.numbered(r.Context(), r.Param("id"))
	if err != nil {
		return err
	}
	if user == nil {
		return errNoUser
	}
	return r.update(user)
}

// update changes a user. What a user is let do, nobody changes for himself.
func (r *request) update(user store.Document) (err error) {
	if r.body, err = wire.Body(r.ResponseWriter, r.Request.Request, 0); err != nil {
		return err
	}
	own := r.caller.User != nil && r.caller.User.ID() == user.ID()
	for _, name := range []string{"role", "confirmed", "blocked"} {
		if _, named := r.body[name]; named && own {
			return problem.Forbidden()
		}
	}
	password, named, err := r.newPassword()
	if err != nil {
		return err
	}
	data := r.data()
	moved, err := r.names(user, data)
	if err != nil {
		return err
	}
	if own && moved && r.config.Confirm {
		data["confirmed"] = false
	}
	o := r.by(r.rights)
	if o.With, err = r.consequences(password, named, data["blocked"] == true); err != nil {
		return err
	}
	if err := r.Entries.Update(r.Context(), r.user, user.ID(), data, o); err != nil {
		if isMissing(err) {
			return errNoUser
		}
		return taken(err)
	}
	if data["confirmed"] == false && own {
		if err := r.ask(r.Context(), confirm, data["email"].(string), r.base()); err != nil {
			return err
		}
	}
	return r.withRole(http.StatusOK, user.ID())
}

// consequences are what is written together with a change of a user that names a password or blocks the user.
func (r *request) consequences(password string, named, blocked bool) (func(user string) []store.Write, error) {
	if !named {
		if blocked {
			return sessionsEnd, nil
		}
		return nil, nil
	}
	hash, err := r.passwords.Hash(r.Context(), password)
	return func(user string) []store.Write { return r.hashWrites(user, hash, "") }, err // these end the sessions as well
}

// newPassword reads the password that a change of a user may have.
func (r *request) newPassword() (password string, named bool, err error) {
	c := r.checker()
	if _, named = r.body["password"]; named {
		password = c.password()
	}
	return password, named, c.err()
}

// names checks the username and the e-mail address that a change of a user may have, and reports whether it has another address.
func (r *request) names(user store.Document, data map[string]any) (moved bool, err error) {
	c := r.checker()
	username, named := c.optional("username")
	email := ""
	if _, moved = r.body["email"]; moved {
		email = c.email()
		data["email"] = email
	}
	if err := c.err(); err != nil {
		return false, err
	}
	if named {
		if err := r.free(r.Context(), user.ID(), username, ""); err != nil {
			return false, otherwise(err, errUsernameTaken)
		}
	}
	if moved {
		if err := r.free(r.Context(), user.ID(), "", email); err != nil {
			return false, otherwise(err, errEmailTaken)
		}
	}
	return moved && email != user.String("email"), nil
}

// otherwise says in other words that something is taken.
func otherwise(err, said error) error {
	if errors.Is(err, errTaken) {
		return said
	}
	return err
}

// deleteUser answers DELETE /users/ID.
func (r *request) deleteUser() error {
	if err := r.may(access.Delete); err != nil {
		return err
	}
	user, err := r.numbered(r.Context(), r.Param("id"))
	if err != nil {
		return err
	}
	if user == nil {
		return r.none()
	}
	found, err := r.Entries.Delete(r.Context(), r.user, user.ID(), entries.Change{Scope: r.rights, By: r.caller, With: forgotten})
	if err != nil {
		return err
	}
	if !found {
		return r.none()
	}
	wire.Bare(r.ResponseWriter, http.StatusOK, &entries.Entry{Type: r.user, Row: user})
	return nil
}
