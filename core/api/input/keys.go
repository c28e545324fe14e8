package input

import (
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
)

// keys checks that the data names only what there is, and what the caller may write.
type keys struct {
	Options
	locales bool // the type is localized
	level   int
}

func (k *keys) root(t *schema.Type, data map[string]any) error {
	for _, name := range []string{"id", "documentId"} {
		if _, sent := data[name]; sent {
			e := problem.Validation("Invalid key %s", name)
			e.Details = map[string]string{"key": name, "source": "body"}
			return e
		}
	}
	for _, name := range sorted(data) {
		switch name {
		case "publishedAt", "locale": // Strapi takes them and does not heed them: the query string says it
			continue
		case "localizations":
			if k.locales {
				continue
			}
		}
		if a := t.Attribute(name); a != nil {
			if err := k.attribute(a, data[name], name); err != nil {
				return err
			}
			continue
		}
		switch name {
		case "createdAt", "updatedAt", "createdBy", "updatedBy":
			return invalid(name, name)
		}
		return invalid(name, nil)
	}
	return nil
}

func invalid(name string, path any) error {
	return problem.InvalidKey(problem.Key{Key: name, Path: path, Source: "body"})
}

func (k *keys) attribute(a *schema.Attribute, v any, path string) error {
	switch {
	case a.Kind == schema.RelationTo:
		if _, stamped := k.Stamp[a.Name]; k.May != nil && !k.May(a.Target) && !stamped {
			return invalid(a.Name, path)
		}
		return k.relation(a, v, path)
	case a.Kind == schema.Part || a.Kind == schema.Zone:
		return k.parts(a, v, path)
	}
	return nil
}

// relation accepts what a relation's target has: clients send back what they have read.
func (k *keys) relation(a *schema.Attribute, v any, path string) error {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			if _, nested := one.([]any); nested {
				continue
			}
			if err := k.relation(a, one, path); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, name := range sorted(v) {
			switch name {
			case "id", "documentId", "connect", "disconnect", "set", "options", "position", "locale", "status", "createdAt", "updatedAt", "publishedAt", "createdBy", "updatedBy", "localizations":
				continue
			}
			if a.Target.Attribute(name) == nil {
				return invalid(name, path)
			}
		}
	}
	return nil
}

func (k *keys) parts(a *schema.Attribute, v any, path string) error {
	k.level++
	defer func() { k.level-- }()
	if k.level > maxLevel {
		return problem.Validation("%s has components within components, more than %d levels of them", path, maxLevel)
	}
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			if part, ok := one.(map[string]any); ok {
				if err := k.part(a, part, path); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		return k.part(a, v, path)
	}
	return nil
}

func (k *keys) part(a *schema.Attribute, data map[string]any, path string) error {
	c := partOf(a, data)
	if c == nil {
		return nil // which reading it says
	}
	for _, name := range sorted(data) {
		if inner := c.Attribute(name); inner != nil {
			if err := k.attribute(inner, data[name], path+"."+name); err != nil {
				return err
			}
			continue
		}
		switch {
		case name == "id" || name == "documentId" || name == "__component" && a.Kind == schema.Zone:
		default:
			return invalid(name, path)
		}
	}
	return nil
}

// partOf is the component that a value of the attribute is.
func partOf[D ~map[string]any](a *schema.Attribute, data D) *schema.Component {
	if a.Kind == schema.Part {
		return a.Component
	}
	uid, _ := data["__component"].(string)
	for _, c := range a.Zone {
		if c.UID == uid {
			return c
		}
	}
	return nil
}
