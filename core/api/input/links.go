package input

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/schema"
)

// links reads a reference, in all the forms in which Strapi takes one: null, an id or a document id, an object with one, a list of those, or
// what is to be connected, disconnected or set.
func (r *reader) links(a *schema.Attribute, v any, p path) (any, bool) {
	l := &Links{Attribute: a, Path: p}
	before := len(r.wrong)
	change, _ := v.(map[string]any)
	set, connect, disconnect := change["set"], change["connect"], change["disconnect"]
	switch {
	case set == nil && connect == nil && disconnect == nil && !hasAny(change, "set", "connect", "disconnect"):
		l.Replace = true
		l.Set = r.targets(v, p)
	default:
		_, l.Replace = change["set"]
		l.Set = r.targets(set, p.at("set"))
		l.Disconnect = r.targets(disconnect, p.at("disconnect"))
		for i, one := range listed(connect) {
			r.connect(l, one, p.at("connect").place(i))
		}
	}
	if n := len(l.Set) + len(l.Connect) + len(l.Disconnect); n > maxLinks {
		r.no(p, missing{}, "field must have less than or equal to "+strconv.Itoa(maxLinks)+" items")
	}
	return l, len(r.wrong) == before
}

func hasAny(m map[string]any, names ...string) bool {
	for _, name := range names {
		if _, has := m[name]; has {
			return true
		}
	}
	return false
}

// listed is a list of what may be sent alone.
func listed(v any) []any {
	if v == nil {
		return nil
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func (r *reader) targets(v any, p path) []Target {
	all := listed(v)
	if len(all) > maxLinks {
		r.no(p, missing{}, "field must have less than or equal to "+strconv.Itoa(maxLinks)+" items")
		return nil
	}
	found := make([]Target, 0, len(all))
	for _, one := range all {
		if t, ok := target(one); ok {
			found = append(found, t)
		} else if one != nil {
			r.notTarget(one, p)
		}
	}
	return found
}

func (r *reader) notTarget(v any, p path) {
	r.no(p, v, "must be an id, a documentId, or an object with one of them, but the final value was: `"+printed(v)+"`.")
}

// target reads what names one entry. A text that is a number is one, as in Strapi.
func target(v any) (Target, bool) {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["documentId"].(string); ok && isName(text) {
			return Target{DocumentID: text}, true
		}
		if _, nested := v["id"].(map[string]any); v["id"] == nil || nested {
			return Target{}, false
		}
		return target(v["id"])
	case json.Number, int64:
		text, _ := digits(v, false)
		n, is := whole(text)
		return Target{Number: n}, is == exact && n >= 0
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
			return Target{Number: n}, true
		}
		return Target{DocumentID: v}, isName(v)
	}
	return Target{}, false
}

// isName accepts what can be looked for. Whether there is such an entry, or could be, is found out elsewhere.
func isName(text string) bool { return text != "" && len(text) <= maxText && utf8.ValidString(text) }

func (r *reader) connect(l *Links, v any, p path) {
	if len(l.Connect) > maxLinks || v == nil {
		return
	}
	t, ok := target(v)
	if !ok {
		r.notTarget(v, p)
		return
	}
	c := Connect{Target: t}
	object, _ := v.(map[string]any)
	if position, _ := object["position"].(map[string]any); position != nil {
		c.Start, _ = position["start"].(bool)
		c.Before = r.beside(position["before"], p.at("position").at("before"))
		c.After = r.beside(position["after"], p.at("position").at("after"))
	}
	l.Connect = append(l.Connect, c)
}

func (r *reader) beside(v any, p path) *Target {
	if v == nil {
		return nil
	}
	t, ok := target(v)
	if !ok {
		r.notTarget(v, p)
		return nil
	}
	return &t
}
