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
// Keys are derived from Options.Key and from a secret of each generation, which is in the store; [Accounts.Rotate] makes a new one. Codes that mails carry are 256 random bits, of which the store has the
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
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/password"
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
	Key     []byte // 32 bytes that all hosts share; nil: hosts share nothing but the store
	Log     *slog.Logger
}

// Accounts are the users and tokens of one api.
type Accounts struct {
	Options
	passwords hasher
	decoy     func() string // a hash of no password
	rules     atomic.Pointer[rules]
	roles     atomic.Pointer[map[string]string] // types of roles by document id
	keys      keyring
	verified  verified
	limits    *limits
	uses      chan string // ids of API tokens that were used
	mails     chan struct{}
	warned    atomic.Int64 // when it was last said that mail is not configured, in Unix seconds
	now       func() time.Time
}

// A hasher makes and checks hashes of passwords, as [password.Hasher] does.
type hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, hash, password string) (ok, stale bool, err error)
}

// rules are what the configuration and the types say.
type rules struct {
	config     *config.API
	set        *schema.Set
	policy     *access.Policy
	user, role *schema.Type
}

// New makes accounts. [Accounts.Use] and [Accounts.Prepare] come before anything else.
func New(o Options) *Accounts {
	a := &Accounts{Options: o, passwords: password.New(), limits: newLimits(), uses: make(chan string, maxUses), mails: make(chan struct{}, 1), now: time.Now}
	a.decoy = sync.OnceValue(func() string {
		hash, err := a.passwords.Hash(context.Background(), rand.Text())
		if err != nil {
			panic(err) // it has all the time it takes
		}
		return hash
	})
	return a
}

// Use has the next requests follow a configuration, a set of types and a policy.
func (a *Accounts) Use(cfg *config.API, set *schema.Set, policy *access.Policy) {
	a.rules.Store(&rules{config: cfg, set: set, policy: policy, user: set.UID(schema.UserUID), role: set.UID(schema.RoleUID)})
}

// Prepare brings what is missing into being: collections, the first key, a row for each role. It is called after each Use, when the collections
// of the types are there.
func (a *Accounts) Prepare(ctx context.Context) error {
	if err := a.Store.Ensure(ctx, collections()...); err != nil {
		return err
	}
	if err := a.firstKey(ctx); err != nil {
		return err
	}
	return a.makeRoles(ctx)
}

// collections are where accounts keep what is theirs alone.
func collections() []store.Collection {
	return []store.Collection{
		{Name: credentials, Private: true},
		{Name: sessions, Private: true, Expire: "until", Indexes: []store.Index{{Fields: []string{"user"}}}},
		{Name: codes, Private: true, Expire: "until", Indexes: []store.Index{{Fields: []string{"user", "kind"}}}},
		{Name: tokens, Private: true, Indexes: []store.Index{{Fields: []string{"name"}, Unique: true}}},
		{Name: keys, Private: true, Expire: "until"},
		{Name: letters, Private: true, Expire: "until", Indexes: []store.Index{{Fields: []string{"due"}}}},
	}
}

// Run sends mails, notes when tokens were used and looks for new keys, until ctx ends.
func (a *Accounts) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.noteUses(ctx) })
	g.Go(func() error { return a.followKeys(ctx) })
	if a.Mailer != nil {
		g.Go(func() error { return a.deliver(ctx) })
	}
	return g.Wait()
}
