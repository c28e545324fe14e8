package access

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
)

// sample has the types of the recorded answers.
func sample(t *testing.T) *schema.Set {
	t.Helper()
	user, article, tag := &schema.Type{UID: schema.UserUID}, &schema.Type{UID: "api::article.article"}, &schema.Type{UID: "api::tag.tag"}
	set, err := schema.New([]string{"en"}, []*schema.Type{{
		UID: "api::article.article", Name: "article", Plural: "articles", Table: "articles", Drafts: true, Attributes: []*schema.Attribute{
			{Name: "title", Kind: schema.String},
			{Name: "views", Kind: schema.Integer},
			{Name: "open", Kind: schema.Boolean},
			{Name: "since", Kind: schema.DateTime},
			{Name: "tags", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: tag, InversedBy: "articles"},
			{Name: "author", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: user},
			{Name: "editors", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: user},
		},
	}, {
		UID: "api::tag.tag", Name: "tag", Plural: "tags", Table: "tags", Attributes: []*schema.Attribute{
			{Name: "name", Kind: schema.String},
			{Name: "articles", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: article, MappedBy: "tags"},
		},
	}, {
		UID: "api::homepage.homepage", Name: "homepage", Plural: "homepages", Table: "homepages", Single: true, Attributes: []*schema.Attribute{
			{Name: "heading", Kind: schema.String},
		},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// load reads the api key of a configuration.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	text = "api:\n  schemas: .\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, config.Env{})
	for _, p := range problems {
		if !p.Warning && strings.Contains(p.Message, "api") {
			t.Fatal(p)
		}
	}
	if cfg == nil || cfg.API == nil {
		t.Fatal(problems)
	}
	return cfg
}

var (
	alice = Caller{User: store.Document{"id": "u1", "_doc": "u1", "_n": int64(7), "username": "alice", "confirmed": true}, Role: Authenticated}
	full  = Caller{Token: &Token{Name: "full", Kind: FullAccess}}
	read  = Caller{Token: &Token{Name: "read", Kind: ReadOnly}}
)

func custom(permissions ...string) Caller {
	return Caller{Token: &Token{Name: "custom", Kind: Custom, Permissions: permissions}}
}

func role(name string) Caller {
	return Caller{User: alice.User, Role: name}
}

func TestWhoMayDoWhat(t *testing.T) {
	set := sample(t)
	p := New(load(t, `
permissions:
  public: [article.find, tag.find, homepage.find]
  authenticated: [article.*, upload.upload, upload.destroy, user.find, user.destroy]
  editor: [homepage.*, permissions.getPermissions, role.find]
`).API, set)
	for _, c := range []struct {
		who  Caller
		may  string // TYPE.ACTION
		want bool
	}{
		{Caller{}, "article.find", true},
		{Caller{}, "article.findOne", false},
		{Caller{}, "article.create", false},
		{Caller{}, "auth.register", true},
		{Caller{}, "auth.logout", false},
		{Caller{}, "user.me", false},
		{Caller{Role: Authenticated}, "article.create", false}, // a role without a user is nobody's
		{alice, "article.create", true},
		{alice, "article.delete", true},
		{alice, "tag.find", false}, // what everybody may, who has logged in may not
		{alice, "file.create", true},
		{alice, "file.delete", true},
		{alice, "file.find", false},
		{alice, "user.find", true},
		{alice, "user.delete", true},
		{alice, "user.count", false},
		{alice, "user.me", true},
		{alice, "auth.changePassword", true},
		{alice, "auth.callback", true},
		{alice, "permissions.getPermissions", false},
		{role("editor"), "homepage.update", true},
		{role("editor"), "article.find", false},
		{role("editor"), "permissions.getPermissions", true},
		{role("editor"), "role.find", true},
		{role("editor"), "user.me", true},
		{role("gone"), "article.find", false},
		{role("gone"), "auth.logout", true},
		{full, "article.delete", true},
		{full, "user.create", true},
		{full, "permissions.getPermissions", true},
		{read, "article.findOne", true},
		{read, "role.find", true},
		{read, "article.update", false},
		{read, "permissions.getPermissions", false},
		{custom("article.find", "upload.upload", "tag.*"), "article.find", true},
		{custom("article.find", "upload.upload", "tag.*"), "article.findOne", false},
		{custom("article.find", "upload.upload", "tag.*"), "file.create", true},
		{custom("article.find", "upload.upload", "tag.*"), "tag.delete", true},
		{custom("article.find"), "auth.callback", false},
		{custom("auth.callback", "article", "*"), "auth.callback", true},
		{custom("article", "*", "*.*"), "article.find", false},
		{Caller{Token: &Token{Kind: "odd"}}, "article.find", false},
	} {
		subject, action, _ := strings.Cut(c.may, ".")
		r := p.For(c.who)
		got := r.Allows(subject, action)
		if typ := set.Type(subject); typ != nil {
			got = r.May(typ, Action(action))
		}
		if got != c.want {
			t.Errorf("%s (%s) may %s: %v", c.who.Name(), c.who.Role, c.may, got)
		}
	}
	if got := p.Roles(); !slices.Equal(got, []string{"authenticated", "editor", "public"}) {
		t.Errorf("roles are %v", got)
	}
	if article := set.Type("article"); p.For(Caller{}).Drafts(article) || p.For(read).Drafts(article) || !p.For(alice).Drafts(article) {
		t.Error("drafts are for those who may update")
	}
}

const owned = `
permissions:
  public: [article.find, article.findOne, tag.find]
  authenticated: [article.*, tag.find]
access:
  article:
    find: {open: true}
    create: {author: $user.id, editors: $user.documentId, title: fixed, views: 3, open: false, since: 2026-01-01T00:00:00Z}
    update: {author: {$eq: $user.id}}
`

// documentOf returns the documentId that a condition asks an author to have.
func documentOf(e query.Expr) any {
	if test, ok := e.(query.Test); ok && len(test.Path.Through) == 1 && test.Path.Through[0].Name == "author" && test.Path.System == query.DocumentID && test.Op == query.Eq {
		return test.Values[0]
	}
	return nil
}

func TestOwnersChangeTheirOwnAndNoOthers(t *testing.T) {
	set := sample(t)
	p := New(load(t, owned).API, set)
	article := set.Type("article")
	r := p.For(alice)
	seen := r.Only(article, Find)
	if test, ok := seen.(query.Test); !ok || test.Path.Last.Name != "open" || test.Values[0] != true {
		t.Errorf("alice sees %v", seen)
	}
	if !reflect.DeepEqual(r.Only(article, FindOne), seen) || !reflect.DeepEqual(r.Only(article, Delete), seen) || r.Only(article, Create) != nil {
		t.Error("one entry is not seen, or deleted, as all are")
	}
	both, ok := r.Only(article, Update).(query.And)
	if !ok || len(both) != 2 || !reflect.DeepEqual(both[0], seen) || documentOf(both[1]) != "u1" {
		t.Errorf("alice updates %v", both)
	}
	nobody, ok := p.For(Caller{}).Only(article, Update).(query.And)
	if !ok || len(nobody) != 2 || !reflect.DeepEqual(nobody[1], query.Or{}) {
		t.Errorf("nobody updates %v", nobody)
	}
	if r.Only(set.Type("tag"), Find) != nil || p.For(full).Only(article, Update) != nil {
		t.Error("a type without rules, or a server, is bound by some")
	}
}

func TestWhatIsStamped(t *testing.T) {
	set := sample(t)
	p := New(load(t, owned).API, set)
	want := map[string]any{"author": "u1", "editors": []any{"u1"}, "title": "fixed", "views": json.Number("3"), "open": false, "since": "2026-01-01T00:00:00.000Z"}
	if got := p.For(alice).Stamp(set.Type("article")); !reflect.DeepEqual(got, want) {
		t.Errorf("alice's entries have %v", got)
	}
	// Nobody's entry has no author, whoever the request says it is.
	if got := p.For(Caller{}).Stamp(set.Type("article")); got["author"] != nil || len(got) != 6 {
		t.Errorf("nobody's entries have %v", got)
	}
	if p.For(full).Stamp(set.Type("article")) != nil || p.For(alice).Stamp(set.Type("tag")) != nil {
		t.Error("a server's entries, or those of a type without rules, are stamped")
	}
}

// Who may not find entries of a type does not learn of them through another type.
func TestOtherTypesDoNotTellOfWhatMayNotBeFound(t *testing.T) {
	set := sample(t)
	p := New(load(t, `
permissions:
  public: [tag.find, article.findOne, article.update]
  authenticated: [tag.find, article.find]
access:
  article: {find: {author: $user.id}}
`).API, set)
	tag := set.Type("tag")
	ask := func(who Caller, raw string) (*query.Query, error) {
		return query.Parse(raw, tag, query.Options{Set: set, May: p.For(who), PageSize: 25, MaxPageSize: 100})
	}
	for _, raw := range []string{"filters[articles][title][$startsWith]=a", "filters[articles]=1", "filters[articles][$null]=true", "sort=articles.title", "sort[articles][title]=asc",
		"filters[$or][0][$not][articles][id][$gt]=1", "filters[articles][tags][name]=a"} {
		if _, err := ask(Caller{}, raw); err == nil {
			t.Errorf("public may ask %s", raw)
		}
	}
	for _, raw := range []string{"populate=*", "populate=articles", "populate[articles][count]=true", "populate[articles][fields]=title"} {
		if q, err := ask(Caller{}, raw); err != nil || len(q.Populate) != 0 {
			t.Errorf("public is told of %v, %v", q, err)
		}
		// Who may find some is told of those: what is and-ed to whatever leads through the type.
		if q, err := ask(alice, raw); err != nil || len(q.Populate) != 1 || documentOf(p.For(alice).Only(q.Populate[0].Attribute.Target, Find)) != "u1" {
			t.Errorf("alice is told of %v, %v", q, err)
		}
	}
}

func TestMistakesHaveTheirPlaces(t *testing.T) {
	set := sample(t)
	cfg := load(t, `permissions:
  public: [artcle.find, article.fnd, homepage.findOne, auth.callback]
  authenticatd: [user.me]
access:
  tga: {find: {name: a}}
  article:
    find: {athor: $user.id}
    create: {ttle: x, tags: [1], articles: 2, views: many}
    update: {$or: [{views: 1}, {views: {$in: [1, x]}}]}
    delete: {author: $user.nme}
`)
	var got []string
	for _, p := range Check(cfg, set) {
		got = append(got, fmt.Sprintf("%d:%d %s %v", p.Line, p.Col, p.Message, p.Warning))
	}
	want := []string{
		`5:5 "authenticatd" is a role of its own; did you mean authenticated? true`,
		`4:14 "artcle.find" names no content type; did you mean article? false`,
		`4:27 "article.fnd" names no action of article, which has find, findOne, create, update, delete; did you mean find? false`,
		`4:40 "homepage.findOne" names no action of homepage, which has find, update, delete false`,
		`9:14 article has no attribute "athor"; did you mean author? false`,
		`11:52 views is integer, and the value is none false`,
		`12:16 a user has no nme false`,
		`10:36 article has no attribute "articles" false`,
		`10:25 one value is set, and no list or filter: {author: $user.id} false`,
		`10:16 article has no attribute "ttle"; did you mean title? false`,
		`10:49 views is integer, and the value is none false`,
		`7:5 "tga" is no content type; did you mean tag? false`,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is wrong lets nobody do anything.
	r := New(cfg.API, set).For(alice)
	if r.May(set.Type("article"), Find) || !reflect.DeepEqual(r.Only(set.Type("article"), Find), query.Or{}) {
		t.Error("a rule that can't be meant holds")
	}
}

func TestPermissionsAreListedAsStrapiListsThem(t *testing.T) {
	p := New(load(t, "permissions: {public: [article.find, upload.upload, user.destroy]}").API, sample(t))
	enabled := func(role, plugin, controller, action string) string {
		one, ok := p.Tree(role)[plugin].Controllers[controller][action]
		return fmt.Sprint(ok, one.Enabled)
	}
	for _, c := range [][5]string{
		{"public", "api::article", "article", "find", "true true"},
		{"public", "api::article", "article", "delete", "true false"},
		{"public", "api::homepage", "homepage", "findOne", "false false"},
		{"public", "plugin::upload", "content-api", "upload", "true true"},
		{"public", "plugin::upload", "content-api", "destroy", "true false"},
		{"public", "plugin::users-permissions", "user", "destroy", "true true"},
		{"public", "plugin::users-permissions", "user", "me", "true false"},
		{"authenticated", "plugin::users-permissions", "user", "me", "true true"},
		{"public", "plugin::users-permissions", "auth", "register", "true true"},
		{"public", "plugin::users-permissions", "role", "find", "true false"},
		{"", "plugin::users-permissions", "auth", "register", "true false"},
		{"", "api::article", "article", "find", "true false"},
	} {
		if got := enabled(c[0], c[1], c[2], c[3]); got != c[4] {
			t.Errorf("%v: %s", c[:4], got)
		}
	}
	b, err := json.Marshal(p.Tree("public")["api::homepage"])
	want := `{"controllers":{"homepage":{"delete":{"enabled":false,"policy":""},"find":{"enabled":false,"policy":""},"update":{"enabled":false,"policy":""}}}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
