package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// A User is an account, for those who run the host.
type User struct {
	Number     int64     `json:"id"`
	DocumentID string    `json:"documentId"`
	Username   string    `json:"username"`
	Email      string    `json:"email"`
	Role       string    `json:"role"` // its type; "" if it has none
	Confirmed  bool      `json:"confirmed"`
	Blocked    bool      `json:"blocked"`
	CreatedAt  time.Time `json:"createdAt"`
}

// A Filter says which users are asked for. What is empty is not asked about.
type Filter struct {
	Search string // part of the username or the e-mail address, in either case
	Role   string
	After  int64 // the number of the last one of the page before
	Limit  int   // 1 to 1000; 0 is 100
}

// Users returns users by number.
func (a *Accounts) Users(ctx context.Context, f Filter) ([]User, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, fmt.Errorf("1 to 1000 users can be listed at a time, and not %d: %w", f.Limit, fault.Invalid)
	}
	all := store.And{store.Gt(rows.Number, f.After)}
	if f.Search != "" {
		all = append(all, store.Or{
			store.Text{Field: "username", Op: store.Contains, Value: f.Search, Fold: true},
			store.Text{Field: "email", Op: store.Contains, Value: f.Search, Fold: true},
		})
	}
	if f.Role != "" {
		role, err := a.roleNamed(ctx, f.Role)
		if err != nil {
			return nil, err
		}
		all = append(all, store.Eq("role", role))
	}
	docs, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(a.rules.Load().user), Filter: all, Sort: []store.Order{{Field: rows.Number}}, Limit: f.Limit})
	if err != nil {
		return nil, err
	}
	found := make([]User, len(docs))
	for i, d := range docs {
		if found[i], err = a.shown(ctx, d); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (a *Accounts) shown(ctx context.Context, d store.Document) (User, error) {
	u := User{Number: d.Int(rows.Number), DocumentID: d.String(rows.DocumentID), Username: d.String("username"), Email: d.String("email"),
		Confirmed: d.Bool("confirmed"), Blocked: d.Bool("blocked"), CreatedAt: d.Time(rows.CreatedAt)}
	if d.String("role") == "" {
		return u, nil
	}
	role, err := a.roleOf(ctx, d)
	u.Role = role
	return u, err
}

// AddUser makes an account that is confirmed. Without a role it gets authenticated.
func (a *Accounts) AddUser(ctx context.Context, username, email, password, role string) (User, error) {
	if role == "" {
		role = access.Authenticated
	}
	if err := goodPassword(password); err != nil {
		return User{}, err
	}
	of, err := a.roleNamed(ctx, role)
	if err != nil {
		return User{}, err
	}
	data := map[string]any{"username": username, "email": strings.ToLower(email), "confirmed": true, "role": of}
	d, err := a.create(ctx, data, password, entries.Change{})
	if err != nil {
		return User{}, coded(err)
	}
	return a.shown(ctx, d)
}

// create makes a user with a password, of data whose e-mail address is in lower case.
func (a *Accounts) create(ctx context.Context, data map[string]any, password string, o entries.Change) (store.Document, error) {
	u := a.rules.Load()
	username, _ := data["username"].(string)
	email, _ := data["email"].(string)
	if err := a.free(ctx, "", username, email); err != nil {
		return nil, err
	}
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	data["provider"] = "local"
	o.With = func(id string) []store.Write { return a.hashWrites(id, hash, "") } // or the name would be taken by somebody who can't log in
	id, err := a.Entries.Create(ctx, u.user, data, o)
	if err != nil {
		return nil, taken(err)
	}
	return a.Store.Get(ctx, rows.Name(u.user), id)
}

// errTaken is that another user has the username or the e-mail address.
var errTaken = problem.Application("This attribute must be unique")

// taken is errTaken for a conflict that a change of entries has found.
func taken(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Message == errTaken.Message {
		return errTaken
	}
	return err
}

// free is errTaken when a user other than that of a document id would be mistaken for one who has these: an e-mail address may not be the username of
// somebody else either, because both log in. What is empty is not asked about.
func (a *Accounts) free(ctx context.Context, documentID, username, email string) error {
	for _, name := range []string{username, email} {
		if name == "" {
			continue
		}
		both := map[string]string{"username": name, "email": strings.ToLower(name)}
		for field, value := range both {
			other, err := a.byField(ctx, field, value)
			if err != nil {
				return err
			}
			if other != nil && other.String(rows.DocumentID) != documentID {
				return errTaken
			}
		}
	}
	return nil
}

// identified finds the user who logs in with a username or an e-mail address; nil if there is none.
func (a *Accounts) identified(ctx context.Context, identifier string) (store.Document, error) {
	if strings.Contains(identifier, "@") {
		user, err := a.byField(ctx, "email", strings.ToLower(identifier))
		if user != nil || err != nil {
			return user, err
		}
	}
	return a.byField(ctx, "username", identifier)
}

// find finds a user by username, e-mail address, number or document id. Usernames are what strangers choose: one that is also the number or the
// document id of somebody else is nobody.
func (a *Accounts) find(ctx context.Context, who string) (store.Document, error) {
	user, err := a.identified(ctx, who)
	if err != nil {
		return nil, err
	}
	other, err := a.numbered(ctx, who)
	switch {
	case err != nil:
		return nil, err
	case user == nil && other != nil:
		return other, nil
	case user != nil && (other == nil || other.ID() == user.ID()):
		return user, nil
	case user != nil:
		return nil, fmt.Errorf("%q is the username of %s and the id of %s: say which by the e-mail address: %w", who, user.String("email"), other.String("email"), fault.Invalid)
	}
	return nil, fmt.Errorf("there is no user %q: %w", who, fault.NotFound)
}

// numbered finds a user by number or document id; nil if there is none.
func (a *Accounts) numbered(ctx context.Context, id string) (store.Document, error) {
	u := a.rules.Load()
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		found, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(u.user), Filter: store.Eq(rows.Number, n), Limit: 1})
		if err != nil || len(found) > 0 {
			return first(found), err
		}
	}
	if !rows.IsDocumentID(id) {
		return nil, nil
	}
	user, err := a.Store.Get(ctx, rows.Name(u.user), id)
	if fault.CodeOf(err) == fault.NotFound {
		return nil, nil
	}
	return user, err
}

func first(found []store.Document) store.Document {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// SetPassword gives a user a new password and ends all sessions. who is a username, an e-mail address, a number or a document id.
func (a *Accounts) SetPassword(ctx context.Context, who, password string) error {
	if err := goodPassword(password); err != nil {
		return err
	}
	user, err := a.find(ctx, who)
	if err != nil {
		return err
	}
	return a.setPassword(ctx, user.String(rows.DocumentID), password)
}

// goodPassword is an error with a code for a password that nobody may have.
func goodPassword(password string) error {
	if why := passwordProblem(password); why != "" {
		return fmt.Errorf("%s: %w", why, fault.Invalid)
	}
	return nil
}

// Block blocks a user and ends all sessions, or lets the user in again.
func (a *Accounts) Block(ctx context.Context, who string, blocked bool) error {
	user, err := a.find(ctx, who)
	if err != nil {
		return err
	}
	id := user.String(rows.DocumentID)
	o := entries.Change{}
	if blocked {
		o.With = sessionsEnd
	}
	return coded(a.Entries.Update(ctx, a.rules.Load().user, id, map[string]any{"blocked": blocked}, o))
}

// sessionsEnd is what ends all sessions of a user, together with a change of the user.
func sessionsEnd(user string) []store.Write {
	return []store.Write{store.Delete{Collection: sessions, Filter: store.Eq("user", user)}}
}

// SetRole gives a user another role.
func (a *Accounts) SetRole(ctx context.Context, who, role string) error {
	user, err := a.find(ctx, who)
	if err != nil {
		return err
	}
	of, err := a.roleNamed(ctx, role)
	if err != nil {
		return err
	}
	return coded(a.Entries.Update(ctx, a.rules.Load().user, user.String(rows.DocumentID), map[string]any{"role": of}, entries.Change{}))
}

// Remove removes a user.
func (a *Accounts) Remove(ctx context.Context, who string) error {
	user, err := a.find(ctx, who)
	if err != nil {
		return err
	}
	_, err = a.Entries.Delete(ctx, a.rules.Load().user, user.String(rows.DocumentID), entries.Change{With: forgotten})
	return coded(err)
}

// coded says what is wrong with data of which a message alone says too little.
func coded(err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Details == nil || p.Details == (problem.None{}) {
		return err
	}
	details, failed := json.Marshal(p.Details)
	if failed != nil {
		return err
	}
	return fmt.Errorf("%w: %s", err, details)
}
