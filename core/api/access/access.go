// Package access is who may do what with which entries: permissions by role and action, API tokens, and ownership.
//
// In comes what a permission or a rule of ownership can say. Who a caller is, the room accounts finds out.
package access

import (
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// An Action is what is done with a type.
type Action string

// Actions on content types.
const (
	Find    Action = "find"
	FindOne Action = "findOne"
	Create  Action = "create"
	Update  Action = "update"
	Delete  Action = "delete"
)

// A Caller is who asks.
type Caller struct {
	User      store.Document // the user's row; nil: nobody has logged in
	Role      string         // the type of the user's role: authenticated; public for nobody
	Token     *Token         // an API token instead
	Session   string         // the id of the session, "" if there is none
	RequestID string
	Address   string // of the client
}

// A Token is an API token.
type Token struct {
	ID          string
	Name        string
	Kind        TokenKind
	Permissions []string // of a custom one: TYPE.ACTION
}

// TokenKind is what a token may do.
type TokenKind string

// Kinds of tokens.
const (
	FullAccess TokenKind = "full-access"
	ReadOnly   TokenKind = "read-only" // find and findOne of everything
	Custom     TokenKind = "custom"
)

// Own is somebody in this process who needs no token, by a name such as plugin:planner.
func Own(name string, kind TokenKind) Caller {
	return Caller{Token: &Token{Name: name, Kind: kind}}
}

// Name is what the caller is called in the history of changes: user:DOCUMENTID, token:NAME, public, or what [Own] says; of none at all, edge.
func (c Caller) Name() string {
	switch {
	case c.Token != nil && c.Token.ID == "":
		return c.Token.Name
	case c.Token != nil:
		return "token:" + c.Token.Name
	case c.User != nil:
		return "user:" + c.User.String("_doc")
	}
	if c.Role == "" {
		return "edge"
	}
	return c.Role
}

// A Scope is what one caller may do.
type Scope interface {
	// May reports whether the caller may do that with entries of the type, of whomever they are.
	May(t *schema.Type, a Action) bool

	// Only returns which entries of the type the caller may do that with, its values bound; nil: all. Ask May first.
	Only(t *schema.Type, a Action) query.Expr

	// Stamp returns what is set on an entry that the caller creates, by attribute, as input is written; nil: nothing.
	Stamp(t *schema.Type) map[string]any
}

// Drafts are the types whose drafts a scope sees at all: those of which it may change entries. Nil: all.
func Drafts(s Scope) func(*schema.Type) bool {
	if s == nil {
		return nil
	}
	return func(t *schema.Type) bool { return s.May(t, Update) }
}

// Seen is which entries of a type a scope sees by an action, as drafts or as what is published; nil: all. A draft is seen by those alone who may change that entry.
func Seen(s Scope, t *schema.Type, a Action, draft bool) query.Expr {
	if s == nil {
		return nil
	}
	only := s.Only(t, a)
	if !draft || !t.Drafts {
		return only
	}
	if !s.May(t, Update) {
		return never
	}
	return both(only, s.Only(t, Update))
}
