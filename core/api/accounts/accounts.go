// Package accounts is who uses the api: users with their passwords, sessions and mails, tokens for programs, and roles. It finds out who sends a request, and
// answers what is asked under /auth, /users and /users-permissions, as Strapi 5 does.
//
// In comes what belongs to an account. A user is an entry of the type user, which the room entries keeps; its password, sessions and codes lie apart, in
// collections that nothing but this package reads. What a role may do, package access says.
//
// # Tokens
//
// Who logs in begins a session and gets a JWT (HS256) that names it. Each request asks for both: a user who is blocked or gone, and a session that has
// ended, are refused at once, whatever the token says. With refresh, the token is short, and a second one renews it, once: with the new token comes a
// new second one. Whoever uses an old one again has stolen it, or has been stolen from, and the session ends. Only within [grace] of its use it
// is answered again, with the same new one, because two windows of one browser renew at the same moment.
//
// Tokens for programs are random, and the store has their SHA-256 alone.
//
// # Secrets
//
// Keys are derived from Options.Key by a number that [Accounts.Rotate] counts up. Codes that mails carry are 256 random bits, of which the store has the
// SHA-256; they are good once.
//
// # What strangers learn
//
// Whether there is an account, register alone tells, as in Strapi. A login checks a password, be there a user or not. Requests for mail are answered
// alike and do the same work: who they are for, [Accounts.Run] looks up afterwards. They are kept in the store until they have been dealt with, so
// that neither a restart nor a mail server that is away loses one.
//
// Limits of requests are counted in memory, by each host on its own.
package accounts

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
)

// A Mailer sends mail. Its errors are as those of [mail.Mailer].
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

// Options are what accounts need.
type Options struct {
	Store   store.Store
	Entries *entries.Entries
	Mailer  Mailer // nil: mail is not configured
	Key     []byte // 32 bytes that all hosts share
	Log     *slog.Logger
}

// Accounts are the users and tokens of one api.
type Accounts struct {
	Options
	rules atomic.Pointer[rules]
}

// rules are what the configuration and the types say.
type rules struct {
	config     *config.API
	set        *schema.Set
	policy     *access.Policy
	user, role *schema.Type
}

// New makes accounts. [Accounts.Use] and [Accounts.Prepare] come before anything else.
func New(o Options) *Accounts { return &Accounts{Options: o} }

// Use has the next requests follow a configuration, a set of types and a policy.
func (a *Accounts) Use(cfg *config.API, set *schema.Set, policy *access.Policy) { panic("unwritten") }

// Prepare brings what is missing into being: collections, the first key, a row for each role. It is called after each Use, when the collections
// of the types are there.
func (a *Accounts) Prepare(ctx context.Context) error { panic("unwritten") }

// Run sends mails and notes when tokens were used, until ctx ends.
func (a *Accounts) Run(ctx context.Context) error { panic("unwritten") }

// Authenticate finds out who sends a request. The error of a token that is not good is a [problem.Error] with 401; a request without a token
// is the public's.
func (a *Accounts) Authenticate(ctx context.Context, r *http.Request) (access.Caller, error) {
	panic("unwritten")
}

// Valid reports whether a caller that Authenticate returned still is: for what goes on for long after a request was let in.
func (a *Accounts) Valid(ctx context.Context, c access.Caller) bool { panic("unwritten") }

// Routes adds the paths of accounts to a group. caller returns what Authenticate did of a request; errors of handlers are to be answered by wire.Error.
func (a *Accounts) Routes(g *bunrouter.Group, caller func(*http.Request) access.Caller) {
	panic("unwritten")
}

// Rotate has new tokens signed with a new key. Those that are signed with the old ones are good until their time has come, or, at once, no
// session goes on: everybody has to log in again.
func (a *Accounts) Rotate(ctx context.Context, atOnce bool) error { panic("unwritten") }

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
func (a *Accounts) Users(ctx context.Context, f Filter) ([]User, error) { panic("unwritten") }

// AddUser makes an account that is confirmed. Without a role it gets authenticated.
func (a *Accounts) AddUser(ctx context.Context, username, email, password, role string) (User, error) {
	panic("unwritten")
}

// SetPassword gives a user a new password and ends all sessions. who is a username, an e-mail address, a number or a document id.
func (a *Accounts) SetPassword(ctx context.Context, who, password string) error { panic("unwritten") }

// SetHash gives the user of a document id the hash of a password that came from elsewhere: bcrypt or argon2id.
func (a *Accounts) SetHash(ctx context.Context, documentID, hash string) error { panic("unwritten") }

// Block blocks a user and ends all sessions, or lets the user in again.
func (a *Accounts) Block(ctx context.Context, who string, blocked bool) error { panic("unwritten") }

// SetRole gives a user another role.
func (a *Accounts) SetRole(ctx context.Context, who, role string) error { panic("unwritten") }

// EndSessions ends all sessions of a user, and returns how many there were.
func (a *Accounts) EndSessions(ctx context.Context, who string) (int, error) { panic("unwritten") }

// Remove removes a user.
func (a *Accounts) Remove(ctx context.Context, who string) error { panic("unwritten") }

// A Token is a token for programs, without what has to be known to use it.
type Token struct {
	Name        string           `json:"name"`
	Kind        access.TokenKind `json:"kind"`
	Permissions []string         `json:"permissions,omitempty"`
	CreatedAt   time.Time        `json:"createdAt"`
	ExpiresAt   time.Time        `json:"expiresAt,omitzero"` // zero: never
	UsedAt      time.Time        `json:"usedAt,omitzero"`    // to the hour; zero: never
}

// Tokens returns all tokens, by name.
func (a *Accounts) Tokens(ctx context.Context) ([]Token, error) { panic("unwritten") }

// CreateToken makes a token and returns it: nobody can be shown it again. permissions are those of a custom one; expires may be zero: never.
func (a *Accounts) CreateToken(ctx context.Context, name string, kind access.TokenKind, permissions []string, expires time.Time) (string, error) {
	panic("unwritten")
}

// RevokeToken ends a token.
func (a *Accounts) RevokeToken(ctx context.Context, name string) error { panic("unwritten") }
