package describe

import (
	"encoding/json"
	"fmt"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
)

type object = map[string]any

// Options are what an OpenAPI document says beside the content types.
type Options struct {
	Title   string
	Version string
	Server  string         // the api's address with its prefix: https://api.example.com/api, or /api
	Refresh bool           // logins give tokens that renew others
	Policy  *access.Policy // says which operations need no token; nil: of none it is said that they do
}

// OpenAPI returns the OpenAPI document (3.1.0, https://spec.openapis.org/oas/v3.1.0) of the api, as JSON.
func OpenAPI(set *schema.Set, o Options) []byte {
	d := &document{set: set, refresh: o.Refresh, paths: object{}, schemas: object{}, parameters: object{}}
	if o.Policy != nil {
		d.public = o.Policy.For(access.Caller{})
	}
	d.common()
	for _, c := range set.Components() {
		d.component(c)
	}
	for _, t := range set.Types() {
		d.entry(t)
		d.questions(t)
		if routed(t) {
			d.routes(t)
		}
	}
	d.accounts()
	d.users()
	d.files()
	out, err := json.MarshalIndent(object{
		"openapi":  "3.1.0",
		"info":     object{"title": o.Title, "version": o.Version, "description": "Made of the content types by `edge api openapi`."},
		"servers":  []object{{"url": o.Server}},
		"security": []object{{}, token},
		"paths":    d.paths,
		"components": object{
			"schemas": d.schemas, "parameters": d.parameters, "responses": failures(), "headers": headers(),
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "The jwt of a login, or an API token."}},
		},
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("describe: the document can't be written: %v", err)) // it holds nothing but maps, lists, texts and numbers
	}
	return append(out, '\n')
}

var token = object{"token": []string{}}

// document is what is collected.
type document struct {
	set                        *schema.Set
	refresh                    bool
	public                     *access.Rights // of who has no token; nil: not known
	paths, schemas, parameters object
}

func ref(name string) object { return refTo("schemas", name) }

func refTo(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

func list(of object) object { return object{"type": "array", "items": of} }

func nullable(s object) object { return object{"anyOf": []object{s, {"type": "null"}}} }

// record is a schema of an object with these properties, those of which are needed that are named.
func record(properties object, needed ...string) object {
	s := object{"type": "object", "properties": properties}
	if len(needed) > 0 {
		s["required"] = needed
	}
	return s
}

// strict has a record take nothing else.
func strict(s object) object {
	s["additionalProperties"] = false
	return s
}

func text() object { return object{"type": "string"} }

func integers(names ...string) object {
	all := object{}
	for _, name := range names {
		all[name] = object{"type": "integer"}
	}
	return all
}

func envelope(data object) object {
	return record(object{"data": data, "meta": object{"type": "object"}}, "data", "meta")
}

// common are the schemas that every api has.
func (d *document) common() {
	wrong := record(object{
		"status":  object{"type": "integer"},
		"name":    object{"type": "string", "description": "ValidationError, NotFoundError, ForbiddenError, UnauthorizedError, …"},
		"message": text(),
		"details": object{"description": "Of a ValidationError often errors, a list of {path, message, name, value}."},
	}, "status", "name", "message")
	d.schemas["Error"] = record(object{"data": object{"type": "null"}, "error": wrong}, "data", "error")
	d.schemas["Reference"] = object{"description": "A documentId, a number, {documentId} or {id}.", "anyOf": []object{
		text(), {"type": "integer"}, record(object{"documentId": text()}, "documentId"), record(object{"id": object{"type": "integer"}}, "id"),
	}}
	change := strict(record(object{"connect": list(ref("Reference")), "disconnect": list(ref("Reference")), "set": list(ref("Reference"))}))
	d.schemas["References"] = object{"description": "What a relation becomes, or a change to what it is.", "anyOf": []object{ref("Reference"), list(ref("Reference")), change, {"type": "null"}}}
	page, offset := record(integers("page", "pageSize", "pageCount", "total"), "page", "pageSize"), record(integers("start", "limit", "total"), "start", "limit")
	d.schemas["Pagination"] = object{"anyOf": []object{page, offset}}
	d.schemas["Count"] = strict(record(integers("count"), "count"))
	d.schemas["Block"] = record(object{"type": object{"enum": []string{"paragraph", "heading", "quote", "code", "list", "image"}}, "children": list(object{"type": "object"})}, "type", "children")
	d.commonQuestions()
}

// headers are those of answers.
func headers() object {
	return object{
		"ETag":       object{"description": "Changes with what is answered: for If-None-Match, and, of one entry, for If-Match.", "schema": object{"type": "string", "pattern": `^".*"$`}},
		"RetryAfter": object{"description": "When to try again, in seconds.", "schema": object{"type": "integer", "minimum": 0}},
	}
}

// codes are the statuses of failures, by name.
var codes = map[string]string{
	"Invalid": "400", "Unauthorized": "401", "Forbidden": "403", "NotFound": "404", "Conflict": "409", "Changed": "412", "TooLarge": "413", "TooMany": "429", "Unavailable": "503", "Full": "507",
}

// failures are the responses of all that is not success.
func failures() object {
	all := object{"Unchanged": object{"description": "It is still what the ETag of If-None-Match names.", "headers": object{"ETag": refTo("headers", "ETag")}}}
	for name, description := range map[string]string{
		"Invalid": "The request can't be meant.", "Unauthorized": "Who asks says so in a way that can't be believed.", "Forbidden": "Who asks may not.",
		"NotFound": "It is not there.", "TooMany": "Asked too often.", "Changed": "The entry has changed (If-Match).", "Unavailable": "The store is away.", "TooLarge": "More bytes than are taken.",
		"Conflict": "Others changed the same at the same time: try again.", "Full": "There is no space for files.",
	} {
		one := object{"description": description, "content": body(ref("Error"))}
		if name == "TooMany" || name == "Unavailable" {
			one["headers"] = object{"Retry-After": refTo("headers", "RetryAfter")}
		}
		all[name] = one
	}
	return all
}

func body(s object) object { return object{"application/json": object{"schema": s}} }
