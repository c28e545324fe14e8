package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// What is kept of a set: itself, with UIDs in place of what they lead to.
type (
	keptSet struct {
		Locales    []string        `json:"locales"`
		Types      []keptType      `json:"types"`
		Components []keptComponent `json:"components,omitempty"`
	}

	keptType struct {
		UID         string          `json:"uid"`
		Name        string          `json:"name"`
		Plural      string          `json:"plural"`
		Single      bool            `json:"single,omitempty"`
		Table       string          `json:"table,omitempty"`
		DisplayName string          `json:"displayName,omitempty"`
		Description string          `json:"description,omitempty"`
		Drafts      bool            `json:"drafts,omitempty"`
		Localized   bool            `json:"localized,omitempty"`
		Builtin     bool            `json:"builtin,omitempty"`
		Attributes  []keptAttribute `json:"attributes"`
	}

	keptComponent struct {
		UID        string          `json:"uid"`
		Table      string          `json:"table,omitempty"`
		Attributes []keptAttribute `json:"attributes"`
	}

	keptAttribute struct {
		Name       string   `json:"name"`
		Kind       Kind     `json:"kind"`
		Required   bool     `json:"required,omitempty"`
		Unique     bool     `json:"unique,omitempty"`
		Private    bool     `json:"private,omitempty"`
		Indexed    bool     `json:"indexed,omitempty"`
		Localized  bool     `json:"localized,omitempty"`
		Default    any      `json:"default,omitempty"`
		Min        *float64 `json:"min,omitempty"`
		Max        *float64 `json:"max,omitempty"`
		MinLength  *int     `json:"minLength,omitempty"`
		MaxLength  *int     `json:"maxLength,omitempty"`
		Regex      string   `json:"regex,omitempty"`
		Enum       []string `json:"enum,omitempty"`
		Field      string   `json:"targetField,omitempty"`
		Relation   Relation `json:"relation,omitempty"`
		Target     string   `json:"target,omitempty"`
		MappedBy   string   `json:"mappedBy,omitempty"`
		InversedBy string   `json:"inversedBy,omitempty"`
		Component  string   `json:"component,omitempty"`
		Repeatable bool     `json:"repeatable,omitempty"`
		Zone       []string `json:"zone,omitempty"`
		Multiple   bool     `json:"multiple,omitempty"`
		Allowed    []string `json:"allowed,omitempty"`
	}
)

// Encode writes a set as JSON, the same set always as the same bytes.
func Encode(s *Set) []byte {
	kept := keptSet{Locales: s.locales}
	for _, t := range s.types {
		kept.Types = append(kept.Types, keptType{
			t.UID, t.Name, t.Plural, t.Single, t.Table, t.DisplayName, t.Description, t.Drafts, t.Localized, t.Builtin, keep(t.Attributes),
		})
	}
	for _, c := range s.components {
		kept.Components = append(kept.Components, keptComponent{c.UID, c.Table, keep(c.Attributes)})
	}
	text, err := json.Marshal(kept)
	if err != nil {
		panic(err) // a default is a value that JSON has, as the set was made of nothing else
	}
	return text
}

func keep(all []*Attribute) []keptAttribute {
	list := make([]keptAttribute, len(all))
	for i, a := range all {
		k := keptAttribute{
			Name: a.Name, Kind: a.Kind, Required: a.Required, Unique: a.Unique, Private: a.Private, Indexed: a.Indexed, Localized: a.Localized,
			Default: a.Default, Min: a.Min, Max: a.Max, MinLength: a.MinLength, MaxLength: a.MaxLength, Enum: a.Enum, Field: a.TargetField,
			Relation: a.Relation, MappedBy: a.MappedBy, InversedBy: a.InversedBy, Repeatable: a.Repeatable, Multiple: a.Multiple, Allowed: a.Allowed,
		}
		if a.Regex != nil {
			k.Regex = a.Regex.String()
		}
		if a.Target != nil {
			k.Target = a.Target.UID
		}
		if a.Component != nil {
			k.Component = a.Component.UID
		}
		for _, c := range a.Zone {
			k.Zone = append(k.Zone, c.UID)
		}
		list[i] = k
	}
	return list
}

// Decode reads what Encode has written.
func Decode(text []byte) (*Set, error) {
	var kept keptSet
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&kept); err != nil {
		return nil, fmt.Errorf("content types as they were kept: %w", err)
	}
	var types []*Type
	var components []*Component
	var errs []error
	for _, t := range kept.Types {
		all, err := restored(t.Attributes)
		types = append(types, &Type{t.UID, t.Name, t.Plural, t.Single, t.Table, t.DisplayName, t.Description, t.Drafts, t.Localized, all, t.Builtin})
		errs = append(errs, err)
	}
	for _, c := range kept.Components {
		all, err := restored(c.Attributes)
		components = append(components, &Component{c.UID, c.Table, all})
		errs = append(errs, err)
	}
	s := link(kept.Locales, types, components, func(a *Attribute, what, uid string, _ []string) {
		errs = append(errs, fmt.Errorf("%s leads to %q, and there is no such %s", a.Name, uid, what))
	})
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("content types as they were kept: %w", err)
	}
	return s, nil
}

func restored(all []keptAttribute) ([]*Attribute, error) {
	list := make([]*Attribute, len(all))
	for i, k := range all {
		a := &Attribute{
			Name: k.Name, Kind: k.Kind, Required: k.Required, Unique: k.Unique, Private: k.Private, Indexed: k.Indexed, Localized: k.Localized,
			Min: k.Min, Max: k.Max, MinLength: k.MinLength, MaxLength: k.MaxLength, Enum: k.Enum, TargetField: k.Field,
			Relation: k.Relation, MappedBy: k.MappedBy, InversedBy: k.InversedBy, Repeatable: k.Repeatable, Multiple: k.Multiple, Allowed: k.Allowed,
		}
		v, err := plain(k.Default)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Name, err)
		}
		a.Default = a.stored(v)
		if k.Regex != "" {
			if a.Regex, err = regexp.Compile(k.Regex); err != nil {
				return nil, fmt.Errorf("%s: %w", k.Name, err)
			}
		}
		if k.Target != "" {
			a.Target = &Type{UID: k.Target}
		}
		if k.Component != "" {
			a.Component = &Component{UID: k.Component}
		}
		for _, uid := range k.Zone {
			a.Zone = append(a.Zone, &Component{UID: uid})
		}
		list[i] = a
	}
	return list, nil
}

// plain makes the numbers of JSON what a store takes.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			one, err := plain(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = one
		}
	case map[string]any:
		for name := range v {
			one, err := plain(v[name])
			if err != nil {
				return nil, err
			}
			v[name] = one
		}
	}
	return v, nil
}
