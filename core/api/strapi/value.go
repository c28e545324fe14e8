package strapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// A converter makes what the store keeps of what records hold.
type converter struct {
	set   *schema.Set
	roles map[string]string // document ids of Strapi's roles: those of ours
}

// document converts the values of an entry or a component.
func (c converter) document(attribute func(string) *schema.Attribute, values map[string]any, depth int) (store.Document, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("components lie in one another more than %d deep", maxDepth)
	}
	d := make(store.Document, len(values))
	for name, v := range values {
		a := attribute(name)
		switch {
		case a == nil:
			return nil, fmt.Errorf("%s is no attribute here: keep the schema files that the import writes", name)
		case a.Refers() && !a.Owner() || v == nil:
			continue
		}
		converted, err := c.value(a, v, depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		d[name] = converted
	}
	return d, nil
}

func (c converter) value(a *schema.Attribute, v any, depth int) (any, error) {
	switch a.Kind {
	case schema.Integer, schema.BigInteger:
		return whole(v)
	case schema.Float, schema.Decimal:
		return fraction(v)
	case schema.Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%v is neither true nor false", v)
	case schema.DateTime:
		text, _ := v.(string)
		at, err := time.Parse(time.RFC3339, text)
		return at.UTC().Truncate(time.Millisecond), err
	case schema.JSON, schema.Blocks:
		return free(v)
	case schema.RelationTo, schema.Media:
		return c.references(a, v)
	case schema.Part, schema.Zone:
		return c.parts(a, v, depth)
	case schema.String, schema.Text, schema.RichText, schema.Email, schema.Password, schema.UID, schema.Enumeration, schema.Date, schema.Time:
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case int64, float64:
		return fmt.Sprint(v), nil
	}
	return nil, fmt.Errorf("%T is no text", v)
}

func whole(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return int64(v), nil
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
		if f, err := v.Float64(); err == nil {
			return whole(f)
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%v is no whole number of 64 bits", v)
}

func fraction(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case json.Number:
		return v.Float64()
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return nil, fmt.Errorf("%v is no number", v)
}

// free converts a value of any shape. How deep it may be, the store says.
func free(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			var err error
			if list[i], err = free(one); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		d := make(store.Document, len(v))
		for name, one := range v {
			var err error
			if d[name], err = free(one); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return v, nil
}

// references converts one document id, or a list of them.
func (c converter) references(a *schema.Attribute, v any) (any, error) {
	one := func(v any) (string, error) {
		id, _ := v.(string)
		if a.Target.UID == schema.RoleUID && c.roles[id] != "" {
			id = c.roles[id]
		}
		if !rows.IsDocumentID(id) {
			return "", fmt.Errorf("%v is no document id", v)
		}
		return id, nil
	}
	if !a.Many() {
		return one(v)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%T is no list of document ids", v)
	}
	ids := make([]any, len(list))
	for i, v := range list {
		id, err := one(v)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// parts converts a component, or a list of them.
func (c converter) parts(a *schema.Attribute, v any, depth int) (any, error) {
	if !a.Many() {
		return c.part(a, v, depth)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%T is no list of components", v)
	}
	parts := make([]any, len(list))
	for i, one := range list {
		var err error
		if parts[i], err = c.part(a, one, depth); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func (c converter) part(a *schema.Attribute, v any, depth int) (any, error) {
	values, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is no component", v)
	}
	component := a.Component
	var uid string
	if a.Kind == schema.Zone {
		uid, _ = values[rows.Component].(string)
		component = nil
		for _, one := range a.Zone {
			if one.UID == uid {
				component = one
			}
		}
	}
	if component == nil {
		return nil, fmt.Errorf("%q is no component of it here", uid)
	}
	number, err := whole(values["id"])
	if err != nil {
		return nil, err
	}
	if n := number.(int64); n < 1 || n > maxNumber {
		return nil, fmt.Errorf("%d is no id of a component", n)
	}
	inner := make(map[string]any, len(values))
	for name, one := range values {
		if name != "id" && name != rows.Component {
			inner[name] = one
		}
	}
	d, err := c.document(component.Attribute, inner, depth+1)
	if err != nil {
		return nil, err
	}
	d[rows.Number] = number
	if uid != "" {
		d[rows.Component] = uid
	}
	return d, nil
}

// same reports whether two values of a store are the same.
func same(a, b any) bool {
	switch a := a.(type) {
	case store.Document:
		b, ok := b.(store.Document)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if other, there := b[name]; !there || !same(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case nil:
		return b == nil
	}
	return store.SameKind(a, b) && store.CompareValues(a, b) == 0
}
