package describe

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

type object = map[string]any

// Options are what an OpenAPI document says beside the content types.
type Options struct {
	Title   string
	Version string
	Server  string // the api's address with its prefix: https://api.example.com/api, or /api
	Refresh bool   // logins give tokens that renew others
}

// OpenAPI returns the OpenAPI document (3.1.0, https://spec.openapis.org/oas/v3.1.0) of the api, as JSON.
func OpenAPI(set *schema.Set, o Options) []byte {
	d := &document{set: set, paths: object{}, schemas: object{}}
	d.common()
	for _, c := range set.Components() {
		d.component(c)
	}
	for _, t := range set.Types() {
		d.entry(t)
		if routed(t) {
			d.routes(t)
		}
	}
	d.accounts(o.Refresh)
	d.uploads()
	out, err := json.MarshalIndent(object{
		"openapi":    "3.1.0",
		"info":       object{"title": o.Title, "version": o.Version, "description": "Made of the content types by `edge api openapi`."},
		"servers":    []object{{"url": o.Server}},
		"security":   []object{{}, {"token": []string{}}},
		"paths":      d.paths,
		"components": object{"schemas": d.schemas, "parameters": d.parameters(), "responses": responses(), "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "The jwt of a login, or an API token."}}},
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("describe: the document can't be written: %v", err)) // it holds nothing but maps, lists, texts and numbers
	}
	return append(out, '\n')
}

// document is what is collected.
type document struct {
	set            *schema.Set
	paths, schemas object
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func list(of object) object { return object{"type": "array", "items": of} }

func nullable(s object) object { return object{"anyOf": []object{s, {"type": "null"}}} }

func envelope(data object) object {
	return object{"type": "object", "required": []string{"data", "meta"}, "properties": object{"data": data, "meta": object{"type": "object"}}}
}

// common are the schemas that every api has.
func (d *document) common() {
	d.schemas["Error"] = object{
		"type": "object", "required": []string{"data", "error"},
		"properties": object{
			"data": object{"type": "null"},
			"error": object{
				"type": "object", "required": []string{"status", "name", "message"},
				"properties": object{
					"status":  object{"type": "integer"},
					"name":    object{"type": "string", "description": "ValidationError, NotFoundError, ForbiddenError, UnauthorizedError, …"},
					"message": object{"type": "string"},
					"details": object{"description": "Of a ValidationError often errors, a list of {path, message, name, value}."},
				},
			},
		},
	}
	one := object{"anyOf": []object{{"type": "string"}, {"type": "integer"}, {"type": "object"}}, "description": "A documentId, a number, {documentId} or {id}."}
	d.schemas["Reference"] = one
	changes := object{"type": "object", "properties": object{"connect": list(ref("Reference")), "disconnect": list(ref("Reference")), "set": list(ref("Reference"))}}
	d.schemas["References"] = object{"anyOf": []object{list(ref("Reference")), ref("Reference"), changes, {"type": "null"}}}
	d.schemas["Pagination"] = object{
		"anyOf": []object{
			{"type": "object", "required": []string{"page", "pageSize"}, "properties": integers("page", "pageSize", "pageCount", "total")},
			{"type": "object", "required": []string{"start", "limit"}, "properties": integers("start", "limit", "total")},
		},
	}
}

func integers(names ...string) object {
	all := object{}
	for _, name := range names {
		all[name] = object{"type": "integer"}
	}
	return all
}

func responses() object {
	all := object{}
	for name, description := range map[string]string{
		"Invalid": "The request can't be meant.", "Unauthorized": "Who asks says so in a way that can't be believed.", "Forbidden": "Who asks may not.",
		"NotFound": "It is not there.", "TooMany": "Asked too often.", "Changed": "The entry has changed (If-Match).", "Unavailable": "The store is away.", "TooLarge": "More bytes than are taken.",
	} {
		all[name] = object{"description": description, "content": body(ref("Error"))}
	}
	return all
}

func body(s object) object { return object{"application/json": object{"schema": s}} }

// parameters are those of queries, in Strapi's conventions.
func (d *document) parameters() object {
	deep := func(name, description string, value object) object {
		return object{"name": name, "in": "query", "description": description, "style": "deepObject", "explode": true, "schema": value}
	}
	plain := func(name, description string, value object) object {
		return object{"name": name, "in": "query", "description": description, "schema": value}
	}
	locale := object{"type": "string"}
	if all := d.set.Locales(); len(all) > 0 {
		locale["enum"] = append(append([]string{}, all...), "*")
	}
	return object{
		"filters":    deep("filters", "Which entries: filters[title][$contains]=x, filters[tags][name][$in][0]=go, filters[$or][0][…].", object{"type": "object"}),
		"sort":       plain("sort", "Their order: title, or views:desc,title.", object{"type": "string"}),
		"fields":     plain("fields", "Only these attributes: title,views.", object{"type": "string"}),
		"populate":   plain("populate", "What to fill in: *, or names: tags,author. As an object populate[tags][fields][0]=name.", object{"type": "string"}),
		"pagination": deep("pagination", "page and pageSize, or start and limit; withCount.", object{"type": "object", "properties": integers("page", "pageSize", "start", "limit")}),
		"status":     plain("status", "What is published, or the drafts.", object{"type": "string", "enum": []string{"published", "draft"}}),
		"locale":     plain("locale", "The language.", locale),
		"documentId": object{"name": "documentId", "in": "path", "required": true, "schema": object{"type": "string", "pattern": "^[A-Za-z0-9]{1,64}$"}},
		"number":     object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string", "pattern": "^[A-Za-z0-9]{1,64}$"}},
		"ifMatch":    object{"name": "If-Match", "in": "header", "description": "The ETag of the entry as it was read: it is changed only if it is still that.", "schema": object{"type": "string"}},
	}
}

func parameters(names ...string) []object {
	all := make([]object, len(names))
	for i, name := range names {
		all[i] = object{"$ref": "#/components/parameters/" + name}
	}
	return all
}

// entry adds the schemas of a type.
func (d *document) entry(t *schema.Type) {
	properties := object{
		"id": object{"type": "integer"}, "documentId": object{"type": "string"},
		"createdAt": moment(), "updatedAt": moment(), "publishedAt": nullable(moment()),
	}
	if t.Localized {
		properties["locale"] = object{"type": "string"}
	}
	for _, a := range t.Attributes {
		if shown(a) {
			properties[a.Name] = answeredAs(a)
		}
	}
	entry := object{"type": "object", "required": []string{"id", "documentId"}, "properties": properties}
	if t.Description != "" {
		entry["description"] = t.Description
	}
	d.schemas[typeName(t)] = entry
	if t.Name != "role" && t.Name != "file" {
		d.schemas[typeName(t)+"Input"] = inputOf(t.Attributes)
	}
}

func (d *document) component(c *schema.Component) {
	properties := object{"id": object{"type": "integer"}}
	for _, a := range c.Attributes {
		if shown(a) {
			properties[a.Name] = answeredAs(a)
		}
	}
	d.schemas[componentName(c)] = object{"type": "object", "properties": properties}
	d.schemas[componentName(c)+"Input"] = inputOf(c.Attributes)
}

func inputOf(attributes []*schema.Attribute) object {
	properties, required := object{}, []string{}
	for _, a := range attributes {
		properties[a.Name] = takenAs(a)
		if a.Required && a.Default == nil {
			required = append(required, a.Name)
		}
	}
	input := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		input["required"] = required
	}
	return input
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
		return list(zoneOf(a, ""))
	default:
		one = scalar(a)
	}
	if a.Many() {
		return object{"anyOf": []object{list(one), {"type": "object", "properties": integers("count")}}}
	}
	return nullable(one)
}

// takenAs is the schema of an attribute in data.
func takenAs(a *schema.Attribute) object {
	var one object
	switch {
	case a.Refers():
		return ref("References")
	case a.Kind == schema.Part && a.Repeatable:
		one = list(ref(componentName(a.Component) + "Input"))
	case a.Kind == schema.Part:
		one = ref(componentName(a.Component) + "Input")
	case a.Kind == schema.Zone:
		one = list(zoneOf(a, "Input"))
	default:
		one = scalar(a)
		bounds(one, a)
	}
	if a.Required {
		return one
	}
	return nullable(one)
}

func zoneOf(a *schema.Attribute, suffix string) object {
	var parts []object
	for _, c := range a.Zone {
		named := object{"type": "object", "required": []string{"__component"}, "properties": object{"__component": object{"const": c.UID}}}
		part := object{"allOf": []object{named, ref(componentName(c))}}
		if suffix != "" { // its own schema takes no further names
			part = object{"allOf": []object{named}}
		}
		parts = append(parts, part)
	}
	return object{"anyOf": parts}
}

func scalar(a *schema.Attribute) object {
	switch a.Kind {
	case schema.Integer:
		return object{"type": "integer", "format": "int64"}
	case schema.Float, schema.Decimal:
		return object{"type": "number"}
	case schema.BigInteger:
		return object{"type": "string", "pattern": "^-?[0-9]{1,19}$"}
	case schema.Boolean:
		return object{"type": "boolean"}
	case schema.Enumeration:
		return object{"type": "string", "enum": a.Enum}
	case schema.Email:
		return object{"type": "string", "format": "email"}
	case schema.Date:
		return object{"type": "string", "format": "date"}
	case schema.Time:
		return object{"type": "string", "pattern": `^[0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,3})?)?$`}
	case schema.DateTime:
		return moment()
	case schema.Blocks:
		return list(object{"type": "object"})
	case schema.JSON:
		return object{}
	}
	return object{"type": "string"}
}

func bounds(s object, a *schema.Attribute) {
	set := func(name string, set bool, value any) {
		if set {
			s[name] = value
		}
	}
	if a.Min != nil {
		set("minimum", s["type"] != "string", *a.Min)
	}
	if a.Max != nil {
		set("maximum", s["type"] != "string", *a.Max)
	}
	if a.MinLength != nil {
		set("minLength", s["type"] == "string", *a.MinLength)
	}
	if a.MaxLength != nil {
		set("maxLength", s["type"] == "string", *a.MaxLength)
	} else {
		set("maxLength", a.Kind == schema.String, 255)
	}
	if a.Regex != nil {
		s["pattern"] = a.Regex.String()
	}
	if a.Kind == schema.UID {
		s["pattern"] = `^[A-Za-z0-9_.~-]*$`
	}
}

// An operation of a path.
func operation(tag, id, summary string, more ...object) object {
	o := object{"operationId": id, "summary": summary, "tags": []string{tag}}
	for _, m := range more {
		for k, v := range m {
			o[k] = v
		}
	}
	return o
}

// answers are the responses of an operation: that of success, and the failures by their names.
func answers(status string, s object, failures ...string) object {
	success := object{"description": "Done."}
	if s != nil {
		success["content"] = body(s)
	}
	all := object{status: success}
	codes := map[string]string{"Invalid": "400", "Unauthorized": "401", "Forbidden": "403", "NotFound": "404", "Changed": "412", "TooLarge": "413", "TooMany": "429", "Unavailable": "503"}
	for _, f := range append(failures, "Invalid", "Unauthorized", "Forbidden", "TooMany", "Unavailable") {
		all[codes[f]] = object{"$ref": "#/components/responses/" + f}
	}
	return object{"responses": all}
}

func takes(s object) object {
	return object{"requestBody": object{"required": true, "content": body(s)}}
}

func data(name string) object {
	return takes(object{"type": "object", "required": []string{"data"}, "properties": object{"data": ref(name)}})
}

func asked(names ...string) object { return object{"parameters": parameters(names...)} }

// routes adds the paths of a type.
func (d *document) routes(t *schema.Type) {
	name := typeName(t)
	one := envelope(ref(name))
	shape := []string{"fields", "populate", "locale"}
	if t.Drafts {
		shape = append(shape, "status")
	}
	write := append([]string{"ifMatch"}, shape...)
	tag := t.DisplayName
	if tag == "" {
		tag = name
	}
	change := operation(tag, "update"+name, "Change what is named, keep the rest", asked(write...), data(name+"Input"), answers("200", one, "NotFound", "Changed", "TooLarge"))
	remove := operation(tag, "delete"+name, "Delete", asked("ifMatch"), answers("204", nil, "Changed"))
	if t.Single {
		d.paths["/"+t.Name] = object{
			"get":    operation(tag, "get"+name, "Get", asked(shape...), answers("200", one, "NotFound")),
			"put":    change,
			"delete": remove,
		}
		return
	}
	many := envelope(list(ref(name)))
	many["properties"].(object)["meta"] = object{"type": "object", "properties": object{"pagination": ref("Pagination")}}
	all := append([]string{"filters", "sort", "pagination"}, shape...)
	d.paths["/"+t.Plural] = object{
		"get":  operation(tag, "list"+name, "List", asked(all...), answers("200", many)),
		"post": operation(tag, "create"+name, "Create", asked(shape...), data(name+"Input"), answers("201", one, "TooLarge")),
	}
	d.paths["/"+t.Plural+"/{documentId}"] = object{
		"parameters": parameters("documentId"),
		"get":        operation(tag, "get"+name, "Get one", asked(shape...), answers("200", one, "NotFound")),
		"put":        change,
		"delete":     remove,
	}
	events := operation(tag, "watch"+name, "What happens to entries, as server-sent events", asked(append([]string{"filters"}, shape...)...))
	events["responses"] = object{"200": object{"description": "create, update, publish and delete, with the documentId and the entry.", "content": object{"text/event-stream": object{"schema": object{"type": "string"}}}}, "400": object{"$ref": "#/components/responses/Invalid"}, "403": object{"$ref": "#/components/responses/Forbidden"}}
	d.paths["/realtime/"+t.Plural] = object{"get": events}
}

// texts is a schema of an object with these texts, all of them needed.
func texts(names ...string) object {
	properties := object{}
	for _, name := range names {
		properties[name] = object{"type": "string"}
		switch {
		case name == "email":
			properties[name].(object)["format"] = "email"
		case strings.HasPrefix(strings.ToLower(name), "password"):
			properties[name] = object{"type": "string", "format": "password", "minLength": 6, "maxLength": 72}
		}
	}
	return object{"type": "object", "required": names, "properties": properties}
}
