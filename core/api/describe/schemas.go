package describe

import (
	"github.com/onehost/edge/core/api/schema"
)

// maxParts is how many components a list has at most.
const maxParts = 1000

// entry adds the schemas of a type. An answer has the fields that were asked for, and who may change an entry, but not see it, is told its documentId alone.
func (d *document) entry(t *schema.Type) {
	properties := object{
		"id": object{"type": "integer"}, "documentId": text(),
		"createdAt": nullable(moment()), "updatedAt": nullable(moment()), "publishedAt": nullable(moment()),
	}
	if t.Localized {
		properties["locale"] = text()
	}
	for _, a := range t.Attributes {
		if shown(a) {
			properties[a.Name] = answeredAs(a)
		}
	}
	entry := record(properties, "documentId")
	if t.Description != "" {
		entry["description"] = t.Description
	}
	name := typeName(t)
	d.schemas[name] = entry
	if routed(t) {
		changes, needed := inputs(t.Attributes)
		d.inputs(name, changes, needed)
	}
}

// inputs adds the schemas of data that changes something, in which nothing has to be, and of data that makes it.
func (d *document) inputs(name string, properties object, needed []string) {
	d.schemas[name+"Changes"] = strict(record(properties))
	d.schemas[name+"Input"] = strict(record(properties, needed...))
}

func (d *document) component(c *schema.Component) {
	properties := object{"id": object{"type": "integer"}}
	for _, a := range c.Attributes {
		if shown(a) {
			properties[a.Name] = answeredAs(a)
		}
	}
	name := componentName(c)
	d.schemas[name] = record(properties)
	d.schemas[name+"Input"] = partInput(c, nil)
	d.schemas[name+"ZoneInput"] = partInput(c, object{"const": c.UID})
}

// partInput is the schema of a component in data. One that is there already is named by its id: then only what changes has to be said.
func partInput(c *schema.Component, named object) object {
	properties, needed := inputs(c.Attributes)
	properties["id"] = object{"type": "integer", "description": "Of the component that the entry has, to change only what is named of it."}
	s := strict(record(properties))
	if named != nil {
		properties["__component"], s["required"] = named, []string{"__component"}
	}
	if len(needed) > 0 {
		s["anyOf"] = []object{{"required": needed}, {"required": []string{"id"}}}
	}
	return s
}

// inputs are the schemas of attributes in data, and the names of those that a new entry has to have.
func inputs(attributes []*schema.Attribute) (properties object, needed []string) {
	properties = object{}
	for _, a := range attributes {
		properties[a.Name] = takenAs(a)
		if a.Required && a.Default == nil && !a.Refers() {
			needed = append(needed, a.Name)
		}
	}
	return properties, needed
}

func moment() object { return object{"type": "string", "format": "date-time"} }

// answeredAs is the schema of an attribute in an answer.
func answeredAs(a *schema.Attribute) object {
	var one object
	switch a.Kind {
	case schema.RelationTo, schema.Media:
		one = ref(typeName(a.Target))
	case schema.Part:
		one = ref(componentName(a.Component))
	case schema.Zone:
		one = zoneAnswered(a)
	default:
		return nullable(scalar(a))
	}
	if a.Many() {
		return object{"anyOf": []object{list(one), ref("Count")}}
	}
	return nullable(one)
}

func zoneAnswered(a *schema.Attribute) object {
	parts := make([]object, len(a.Zone))
	for i, c := range a.Zone {
		named := record(object{"__component": object{"const": c.UID}}, "__component")
		parts[i] = object{"allOf": []object{named, ref(componentName(c))}}
	}
	return object{"oneOf": parts}
}

// takenAs is the schema of an attribute in data.
func takenAs(a *schema.Attribute) object {
	switch {
	case a.Refers():
		return ref("References")
	case a.Kind == schema.Part && a.Repeatable:
		return parts(a, ref(componentName(a.Component)+"Input"))
	case a.Kind == schema.Zone:
		return parts(a, zoneTaken(a))
	}
	var one object
	switch a.Kind {
	case schema.Part:
		one = ref(componentName(a.Component) + "Input")
	case schema.BigInteger:
		one = object{"anyOf": []object{scalar(a), {"type": "integer", "format": "int64"}}}
	case schema.JSON:
		one = object{"type": []string{"object", "array", "string", "number", "boolean"}}
	default:
		one = scalar(a)
		bound(one, a)
	}
	if a.Required {
		return one
	}
	return nullable(one)
}

func zoneTaken(a *schema.Attribute) object {
	var all []object
	mapping := object{}
	for _, c := range a.Zone {
		one := ref(componentName(c) + "ZoneInput")
		all, mapping[c.UID] = append(all, one), one["$ref"]
	}
	return object{"oneOf": all, "discriminator": object{"propertyName": "__component", "mapping": mapping}}
}

// parts is a list of components. One that is not required may be empty, however many it is to have.
func parts(a *schema.Attribute, one object) object {
	s := list(one)
	s["maxItems"] = maxParts
	if a.MaxLength != nil {
		s["maxItems"] = min(maxParts, *a.MaxLength)
	}
	if a.MinLength == nil || *a.MinLength == 0 {
		return s
	}
	s["minItems"] = *a.MinLength
	if a.Required {
		return s
	}
	return object{"anyOf": []object{s, {"type": "array", "maxItems": 0}}}
}

func scalar(a *schema.Attribute) object {
	switch a.Kind {
	case schema.Integer:
		return object{"type": "integer", "format": "int64"}
	case schema.Float, schema.Decimal:
		return object{"type": "number"}
	case schema.BigInteger:
		return object{"type": "string", "pattern": "^-?[0-9]{1,18}$"}
	case schema.Boolean:
		return object{"type": "boolean"}
	case schema.Enumeration:
		return object{"type": "string", "enum": a.Enum}
	case schema.Email:
		return object{"type": "string", "format": "email"}
	case schema.Date:
		return object{"type": "string", "format": "date"}
	case schema.Time:
		return object{"type": "string", "pattern": `^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?$`}
	case schema.DateTime:
		return moment()
	case schema.Blocks:
		return list(ref("Block"))
	case schema.JSON:
		return object{}
	default:
		return text()
	}
}

// bound adds what else a value has to be like.
func bound(s object, a *schema.Attribute) {
	switch s["type"] {
	case "integer", "number":
		if a.Min != nil {
			s["minimum"] = *a.Min
		}
		if a.Max != nil {
			s["maximum"] = *a.Max
		}
	case "string":
		if a.MinLength != nil {
			s["minLength"] = *a.MinLength
		}
		if a.MaxLength != nil {
			s["maxLength"] = *a.MaxLength
		} else if a.Kind == schema.String {
			s["maxLength"] = 255
		}
		if a.Regex != nil {
			s["pattern"] = a.Regex.String()
		} else if a.Kind == schema.UID {
			s["pattern"] = `^[A-Za-z0-9_.~-]*$`
		}
		if a.Kind == schema.Password {
			s["format"] = "password"
		}
	}
}
