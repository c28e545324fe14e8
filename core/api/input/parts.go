package input

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// part reads a component. When it says which one it is, by its id, only what is sent of it changes.
func (r *reader) part(c *schema.Component, required bool, v any, p path) (any, bool) {
	data, ok := v.(map[string]any)
	switch {
	case v == nil && (!required || r.draft):
		return nil, true
	case !ok:
		r.mistyped("object", v, p)
		return nil, false
	case r.level >= maxLevel:
		return r.tooDeep(p)
	}
	doc := store.Document{}
	inner := &reader{draft: r.draft, create: true, strict: true, level: r.level + 1, wrong: r.wrong, format: r.format}
	if n, sent := componentNumber(data); sent {
		doc["_n"] = n
		inner.create = false
	}
	for name, value := range inner.all(c.Attributes, data, Options{}, p) {
		doc[name] = value
	}
	before := len(r.wrong)
	r.wrong, r.format = inner.wrong, inner.format
	return doc, len(r.wrong) == before
}

// componentNumber is the id of a component that an entry has.
func componentNumber(data map[string]any) (int64, bool) {
	text, ok := digits(data["id"], true)
	n, is := whole(text)
	return n, ok && is == exact && n > 0
}

// parts reads a list of components: of one kind, or of a dynamic zone.
func (r *reader) parts(a *schema.Attribute, v any, p path) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		r.mistyped("array", v, p)
		return nil, false
	}
	if len(list) > maxParts {
		r.no(p, missing{}, "field must have less than or equal to "+strconv.Itoa(maxParts)+" items")
		return nil, false
	}
	before := len(r.wrong)
	kept := make([]any, 0, len(list))
	for i, one := range list {
		if doc, ok := r.element(a, one, p.place(i)); ok {
			kept = append(kept, doc)
		}
	}
	if !r.draft {
		r.howMany(a, len(list), v, p)
	}
	return kept, len(r.wrong) == before
}

func (r *reader) element(a *schema.Attribute, v any, p path) (any, bool) {
	data, ok := v.(map[string]any)
	if !ok {
		r.mistyped("object", v, p)
		return nil, false
	}
	c := partOf(a, data)
	if c == nil {
		r.unknownPart(a, data["__component"], p.at("__component"))
		return nil, false
	}
	kept, ok := r.part(c, true, v, p)
	if doc, is := kept.(store.Document); is && a.Kind == schema.Zone {
		doc["__component"] = c.UID
	}
	return kept, ok
}

func (r *reader) unknownPart(a *schema.Attribute, v any, p path) {
	switch v := v.(type) {
	case string, json.Number, bool:
		if v == "" {
			break
		}
		uids := make([]string, len(a.Zone))
		for i, c := range a.Zone {
			uids[i] = c.UID
		}
		r.no(p, v, "must be one of the following values: "+strings.Join(uids, ", "))
		return
	case nil:
	default:
		r.mistyped("string", v, p)
		return
	}
	r.no(p, v, "is a required field")
}

// howMany checks how many components there are.
func (r *reader) howMany(a *schema.Attribute, n int, v any, p path) {
	if a.MinLength != nil && n < *a.MinLength && (a.Required || n > 0) {
		r.no(p, v, "field must have at least "+strconv.Itoa(*a.MinLength)+" items")
	}
	if a.MaxLength != nil && n > *a.MaxLength {
		r.no(p, v, "field must have less than or equal to "+strconv.Itoa(*a.MaxLength)+" items")
	}
}
