// Package describe tells programs and people what a content API has: as an OpenAPI document (3.1) and as TypeScript types, both made of the content types.
//
// In comes what the api answers and takes. What a type is, package schema says; who may do what, package access.
package describe

import (
	"strings"
	"unicode"

	"github.com/onehost/edge/core/api/schema"
)

// pascal is a name as types are named: blog-post becomes BlogPost.
func pascal(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			upper = true
			continue
		}
		if upper {
			r = unicode.ToUpper(r)
		}
		upper = false
		b.WriteRune(r)
	}
	return b.String()
}

// typeName names the type of an entry.
func typeName(t *schema.Type) string { return pascal(t.Name) }

// componentName names the type of a component: blocks.quote becomes BlocksQuoteComponent, which no content type is called.
func componentName(c *schema.Component) string { return pascal(c.UID) + "Component" }

// shown reports whether an attribute is ever told.
func shown(a *schema.Attribute) bool { return !a.Private && a.Kind != schema.Password }

// has reports whether a set's types have routes of their own: role has not.
func routed(t *schema.Type) bool { return !t.Builtin }
