package accounts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// makeRoles makes rows for the roles that have none: those that every api has first, so that they have Strapi's numbers.
func (a *Accounts) makeRoles(ctx context.Context) error {
	u := a.rules.Load()
	for _, role := range append([]string{access.Authenticated, access.Public}, u.policy.Roles()...) {
		docs, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(u.role), Filter: store.Eq("type", role), Limit: 1})
		if err != nil {
			return err
		}
		if len(docs) > 0 {
			continue
		}
		_, err = a.Entries.Create(ctx, u.role, described(role), entries.Change{})
		if p, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || p.Message != errTaken.Message) { // else another host has made it
			return fmt.Errorf("the role %s: %w", role, err)
		}
	}
	return a.readRoles(ctx)
}

// described is the data of a role, as Strapi describes those that it has, too.
func described(role string) map[string]any {
	data := map[string]any{"type": role, "name": named(role), "description": "Role of the configuration."}
	switch role {
	case access.Authenticated:
		data["description"] = "Default role given to authenticated user."
	case access.Public:
		data["description"] = "Default role given to unauthenticated user."
	}
	return data
}

// named is the name of a role: no name is shorter than three letters.
func named(role string) string {
	first, size := utf8.DecodeRuneInString(role)
	name := string(unicode.ToUpper(first)) + role[size:]
	if utf8.RuneCountInString(name) < 3 {
		name = "Role " + name
	}
	return name
}

// maxRoles is how many roles are read.
const maxRoles = 10_000

func (a *Accounts) readRoles(ctx context.Context) error {
	docs, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(a.rules.Load().role), Limit: maxRoles})
	if err != nil {
		return err
	}
	types := make(map[string]string, len(docs))
	for _, d := range docs {
		types[d.ID()] = d.String("type")
	}
	a.roles.Store(&types)
	return nil
}

// roleOf is the type of a user's role. Who has none, or one that is gone, may do what everybody may.
func (a *Accounts) roleOf(ctx context.Context, user store.Document) (string, error) {
	id := user.String("role")
	if id == "" {
		return access.Public, nil
	}
	if role, ok := (*a.roles.Load())[id]; ok {
		return role, nil
	}
	d, err := a.Store.Get(ctx, rows.Name(a.rules.Load().role), id) // another host has made it
	if fault.CodeOf(err) == fault.NotFound {
		return access.Public, nil
	}
	if err != nil {
		return "", err
	}
	types := maps.Clone(*a.roles.Load())
	types[id] = d.String("type")
	a.roles.Store(&types)
	return d.String("type"), nil
}

// roleNamed is the document id of a role.
func (a *Accounts) roleNamed(ctx context.Context, role string) (string, error) {
	for id, one := range *a.roles.Load() {
		if one == role {
			return id, nil
		}
	}
	docs, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(a.rules.Load().role), Filter: store.Eq("type", role), Limit: 1})
	if err != nil {
		return "", err
	}
	if len(docs) == 0 {
		return "", fmt.Errorf("there is no role %q: there are %s: %w", role, strings.Join(a.rules.Load().policy.Roles(), ", "), fault.NotFound)
	}
	return docs[0].ID(), nil
}
