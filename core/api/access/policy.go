package access

import (
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// Actions on accounts and roles, and on files.
const (
	Count Action = "count"
	Me    Action = "me"
)

// A Policy is who may do what, as the configuration says. It does not change.
type Policy struct{}

// New makes a policy. What [Check] finds wrong is as if it were not written: nobody gains by it.
func New(c *config.API, set *schema.Set) *Policy { panic("unwritten") }

// Check finds what permissions and access name that is not there, and filters that can't be meant.
func Check(cfg *config.Config, set *schema.Set) []config.Problem { panic("unwritten") }

// Roles are the types of all roles: public, authenticated, and those that have permissions, by name.
func (p *Policy) Roles() []string { panic("unwritten") }

// For returns what a caller may do.
func (p *Policy) For(c Caller) *Rights { panic("unwritten") }

// Tree is what a role may do, as GET /users-permissions/roles/ID shows it; of role "" nothing, as /permissions does.
func (p *Policy) Tree(role string) map[string]any { panic("unwritten") }

// Rights are what one caller may do. They are a [Scope], and a [query.May].
type Rights struct{}

// May reports whether the caller may do that with entries of the type.
func (r *Rights) May(t *schema.Type, a Action) bool { panic("unwritten") }

// Allows reports whether the caller may do that with what is no type: auth.callback, role.find.
func (r *Rights) Allows(controller, action string) bool { panic("unwritten") }

// Only returns which entries of the type the caller may do that with; nil: all.
func (r *Rights) Only(t *schema.Type, a Action) query.Expr { panic("unwritten") }

// Stamp returns what is set on an entry that the caller creates; nil: nothing.
func (r *Rights) Stamp(t *schema.Type) map[string]any { panic("unwritten") }

// Reads reports whether the caller may see entries of the type at all.
func (r *Rights) Reads(t *schema.Type) bool { panic("unwritten") }

// Drafts reports whether the caller may see what is not published: who may update it.
func (r *Rights) Drafts(t *schema.Type) bool { panic("unwritten") }
