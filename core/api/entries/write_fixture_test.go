package entries

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// A desk is where entries are written.
type desk struct {
	*Entries
	s                                             store.Store
	set                                           *schema.Set
	article, tag, page, home, team, player, badge *schema.Type
}

func kind(name string, k schema.Kind) *schema.Attribute {
	return &schema.Attribute{Name: name, Kind: k}
}

func kept(name string, r schema.Relation, target, mappedBy, inversedBy string) *schema.Attribute {
	return &schema.Attribute{Name: name, Kind: schema.RelationTo, Relation: r, Target: &schema.Type{UID: target}, MappedBy: mappedBy, InversedBy: inversedBy}
}

func named(name string, attributes ...*schema.Attribute) *schema.Type {
	return &schema.Type{UID: "api::" + name + "." + name, Name: name, Plural: name + "s", Table: name + "s", DisplayName: name, Attributes: attributes}
}

func deskTypes(t testing.TB) *schema.Set {
	t.Helper()
	seo := &schema.Component{UID: "shared.seo", Attributes: []*schema.Attribute{
		{Name: "head", Kind: schema.String, Required: true}, kind("note", schema.Text), kind("lock", schema.Password), kept("tag", schema.ManyToOne, "api::tag.tag", "", ""),
	}}
	article := named("article",
		&schema.Attribute{Name: "title", Kind: schema.String, Required: true, Unique: true}, kind("body", schema.Text), kind("views", schema.Integer),
		kept("tags", schema.ManyToMany, "api::tag.tag", "", "articles"), kept("author", schema.ManyToOne, schema.UserUID, "", ""),
		&schema.Attribute{Name: "seo", Kind: schema.Part, Component: seo}, &schema.Attribute{Name: "seos", Kind: schema.Part, Component: seo, Repeatable: true},
		kind("secret", schema.Password))
	article.Drafts = true
	page := named("page", &schema.Attribute{Name: "title", Kind: schema.String, Required: true, Localized: true}, &schema.Attribute{Name: "code", Kind: schema.String, Required: true})
	page.Localized = true
	home := named("home", kind("heading", schema.String))
	home.Single = true
	var fields []*schema.Attribute
	for i := range 8 {
		fields = append(fields, kind(fmt.Sprint("f", i), schema.Integer))
	}
	set, err := schema.New([]string{"en", "fr"}, []*schema.Type{
		article, page, home,
		named("tag", &schema.Attribute{Name: "name", Kind: schema.String, Required: true, Unique: true}, kept("articles", schema.ManyToMany, "api::article.article", "tags", "")),
		named("team", append(fields, kind("name", schema.String), kept("players", schema.OneToMany, "api::player.player", "team", ""))...),
		named("player", kind("name", schema.String), kept("team", schema.ManyToOne, "api::team.team", "", "players"), kept("badge", schema.OneToOne, "api::badge.badge", "", "player")),
		named("badge", kind("name", schema.String), kept("player", schema.OneToOne, "api::player.player", "badge", "")),
	}, []*schema.Component{seo})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newDesk(t testing.TB, s store.Store) *desk {
	t.Helper()
	d := &desk{Entries: New(Options{Store: s, Log: quiet, History: time.Hour}), s: s, set: deskTypes(t)}
	d.Use(d.set)
	collections := Collections()
	for _, one := range d.set.Types() {
		collections = append(collections, rows.Collection(one))
	}
	if err := s.Ensure(patient(t), collections...); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]**schema.Type{"article": &d.article, "tag": &d.tag, "page": &d.page, "home": &d.home, "team": &d.team, "player": &d.player, "badge": &d.badge} {
		*to = d.set.Type(name)
	}
	return d
}

func desks(t *testing.T, test func(t *testing.T, d *desk)) {
	engines.Each(t, func(t *testing.T, s store.Store) { test(t, newDesk(t, s)) })
}

// sent reads JSON as requests are read.
func sent(t testing.TB, text string, args ...any) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(fmt.Sprintf(text, args...)))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(text, err)
	}
	return v
}

func (d *desk) create(t testing.TB, of *schema.Type, o Change, text string, args ...any) string {
	t.Helper()
	id, err := d.Create(patient(t), of, sent(t, text, args...), o)
	if err != nil {
		t.Fatal(text, err)
	}
	return id
}

func (d *desk) update(t testing.TB, of *schema.Type, id string, o Change, text string, args ...any) {
	t.Helper()
	if err := d.Update(patient(t), of, id, sent(t, text, args...), o); err != nil {
		t.Fatal(text, err)
	}
}

// row is what lies in the store; nil when nothing does.
func (d *desk) row(t testing.TB, of *schema.Type, id string) store.Document {
	t.Helper()
	found, err := d.s.Find(patient(t), store.Query{Collection: rows.Name(of), Filter: store.ID(id), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// history is what happened to an entry, the first first: ACTION STATUS LOCALE [FIELDS] by WHOM.
func (d *desk) history(t testing.TB, id string) string {
	t.Helper()
	list, err := changes.List(patient(t), d.s, changes.Filter{Entry: id, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := range list {
		c := list[len(list)-1-i]
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(c.Action, " ", c.Status, " ", c.Locale, " ", c.Fields, " by ", c.By)), " "))
	}
	return strings.Join(lines, "\n")
}

// reader may do everything with entries of its conditions.
type reader struct {
	only   map[access.Action]query.Expr // of articles
	never  string                       // the name of a type that it does not see
	stamps map[string]any
}

func (r reader) May(t *schema.Type, _ access.Action) bool { return t.Name != r.never }

func (r reader) Only(t *schema.Type, a access.Action) query.Expr {
	if t.Name != "article" {
		return nil
	}
	return r.only[a]
}

func (r reader) Stamp(t *schema.Type) map[string]any {
	if t.Name != "article" {
		return nil
	}
	return r.stamps
}

// is is the condition that an attribute has a value.
func is(t *schema.Type, attribute string, v any) query.Expr {
	return query.Test{Path: query.Path{Last: t.Attribute(attribute)}, Op: query.Eq, Values: []any{v}}
}
