package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// tokens has a document for each token for programs. Its id is the token's SHA-256.
const tokens = "api-tokens"

// tokenPrefix is what tokens begin with, so that who finds one knows what it is.
const tokenPrefix = "edge_"

const (
	maxTokens      = 1000
	maxTokenName   = 100 // bytes
	maxPermissions = 500
	maxUses        = 64 // uses that wait for being noted; more are not noted
	noteEvery      = time.Hour
)

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
func (a *Accounts) Tokens(ctx context.Context) ([]Token, error) {
	docs, err := a.Store.Find(ctx, store.Query{Collection: tokens, Sort: []store.Order{{Field: "name"}}, Limit: maxTokens})
	if err != nil {
		return nil, err
	}
	all := make([]Token, len(docs))
	for i, d := range docs {
		all[i] = Token{d.String("name"), access.TokenKind(d.String("kind")), texts(d.List("permissions")), d.Time("made"), d.Time("expires"), d.Time("used")}
	}
	return all, nil
}

// CreateToken makes a token and returns it: nobody can be shown it again. permissions are those of a custom one; expires may be zero: never.
func (a *Accounts) CreateToken(ctx context.Context, name string, kind access.TokenKind, permissions []string, expires time.Time) (string, error) {
	invalid := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf(format+": %w", append(args, fault.Invalid)...)
	}
	switch {
	case name == "" || len(name) > maxTokenName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return invalid("a token's name has 1 to %d bytes, and no control characters", maxTokenName)
	case !slices.Contains([]access.TokenKind{access.FullAccess, access.ReadOnly, access.Custom}, kind):
		return invalid("%q is no kind of token: it is %s, %s or %s", kind, access.FullAccess, access.ReadOnly, access.Custom)
	case kind == access.Custom && len(permissions) == 0:
		return invalid("a custom token has permissions, such as article.find")
	case kind != access.Custom && len(permissions) > 0:
		return invalid("only a custom token has permissions of its own")
	case len(permissions) > maxPermissions:
		return invalid("a token has %d permissions at most", maxPermissions)
	case !expires.IsZero() && !expires.After(a.now()):
		return invalid("the token would have expired already")
	}
	for _, p := range permissions {
		if !a.grantable(p) {
			return invalid("%q is no permission: it is TYPE.ACTION with find, findOne, create, update, delete or *, such as article.find", p)
		}
	}
	n, err := a.Store.Count(ctx, tokens, nil)
	if err != nil {
		return "", err
	}
	if n >= maxTokens {
		return invalid("there are %d tokens already: revoke those that nobody uses", n)
	}
	token := tokenPrefix + secret()
	d := store.Document{"id": sum(token), "name": name, "kind": string(kind), "permissions": list(permissions), "made": a.now()}
	if !expires.IsZero() {
		d["expires"] = expires
	}
	if _, err := a.Store.Apply(ctx, store.Insert{Collection: tokens, Document: d}); err != nil {
		if fault.CodeOf(err) == fault.Conflict {
			return "", fmt.Errorf("there is a token %s already: %w", name, fault.Conflict)
		}
		return "", err
	}
	return token, nil
}

// grantable reports whether a permission names something that there is.
func (a *Accounts) grantable(permission string) bool {
	subject, action, _ := strings.Cut(permission, ".")
	known := []string{"*", "find", "findOne", "create", "update", "delete", "count", "upload", "destroy"}
	return slices.Contains(known, action) && (subject == "upload" || subject == "role" || a.rules.Load().set.Type(subject) != nil)
}

// RevokeToken ends a token.
func (a *Accounts) RevokeToken(ctx context.Context, name string) error {
	n, err := a.Store.Apply(ctx, store.Delete{Collection: tokens, Filter: store.Eq("name", name)})
	if err == nil && n[0] == 0 {
		err = fmt.Errorf("there is no token %s: %w", name, fault.NotFound)
	}
	return err
}

// token finds the API token that a request came with.
func (a *Accounts) token(ctx context.Context, text string) (*access.Token, error) {
	d, err := a.Store.Get(ctx, tokens, sum(text))
	if fault.CodeOf(err) == fault.NotFound {
		return nil, errCredentials
	}
	if err != nil {
		return nil, err
	}
	now := a.now()
	if end := d.Time("expires"); !end.IsZero() && !now.Before(end) {
		return nil, problem.Unauthorized("Token expired")
	}
	if now.Sub(d.Time("used")) >= noteEvery {
		select {
		case a.uses <- d.ID():
		default:
		}
	}
	return &access.Token{ID: d.ID(), Name: d.String("name"), Kind: access.TokenKind(d.String("kind")), Permissions: texts(d.List("permissions"))}, nil
}

// noteUses notes when tokens were used, each once an hour at most.
func (a *Accounts) noteUses(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-a.uses:
			if err := a.noteUse(ctx, id); err != nil && ctx.Err() == nil {
				a.Log.Warn("the use of an API token could not be noted", "err", err)
			}
		}
	}
}

func (a *Accounts) noteUse(ctx context.Context, id string) error {
	now := a.now()
	due := store.And{store.ID(id), store.Or{store.Null("used"), store.Lte("used", now.Add(-noteEvery))}}
	_, err := a.Store.Apply(ctx, store.Update{Collection: tokens, Filter: due, Change: store.Change{Set: store.Document{"used": now}}})
	return err
}

func texts(list []any) []string {
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func list(texts []string) []any {
	all := make([]any, len(texts))
	for i, s := range texts {
		all[i] = s
	}
	return all
}
