package migrate

import (
	"reflect"
	"testing"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func storetestMemory() store.Store { return storetest.NewMemory() }

// related is a relation of articles to tags, or to those of another type.
func related(r schema.Relation) *schema.Attribute {
	return &schema.Attribute{Name: "x", Kind: schema.RelationTo, Relation: r, Target: tag}
}

func TestReferencesAndComponentsBecomeListsAndSingle(t *testing.T) {
	media := func(multiple bool) *schema.Attribute {
		return &schema.Attribute{Name: "x", Kind: schema.Media, Multiple: multiple}
	}
	part := func(repeatable bool) *schema.Attribute {
		return &schema.Attribute{Name: "x", Kind: schema.Part, Component: &schema.Component{UID: "shared.seo"}, Repeatable: repeatable}
	}
	one := store.Document{rows.Number: int64(1), "text": "a"}
	two := store.Document{rows.Number: int64(2), "text": "b"}
	for name, c := range map[string]struct {
		was, to *schema.Attribute
		v, want any // want nil: refused
	}{
		"relation to list":         {related(schema.ManyToOne), related(schema.ManyToMany), "t1", []any{"t1"}},
		"list of one":              {related(schema.ManyToMany), related(schema.ManyToOne), []any{"t1"}, "t1"},
		"list of two":              {related(schema.ManyToMany), related(schema.OneToOne), []any{"t1", "t2"}, nil},
		"list to list":             {related(schema.ManyToMany), related(schema.OneToMany), []any{"t1"}, []any{"t1"}},
		"media to list":            {media(false), media(true), "f1", []any{"f1"}},
		"media of one":             {media(true), media(false), []any{"f1"}, "f1"},
		"media of two":             {media(true), media(false), []any{"f1", "f2"}, nil},
		"relation to media":        {related(schema.ManyToOne), media(false), "t1", nil},
		"component to repeatable":  {part(false), part(true), one, []any{one}},
		"repeatable of one":        {part(true), part(false), []any{one}, one},
		"repeatable of two":        {part(true), part(false), []any{one, two}, nil},
		"component to text":        {part(false), attr("x", schema.Text), one, nil},
		"component to zone":        {part(false), &schema.Attribute{Name: "x", Kind: schema.Zone, Zone: []*schema.Component{seo()}}, one, nil},
		"empty list to other kind": {related(schema.ManyToMany), attr("x", schema.Text), []any{}, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			was, to := articles(t, article(c.was), seo()), articles(t, article(c.to), seo())
			migrated(t, s, was)
			keep(t, s, was, "a1", 1, store.Document{"x": c.v})
			if c.want == nil {
				refused(t, s, to, "article.x: of 1 entry it ", "(a1)")
				return
			}
			migrated(t, s, to)
			if got := value(t, s, "x"); !reflect.DeepEqual(got, c.want) && (got != nil || c.want != "gone") {
				t.Errorf("%v becomes %v, want %v", c.v, got, c.want)
			}
		})
	}
}

// sides are articles and tags related to each other, kept with one of them.
func sides(t *testing.T, r schema.Relation, ownedByTags bool) *schema.Set {
	t.Helper()
	of, to := &schema.Attribute{Name: "x", Kind: schema.RelationTo, Relation: r, Target: tag, InversedBy: "articles"},
		&schema.Attribute{Name: "articles", Kind: schema.RelationTo, Relation: r, Target: article(), MappedBy: "x"}
	if ownedByTags {
		of.MappedBy, of.InversedBy, to.MappedBy, to.InversedBy = "articles", "", "", "x"
	}
	tags := *tag
	tags.Attributes = []*schema.Attribute{to}
	return set(t, []*schema.Type{article(of), &tags})
}

func TestARelationDoesNotMoveToItsOtherSideWithWhatIsKept(t *testing.T) {
	s := storetest.NewMemory()
	was := sides(t, schema.ManyToMany, false)
	migrated(t, s, was)
	keep(t, s, was, "a1", 1, store.Document{"x": []any{"t1"}})
	refused(t, s, sides(t, schema.ManyToMany, true), "article.x: of 1 entry it has references that would be kept with tag.articles now")
	change(t, s, store.ID("a1"), store.Document{"x": []any{}})
	migrated(t, s, sides(t, schema.ManyToMany, true))
}

func TestAnEntryThatSeveralReferToDoesNotBecomeThatOfOne(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		was := articles(t, article(related(schema.ManyToOne)))
		migrated(t, s, was)
		keep(t, s, was, "a1", 1, store.Document{"x": "t1"})
		keep(t, s, was, "a2", 2, store.Document{"x": "t1"})
		refused(t, s, sides(t, schema.OneToOne, false), `article.x: values are of one entry now, and 2 entries have "t1"`)
		change(t, s, store.ID("a2"), store.Document{"x": "t2"})
		migrated(t, s, sides(t, schema.OneToOne, false))
	})
}

func TestReferencesDoNotLeadToAnotherType(t *testing.T) {
	s := storetest.NewMemory()
	was := articles(t, article(related(schema.ManyToOne)))
	migrated(t, s, was)
	keep(t, s, was, "a1", 1, store.Document{"x": "t1"})
	other := &schema.Attribute{Name: "x", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: &schema.Type{UID: schema.UserUID}}
	refused(t, s, articles(t, article(other)), "references to tag, and would lead to user")
}

func TestAComponentChangesWhereverItIs(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		parts := func(k schema.Kind) []*schema.Component {
			return []*schema.Component{
				{UID: "shared.inner", Attributes: []*schema.Attribute{attr("n", k)}},
				{UID: "shared.outer", Attributes: []*schema.Attribute{{Name: "inners", Kind: schema.Part, Repeatable: true, Component: &schema.Component{UID: "shared.inner"}}}},
			}
		}
		of := article(
			&schema.Attribute{Name: "one", Kind: schema.Part, Component: &schema.Component{UID: "shared.outer"}},
			&schema.Attribute{Name: "zone", Kind: schema.Zone, Zone: []*schema.Component{{UID: "shared.inner"}, {UID: "shared.outer"}}},
		)
		content := func(n any) store.Document {
			inner := func() store.Document { return store.Document{rows.Number: int64(1), "n": n} }
			zoned := inner()
			zoned[rows.Component] = "shared.inner"
			return store.Document{
				"one":  store.Document{rows.Number: int64(1), "inners": []any{inner(), inner()}},
				"zone": []any{zoned, store.Document{rows.Component: "shared.outer", rows.Number: int64(1), "inners": []any{inner()}}},
			}
		}
		was, to := articles(t, of, parts(schema.String)...), articles(t, of, parts(schema.Integer)...)
		migrated(t, s, was)
		keep(t, s, was, "a1", 1, content("x"))
		refused(t, s, to, "article.one.inners.n: of 1 entry it can't become integer", "article.zone")
		change(t, s, store.ID("a1"), content("7"))
		wantSummary(t, migrated(t, s, to), "shared.inner.n was string and is integer")
		want := content(int64(7))
		if got := all(t, s, "content-article")[0].Only([]string{"one", "zone"}); !reflect.DeepEqual(got["one"], want["one"]) || !reflect.DeepEqual(got["zone"], want["zone"]) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

func TestAComponentDoesNotLeaveAZoneThatHasIt(t *testing.T) {
	zone := func(uids ...string) *schema.Type {
		a := &schema.Attribute{Name: "zone", Kind: schema.Zone}
		for _, uid := range uids {
			a.Zone = append(a.Zone, &schema.Component{UID: uid})
		}
		return article(a)
	}
	a, b := &schema.Component{UID: "shared.a"}, &schema.Component{UID: "shared.b"}
	s := storetest.NewMemory()
	was := articles(t, zone("shared.a", "shared.b"), a, b)
	migrated(t, s, was)
	keep(t, s, was, "a1", 1, store.Document{"zone": []any{store.Document{rows.Component: "shared.b"}}})
	refused(t, s, articles(t, zone("shared.a"), a, b), "article.zone: of 1 entry it has a component that is not in components any more, such as shared.b")
	migrated(t, s, articles(t, zone("shared.b"), a, b))
}

func TestTightenedRulesAreWarnedOf(t *testing.T) {
	one, ten, low, high := 1, 10, 1.0, 10.0
	s := storetest.NewMemory()
	migrated(t, s, articles(t, article(attr("a", schema.String), attr("b", schema.Integer), &schema.Attribute{Name: "c", Kind: schema.Float, Min: &low, Max: &high})))
	to := articles(t, article(
		&schema.Attribute{Name: "a", Kind: schema.String, Required: true, MinLength: &one, MaxLength: &ten},
		&schema.Attribute{Name: "b", Kind: schema.Integer, Min: &low, Max: &high},
		&schema.Attribute{Name: "c", Kind: schema.Float},
		&schema.Attribute{Name: "d", Kind: schema.String, Required: true},
		&schema.Attribute{Name: "e", Kind: schema.String, Default: "x"},
	))
	holds := " holds for what is written from now on; what is kept may not meet it"
	wantSummary(t, migrated(t, s, to),
		"warning: article.a: required"+holds, "warning: article.a: the least length"+holds, "warning: article.a: the greatest length"+holds,
		"warning: article.b: min"+holds, "warning: article.b: max"+holds,
		"article.d is new and required: entries that are there have none, and get one when they are next written",
		"article.e is new: entries that are there have none, and do not get the default")
}
