package input

import (
	"maps"
	"slices"
	"strconv"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Limits of what one request can say.
const (
	maxWrong = 100  // things that are told to be wrong
	maxLevel = 16   // of components in components
	maxParts = 1000 // components in a list
	maxLinks = 1000 // entries that one reference is said to lead to
	maxDepth = 32   // levels of a json value
	maxText  = 1000 // bytes of a value that a message shows
	maxName  = 1024 // bytes of a name in a json value
)

// Read checks what a client sent as the data of an entry of the type. Numbers are json.Number. The error is a [*problem.Error].
func Read(t *schema.Type, data map[string]any, o Options) (Values, error) {
	k := keys{Options: o, locales: t.Localized}
	if err := k.root(t, data); err != nil {
		return nil, err
	}
	r := &reader{create: o.Create, draft: o.Draft}
	values := r.all(t.Attributes, data, o, nil)
	if err := r.err(); err != nil {
		return nil, err
	}
	return values, nil
}

// Complete checks what is kept, of a draft, before it is published: what has to be there is there, and is as it has to be. The error is a [*problem.Error].
func Complete(t *schema.Type, row store.Document) error {
	r := &reader{create: true}
	r.kept(t.Attributes, row, nil)
	return r.err()
}

// A reader goes through the data, and notes what is wrong with it.
type reader struct {
	create bool // what is missing is null
	draft  bool // it need not be complete
	strict bool // within a component: a text is no number
	level  int  // of components
	wrong  []problem.Field
	format string // what is wrong with the form of a date, the first one
}

// path is where a value stands.
type path []any

func (p path) at(name string) path { return append(p[:len(p):len(p)], name) }

// place is an element of a list, which Strapi counts in text.
func (p path) place(i int) path { return append(p[:len(p):len(p)], strconv.Itoa(i)) }

// String is how messages write it: seo[0].title.
func (p path) String() string {
	text := ""
	for _, v := range p {
		name, _ := v.(string)
		switch {
		case name != "" && name[0] >= '0' && name[0] <= '9':
			text += "[" + name + "]"
		case text == "":
			text = name
		default:
			text += "." + name
		}
	}
	return text
}

// missing is the value of what was not sent.
type missing struct{}

// no notes that a value is wrong; the message goes on after the path.
func (r *reader) no(p path, value any, message string) { r.note(p, value, p.String()+" "+message) }

// note notes that a value is wrong.
func (r *reader) note(p path, value any, message string) {
	if len(r.wrong) >= maxWrong {
		return
	}
	switch value.(type) {
	case nil:
		value = problem.Null{}
	case missing:
		value = nil
	}
	r.wrong = append(r.wrong, problem.Field{Path: p, Message: message, Value: value})
}

func (r *reader) err() error {
	switch {
	case len(r.wrong) > 0:
		return problem.Fields(r.wrong...)
	case r.format != "":
		return problem.Validation("%s", r.format)
	}
	return nil
}

// all reads the attributes' values, in the order of the attributes. What is stamped comes first.
func (r *reader) all(attributes []*schema.Attribute, data map[string]any, o Options, p path) Values {
	values := make(Values, len(attributes))
	for _, a := range attributes {
		v, sent := o.Stamp[a.Name]
		if !sent {
			v, sent = data[a.Name]
		}
		switch {
		case sent:
			if v, ok := r.one(a, v, p.at(a.Name)); ok {
				values[a.Name] = v
			}
		case r.create && o.Has[a.Name] == nil:
			if v := r.absent(a, p.at(a.Name)); v != nil {
				values[a.Name] = v
			}
		}
	}
	return values
}

// absent is the value of an attribute that a new entry was not given.
func (r *reader) absent(a *schema.Attribute, p path) any {
	switch {
	case a.Default != nil && a.Kind == schema.Password:
		text, _ := a.Default.(string)
		return Plain(text)
	case a.Default != nil:
		return a.Default
	case a.Refers():
		return nil // Strapi does not ask for relations, required or not
	case a.Many() && !a.Required:
		return []any{}
	case a.Required && (!r.draft || a.Many()):
		r.no(p, missing{}, "must be defined.")
	}
	return nil
}

// one reads the value of one attribute. Not ok: it stays as it is, or is wrong.
func (r *reader) one(a *schema.Attribute, v any, p path) (any, bool) {
	switch {
	case a.Refers():
		return r.links(a, v, p)
	case a.Kind == schema.Part && !a.Repeatable:
		return r.part(a.Component, a.Required, v, p)
	case a.Many():
		return r.parts(a, v, p)
	}
	before := len(r.wrong)
	if v == nil {
		r.null(a, p)
		return nil, len(r.wrong) == before
	}
	v, ok := r.cast(a, v, p)
	return v, ok && len(r.wrong) == before
}

// null is an attribute that is said to be null.
func (r *reader) null(a *schema.Attribute, p path) {
	if !a.Required || r.draft {
		return
	}
	switch kind := typeName(a.Kind); {
	case kind == "number":
		r.no(p, nil, "must be a `number` type, but the final value was: `NaN`.")
	case kind != "" && kind != "boolean":
		r.no(p, nil, "must be a `"+kind+"` type, but the final value was: `null`.")
	case r.create:
		r.no(p, nil, "must be defined.")
	default:
		r.no(p, nil, "cannot be null.")
	}
}

// typeName is what messages call the type that yup, which Strapi validates with, sees in a kind; "" when it takes anything.
func typeName(kind schema.Kind) string {
	switch kind {
	case schema.String, schema.Text, schema.RichText, schema.Email, schema.Password, schema.UID, schema.Enumeration:
		return "string"
	case schema.Integer, schema.Float, schema.Decimal:
		return "number"
	case schema.Boolean:
		return "boolean"
	case schema.Blocks:
		return "array"
	default:
		return ""
	}
}

// kept checks what a draft has, before it is published.
func (r *reader) kept(attributes []*schema.Attribute, row store.Document, p path) {
	for _, a := range attributes {
		v, p := row[a.Name], p.at(a.Name)
		switch {
		case a.Refers():
		case a.Kind == schema.Part && !a.Repeatable:
			if part, ok := v.(store.Document); ok {
				r.kept(a.Component.Attributes, part, p)
			} else if a.Required {
				r.no(p, nil, "must be a `object` type, but the final value was: `null`.")
			}
		case a.Many():
			list, _ := v.([]any)
			r.keptParts(a, list, p)
		case v == nil:
			r.null(a, p)
		case a.Kind != schema.Password:
			r.rules(a, v, p)
		}
	}
}

func (r *reader) keptParts(a *schema.Attribute, list []any, p path) {
	for i, v := range list {
		part, ok := v.(store.Document)
		if c := partOf(a, part); ok && c != nil {
			r.kept(c.Attributes, part, p.place(i))
		}
	}
	r.howMany(a, len(list), list, p)
}

// sorted are the keys of a map. What is said first of several wrong ones must not be left to chance.
func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
