package schema

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// taken are paths that other things than collections and single types have.
var taken = []string{"auth", "upload", "uploads", "users-permissions", "realtime", "openapi.json"}

// reserved are names that no attribute has, in snake case: those of fields that every entry has, and those of a type that Strapi keeps for itself
// (its content-type builder's list).
var (
	reserved     = []string{"id", "document_id", "created_at", "updated_at", "published_at", "created_by", "updated_by", "locale", "localizations"}
	reservedType = []string{"created_by_id", "updated_by_id", "entry_id", "status", "meta", "strapi", "strapi_stage", "strapi_assignee"}
)

var (
	kebab         = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	componentUID  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*\.[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

// names finds types, paths and components of one name, and names that nothing can have.
func (b *builder) names(s *Set) {
	if len(s.locales) == 0 {
		b.fail(nil, "there is no language; the first one is the default")
	}
	names, uids, paths := map[string]*Type{}, map[string]*Type{}, map[string]*Type{}
	for _, t := range b.builtinFirst(s) {
		once(b, names, t.Name, t, "the name")
		once(b, uids, t.UID, t, "the UID")
		path := t.Plural
		if t.Single {
			path = t.Name
		}
		once(b, paths, path, t, "the path")
		if t.Builtin {
			continue
		}
		for _, name := range []string{t.Name, t.Plural} {
			if !kebab.MatchString(name) || len(name) > maxTypeName {
				b.fail(t, "%q is no name of a content type: it has lower-case letters, digits and single hyphens, %d at most", clip(name), maxTypeName)
			}
		}
		if t.Name == t.Plural {
			b.fail(t, "singularName and pluralName are both %q; they have to differ", clip(t.Name))
		}
		if slices.Contains(taken, path) {
			b.fail(t, "the path /%s is taken; choose another name", path)
		}
	}
	parts := map[string]*Component{}
	for _, c := range s.components {
		if once(b, parts, c.UID, c, "the UID"); !componentUID.MatchString(c.UID) || len(c.UID) > maxUID {
			b.fail(c, "%q is no UID of a component: it is CATEGORY.NAME, of letters, digits, - and _", clip(c.UID))
		}
	}
}

// builtinFirst has what a project's type clashes with come before it.
func (b *builder) builtinFirst(s *Set) []*Type {
	all := slices.Clone(s.types)
	slices.SortStableFunc(all, func(x, y *Type) int {
		switch {
		case x.Builtin == y.Builtin:
			return 0
		case x.Builtin:
			return -1
		}
		return 1
	})
	return all
}

// once finds a name that another one has already.
func once[T comparable](b *builder, seen map[string]T, name string, what T, of string) {
	first, twice := seen[name]
	if !twice {
		seen[name] = what
		return
	}
	where := ""
	if at := b.at[first]; at.file != nil {
		where = " in " + at.file.name
	}
	b.fail(what, "%s %q is that of %s%s already", of, clip(name), b.nameOf(first), where)
}

// attributes finds what is wrong with the attributes of a type or component, each for itself.
func (b *builder) attributes(of any, all []*Attribute) {
	if len(all) > maxAttributes {
		b.fail(of, "there are more than %d attributes", maxAttributes)
		return
	}
	t, isType := of.(*Type)
	seen := map[string]bool{}
	for _, a := range all {
		if seen[a.Name] {
			b.fail(a, "the attribute %q is given twice", clip(a.Name))
		}
		seen[a.Name] = true
		b.attributeName(a, isType)
		b.kind(a, isType)
		b.bounds(a)
		if a.Kind == UID {
			b.uidField(a, all)
		}
		if isType {
			a.Localized = t.Localized && (a.Localized || a.Kind == RelationTo || a.Kind == UID)
		}
	}
}

func (b *builder) attributeName(a *Attribute, ofType bool) {
	snake := snakeCase(a.Name)
	switch {
	case !attributeName.MatchString(a.Name) || len(a.Name) > maxName:
		b.fail(a, "%q is no name of an attribute: it begins with a letter and has letters, digits and _, %d at most", clip(a.Name), maxName)
	case slices.Contains(reserved, snake), ofType && (slices.Contains(reservedType, snake) || strings.HasPrefix(snake, "strapi_")):
		b.fail(a, "the name %q is reserved; choose another", a.Name)
	}
}

// snakeCase writes a name with _ before what begins with a capital, as Strapi compares names: documentId, DocumentID and document_id are one.
func snakeCase(name string) string {
	var out []rune
	before := 'A'
	for _, r := range name {
		if unicode.IsUpper(r) && !unicode.IsUpper(before) && before != '_' {
			out = append(out, '_')
		}
		out = append(out, unicode.ToLower(r))
		before = r
	}
	return string(out)
}

// kind finds what a kind of attribute can't be.
func (b *builder) kind(a *Attribute, ofType bool) {
	switch a.Kind {
	case String, Text, RichText, Email, UID, Integer, BigInteger, Float, Decimal, Boolean, Date, Time, DateTime:
	case Enumeration:
		b.enumeration(a)
		fallthrough
	case Blocks, Password, JSON, RelationTo, Media, Part, Zone:
		if a.Unique && a.Kind != Enumeration {
			b.fail(a, "a value of kind %s can't be unique", a.Kind)
		}
		if a.Indexed && a.Kind != Enumeration && a.Kind != RelationTo {
			b.fail(a, "a value of kind %s can't have an index", a.Kind)
		}
	default:
		b.fail(a, "%q is no kind of attribute", clip(string(a.Kind)))
	}
	switch {
	case a.Kind == UID && ofType:
		a.Unique = true // as in Strapi
	case !ofType && (a.Unique || a.Indexed):
		a.Unique, a.Indexed = false, false
		b.warn(a, "a value in a component is not kept unique, and has no index")
	case !ofType && a.Kind == Zone:
		b.fail(a, "a component has no dynamic zone; use a repeatable component")
	case a.Kind == Zone && len(a.Zone) == 0:
		b.fail(a, "components says which may be in a dynamic zone: at least one")
	}
}

func (b *builder) enumeration(a *Attribute) {
	if len(a.Enum) == 0 {
		b.fail(a, "enum has the values that an enumeration may have: at least one")
	}
	seen := map[string]bool{}
	for _, v := range a.Enum {
		switch {
		case v == "" || utf8.RuneCountInString(v) > maxString:
			b.fail(a, "a value of an enumeration has 1 to %d characters", maxString)
		case seen[v]:
			b.fail(a, "%q is given twice in enum", clip(v))
		}
		seen[v] = true
	}
}

// bounds finds bounds that nothing is within, and a default that is not.
func (b *builder) bounds(a *Attribute) {
	if a.Min != nil && a.Max != nil && *a.Min > *a.Max {
		b.fail(a, "min is greater than max")
	}
	if a.MinLength != nil && a.MaxLength != nil && *a.MinLength > *a.MaxLength {
		b.fail(a, "the least length is greater than the greatest")
	}
	for _, n := range []*int{a.MinLength, a.MaxLength} {
		if n != nil && *n < 0 {
			b.fail(a, "a length is not negative")
		}
	}
	for _, n := range []*float64{a.Min, a.Max} {
		if n != nil && (math.IsNaN(*n) || math.IsInf(*n, 0)) {
			b.fail(a, "min and max are numbers")
		}
	}
	if a.Default == nil {
		return
	}
	if why := a.misfit(); why != "" {
		b.fail(a, "the default does not fit: %s", why)
	}
}

// uidField finds what a uid can't be made of.
func (b *builder) uidField(a *Attribute, all []*Attribute) {
	if a.TargetField == "" {
		return
	}
	switch of := find(all, a.TargetField); {
	case of == nil:
		b.fail(a, "targetField: there is no attribute %q%s", clip(a.TargetField), meant(a.TargetField, attributeNames(all)))
	case of.Kind != String && of.Kind != Text && of.Kind != Email && of.Kind != Enumeration:
		b.fail(a, "targetField: a uid is made of a text, and %s is %s", of.Name, of.Kind)
	case a.Default != nil:
		b.fail(a, "a uid has a default or a targetField, and not both")
	}
}

func attributeNames(all []*Attribute) []string {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.Name
	}
	return names
}
