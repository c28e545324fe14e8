package rows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// library is two types: books, which have drafts and parts, and people, who have none. A book has one author and many readers.
type library struct {
	book, person *schema.Type
	part         *schema.Component
}

func newLibrary() library {
	person := &schema.Type{Name: "person"}
	part := &schema.Component{UID: "book.part"}
	part.Attributes = []*schema.Attribute{
		{Name: "label", Kind: schema.String},
		{Name: "pages", Kind: schema.Integer},
		{Name: "editor", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: person},
	}
	book := &schema.Type{Name: "book", Drafts: true}
	book.Attributes = []*schema.Attribute{
		{Name: "title", Kind: schema.String, Unique: true},
		{Name: "pages", Kind: schema.Integer, Indexed: true},
		{Name: "author", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: person, InversedBy: "books"},
		{Name: "readers", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: person, InversedBy: "reads"},
		{Name: "cover", Kind: schema.Part, Component: part},
		{Name: "parts", Kind: schema.Part, Component: part, Repeatable: true},
		{Name: "body", Kind: schema.Zone, Zone: []*schema.Component{part}},
	}
	person.Attributes = []*schema.Attribute{
		{Name: "name", Kind: schema.String, Unique: true},
		{Name: "town", Kind: schema.String},
		{Name: "books", Kind: schema.RelationTo, Relation: schema.OneToMany, Target: book, MappedBy: "author"},
		{Name: "reads", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: book, MappedBy: "readers"},
		{Name: "friend", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: person},
	}
	return library{book, person, part}
}

// on returns a path by its names, the first an attribute of the type.
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

func (l library) isBook(names string, op query.Op, values ...any) query.Test {
	return query.Test{Path: on(l.book, names), Op: op, Values: values}
}

func (l library) fill(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Ensure(patient(t), Collection(l.book), Collection(l.person)); err != nil {
		t.Fatal(err)
	}
	person := func(n int, name string, more store.Document) store.Write {
		d := store.Document{"id": name, DocumentID: name, Number: n, "name": name}
		for k, v := range more {
			d[k] = v
		}
		return store.Put{Collection: Name(l.person), Document: d}
	}
	book := func(n int, name string, more store.Document) store.Write {
		d := store.Document{"id": name, DocumentID: name, Number: n, Status: Published}
		for k, v := range more {
			d[k] = v
		}
		return store.Put{Collection: Name(l.book), Document: d}
	}
	list := func(v ...any) []any { return v }
	part := func(label string, pages any, editor string) store.Document {
		d := store.Document{Number: 1, "label": label, "pages": pages}
		if editor != "" {
			d["editor"] = editor
		}
		return d
	}
	_, err := s.Apply(patient(t),
		person(1, "ann", store.Document{"town": "Oslo", "friend": "bob"}), person(2, "bob", store.Document{"town": "Rome"}), person(3, "cid", nil),
		book(11, "a", store.Document{"title": "Alpha", "pages": 10, "author": "ann", "readers": list("bob", "cid"), "cover": part("red", 1, "ann")}),
		book(12, "b", store.Document{"title": "beta", "pages": 20, "author": "bob", "readers": list("ann", "gone"), "parts": list(part("x", 1, "bob"), part("y", 2, ""))}),
		book(13, "c", store.Document{"title": "Gamma ray", "pages": 30, "author": "gone", "readers": list(), "parts": list(part("x", 2, ""))}),
		book(14, "d", store.Document{"pages": 40, "author": "cid", "parts": list()}),
		book(15, "e", store.Document{"title": "ALPHA 2"}),
		store.Put{Collection: Name(l.book), Document: store.Document{"id": "f.draft", DocumentID: "f", Number: 16, Status: Draft, "title": "Draft", "author": "ann", "readers": list("cid")}},
	)
	if err != nil {
		t.Fatal(err)
	}
}

// found are the document ids of what meets a condition, in a line.
func found(t *testing.T, s store.Store, of *schema.Type, v View, e query.Expr, only func(*schema.Type) query.Expr) string {
	t.Helper()
	f, err := Compile(e, of, v, only)
	if err != nil {
		return "error: " + err.Error()
	}
	rows, err := s.Find(patient(t), store.Query{Collection: Name(of), Filter: Both(v.Filter(of), f), Sort: []store.Order{{Field: Number}}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.String(DocumentID))
	}
	return strings.Join(ids, " ")
}

// Each operator on attributes of books: what it finds, and what its opposite does, which leaves out where the value is null.
func TestEveryOperatorFindsWhatSQLFindsAndSoDoesItsOpposite(t *testing.T) {
	l := newLibrary()
	cases := []struct {
		test query.Test
		want string
		not  string
	}{
		{l.isBook("pages", query.Eq, 20), "b", "a c d"},
		{l.isBook("pages", query.Ne, 20), "a c d", "b"},
		{l.isBook("title", query.Eq, "alpha"), "", "a b c e"},
		{l.isBook("title", query.Eqi, "alpha"), "a", "b c e"},
		{l.isBook("title", query.Nei, "alpha"), "b c e", "a"},
		{l.isBook("pages", query.Eqi, 20), "b", "a c d"},
		{l.isBook("pages", query.Lt, 20), "a", "b c d"},
		{l.isBook("pages", query.Lte, 20), "a b", "c d"},
		{l.isBook("pages", query.Gt, 20), "c d", "a b"},
		{l.isBook("pages", query.Gte, 20), "b c d", "a"},
		{l.isBook("pages", query.In, 10, 40, 50), "a d", "b c"},
		{l.isBook("pages", query.In, 10), "a", "b c d"},
		{l.isBook("pages", query.In), "", "a b c d"},
		{l.isBook("pages", query.NotIn, 10, 40), "b c", "a d"},
		{l.isBook("title", query.Contains, "a"), "a b c", "e"},
		{l.isBook("title", query.NotContains, "a"), "e", "a b c"},
		{l.isBook("title", query.Containsi, "ALPHA"), "a e", "b c"},
		{l.isBook("title", query.NotContainsi, "alpha"), "b c", "a e"},
		{l.isBook("title", query.Contains, "%"), "", "a b c e"},
		{l.isBook("title", query.StartsWith, "Al"), "a", "b c e"},
		{l.isBook("title", query.StartsWithi, "al"), "a e", "b c"},
		{l.isBook("title", query.EndsWith, "a"), "a b", "c e"},
		{l.isBook("title", query.EndsWithi, "A"), "a b", "c e"},
		{l.isBook("title", query.Null, true), "d", "a b c e"},
		{l.isBook("title", query.Null, false), "a b c e", "d"},
		{l.isBook("title", query.NotNull, true), "a b c e", "d"},
		{l.isBook("title", query.NotNull, false), "d", "a b c e"},
		{l.isBook("title", query.Eq, nil), "d", "a b c e"},
		{l.isBook("title", query.Ne, nil), "a b c e", "d"},
		{l.isBook("pages", query.Between, 15, 30), "b c", "a d"},
		{l.isBook("id", query.Eq, 12), "b", "a c d e"},
		{l.isBook("documentId", query.In, "a", "e"), "a e", "b c d"},
		{l.isBook("cover.label", query.Eq, "red"), "a", ""},
		{l.isBook("cover.label", query.Null, true), "b c d e", "a"},
		{l.isBook("parts.label", query.Eq, "x"), "b c", "b"},
		{l.isBook("parts.label", query.Null, true), "a d e", "b c"},
	}
	engines.Each(t, func(t *testing.T, s store.Store) {
		l.fill(t, s)
		for _, c := range cases {
			name := fmt.Sprint(field(c.test.Path), c.test.Op, c.test.Values)
			if got := found(t, s, l.book, View{}, c.test, nil); got != c.want {
				t.Errorf("%s finds %q, not %q", name, got, c.want)
			}
			if got := found(t, s, l.book, View{}, query.Not{Expr: c.test}, nil); got != c.not {
				t.Errorf("not %s finds %q, not %q", name, got, c.not)
			}
			if got := found(t, s, l.book, View{}, query.Not{Expr: query.Not{Expr: c.test}}, nil); got != c.want {
				t.Errorf("not not %s finds %q, not %q", name, got, c.want)
			}
		}
	})
}

func field(p query.Path) (name string) {
	for _, a := range p.Through {
		name += a.Name + "."
	}
	return name + Field(p)
}

func TestConditionsLeadThroughRelationsFromBothSides(t *testing.T) {
	l := newLibrary()
	person := func(names string, op query.Op, values ...any) query.Test {
		return query.Test{Path: on(l.person, names), Op: op, Values: values}
	}
	readsLongBooksOfAnn := query.Some{Through: []*schema.Attribute{l.person.Attribute("reads")}, Expr: query.And{
		l.isBook("pages", query.Gte, 10), l.isBook("author.name", query.Eq, "ann"),
	}}
	cases := []struct {
		of     *schema.Type
		view   View
		expr   query.Expr
		want   string
		reason string
	}{
		{l.book, View{}, l.isBook("author.town", query.Eq, "Oslo"), "a", "to one"},
		{l.book, View{}, l.isBook("author.town", query.Ne, "Oslo"), "b", "cid has no town, gone is none"},
		{l.book, View{}, l.isBook("author.id", query.Null, true), "c e", "a reference to what is gone is none"},
		{l.book, View{}, l.isBook("author.id", query.NotNull, true), "a b d", ""},
		{l.book, View{}, l.isBook("author.town", query.Null, true), "c d e", "nobody's town is null"},
		{l.book, View{}, l.isBook("author.documentId", query.Eq, "gone"), "", "what is gone is not found by its name either"},
		{l.book, View{}, l.isBook("author.documentId", query.In, "ann", "bob", "gone"), "a b", ""},
		{l.book, View{}, query.Not{Expr: l.isBook("author.documentId", query.In, "ann", "gone")}, "b d", ""},
		{l.book, View{}, l.isBook("author.id", query.Eq, 2), "b", "the number"},
		{l.book, View{}, l.isBook("author.friend.name", query.Eq, "bob"), "a", "two relations"},
		{l.book, View{}, l.isBook("author.friend.id", query.Null, true), "b c d e", ""},
		{l.book, View{}, l.isBook("readers.name", query.Eq, "cid"), "a", "of many"},
		{l.book, View{}, l.isBook("readers.name", query.Ne, "cid"), "a b", "one of many is another"},
		{l.book, View{}, l.isBook("readers.id", query.Null, true), "c d e", ""},
		{l.book, View{}, l.isBook("readers.documentId", query.Eq, "cid"), "a", ""},
		{l.book, View{}, l.isBook("readers.documentId", query.In, "cid", "ann"), "a b", ""},
		{l.book, View{}, l.isBook("cover.editor.name", query.Eq, "ann"), "a", "in a component"},
		{l.book, View{Draft: true}, l.isBook("author.name", query.Eq, "ann"), "f", "drafts"},
		{l.person, View{}, person("books.title", query.Eq, "Alpha"), "ann", "the other side, of one"},
		{l.person, View{}, person("books.title", query.Eq, "Draft"), "", "a draft is not what is published"},
		{l.person, View{Draft: true}, person("books.title", query.Eq, "Draft"), "ann", ""},
		{l.person, View{}, person("reads.pages", query.Gt, 10), "ann", "the other side, of many"},
		{l.person, View{}, person("reads.id", query.Null, true), "", ""},
		{l.person, View{Draft: true}, person("reads.id", query.Null, true), "ann bob", ""},
		{l.person, View{}, person("reads.author.name", query.Eq, "bob"), "ann", "and on"},
		{l.person, View{}, readsLongBooksOfAnn, "bob cid", "two tests of one book"},
		{l.book, View{}, query.Some{Through: []*schema.Attribute{l.book.Attribute("parts")}, Expr: query.And{
			query.Test{Path: query.Path{Last: l.part.Attribute("label")}, Op: query.Eq, Values: []any{"x"}},
			query.Test{Path: query.Path{Last: l.part.Attribute("pages")}, Op: query.Eq, Values: []any{2}},
		}}, "c", "two tests of one component"},
		{l.book, View{}, query.And{l.isBook("parts.label", query.Eq, "x"), l.isBook("parts.pages", query.Eq, 2)}, "b c", "two tests of two"},
		{l.book, View{}, query.Not{Expr: query.And{l.isBook("pages", query.Gt, 10), l.isBook("pages", query.Lt, 40)}}, "a d", "de Morgan"},
		{l.book, View{}, query.Not{Expr: query.Or{l.isBook("pages", query.Eq, 10), l.isBook("title", query.Eq, "beta")}}, "c", "de Morgan, and null"},
		{l.book, View{}, query.Or{}, "", "none"},
		{l.book, View{}, query.And{}, "a b c d e", "all"},
	}
	engines.Each(t, func(t *testing.T, s store.Store) {
		l.fill(t, s)
		for i, c := range cases {
			if got := found(t, s, c.of, c.view, c.expr, nil); got != c.want {
				t.Errorf("%d %s: %q, not %q", i, c.reason, got, c.want)
			}
		}
	})
}

// Whoever may not see ann can't find out anything of her, and what the configuration says of books may lead through her all the same.
func TestNothingCanBeLearnedOfEntriesThatTheCallerMayNotSee(t *testing.T) {
	l := newLibrary()
	only := func(of *schema.Type) query.Expr {
		if of == l.person {
			return query.Test{Path: on(l.person, "name"), Op: query.Ne, Values: []any{"ann"}}
		}
		return query.Test{Path: on(l.book, "author.town"), Op: query.Eq, Values: []any{"Oslo"}}
	}
	engines.Each(t, func(t *testing.T, s store.Store) {
		l.fill(t, s)
		for _, c := range []struct {
			of   *schema.Type
			expr query.Expr
			want string
		}{
			{l.book, l.isBook("author.town", query.Eq, "Oslo"), ""},
			{l.book, l.isBook("author.documentId", query.Eq, "ann"), ""},
			{l.book, l.isBook("author.id", query.Null, true), "a c e"},
			{l.book, l.isBook("readers.name", query.Eq, "ann"), ""},
			{l.book, l.isBook("readers.id", query.Null, true), "b c d e"},
			{l.book, l.isBook("author.friend.name", query.Eq, "bob"), ""},
			{l.person, query.Test{Path: on(l.person, "reads.title"), Op: query.Eq, Values: []any{"Alpha"}}, "bob cid"},
			{l.person, query.Test{Path: on(l.person, "reads.title"), Op: query.Eq, Values: []any{"beta"}}, ""},
		} {
			if got := found(t, s, c.of, View{}, c.expr, only); got != c.want {
				t.Errorf("%+v finds %q, not %q", c.expr, got, c.want)
			}
		}
	})
}

func TestAReferenceLeadsToTheRowOfItsLocale(t *testing.T) {
	page := &schema.Type{Name: "page", Localized: true, Drafts: true}
	parent := &schema.Attribute{Name: "parent", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: page}
	title := &schema.Attribute{Name: "title", Kind: schema.String}
	children := &schema.Attribute{Name: "children", Kind: schema.RelationTo, Relation: schema.OneToMany, Target: page, MappedBy: "parent"}
	page.Attributes = []*schema.Attribute{title, parent, children}
	engines.Each(t, func(t *testing.T, s store.Store) {
		if err := s.Ensure(patient(t), Collection(page)); err != nil {
			t.Fatal(err)
		}
		var writes []store.Write
		row := func(doc, locale string, draft bool, title string, more store.Document) {
			d := store.Document{"id": RowID(page, doc, locale, draft), DocumentID: doc, Number: len(writes), Locale: locale, Status: Published, "title": title}
			if draft {
				d[Status] = Draft
			}
			for k, v := range more {
				d[k] = v
			}
			writes = append(writes, store.Put{Collection: Name(page), Document: d})
		}
		row("top", "en", false, "Top", nil)
		row("top", "en", true, "Top draft", nil)
		row("top", "fr", false, "Haut", nil)
		row("sub", "en", false, "Sub", store.Document{"parent": "top"})
		row("sub", "fr", false, "Sous", store.Document{"parent": "top"})
		row("sub", "de", false, "Unter", store.Document{"parent": "top"})
		if _, err := s.Apply(patient(t), writes...); err != nil {
			t.Fatal(err)
		}
		is := func(want string, through ...*schema.Attribute) query.Expr {
			return query.Test{Path: query.Path{Through: through, Last: title}, Op: query.Eq, Values: []any{want}}
		}
		for _, c := range []struct {
			locale string
			expr   query.Expr
			want   string
		}{
			{"en", is("Top", parent), "sub"}, {"en", is("Haut", parent), ""}, {"fr", is("Haut", parent), "sub"}, {"en", is("Top draft", parent), ""},
			{"de", query.Test{Path: query.Path{Through: []*schema.Attribute{parent}, System: query.ID}, Op: query.Null, Values: []any{true}}, "sub"},
			{"en", is("Sub", children), "top"}, {"fr", is("Sub", children), ""}, {AllLocales, is("Haut", parent), "sub sub sub"},
		} {
			if got := found(t, s, page, View{Locale: c.locale}, c.expr, nil); got != c.want {
				t.Errorf("%s %+v: %q, not %q", c.locale, c.expr, got, c.want)
			}
		}
	})
}

func TestWhatNoStoreCanFindIsRefusedInWords(t *testing.T) {
	l := newLibrary()
	var wide query.Or
	for range store.MaxNodes {
		wide = append(wide, l.isBook("pages", query.Eq, 1))
	}
	for want, expr := range map[string]query.Expr{
		"more than can be looked for":        wide,
		"belongs to one of many components":  l.isBook("parts.editor.name", query.Eq, "ann"),
		"is a dynamic zone":                  query.Test{Path: query.Path{Through: []*schema.Attribute{l.book.Attribute("body")}, Last: l.part.Attributes[0]}, Op: query.Eq, Values: []any{"x"}},
		"nobody's value":                     l.isBook("pages", query.Eq, query.User("id")),
		"it takes 2 to 2":                    l.isBook("pages", query.Between, 1),
		"$contains looks for a text":         l.isBook("pages", query.Contains, 1),
		"4096 are the most":                  l.isBook("title", query.Contains, strings.Repeat("x", 4097)),
		"$x is no operator":                  l.isBook("title", "$x", "x"),
		"The filters are more than can be l": l.isBook("title", query.Eq, "\xff"),
	} {
		if _, err := Compile(expr, l.book, View{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}

func TestAnOrderThatLeadsToOtherEntriesIsNoStores(t *testing.T) {
	l := newLibrary()
	for names, want := range map[string]bool{"title": true, "cover.label": true, "id": true, "author.name": false, "parts.label": false} {
		if _, ok := Order([]query.Order{{Path: on(l.book, names)}}); ok != want {
			t.Errorf("%s: %v", names, ok)
		}
	}
	order, _ := Order([]query.Order{{Path: on(l.book, "cover.label")}, {Path: on(l.book, "createdAt"), Descending: true}})
	if want := "[{cover.label false} {createdAt true} {_n true}]"; fmt.Sprint(order) != want {
		t.Errorf("%v, not %s", order, want)
	}
}
