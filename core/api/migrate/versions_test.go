package migrate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func title() *schema.Attribute {
	return &schema.Attribute{Name: "title", Kind: schema.String, Unique: true}
}

// is an article with drafts, languages, or both.
func is(drafts, localized bool) *schema.Type {
	t := article(title(), &schema.Attribute{Name: "seo", Kind: schema.Part, Component: &schema.Component{UID: "shared.seo"}})
	t.Drafts, t.Localized = drafts, localized
	return t
}

func seo() *schema.Component {
	return &schema.Component{UID: "shared.seo", Attributes: []*schema.Attribute{attr("text", schema.String)}}
}

// wantRows wants rows with these ids, each with its status, locale and title.
func wantRows(t *testing.T, s store.Store, want ...string) {
	t.Helper()
	var got []string
	numbers := map[int64]bool{}
	for _, row := range all(t, s, "content-article") {
		if !strings.HasPrefix(row.String(rows.DocumentID), "a") || row.Time(rows.CreatedAt) != made || numbers[row.Int(rows.Number)] || row.Int(rows.Number) == 0 {
			t.Errorf("%v", row)
		}
		if isDraft := row[rows.Status] == rows.Draft; isDraft != (row[rows.PublishedAt] == nil) {
			t.Errorf("%v", row)
		}
		numbers[row.Int(rows.Number)] = true
		got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", row.ID(), row.String(rows.Status), row.String(rows.Locale), row.String("title"))), " "))
	}
	slices.Sort(got)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDraftsAndLanguagesAreTurnedOnAndOff(t *testing.T) {
	forms := map[[2]bool][]string{
		{false, false}: {"a1 One", "a2 Two"},
		{true, false}:  {"a1 published One", "a1.draft draft One", "a2 published Two", "a2.draft draft Two"},
		{false, true}:  {"a1.en en One", "a2.en en Two"},
		{true, true}:   {"a1.en published en One", "a1.en.draft draft en One", "a2.en published en Two", "a2.en.draft draft en Two"},
	}
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		form := [2]bool{}
		first := articles(t, is(false, false), seo())
		migrated(t, s, first)
		for i, name := range []string{"One", "Two"} {
			keep(t, s, first, fmt.Sprintf("a%d", i+1), int64(i+1), store.Document{"title": name, "seo": store.Document{rows.Number: int64(i), "text": name}})
		}
		wantRows(t, s, forms[form]...)
		for _, next := range [][2]bool{{true, false}, {false, true}, {true, false}, {true, true}, {false, false}, {true, true}, {false, true}, {true, true}, {true, false}, {false, false}, {false, true}, {false, false}} {
			migrated(t, s, articles(t, is(next[0], next[1]), seo()))
			if wantRows(t, s, forms[next]...); t.Failed() {
				t.Fatalf("from %v to %v", form, next)
			}
			form = next
		}
		keep(t, s, first, "a3", 1000, store.Document{"title": "Three"})
	})
}

func TestTheNumbersOfNewDraftsComeAfterAllOthers(t *testing.T) {
	s := storetestMemory()
	without := articles(t, is(false, false), seo())
	migrated(t, s, without)
	for i := range 5 {
		keep(t, s, without, fmt.Sprintf("a%d", i), int64(100+i), nil)
	}
	migrated(t, s, articles(t, is(true, false), seo()))
	if doc := all(t, s, "api-sequences"); len(doc) != 1 || doc[0].ID() != "article" || doc[0].Int("n") != 213 {
		t.Error(doc)
	}
}

// set changes rows of articles as no API would.
func change(t *testing.T, s store.Store, f store.Filter, set store.Document) {
	t.Helper()
	if _, err := s.Apply(busy(t), store.Update{Collection: "content-article", Filter: f, Change: store.Change{Set: set}, Must: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestDraftsAreNotTurnedOffWhileTheySayMoreThanWhatIsPublished(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		with, without := articles(t, is(true, false), seo()), articles(t, is(false, false), seo())
		migrated(t, s, with)
		keep(t, s, with, "a1", 1, store.Document{"title": "One", "seo": store.Document{rows.Number: int64(1), "text": "x"}})
		keep(t, s, with, "a2", 2, store.Document{"title": "Two"})
		change(t, s, store.ID("a1.draft"), store.Document{"seo": store.Document{rows.Number: int64(2), "text": "y"}})
		refused(t, s, without, "article has no drafts any more, and some are not what is published (1), such as that of a1")
		change(t, s, store.ID("a1.draft"), store.Document{"seo": store.Document{rows.Number: int64(2), "text": "x"}})
		if _, err := s.Apply(busy(t), store.Delete{Collection: "content-article", Filter: store.ID("a2")}); err != nil {
			t.Fatal(err)
		}
		refused(t, s, without, "of some entries there is only a draft (1), such as of a2")
		change(t, s, store.ID("a2.draft"), store.Document{"title": "Two"})
		if _, err := s.Apply(busy(t), store.Delete{Collection: "content-article", Filter: store.ID("a2.draft")}); err != nil {
			t.Fatal(err)
		}
		migrated(t, s, without)
		wantRows(t, s, "a1 One")
	})
}

func TestLanguagesAreNotTurnedOffWhileThereAreOthers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		with := articles(t, is(false, true), seo())
		migrated(t, s, with)
		keep(t, s, with, "a1", 1, nil)
		change(t, s, store.ID("a1.en"), store.Document{rows.Locale: "fr"})
		refused(t, s, articles(t, is(false, false), seo()), "article is not localized any more, and versions of entries in other languages than en are there (1)")
	})
}

func TestWhatBecomesUniqueMustBeSo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		plain := article(attr("title", schema.String))
		plain.Drafts = true
		was := articles(t, plain)
		migrated(t, s, was)
		for i, name := range []string{"One", "Two", "One", "Three"} {
			keep(t, s, was, fmt.Sprintf("a%d", i), int64(i+1), store.Document{"title": name})
		}
		unique := article(title())
		unique.Drafts = true
		refused(t, s, articles(t, unique), `article.title: values are unique now, and 2 entries have "One"`)
		for _, id := range []string{"a2", "a2.draft"} {
			change(t, s, store.ID(id), store.Document{"title": "Three"})
		}
		refused(t, s, articles(t, unique), `article.title: values are unique now, and 2 entries have "Three"`)
		for _, id := range []string{"a0", "a0.draft"} {
			change(t, s, store.ID(id), store.Document{"title": "Two"})
		}
		refused(t, s, articles(t, unique), `of 2 values several entries have the same, such as "T`, `(2 entries)`)
		for i := range 4 {
			for _, id := range []string{"a%d", "a%d.draft"} {
				change(t, s, store.ID(fmt.Sprintf(id, i)), store.Document{"title": []string{"Two", "Three", "Four", "Five"}[i]})
			}
		}
		migrated(t, s, articles(t, unique))
		if _, err := s.Apply(busy(t), store.Insert{Collection: "content-article", Document: store.Document{"id": "b", rows.Number: int64(99), rows.Status: rows.Draft, "title": "Two"}}); !isConflict(err) {
			t.Errorf("a double is kept: %v", err)
		}
	})
}

func TestASingleTypeHasOneEntry(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		was, single := articles(t, article()), article()
		single.Single = true
		migrated(t, s, was)
		keep(t, s, was, "a1", 1, nil)
		keep(t, s, was, "a2", 2, nil)
		refused(t, s, articles(t, single), "article is a single type now, and has more than one entry")
		if _, err := s.Apply(busy(t), store.Delete{Collection: "content-article", Filter: store.ID("a2")}); err != nil {
			t.Fatal(err)
		}
		wantSummary(t, migrated(t, s, articles(t, single)), "article is a single type now")
	})
}
