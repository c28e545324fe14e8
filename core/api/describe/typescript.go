package describe

import (
	"bytes"
	_ "embed" // what is the same for all types
	"fmt"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

//go:embed generic.ts
var generic []byte

// TypeScript returns types for who calls the api: of each content type the entry as it is answered, and the data that makes or changes one; and, for all of them, what a query
// can ask for, and what the answers are.
func TypeScript(set *schema.Set) []byte {
	w := &typeWriter{}
	w.line("// Made by `edge api types` of the content types: make it anew when they change.")
	w.line("")
	w.Write(generic)
	for _, c := range set.Components() {
		w.component(c)
	}
	for _, t := range set.Types() {
		w.entry(t)
		if t.Name != "role" && t.Name != "file" {
			w.input(t)
		}
	}
	w.index(set)
	return w.Bytes()
}

type typeWriter struct{ bytes.Buffer }

func (w *typeWriter) line(format string, args ...any) {
	fmt.Fprintf(&w.Buffer, format+"\n", args...)
}

func (w *typeWriter) entry(t *schema.Type) {
	w.line("")
	if t.Description != "" {
		w.line("/** %s */", comment(t.Description))
	}
	w.line("export interface %s {", typeName(t))
	w.line("  id: number;")
	w.line("  documentId: string;")
	for _, a := range t.Attributes {
		if shown(a) {
			w.line("  %s%s: %s;", property(a.Name), optional(!a.Scalar()), answered(a))
		}
	}
	w.line("  createdAt: string;")
	w.line("  updatedAt: string;")
	w.line("  publishedAt: %s;", map[bool]string{true: "string | null", false: "string"}[t.Drafts])
	if t.Localized {
		w.line("  locale: string;")
	}
	w.line("}")
}

func (w *typeWriter) component(c *schema.Component) {
	w.line("")
	w.line("export interface %s {", componentName(c))
	w.line("  id: number;")
	for _, a := range c.Attributes {
		if shown(a) {
			w.line("  %s%s: %s;", property(a.Name), optional(!a.Scalar()), answered(a))
		}
	}
	w.line("}")
	w.line("")
	w.line("export interface %sInput {", componentName(c))
	w.inputs(c.Attributes)
	w.line("}")
}

func (w *typeWriter) input(t *schema.Type) {
	w.line("")
	w.line("export interface %sInput {", typeName(t))
	if t.UID == schema.UserUID {
		w.line("  password: string;") // no attribute: it is kept apart
	}
	w.inputs(t.Attributes)
	w.line("}")
}

func (w *typeWriter) inputs(attributes []*schema.Attribute) {
	for _, a := range attributes {
		null := ""
		if !a.Required {
			null = " | null"
		}
		w.line("  %s%s: %s%s;", property(a.Name), optional(!a.Required || a.Default != nil), taken(a), null)
	}
}

// index is what leads from a path to the types of what is there.
func (w *typeWriter) index(set *schema.Set) {
	w.line("")
	w.line("/** By the path of a collection, what is there. */")
	w.line("export interface Collections {")
	for _, t := range set.Types() {
		if routed(t) && !t.Single {
			w.line("  %s: { entry: %s; input: %[2]sInput; changes: Partial<%[2]sInput> };", property(t.Plural), typeName(t))
		}
	}
	w.line("}")
	w.line("")
	w.line("/** By the path of a single type, what is there. */")
	w.line("export interface Singles {")
	for _, t := range set.Types() {
		if routed(t) && t.Single {
			w.line("  %s: { entry: %s; input: %[2]sInput; changes: Partial<%[2]sInput> };", property(t.Name), typeName(t))
		}
	}
	w.line("}")
}

// answered is the type of an attribute in an answer.
func answered(a *schema.Attribute) string {
	var one string
	switch a.Kind {
	case schema.Boolean:
		one = "boolean"
	case schema.Integer, schema.Float, schema.Decimal:
		one = "number"
	case schema.JSON, schema.Blocks:
		one = "Json"
	case schema.Enumeration:
		one = literals(a.Enum)
	case schema.RelationTo, schema.Media:
		one = typeName(a.Target)
	case schema.Part:
		one = componentName(a.Component)
	case schema.Zone:
		return zone(a, "")
	default:
		one = "string"
	}
	switch {
	case a.Many():
		return one + "[]"
	case a.Kind == schema.JSON || a.Kind == schema.Blocks:
		return one
	case a.Scalar() && a.Required:
		return one
	}
	return one + " | null"
}

// taken is the type of an attribute in data, but for null.
func taken(a *schema.Attribute) string {
	switch {
	case a.Refers() && a.Many():
		return "References"
	case a.Refers():
		return "Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] }"
	case a.Kind == schema.Part && a.Repeatable:
		return componentName(a.Component) + "Input[]"
	case a.Kind == schema.Part:
		return componentName(a.Component) + "Input"
	case a.Kind == schema.Zone:
		return zone(a, "Input")
	case a.Kind == schema.BigInteger:
		return "string | number"
	case a.Kind == schema.Password:
		return "string"
	}
	return strings.TrimSuffix(answered(a), " | null")
}

func zone(a *schema.Attribute, suffix string) string {
	var parts []string
	for _, c := range a.Zone {
		parts = append(parts, fmt.Sprintf("({ __component: %s } & %s%s)", strconv.Quote(c.UID), componentName(c), suffix))
	}
	return "(" + strings.Join(parts, " | ") + ")[]"
}

func literals(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "(" + strings.Join(quoted, " | ") + ")"
}

func optional(yes bool) string {
	if yes {
		return "?"
	}
	return ""
}

// property writes a name as a property's: in quotes where it is no identifier.
func property(name string) string {
	if strings.ContainsAny(name, "-. ") {
		return strconv.Quote(name)
	}
	return name
}

// comment is a text that can't end the comment that it stands in.
func comment(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "*/", "* /")
}
