package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// codes has a document for each code that a mail carried and that is good still. Its id is the code's SHA-256.
const codes = "api-codes"

// kind is what a code is good for, and what the mail that carries it is about.
type kind string

const (
	reset   kind = "reset"
	confirm kind = "confirm"
)

// life is how long codes are good.
func (k kind) life() time.Duration {
	if k == confirm {
		return 7 * 24 * time.Hour
	}
	return time.Hour
}

// maxCodes is how many codes of one kind a user has at most: the last mail may come first.
const maxCodes = 5

var errCode = errors.New("this code is not good")

// secret returns 256 random bits as text.
func secret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// newCode makes a code for a user, good as long as the address is the one that it is sent to.
func (a *Accounts) newCode(ctx context.Context, k kind, user store.Document) (string, error) {
	of := store.And{store.Eq("user", user.String(rows.DocumentID)), store.Eq("kind", string(k))}
	n, err := a.Store.Count(ctx, codes, of)
	if err != nil {
		return "", err
	}
	code := secret()
	writes := []store.Write{store.Insert{Collection: codes, Document: store.Document{
		"id": sum(code), "user": user.String(rows.DocumentID), "kind": string(k), "email": user.String("email"), "until": a.now().Add(k.life()),
	}}}
	if n >= maxCodes {
		writes = append([]store.Write{store.Delete{Collection: codes, Filter: of}}, writes...)
	}
	_, err = a.Store.Apply(ctx, writes...)
	return code, err
}

// owner finds the user that a code was made for, and what uses the code up; errCode when it is not good.
func (a *Accounts) owner(ctx context.Context, k kind, code string) (user store.Document, use store.Write, err error) {
	doc, err := a.Store.Get(ctx, codes, sum(code))
	if err != nil {
		return nil, nil, badCode(err)
	}
	if doc.String("kind") != string(k) || !a.now().Before(doc.Time("until")) {
		return nil, nil, errCode
	}
	if user, err = a.Store.Get(ctx, rows.Name(a.rules.Load().user), doc.String("user")); err != nil {
		return nil, nil, badCode(err)
	}
	if user.String("email") != doc.String("email") {
		return nil, nil, errCode
	}
	return user, store.Delete{Collection: codes, Filter: store.ID(doc.ID()), Must: 1}, nil
}

func badCode(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return errCode
	}
	return err
}
