package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// credentials has a document for each user who has a password: its id is the user's document id, hash the password's.
const credentials = "api-credentials"

// Bounds of a password, as Strapi's.
const (
	minPassword = 6  // characters
	maxPassword = 72 // bytes
)

var (
	errLogin     = problem.Validation("Invalid identifier or password")
	errBlocked   = problem.Application("Your account has been blocked by an administrator")
	errConfirmed = problem.Application("Your account email is not confirmed")
)

// login logs in who knows a user's password. A user who is not there takes as long as one who is.
func (a *Accounts) login(ctx context.Context, identifier, password string, on device) (store.Document, grant, error) {
	user, err := a.identified(ctx, identifier)
	if err != nil {
		return nil, grant{}, err
	}
	ok, hash, stale, err := a.check(ctx, user, password)
	switch {
	case err != nil:
		return nil, grant{}, err
	case !ok:
		return nil, grant{}, errLogin
	case a.rules.Load().config.Confirm && !user.Bool("confirmed"):
		return nil, grant{}, errConfirmed
	case user.Bool("blocked"):
		return nil, grant{}, errBlocked
	}
	var also []store.Write
	if stale {
		fresh, err := a.passwords.Hash(ctx, password)
		if err != nil {
			return nil, grant{}, err
		}
		also = append(also, store.Update{Collection: credentials, Filter: store.ID(user.String(rows.DocumentID)), Change: store.Change{Set: store.Document{"hash": fresh}}})
	}
	g, err := a.open(ctx, user, hash, on, also...)
	if errors.Is(err, errChanged) {
		return nil, grant{}, errLogin
	}
	return user, g, err
}

// check reports whether a password is a user's, and the hash that it was compared with. Nil has none, which takes as long to find out.
func (a *Accounts) check(ctx context.Context, user store.Document, password string) (ok bool, hash string, stale bool, err error) {
	hash = a.decoy()
	kept := store.Document{}
	if user != nil {
		if kept, err = a.Store.Get(ctx, credentials, user.String(rows.DocumentID)); err != nil && fault.CodeOf(err) != fault.NotFound {
			return false, "", false, err
		}
	}
	if own := kept.String("hash"); own != "" {
		hash = own
	}
	ok, stale, err = a.passwords.Verify(ctx, hash, password)
	return ok && kept.String("hash") != "", hash, stale, err
}

// setPassword gives a user a new password, and ends all sessions, and all codes that lead to another password.
func (a *Accounts) setPassword(ctx context.Context, user, password string, also ...store.Write) error {
	hash, err := a.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return a.keepHash(ctx, user, hash, "", also...)
}

// keepHash keeps a hash; from is what it was when it came from elsewhere, and stays so when a login makes another one of it.
func (a *Accounts) keepHash(ctx context.Context, user, hash, from string, also ...store.Write) error {
	_, err := a.Store.Apply(ctx, append(also, a.hashWrites(user, hash, from)...)...)
	return err
}

// hashWrites are what keeps a hash, and ends what was begun with the one before.
func (a *Accounts) hashWrites(user, hash, from string) []store.Write {
	d := store.Document{"id": user, "hash": hash, "set": a.now()}
	if from != "" {
		d["from"] = from
	}
	return []store.Write{
		store.Put{Collection: credentials, Document: d},
		store.Delete{Collection: codes, Filter: store.And{store.Eq("user", user), store.Eq("kind", string(reset))}},
		store.Delete{Collection: sessions, Filter: store.Eq("user", user)},
	}
}

// SetHash gives the user of a document id the hash of a password that came from elsewhere: bcrypt or argon2id. Who has set a password here since keeps
// that, and a hash that was set before changes nothing.
func (a *Accounts) SetHash(ctx context.Context, documentID, hash string) error {
	if _, err := bcrypt.Cost([]byte(hash)); err != nil && !strings.HasPrefix(hash, "$argon2id$") {
		return fmt.Errorf("this is no hash of a password that can be checked: bcrypt or argon2id: %w", fault.Invalid)
	}
	kept, err := a.Store.Get(ctx, credentials, documentID)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
	case err != nil:
		return err
	case kept.String("from") == "" || kept.String("from") == hash:
		return nil
	}
	return a.keepHash(ctx, documentID, hash, hash)
}

// forgotten is what removes what belongs to a user, together with the user.
func forgotten(user string) []store.Write {
	return []store.Write{
		store.Delete{Collection: credentials, Filter: store.ID(user)},
		store.Delete{Collection: codes, Filter: store.Eq("user", user)},
		store.Delete{Collection: sessions, Filter: store.Eq("user", user)},
	}
}
