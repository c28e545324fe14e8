package query

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/schema"
)

// sample has the types of the recorded answers, and one with all that they lack.
func sample(t testing.TB) *schema.Set {
	t.Helper()
	user, file := &schema.Type{UID: schema.UserUID}, &schema.Type{UID: schema.FileUID}
	article, tag := &schema.Type{UID: "api::article.article"}, &schema.Type{UID: "api::tag.tag"}
	link := &schema.Component{UID: "shared.link", Attributes: []*schema.Attribute{
		{Name: "label", Kind: schema.String},
		{Name: "icon", Kind: schema.Media, Target: file},
		{Name: "to", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: article},
	}}
	set, err := schema.New([]string{"en", "fr"}, []*schema.Type{{
		UID: "api::article.article", Name: "article", Plural: "articles", Table: "articles", Drafts: true, Attributes: []*schema.Attribute{
			{Name: "title", Kind: schema.String, Required: true, Unique: true},
			{Name: "body", Kind: schema.Text},
			{Name: "views", Kind: schema.Integer},
			{Name: "rating", Kind: schema.Decimal},
			{Name: "published", Kind: schema.Date},
			{Name: "tags", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: tag, InversedBy: "articles"},
			{Name: "author", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: user},
		},
	}, {
		UID: "api::tag.tag", Name: "tag", Plural: "tags", Table: "tags", Attributes: []*schema.Attribute{
			{Name: "name", Kind: schema.String, Required: true, Unique: true},
			{Name: "articles", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: article, MappedBy: "tags"},
		},
	}, {
		UID: "api::page.page", Name: "page", Plural: "pages", Table: "pages", Localized: true, Attributes: []*schema.Attribute{
			{Name: "title", Kind: schema.String, Localized: true},
			{Name: "kind", Kind: schema.Enumeration, Enum: []string{"plain", "rich"}},
			{Name: "secret", Kind: schema.String, Private: true},
			{Name: "code", Kind: schema.Password},
			{Name: "open", Kind: schema.Boolean},
			{Name: "at", Kind: schema.Time},
			{Name: "since", Kind: schema.DateTime},
			{Name: "big", Kind: schema.BigInteger},
			{Name: "extra", Kind: schema.JSON},
			{Name: "cover", Kind: schema.Media, Target: file},
			{Name: "link", Kind: schema.Part, Component: link},
			{Name: "links", Kind: schema.Part, Component: link, Repeatable: true},
			{Name: "zone", Kind: schema.Zone, Zone: []*schema.Component{link}},
			{Name: "owner", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: user},
			{Name: "hidden", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: tag, Private: true},
		},
	}, {
		UID: schema.UserUID, Attributes: []*schema.Attribute{
			{Name: "team", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: tag},
			{Name: "teams", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: tag},
			{Name: "level", Kind: schema.Integer},
		},
	}}, []*schema.Component{link})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// caller may read the types that are named.
type caller string

func (c caller) Reads(t *schema.Type) bool {
	return strings.Contains(string(c), t.Name)
}

func (c caller) Drafts(*schema.Type) bool { return strings.Contains(string(c), "drafts") }

func options(set *schema.Set, c caller) Options {
	return Options{Set: set, May: c, PageSize: 25, MaxPageSize: 100}
}

// said is a condition, written shortly.
func said(e Expr) string {
	switch e := e.(type) {
	case nil:
		return "all"
	case And:
		return "(" + several(e, " and ") + ")"
	case Or:
		return "(" + several(e, " or ") + ")"
	case Not:
		return "not " + said(e.Expr)
	case Some:
		return lead(e.Through) + "{" + said(e.Expr) + "}"
	case Test:
		values := make([]string, len(e.Values))
		for i, v := range e.Values {
			values[i] = fmt.Sprintf("%#v", v)
			switch v := v.(type) {
			case fmt.Stringer:
				values[i] = v.String()
			case User:
				values[i] = "$user." + string(v)
			case now:
				values[i] = "$now"
			}
		}
		return path(e.Path) + " " + string(e.Op) + " " + strings.Join(values, ",")
	}
	return "?"
}

func several(all []Expr, between string) string {
	parts := make([]string, len(all))
	for i, e := range all {
		parts[i] = said(e)
	}
	return strings.Join(parts, between)
}

func lead(through []*schema.Attribute) string {
	s := ""
	for _, a := range through {
		s += a.Name + "."
	}
	return s
}

func path(p Path) string {
	if p.Last != nil {
		return lead(p.Through) + p.Last.Name
	}
	return lead(p.Through) + string(p.System)
}

// filled is what is filled in, written shortly.
func filled(all []Populate) string {
	var parts []string
	for _, p := range all {
		s := p.Attribute.Name
		if p.Count {
			s += "#"
		}
		if p.Query.Fields != nil {
			s += "[" + strings.Join(p.Query.Fields, ",") + "]"
		}
		if p.Query.Filter != nil {
			s += "?" + said(p.Query.Filter)
		}
		for _, o := range p.Query.Sort {
			s += "^" + path(o.Path)
		}
		if p.Query.Populate != nil {
			s += "{" + filled(p.Query.Populate) + "}"
		}
		for c, q := range p.On {
			s += "<" + c.UID + ":" + filled(q.Populate) + strings.Join(q.Fields, ",") + ">"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}
