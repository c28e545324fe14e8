package schema

import (
	"cmp"
	"slices"
)

// UIDs of the types that every api has.
const (
	UserUID = "plugin::users-permissions.user"
	RoleUID = "plugin::users-permissions.role"
	FileUID = "plugin::upload.file"
)

// builtin are the types that every api has: what of Strapi's own their entries show. Hashes and codes are none of it.
func builtin() []*Type {
	three, six := 3, 6
	return []*Type{{
		UID: UserUID, Name: "user", Plural: "users", Table: "up_users", DisplayName: "User", Builtin: true,
		Attributes: []*Attribute{
			{Name: "username", Kind: String, Required: true, Unique: true, MinLength: &three},
			{Name: "email", Kind: Email, Required: true, Unique: true, MinLength: &six},
			{Name: "provider", Kind: String},
			{Name: "confirmed", Kind: Boolean, Default: false},
			{Name: "blocked", Kind: Boolean, Default: false},
			{Name: "role", Kind: RelationTo, Relation: ManyToOne, Target: &Type{UID: RoleUID}},
		},
	}, {
		UID: RoleUID, Name: "role", Plural: "roles", Table: "up_roles", DisplayName: "Role", Builtin: true,
		Attributes: []*Attribute{
			{Name: "name", Kind: String, Required: true, MinLength: &three},
			{Name: "description", Kind: String},
			{Name: "type", Kind: String, Unique: true},
		},
	}, {
		UID: FileUID, Name: "file", Plural: "files", Table: "files", DisplayName: "File", Builtin: true,
		Attributes: []*Attribute{
			{Name: "name", Kind: String, Required: true},
			{Name: "alternativeText", Kind: Text},
			{Name: "caption", Kind: Text},
			{Name: "width", Kind: Integer},
			{Name: "height", Kind: Integer},
			{Name: "formats", Kind: JSON},
			{Name: "hash", Kind: String, Required: true},
			{Name: "ext", Kind: String},
			{Name: "mime", Kind: String, Required: true},
			{Name: "size", Kind: Decimal, Required: true},
			{Name: "url", Kind: Text, Required: true},
			{Name: "previewUrl", Kind: Text},
			{Name: "provider", Kind: String, Required: true},
			{Name: "provider_metadata", Kind: JSON},
		},
	}}
}

// secrets are attributes that Strapi's user has, and that a project's file for it names, too. They are kept elsewhere.
var secrets = []string{"password", "resetPasswordToken", "confirmationToken"}

// extended is the built-in user with what a project's file says of it: more attributes, and narrower bounds for those that it has.
func (b *builder) extended(user, more *Type) {
	for _, a := range more.Attributes {
		own := user.Attribute(a.Name)
		switch {
		case slices.Contains(secrets, a.Name):
			continue
		case own == nil:
			user.Attributes = append(user.Attributes, a)
			continue
		case own.Kind != a.Kind:
			b.fail(a, "%s of a user is %s, which a project can't change", a.Name, own.Kind)
			continue
		}
		if own.Kind == RelationTo {
			continue
		}
		own.Private, own.Indexed, own.Required = a.Private, a.Indexed, own.Required || a.Required
		own.MinLength, own.MaxLength, own.Regex = cmp.Or(a.MinLength, own.MinLength), a.MaxLength, a.Regex
		b.at[own] = b.at[a]
	}
	b.at[user] = b.at[more]
}
