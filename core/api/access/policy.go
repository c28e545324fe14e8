package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// Actions on users.
const (
	Count Action = "count" // how many there are
	Me    Action = "me"    // oneself
)

// Roles that every api has.
const (
	Public        = "public"        // who has not logged in
	Authenticated = "authenticated" // who has, and has no role of their own
)

// features are what permissions name beside content types, and what they let do. Upload stands for the type file.
var features = map[string][]string{
	"auth":        {"callback", "changePassword", "resetPassword", "refresh", "logout", "forgotPassword", "register", "emailConfirmation", "sendEmailConfirmation"},
	"permissions": {"getPermissions"},
}

// Granted without being written: what somebody needs to log in, and what who has done so needs.
var (
	forAll      = []string{"auth.callback", "auth.register", "auth.forgotPassword", "auth.resetPassword", "auth.emailConfirmation", "auth.sendEmailConfirmation", "auth.refresh"}
	forLoggedIn = []string{"user.me", "auth.changePassword", "auth.logout"}
)

// A Policy is who may do what, as the configuration says. It does not change.
type Policy struct {
	set   *schema.Set
	roles map[string]permits
	least permits         // of a role that nothing is said of
	rules map[string]rule // by the name of a type
}

// permits are what a role may do.
type permits map[permit]bool

// A permit is an action on a type, by its name, or of a feature.
type permit struct{ subject, action string }

// New makes a policy. Where [Check] finds something wrong, nobody may do what that says.
func New(c *config.API, set *schema.Set) *Policy {
	p := &Policy{set: set, roles: map[string]permits{}, rules: map[string]rule{}, least: granted(Authenticated)}
	for _, role := range roles(c) {
		all := granted(role)
		for _, text := range c.Permissions[role] {
			_ = p.words(text, func(one permit) { all[one] = true })
		}
		p.roles[role] = all
	}
	for name, a := range c.Access {
		if t := p.typeOf(name); t != nil {
			p.rules[t.Name], _ = p.rule(t, a)
		}
	}
	return p
}

// granted is what a role may do without its being written.
func granted(role string) permits {
	all := permits{}
	for _, text := range forAll {
		all.add(text)
	}
	if role != Public {
		for _, text := range forLoggedIn {
			all.add(text)
		}
	}
	return all
}

func (p permits) add(text string) {
	subject, action, _ := strings.Cut(text, ".")
	p[permit{subject, action}] = true
}

// roles are the types of all roles, by name.
func roles(c *config.API) []string {
	all := map[string]bool{Public: true, Authenticated: true}
	for role := range c.Permissions {
		all[role] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// typeOf finds the type that a permission or a rule names.
func (p *Policy) typeOf(name string) *schema.Type {
	if t := p.set.Type(name); t != nil || name != "upload" {
		return t
	}
	return p.set.UID(schema.FileUID)
}

// actions are what can be done with a type.
func actions(t *schema.Type) []Action {
	switch {
	case t.UID == schema.RoleUID:
		return []Action{Find, FindOne}
	case t.UID == schema.UserUID:
		return []Action{Find, FindOne, Create, Update, Delete, Count, Me}
	case t.UID == schema.FileUID:
		return []Action{Find, FindOne, Create, Delete}
	case t.Single:
		return []Action{Find, Update, Delete}
	}
	return []Action{Find, FindOne, Create, Update, Delete}
}

// words gives what TYPE.ACTION permits, and an error when there is no such thing.
func (p *Policy) words(text string, yield func(permit)) error {
	subject, action, ok := strings.Cut(text, ".")
	if !ok {
		return fmt.Errorf("is no permission: write TYPE.ACTION, as article.find or article.*%s", query.Near(subject, p.subjects()))
	}
	known := features[subject]
	if t := p.typeOf(subject); t != nil {
		subject, action = t.Name, string(actionOf(t, action))
		for _, a := range actions(t) {
			known = append(known[:len(known):len(known)], string(a))
		}
	}
	switch {
	case known == nil:
		return fmt.Errorf("names no content type%s", query.Near(subject, p.subjects()))
	case action != "*" && !slices.Contains(known, action):
		return fmt.Errorf("names no action of %s, which has %s%s", subject, strings.Join(known, ", "), query.Near(action, known))
	}
	for _, one := range known {
		if action == "*" || action == one {
			yield(permit{subject, one})
		}
	}
	return nil
}

// actionOf is an action by the name that Strapi's own types have for it: upload and destroy.
func actionOf(t *schema.Type, action string) Action {
	switch {
	case t.UID == schema.FileUID && action == "upload":
		return Create
	case t.Builtin && action == "destroy":
		return Delete
	}
	return Action(action)
}

// subjects are what permissions can be about.
func (p *Policy) subjects() []string {
	all := []string{"upload"}
	for _, t := range p.set.Types() {
		all = append(all, t.Name)
	}
	return append(all, slices.Sorted(maps.Keys(features))...)
}

// Roles are the types of all roles: public, authenticated, and those that have permissions, by name.
func (p *Policy) Roles() []string { return slices.Sorted(maps.Keys(p.roles)) }

// For returns what a caller may do.
func (p *Policy) For(c Caller) *Rights {
	role := c.Role
	if c.User == nil {
		role = Public
	}
	r := &Rights{policy: p, caller: c, permits: p.roles[role]}
	if r.permits == nil {
		r.permits = p.least
	}
	return r
}
