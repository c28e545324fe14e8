package describe

import (
	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
)

// operation is what a request does with a path, made of parts.
func operation(tag, id, summary string, parts ...object) object {
	o := object{"operationId": id, "summary": summary, "tags": []string{tag}}
	for _, part := range parts {
		for k, v := range part {
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
	for _, f := range append(failures, "Invalid", "Unauthorized", "Forbidden", "Unavailable") {
		all[codes[f]] = refTo("responses", f)
	}
	return object{"responses": all}
}

// tagged says of an answer of success that it has an ETag.
func tagged(part object) object {
	for status, answer := range part["responses"].(object) {
		if status[0] == '2' {
			answer.(object)["headers"] = object{"ETag": refTo("headers", "ETag")}
		}
	}
	return part
}

// kept says of an answer that a client may keep it, and ask whether it is still that.
func kept(part object) object {
	tagged(part)["responses"].(object)["304"] = refTo("responses", "Unchanged")
	return part
}

// or adds an answer.
func or(part object, status, description string) object {
	part["responses"].(object)[status] = object{"description": description}
	return part
}

func takes(s object) object {
	return object{"requestBody": object{"required": true, "content": body(s)}}
}

func takesData(name string) object { return takes(record(object{"data": ref(name)}, "data")) }

func asked(names ...string) object { return object{"parameters": parameters(names...)} }

// may says who may do that with a type.
func (d *document) may(t *schema.Type, a access.Action) object {
	return d.needsToken(d.public != nil && !d.public.May(t, a))
}

// allows says who may do what is done with logins.
func (d *document) allows(action string) object {
	return d.needsToken(d.public != nil && !d.public.Allows("auth", action))
}

func (d *document) needsToken(yes bool) object {
	if !yes {
		return nil
	}
	return object{"security": []object{token}}
}

// routes adds the paths of a type.
func (d *document) routes(t *schema.Type) {
	name, tag := typeName(t), t.DisplayName
	if tag == "" {
		tag = name
	}
	shape := d.shape(t)
	one := envelope(ref(name))
	get := operation(tag, "get"+name, "Get one", asked(append(shape, "ifNoneMatch")...), kept(answers("200", one, "NotFound")), d.may(t, access.FindOne))
	change := operation(tag, "update"+name, "Change what is named, keep the rest", asked(append(shape, "ifMatch")...), takesData(name+"Changes"),
		answers("200", one, "NotFound", "Conflict", "Changed", "TooLarge"), d.may(t, access.Update))
	remove := operation(tag, "delete"+name, "Delete, if it is there", asked(append(d.place(t), "ifMatch")...), answers("204", nil, "Conflict", "Changed"), d.may(t, access.Delete))
	if t.Single {
		get["summary"], get["security"] = "Get", d.may(t, access.Find)["security"]
		if get["security"] == nil {
			delete(get, "security")
		}
		d.paths["/"+t.Name] = object{"get": get, "put": change, "delete": remove}
		return
	}
	many := envelope(list(ref(name)))
	many["properties"].(object)["meta"] = record(object{"pagination": ref("Pagination")}, "pagination")
	d.paths["/"+t.Plural] = object{
		"get": operation(tag, "list"+name, "List", asked(append(shape, name+"Filters", name+"Sort", "pagination", "ifNoneMatch")...), kept(answers("200", many)), d.may(t, access.Find)),
		"post": operation(tag, "create"+name, "Create", asked(shape...), takesData(name+"Input"),
			answers("201", one, "Conflict", "TooLarge"), d.may(t, access.Create)),
	}
	d.paths["/"+t.Plural+"/{documentId}"] = object{"parameters": parameters("documentId"), "get": get, "put": change, "delete": remove}
	watch := answers("200", nil, "TooMany")
	watch["responses"].(object)["200"] = object{
		"description": "create, update, publish and delete, with the documentId and the entry, as long as the client listens.",
		"content":     object{"text/event-stream": object{"schema": text()}},
	}
	d.paths["/realtime/"+t.Plural] = object{
		"get": operation(tag, "watch"+name, "What happens to entries, as server-sent events", asked(append(shape, name+"Filters")...), watch, d.may(t, access.Find)),
	}
}

// place are the parameters that say which version of an entry is meant.
func (d *document) place(t *schema.Type) []string {
	var names []string
	if t.Drafts {
		names = append(names, "status")
	}
	if t.Localized {
		names = append(names, "locale")
	}
	return names
}

// shape are the parameters that say which version of an entry is meant, and what is shown of it.
func (d *document) shape(t *schema.Type) []string {
	names := append([]string{typeName(t) + "Fields"}, d.place(t)...)
	if d.parameters[typeName(t)+"Populate"] != nil {
		names = append(names, typeName(t)+"Populate")
	}
	return names[:len(names):len(names)]
}
