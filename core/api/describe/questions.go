package describe

import (
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
)

// asks is a parameter of the query string.
func asks(name, description string, s object) object {
	return object{"name": name, "in": "query", "description": description, "schema": s}
}

// deep is a parameter that is an object: name[KEY]=VALUE.
func deep(name, description string, s object) object {
	p := asks(name, description, s)
	p["style"], p["explode"] = "deepObject", true
	return p
}

// names is a parameter that is a list of these names, with commas between; ways says which other texts are taken, too.
func names(name, description string, known []string, ways string) object {
	s := object{"type": "array", "minItems": 1, "items": object{"enum": known}}
	if ways != "" {
		s = object{"anyOf": []object{s, {"type": "string", "description": ways}}}
	}
	p := asks(name, description, s)
	p["style"], p["explode"] = "form", false
	return p
}

func parameters(names ...string) []object {
	all := make([]object, len(names))
	for i, name := range names {
		all[i] = refTo("parameters", name)
	}
	return all
}

// commonQuestions are the parameters that are the same for all types.
func (d *document) commonQuestions() {
	locale := text()
	if all := d.set.Locales(); len(all) > 0 {
		locale["enum"] = all
	}
	withCount := object{"type": "boolean", "description": "Whether the total is told."}
	page, offset := integersFrom(1, "page", "pageSize"), integersFrom(0, "start", "limit")
	page["withCount"], offset["withCount"] = withCount, withCount
	d.parameters = object{
		"pagination":  deep("pagination", "page and pageSize, or start and limit.", object{"anyOf": []object{strict(record(page)), strict(record(offset))}}),
		"start":       asks("start", "How many are left out.", object{"type": "integer", "minimum": 0}),
		"limit":       asks("limit", "How many at most.", object{"type": "integer", "minimum": 0}),
		"status":      asks("status", "What is published, or the drafts, which who may change entries sees. A draft may lack what is required.", object{"enum": []string{"published", "draft"}}),
		"locale":      asks("locale", "The language.", locale),
		"documentId":  object{"name": "documentId", "in": "path", "required": true, "schema": object{"type": "string", "pattern": "^[a-z0-9]{1,64}$"}},
		"number":      object{"name": "id", "in": "path", "required": true, "schema": object{"type": "integer", "minimum": 1}},
		"ifMatch":     object{"name": "If-Match", "in": "header", "description": "The ETag of the entry as it was read: it is changed only if it is still that.", "schema": object{"type": "string", "pattern": `^(\*|"[0-9]+\.[0-9a-z]+")$`}, "example": "*"},
		"ifNoneMatch": object{"name": "If-None-Match", "in": "header", "description": "The ETag of an answer that the client has.", "schema": object{"type": "string", "pattern": `^"[0-9a-z.-]+"$`}},
	}
	for kind, value := range map[schema.Kind]object{
		schema.Text: text(), schema.Decimal: {"type": "number"}, schema.Boolean: {"type": "boolean"}, schema.Date: {"type": "string", "format": "date"},
		schema.Time: scalar(&schema.Attribute{Kind: schema.Time}), schema.DateTime: moment(),
	} {
		d.schemas[condition(kind)] = object{
			"description": "A value that it is, values of which it is one, or operators: filters[NAME][$in][0]=x.",
			"anyOf":       []object{value, list(value), strict(record(operators(value)))},
		}
	}
}

// condition is the name of the schema of what is asked of a value of a kind.
func condition(k schema.Kind) string {
	switch k {
	case schema.Integer, schema.BigInteger, schema.Float, schema.Decimal:
		return "NumberCondition"
	case schema.Boolean, schema.Date, schema.Time, schema.DateTime:
		return pascal(string(k)) + "Condition"
	default:
		return "TextCondition"
	}
}

func integersFrom(least int, names ...string) object {
	all := integers(names...)
	for _, one := range all {
		one.(object)["minimum"] = least
	}
	return all
}

// operators are what can be asked of a value.
func operators(value object) object {
	all := object{}
	for _, op := range []query.Op{query.Eq, query.Ne, query.Lt, query.Lte, query.Gt, query.Gte} {
		all[string(op)] = value
	}
	for _, op := range []query.Op{
		query.Eqi, query.Nei, query.Contains, query.NotContains, query.Containsi, query.NotContainsi, query.StartsWith, query.StartsWithi, query.EndsWith, query.EndsWithi,
	} {
		all[string(op)] = text()
	}
	all[string(query.In)], all[string(query.NotIn)] = list(value), list(value)
	all[string(query.Between)] = object{"type": "array", "items": value, "minItems": 2, "maxItems": 2}
	all[string(query.Null)], all[string(query.NotNull)] = object{"type": "boolean"}, object{"type": "boolean"}
	return all
}

// questions are the parameters that name what a type has.
func (d *document) questions(t *schema.Type) {
	fields := []string{string(query.ID), string(query.DocumentID), string(query.CreatedAt), string(query.UpdatedAt), string(query.PublishedAt)}
	filters := object{"id": ref(condition(schema.Integer)), "documentId": ref(condition(schema.String))}
	for _, name := range fields[2:] {
		filters[name] = ref(condition(schema.DateTime))
	}
	if t.Localized {
		fields, filters["locale"] = append(fields, string(query.Locale)), ref(condition(schema.String))
	}
	var parts []string
	for _, a := range t.Attributes {
		switch {
		case !shown(a):
		case a.Kind == schema.JSON || a.Kind == schema.Blocks:
			fields = append(fields, a.Name)
		case a.Scalar():
			fields, filters[a.Name] = append(fields, a.Name), ref(condition(a.Kind))
		default:
			parts = append(parts, a.Name)
		}
	}
	var orders []string
	for _, name := range fields {
		orders = append(orders, name, name+":asc", name+":desc")
	}
	name := typeName(t)
	d.parameters[name+"Fields"] = names("fields", "Only these fields, beside id and documentId.", append(fields, "*"), "")
	d.parameters[name+"Sort"] = names("sort", "The order.", orders, "Names, also of what relations lead to: author.name:desc,id.")
	d.parameters[name+"Filters"] = deep("filters", "Which entries. Also what relations lead to: filters[author][name][$contains]=x; and $and, $or and $not: filters[$or][0][NAME]=x.", record(filters))
	if len(parts) > 0 {
		d.parameters[name+"Populate"] = names("populate", "What to fill in. With more to say of it, an object: populate[NAME][fields][0]=x.", append(parts, "*"), "Names, also ways: author.role,cover.")
	}
}
