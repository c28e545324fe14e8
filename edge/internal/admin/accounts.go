package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/core/fault"
	"github.com/uptrace/bunrouter"
)

// Accounts is what the API asks of the content API's accounts. Who is a username, an e-mail address, a number or a documentId.
type Accounts interface {
	Users(ctx context.Context, f accounts.Filter) ([]accounts.User, error)
	AddUser(ctx context.Context, u NewUser) (accounts.User, error)
	// ChangeUser does what c says, in its order.
	ChangeUser(ctx context.Context, who string, c UserChange) error
	RemoveUser(ctx context.Context, who string) error
	Tokens(ctx context.Context) ([]accounts.Token, error)
	// CreateToken returns the token, which nobody can be shown again.
	CreateToken(ctx context.Context, t NewToken) (string, error)
	RevokeToken(ctx context.Context, name string) error
	// RotateKey has logins signed with a new key; at once, everybody has to log in again.
	RotateKey(ctx context.Context, atOnce bool) error
}

// NewUser is an account to be made.
type NewUser struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	Password string `json:"password"`
	Role     string `json:"role,omitempty"` // default: authenticated
	Blocked  bool   `json:"blocked,omitempty"`
}

// UserChange is what is to become of an account. What is nil stays.
type UserChange struct {
	Password *string `json:"password,omitempty"` // ends all sessions
	Role     *string `json:"role,omitempty"`
	Blocked  *bool   `json:"blocked,omitempty"` // true ends all sessions
	Logout   bool    `json:"logout,omitempty"`  // ends all sessions
}

// NewToken is an API token to be made.
type NewToken struct {
	Name        string           `json:"name"`
	Kind        access.TokenKind `json:"kind"`
	Permissions []string         `json:"permissions,omitempty"` // of a custom one
	Expires     time.Time        `json:"expires,omitzero"`      // zero: never
}

func accountRoutes(router *bunrouter.Router, o Operations) {
	router.GET("/v1/users", answer(func(r bunrouter.Request) (any, error) { return listUsers(o, r) }))
	router.POST("/v1/users", answer(func(r bunrouter.Request) (any, error) { return addUser(o, r) }))
	router.POST("/v1/users/:who", answer(func(r bunrouter.Request) (any, error) { return nil, changeUser(o, r) }))
	router.DELETE("/v1/users/:who", answer(func(r bunrouter.Request) (any, error) { return nil, onNamed(r, "who", o.RemoveUser) }))
	router.GET("/v1/tokens", answer(func(r bunrouter.Request) (any, error) { return o.Tokens(r.Context()) }))
	router.POST("/v1/tokens", answer(func(r bunrouter.Request) (any, error) { return createToken(o, r) }))
	router.DELETE("/v1/tokens/:name", answer(func(r bunrouter.Request) (any, error) { return nil, onNamed(r, "name", o.RevokeToken) }))
	router.POST("/v1/tokenkey", answer(func(r bunrouter.Request) (any, error) {
		return nil, coded(o.RotateKey(r.Context(), r.URL.Query().Has("at_once")))
	}))
}

// onNamed does something to what a parameter of the path names.
func onNamed(r bunrouter.Request, parameter string, do func(ctx context.Context, name string) error) error {
	name, err := named(r, parameter)
	if err != nil {
		return err
	}
	return coded(do(r.Context(), name))
}

// sent decodes the body of a request, strictly.
func sent(r bunrouter.Request, into any) error {
	if err := decode(r.Body, into); err != nil {
		return &Error{fault.Invalid, err.Error()}
	}
	return nil
}

func listUsers(o Operations, r bunrouter.Request) ([]accounts.User, error) {
	query := r.URL.Query()
	f := accounts.Filter{Search: query.Get("search"), Role: query.Get("role")}
	for name, number := range map[string]func(n int64){"after": func(n int64) { f.After = n }, "limit": func(n int64) { f.Limit = int(n) }} {
		if text := query.Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, &Error{fault.Invalid, name + ": " + err.Error()}
			}
			number(n)
		}
	}
	found, err := o.Users(r.Context(), f)
	return found, coded(err)
}

func addUser(o Operations, r bunrouter.Request) (accounts.User, error) {
	var u NewUser
	if err := sent(r, &u); err != nil {
		return accounts.User{}, err
	}
	made, err := o.AddUser(r.Context(), u)
	return made, coded(err)
}

func changeUser(o Operations, r bunrouter.Request) error {
	var c UserChange
	if err := sent(r, &c); err != nil {
		return err
	}
	return onNamed(r, "who", func(ctx context.Context, who string) error { return o.ChangeUser(ctx, who, c) })
}

func createToken(o Operations, r bunrouter.Request) (string, error) {
	var t NewToken
	if err := sent(r, &t); err != nil {
		return "", err
	}
	token, err := o.CreateToken(r.Context(), t)
	return token, coded(err)
}

// Users returns accounts, by number.
func (c *Client) Users(ctx context.Context, f accounts.Filter) (found []accounts.User, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"search": f.Search, "role": f.Role} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, n := range map[string]int64{"after": f.After, "limit": int64(f.Limit)} {
		if n != 0 {
			query.Set(name, strconv.FormatInt(n, 10))
		}
	}
	return found, c.call(ctx, http.MethodGet, "/v1/users?"+query.Encode(), nil, &found)
}

// AddUser makes an account.
func (c *Client) AddUser(ctx context.Context, u NewUser) (made accounts.User, err error) {
	return made, c.call(ctx, http.MethodPost, "/v1/users", u, &made)
}

// ChangeUser changes an account.
func (c *Client) ChangeUser(ctx context.Context, who string, change UserChange) error {
	return c.call(ctx, http.MethodPost, "/v1/users/"+url.PathEscape(who), change, nil)
}

// RemoveUser removes an account.
func (c *Client) RemoveUser(ctx context.Context, who string) error {
	return c.call(ctx, http.MethodDelete, "/v1/users/"+url.PathEscape(who), nil, nil)
}

// Tokens returns the API tokens, by name.
func (c *Client) Tokens(ctx context.Context) (all []accounts.Token, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/tokens", nil, &all)
}

// CreateToken makes an API token and returns it.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (token string, err error) {
	return token, c.call(ctx, http.MethodPost, "/v1/tokens", t, &token)
}

// RevokeToken ends an API token.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(name), nil, nil)
}

// RotateKey has logins signed with a new key; at once, everybody has to log in again.
func (c *Client) RotateKey(ctx context.Context, atOnce bool) error {
	path := "/v1/tokenkey"
	if atOnce {
		path += "?at_once"
	}
	return c.call(ctx, http.MethodPost, path, nil, nil)
}
