package entries

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// blog is a set of types, and entries of them in a store.
//
// Articles, with drafts, have a writer, tags in an order, a hero (with a tag), boxes (each with a tag) and a body of either; writers and tags have the other sides.
// Pages are in locales, and lead to one another.
type blog struct {
	*Entries
	in                         store.Store
	set                        *schema.Set
	article, writer, tag, page *schema.Type
	number                     int
}

func relation(name string, r schema.Relation, target, mappedBy, inversedBy string) *schema.Attribute {
	return &schema.Attribute{Name: name, Kind: schema.RelationTo, Relation: r, Target: &schema.Type{UID: target}, MappedBy: mappedBy, InversedBy: inversedBy}
}

func text(name string) *schema.Attribute { return &schema.Attribute{Name: name, Kind: schema.String} }

const articleUID, writerUID, tagUID, pageUID = "api::article.article", "api::writer.writer", "api::tag.tag", "api::page.page"

func types(t testing.TB) *schema.Set {
	t.Helper()
	box := &schema.Component{UID: "shared.box", Attributes: []*schema.Attribute{text("label"), relation("about", schema.ManyToOne, tagUID, "", "")}}
	quote := &schema.Component{UID: "shared.quote", Attributes: []*schema.Attribute{text("words")}}
	set, err := schema.New([]string{"en", "fr"}, []*schema.Type{
		{UID: articleUID, Name: "article", Plural: "articles", Drafts: true, Attributes: []*schema.Attribute{
			{Name: "title", Kind: schema.String, Unique: true},
			{Name: "body", Kind: schema.Text},
			{Name: "views", Kind: schema.Integer, Indexed: true},
			{Name: "rating", Kind: schema.Decimal},
			relation("writer", schema.ManyToOne, writerUID, "", "articles"),
			relation("tags", schema.ManyToMany, tagUID, "", "articles"),
			{Name: "picture", Kind: schema.Media},
			{Name: "hero", Kind: schema.Part, Component: box},
			{Name: "boxes", Kind: schema.Part, Component: box, Repeatable: true},
			{Name: "zone", Kind: schema.Zone, Zone: []*schema.Component{box, quote}},
		}},
		{UID: writerUID, Name: "writer", Plural: "writers", Attributes: []*schema.Attribute{
			{Name: "name", Kind: schema.String, Unique: true},
			relation("articles", schema.OneToMany, articleUID, "writer", ""),
			relation("friend", schema.ManyToOne, writerUID, "", ""),
		}},
		{UID: tagUID, Name: "tag", Plural: "tags", Attributes: []*schema.Attribute{
			{Name: "name", Kind: schema.String, Unique: true},
			relation("articles", schema.ManyToMany, articleUID, "tags", ""),
		}},
		{UID: pageUID, Name: "page", Plural: "pages", Localized: true, Attributes: []*schema.Attribute{
			{Name: "title", Kind: schema.String, Localized: true},
			relation("parent", schema.ManyToOne, pageUID, "", "children"),
			relation("children", schema.OneToMany, pageUID, "parent", ""),
			relation("tags", schema.ManyToMany, tagUID, "", ""),
		}},
	}, []*schema.Component{box, quote})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newBlog is a blog without entries.
func newBlog(t testing.TB, s store.Store) *blog {
	t.Helper()
	set := types(t)
	b := &blog{Entries: New(Options{Store: s, Log: quiet}), in: s, set: set}
	b.Use(set)
	b.article, b.writer, b.tag, b.page = set.Type("article"), set.Type("writer"), set.Type("tag"), set.Type("page")
	for _, of := range set.Types() {
		if err := s.Ensure(patient(t), rows.Collection(of)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// row is a row of an entry. It has the next number.
func (b *blog) row(of *schema.Type, id, locale string, draft bool, values store.Document) store.Write {
	b.number++
	d := store.Document{"id": rows.RowID(of, id, locale, draft), rows.DocumentID: id, rows.Number: b.number, rows.Revision: 1}
	if of.Drafts {
		d[rows.Status] = rows.Published
	}
	if of.Drafts && draft {
		d[rows.Status] = rows.Draft
	}
	if of.Localized {
		d[rows.Locale] = locale
	}
	for name, v := range values {
		d[name] = v
	}
	return store.Put{Collection: rows.Name(of), Document: d}
}

func (b *blog) put(t testing.TB, writes ...store.Write) {
	t.Helper()
	for part := range slices.Chunk(writes, store.MaxWrites) {
		if _, err := b.in.Apply(patient(t), part...); err != nil {
			t.Fatal(err)
		}
	}
}

func list(v ...any) []any { return v }

// filled is a blog with few entries.
func filled(t testing.TB, s store.Store) *blog {
	b := newBlog(t, s)
	box := func(label, about string) store.Document {
		return store.Document{rows.Number: 1, rows.Component: "shared.box", "label": label, "about": about}
	}
	b.put(t,
		b.row(b.writer, "ann", "", false, store.Document{"name": "Ann", "friend": "bob"}),
		b.row(b.writer, "bob", "", false, store.Document{"name": "Bob"}),
		b.row(b.tag, "go", "", false, store.Document{"name": "go"}),
		b.row(b.tag, "css", "", false, store.Document{"name": "css"}),
		b.row(b.tag, "sql", "", false, store.Document{"name": "sql"}),
		b.row(b.set.Type("file"), "pic", "", false, store.Document{"name": "pic.png"}),
		b.row(b.article, "a1", "", true, store.Document{"title": "One, drafted", "writer": "bob", "tags": list("css")}),
		b.row(b.article, "a1", "", false, store.Document{"title": "One", "views": 10, "writer": "ann", "tags": list("sql", "go"), "picture": "pic", "hero": box("big", "css"), "boxes": list(box("x", "go"), box("y", "gone"))}),
		b.row(b.article, "a2", "", false, store.Document{"title": "Two", "views": 20, "writer": "bob", "tags": list("gone", "css", "go"), "zone": list(box("z", "sql"), store.Document{rows.Number: 2, rows.Component: "shared.quote", "words": "so"})}),
		b.row(b.article, "a3", "", false, store.Document{"title": "Three", "views": 30, "writer": "gone"}),
		b.row(b.article, "a4", "", false, store.Document{"title": "Four", "writer": "ann", "tags": list("css")}),
		b.row(b.article, "a5", "", true, store.Document{"title": "Five", "writer": "ann", "tags": list("go")}),
		b.row(b.page, "top", "en", false, store.Document{"title": "Top", "tags": list("go")}),
		b.row(b.page, "top", "fr", false, store.Document{"title": "Haut", "tags": list("css")}),
		b.row(b.page, "sub", "en", false, store.Document{"title": "Sub", "parent": "top"}),
		b.row(b.page, "sub", "fr", false, store.Document{"title": "Sous", "parent": "top"}),
		b.row(b.page, "low", "en", false, store.Document{"title": "Low", "parent": "sub"}),
	)
	return b
}

// blogs runs a test on a blog in every store.
func blogs(t *testing.T, test func(t *testing.T, b *blog)) {
	engines.Each(t, func(t *testing.T, s store.Store) { test(t, filled(t, s)) })
}

// on returns a path by its names, the first of which is an attribute of the type.
func on(t *schema.Type, names string) query.Path {
	var p query.Path
	find := t.Attribute
	all := strings.Split(names, ".")
	for _, name := range all[:len(all)-1] {
		a := find(name)
		p.Through = append(p.Through, a)
		if a.Component != nil {
			find = a.Component.Attribute
		} else {
			find = a.Target.Attribute
		}
	}
	last := all[len(all)-1]
	if p.Last = find(last); p.Last == nil {
		p.System = query.System(last)
	}
	return p
}

func test(of *schema.Type, names string, op query.Op, values ...any) query.Test {
	return query.Test{Path: on(of, names), Op: op, Values: values}
}

// sorted is an order by paths, of which those with a - descend.
func sorted(of *schema.Type, names ...string) (orders []query.Order) {
	for _, name := range names {
		path, down := strings.CutPrefix(name, "-")
		orders = append(orders, query.Order{Path: on(of, path), Descending: down})
	}
	return orders
}

// a query for all, in the default order.
func all() query.Query { return query.Query{Page: query.Page{Limit: 100, Count: true}} }

func populate(of *schema.Type, name string, more ...query.Populate) query.Populate {
	return query.Populate{Attribute: of.Attribute(name), Query: query.Query{Populate: more}}
}

// sketch is an entry in a line: its document id, or a component's label or words, and what is filled in, by name.
func sketch(v any) string {
	switch v := v.(type) {
	case *Entry:
		if v == nil {
			return "-"
		}
		name := v.Row.String(rows.DocumentID) + v.Row.String("label") + v.Row.String("words")
		if v.Type != nil && v.Type.Localized {
			name += "." + v.Row.String(rows.Locale)
		}
		if strings.HasSuffix(v.Row.ID(), rows.Draft) {
			name += "'"
		}
		var inner []string
		for attribute, there := range v.Filled {
			inner = append(inner, attribute+"="+sketch(there))
		}
		if slices.Sort(inner); len(inner) > 0 {
			name += "{" + strings.Join(inner, " ") + "}"
		}
		return name
	case []*Entry:
		var each []string
		for _, e := range v {
			each = append(each, sketch(e))
		}
		return "[" + strings.Join(each, " ") + "]"
	}
	return fmt.Sprint(v)
}

// find is what a query finds, in a line.
func (b *blog) find(t *testing.T, of *schema.Type, q query.Query, s access.Scope) string {
	t.Helper()
	list, err := b.Find(patient(t), of, &q, s)
	if err != nil {
		return "error: " + err.Error()
	}
	line := sketch(list.Entries)
	if list.Total >= 0 {
		line += fmt.Sprint(" ", list.Total)
	}
	return line
}

// rights are a caller's, by name of the type: what is not there he may not find. A nil condition is all.
type rights map[string]query.Expr

func (r rights) May(t *schema.Type, _ access.Action) bool        { _, ok := r[t.Name]; return ok }
func (r rights) Only(t *schema.Type, _ access.Action) query.Expr { return r[t.Name] }
func (r rights) Stamp(*schema.Type) map[string]any               { return nil }
