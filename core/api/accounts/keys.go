package accounts

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// keys has a document for each generation of keys: its id is the number. That which has no field until is the latest; the others are good until then.
const keys = "api-keys"

const (
	maxKeys     = 1000             // generations that are good at the same time
	followEvery = 30 * time.Second // how long another host's rotation may go unnoticed
)

// A purpose is what a key is for: a token of one purpose is never good for another.
type purpose string

const (
	forAccess  purpose = "access"
	forRenewal purpose = "renewal"
)

// A keyring has the keys that are good at the moment.
type keyring struct {
	current atomic.Pointer[[]generation] // the latest first
	mu      sync.Mutex                   // held by who reads them anew
	read    time.Time
}

// A generation is one set of keys.
type generation struct {
	number int64
	id     string // the number in decimal: the kid of a token
	until  time.Time
	keys   map[purpose][]byte
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	User    int64  `json:"id,omitempty"` // its number, as in Strapi
	Session string `json:"sid"`
	Renewal int64  `json:"n,omitempty"` // how many renewals came before

	key string // the id of the keys that it was signed with
}

var errToken = errors.New("this token is not good")

// firstKey makes the first generation when there is none, and reads what there is.
func (a *Accounts) firstKey(ctx context.Context) error {
	if err := a.readKeys(ctx); err != nil {
		return err
	}
	if len(*a.keys.current.Load()) > 0 {
		return nil
	}
	_, err := a.Store.Apply(ctx, store.Insert{Collection: keys, Document: a.nextKeys(1)})
	if err != nil && fault.CodeOf(err) != fault.Conflict { // else another host has made it
		return err
	}
	return a.readKeys(ctx)
}

// nextKeys is the document of a new generation. Its part of the secret has hosts that share nothing but the store sign alike.
func (a *Accounts) nextKeys(number int64) store.Document {
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails (crypto/rand)
	return store.Document{"id": strconv.FormatInt(number, 10), "number": number, "made": a.now(), "secret": secret}
}

// readKeys reads the generations that are good.
func (a *Accounts) readKeys(ctx context.Context) error {
	docs, err := a.Store.Find(ctx, store.Query{Collection: keys, Limit: maxKeys})
	if err != nil {
		return err
	}
	all := make([]generation, 0, len(docs))
	for _, d := range docs {
		g := generation{number: d.Int("number"), id: d.ID(), until: d.Time("until"), keys: map[purpose][]byte{}}
		for _, p := range []purpose{forAccess, forRenewal} {
			if g.keys[p], err = hkdf.Key(sha256.New, slices.Concat(a.Key, d.Bytes("secret")), nil, "edge accounts: "+string(p)+" "+g.id, sha256.Size); err != nil {
				return err
			}
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(x, y generation) int { return cmp.Compare(y.number, x.number) })
	a.keys.current.Store(&all)
	return nil
}

// followKeys reads the keys now and then: another host may have made a new one.
func (a *Accounts) followKeys(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := a.readKeys(ctx); err != nil && ctx.Err() == nil {
				a.Log.Warn("the api's keys can't be read: those that were there are used on", "err", err)
			}
		}
	}
}

// Rotate has new tokens signed with a new key. Those that are signed with the old ones are good until their time has come, or, at once, no
// session goes on: everybody has to log in again.
func (a *Accounts) Rotate(ctx context.Context, atOnce bool) error {
	if err := a.readKeys(ctx); err != nil {
		return err
	}
	latest := (*a.keys.current.Load())[0]
	next := latest.number + 1
	insert := store.Insert{Collection: keys, Document: a.nextKeys(next)}
	old := store.And{store.Null("until"), store.Lt("number", next)}
	writes := []store.Write{insert, store.Update{Collection: keys, Filter: old, Change: store.Change{Set: store.Document{"until": a.now().Add(a.longest())}}}}
	if atOnce {
		writes = []store.Write{insert, store.Delete{Collection: keys, Filter: store.Lt("number", next)}}
	}
	if _, err := a.Store.Apply(ctx, writes...); err != nil {
		return err
	}
	if atOnce {
		if _, err := a.endSessions(ctx, nil); err != nil {
			return err
		}
	}
	return a.readKeys(ctx)
}

// longest is how long any token may be good.
func (a *Accounts) longest() time.Duration {
	s := a.rules.Load().config.Sessions
	return max(s.Access, s.Max)
}

// sign makes a token.
func (a *Accounts) sign(p purpose, c claims, expires time.Time) (string, error) {
	all := *a.keys.current.Load()
	if len(all) == 0 {
		return "", errors.New("the api has no key to sign tokens with")
	}
	c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(a.now()), jwt.NewNumericDate(expires)
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	t.Header["kid"] = all[0].id
	return t.SignedString(all[0].keys[p])
}

// accepted reads a token that a request came with: the error of one that is not good is errToken.
func (a *Accounts) accepted(ctx context.Context, text string) (good, error) {
	if g, ok := a.verified.get(text); ok && a.now().Before(g.expires) && a.key(g.key) != nil {
		return g, nil
	}
	c, err := a.verify(ctx, forAccess, text)
	if err != nil {
		return good{}, err
	}
	g := good{user: c.User, session: c.Session, key: c.key, expires: c.ExpiresAt.Time}
	a.verified.put(text, g)
	return g, nil
}

// key finds the generation of keys with an id, if it is still good; nil if there is none.
func (a *Accounts) key(id string) *generation {
	all := *a.keys.current.Load()
	for i := range all {
		if all[i].id == id && (all[i].until.IsZero() || a.now().Before(all[i].until)) {
			return &all[i]
		}
	}
	return nil
}

// verify reads a token: the error of one that is not good is errToken.
func (a *Accounts) verify(ctx context.Context, p purpose, text string) (claims, error) {
	c, unknown, err := a.parse(p, text)
	if unknown && a.newKeys(ctx) {
		c, _, err = a.parse(p, text)
	}
	if err != nil || c.Session == "" {
		return claims{}, errToken
	}
	return c, nil
}

func (a *Accounts) parse(p purpose, text string) (c claims, unknown bool, err error) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(a.now))
	_, err = parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		c.key, _ = t.Header["kid"].(string)
		if g := a.key(c.key); g != nil {
			return g.keys[p], nil
		}
		unknown = true
		return nil, errToken
	})
	return c, unknown, err
}

// newKeys reads the keys again, when that was not done just now. Tokens that nobody has signed don't make it be done more often.
func (a *Accounts) newKeys(ctx context.Context) bool {
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	if a.now().Sub(a.keys.read) < time.Second {
		return true // somebody else has
	}
	a.keys.read = a.now()
	return a.readKeys(ctx) == nil
}
