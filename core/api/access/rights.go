package access

import (
	"strings"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
)

// Rights are what one caller may do. They are a [Scope], and a [query.May].
type Rights struct {
	policy  *Policy
	caller  Caller
	permits permits
}

var (
	_ Scope     = (*Rights)(nil)
	_ query.May = (*Rights)(nil)
)

// May reports whether the caller may do that with entries of the type. Of files, create is uploading them.
func (r *Rights) May(t *schema.Type, a Action) bool {
	if r.caller.Token == nil {
		return r.permits[permit{t.Name, string(a)}]
	}
	return r.token(string(a), func(subject, action string) bool {
		return r.policy.typeOf(subject) == t && (action == "*" || actionOf(t, action) == a)
	})
}

// Allows reports whether the caller may do what is done with no type: auth.register, permissions.getPermissions.
func (r *Rights) Allows(feature, action string) bool {
	if r.caller.Token == nil {
		return r.permits[permit{feature, action}]
	}
	return r.token(action, func(subject, one string) bool { return subject == feature && (one == "*" || one == action) })
}

// token reports whether the caller's token lets do an action; same compares with a permission that is written.
func (r *Rights) token(action string, same func(subject, action string) bool) bool {
	switch r.caller.Token.Kind {
	case FullAccess:
		return true
	case ReadOnly:
		return action == string(Find) || action == string(FindOne)
	case Custom:
		for _, text := range r.caller.Token.Permissions {
			if subject, one, ok := strings.Cut(text, "."); ok && same(subject, one) {
				return true
			}
		}
	}
	return false
}

// Only returns which entries of the type the caller may do that with; nil: all. A token stands for a server, which sees all.
func (r *Rights) Only(t *schema.Type, a Action) query.Expr {
	if r.caller.Token != nil || len(r.policy.rules) == 0 {
		return nil
	}
	of, ok := r.policy.rules[t.Name]
	if !ok {
		return nil
	}
	only := of.only(a)
	if !query.Open(only) {
		return only
	}
	return query.Bind(only, r.value)
}

// Stamp returns what is set on an entry that the caller creates, whatever the request says; nil: nothing. What is not known is null.
func (r *Rights) Stamp(t *schema.Type) map[string]any {
	of := r.policy.rules[t.Name].stamp
	if r.caller.Token != nil || len(of) == 0 {
		return nil
	}
	set := make(map[string]any, len(of))
	for _, s := range of {
		v := s.value
		if user, ok := v.(query.User); ok {
			v, _ = r.value(user)
		}
		set[s.attribute.Name] = s.written(v)
	}
	return set
}

// Reads reports whether the caller may see entries of the type: find, as in Strapi.
func (r *Rights) Reads(t *schema.Type) bool { return r.May(t, Find) }

// Drafts reports whether the caller may see what is not published: who may update it.
func (r *Rights) Drafts(t *schema.Type) bool { return r.May(t, Update) }

// value is a value of who asks, as the user's row has it.
func (r *Rights) value(name query.User) (any, bool) {
	field := string(name)
	if field == string(query.ID) {
		field = "_n"
	} else if field == string(query.DocumentID) {
		field = "_doc"
	}
	v, ok := r.caller.User[field]
	return v, ok && v != nil
}
