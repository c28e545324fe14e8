package entries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAPageAndTheTotalOfAllPages(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		for _, c := range []struct {
			page query.Page
			want string
		}{
			{query.Page{Limit: 25, Count: true}, "[a1 a2 a3 a4] 4"},
			{query.Page{Limit: 25}, "[a1 a2 a3 a4]"},
			{query.Page{Limit: 4, Count: true}, "[a1 a2 a3 a4] 4"},
			{query.Page{Limit: 2, Count: true}, "[a1 a2] 4"},
			{query.Page{Start: 3, Limit: 2, Count: true}, "[a4] 4"},
			{query.Page{Start: 9, Limit: 2, Count: true}, "[] 4"},
			{query.Page{Limit: 0, Count: true}, "[] 4"},
		} {
			if got := b.find(t, b.article, query.Query{Page: c.page}, nil); got != c.want {
				t.Errorf("%+v: %s", c.page, got)
			}
		}
	})
}

func TestAnOrderOfTheStore(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		for _, c := range []struct{ sort, want string }{
			{"title", "[a4 a1 a3 a2] 4"}, {"-title", "[a2 a3 a1 a4] 4"}, {"views", "[a4 a1 a2 a3] 4"}, {"rating", "[a1 a2 a3 a4] 4"}, {"hero.label", "[a2 a3 a4 a1] 4"}, {"-id", "[a4 a3 a2 a1] 4"},
		} {
			q := all()
			q.Sort = sorted(b.article, c.sort)
			if got := b.find(t, b.article, q, nil); got != c.want {
				t.Errorf("%s: %s", c.sort, got)
			}
		}
	})
}

func TestAnOrderByWhatEntriesLeadTo(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		for _, c := range []struct {
			of   string
			sort []string
			want string
		}{
			{"article", []string{"writer.name"}, "[a3 a1 a4 a2] 4"},
			{"article", []string{"-writer.name", "-title"}, "[a2 a1 a4 a3] 4"},
			{"article", []string{"tags.name"}, "[a3 a2 a4 a1] 4"},
			{"article", []string{"-tags.name"}, "[a1 a2 a4 a3] 4"},
			{"article", []string{"-writer.friend.name"}, "[a1 a4 a2 a3] 4"},
			{"article", []string{"-hero.about.name"}, "[a1 a2 a3 a4] 4"},
			{"article", []string{"-boxes.label"}, "[a1 a2 a3 a4] 4"},
			{"tag", []string{"-articles.views"}, "[go css sql] 3"},
			{"writer", []string{"articles.views"}, "[ann bob] 2"},
			{"writer", []string{"-articles.views"}, "[bob ann] 2"},
			{"article", []string{"boxes.about.name"}, "error: about belongs to one of many components: nothing can be sorted by it"},
		} {
			q, of := all(), b.set.Type(c.of)
			q.Sort = sorted(of, c.sort...)
			if got := b.find(t, of, q, nil); got != c.want {
				t.Errorf("%s: %s", c.sort, got)
			}
		}
		q := query.Query{Sort: sorted(b.article, "writer.name"), Page: query.Page{Start: 1, Limit: 2, Count: true}, Fields: []string{"title"}}
		if got := b.find(t, b.article, q, nil); got != "[a1 a4] 4" {
			t.Error("the second page is", got)
		}
		q.Sort = sorted(b.article, "tags.name")
		if got := b.find(t, b.article, q, rights{"article": nil, "tag": test(b.tag, "name", query.Ne, "css")}); got != "[a4 a1] 4" {
			t.Error("with tags that may not be seen:", got)
		}
		if got := b.find(t, b.article, q, rights{"article": nil}); got != "[a2 a3] 4" {
			t.Error("with no tags that may be seen:", got)
		}
	})
}

func TestDraftsAndLocalesLeadToTheirOwn(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		drafts := all()
		drafts.Draft = true
		drafts.Populate = []query.Populate{populate(b.article, "writer", populate(b.writer, "articles"))}
		if got, want := b.find(t, b.article, drafts, nil), "[a1'{writer=bob{articles=[a1']}} a5'{writer=ann{articles=[a5']}}] 2"; got != want {
			t.Error(got)
		}
		up := []query.Populate{populate(b.page, "parent", populate(b.page, "children")), populate(b.page, "tags")}
		for locale, want := range map[string]string{
			"":   "[top.en{parent=- tags=[go]} sub.en{parent=top.en{children=[sub.en]} tags=[]} low.en{parent=sub.en{children=[low.en]} tags=[]}] 3",
			"fr": "[top.fr{parent=- tags=[css]} sub.fr{parent=top.fr{children=[sub.fr]} tags=[]}] 2",
			"de": "[] 0",
			"*":  "[top.en{parent=- tags=[go]} top.fr{parent=- tags=[css]} sub.en{parent=top.en{children=[sub.en]} tags=[]} sub.fr{parent=top.fr{children=[sub.fr]} tags=[]} low.en{parent=sub.en{children=[low.en]} tags=[]}] 5",
		} {
			q := all()
			q.Locale, q.Populate = locale, up
			if got := b.find(t, b.page, q, nil); got != want {
				t.Errorf("%s: %s", locale, got)
			}
		}
	})
}

func TestOneEntry(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		one := func(id string, q query.Query, s rights) string {
			of := b.article
			e, err := b.FindOne(patient(t), of, id, &q, s)
			if err != nil {
				return err.Error()
			}
			return sketch(e)
		}
		everything := rights{"article": nil, "writer": nil, "tag": nil}
		for _, c := range []struct {
			id   string
			q    query.Query
			s    rights
			want string
		}{
			{"a1", query.Query{}, everything, "a1"},
			{"a1", query.Query{Draft: true}, everything, "a1'"},
			{"a5", query.Query{}, everything, "Not Found"},
			{"a2", query.Query{Draft: true}, everything, "Not Found"},
			{"a5.draft", query.Query{}, everything, "Not Found"},
			{"", query.Query{}, everything, "Not Found"},
			{"a1", query.Query{Filter: test(b.article, "views", query.Gt, 10)}, everything, "Not Found"},
			{"a1", query.Query{Populate: []query.Populate{populate(b.article, "writer")}}, everything, "a1{writer=ann}"},
			{"a1", query.Query{}, rights{"article": test(b.article, "writer.name", query.Eq, "Ann")}, "a1"},
			{"a2", query.Query{}, rights{"article": test(b.article, "writer.name", query.Eq, "Ann")}, "Not Found"},
		} {
			if got := one(c.id, c.q, c.s); got != c.want {
				t.Errorf("%s %+v: %s", c.id, c.q, got)
			}
		}
		for locale, want := range map[string]string{"": "Top", "*": "Top", "fr": "Haut"} {
			e, err := b.FindOne(patient(t), b.page, "top", &query.Query{Locale: locale}, nil)
			if err != nil || e.Row["title"] != want {
				t.Errorf("%q: %v, %v", locale, e, err)
			}
		}
		if _, err := b.FindOne(patient(t), b.page, "low", &query.Query{Locale: "fr"}, nil); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestTheEntryOfASingleTypeAndOneByItsNumber(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		first, err := b.Single(patient(t), b.writer, &query.Query{}, rights{"writer": nil})
		if err != nil || sketch(first) != "ann" {
			t.Error(first, err)
		}
		if _, err := b.Single(patient(t), b.writer, &query.Query{}, rights{"writer": query.Or{}}); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
		for _, status := range []string{"a1", "a1.draft"} {
			row, err := b.in.Get(patient(t), rows.Name(b.article), status)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := b.ByNumber(patient(t), b.article, row.Int(rows.Number)); id != "a1" || err != nil {
				t.Error(id, err)
			}
		}
		if _, err := b.ByNumber(patient(t), b.article, 999); !errors.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestOwnershipIsInEveryPath(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		// Ann sees her own articles, herself, and tags but for css.
		anns := rights{"article": test(b.article, "writer.name", query.Eq, "Ann"), "writer": test(b.writer, "documentId", query.Eq, "ann"), "tag": test(b.tag, "name", query.Ne, "css")}
		with := func(p ...query.Populate) query.Query { q := all(); q.Populate = p; return q }
		filtered := func(e query.Expr) query.Query { q := all(); q.Filter = e; return q }
		count := populate(b.tag, "articles")
		count.Count = true
		for _, c := range []struct {
			of   string
			q    query.Query
			want string
		}{
			{"article", all(), "[a1 a4] 2"},
			{"article", with(populate(b.article, "tags")), "[a1{tags=[sql go]} a4{tags=[]}] 2"},
			{"article", with(populate(b.article, "hero", query.Populate{Attribute: b.set.Component("shared.box").Attribute("about")})), "[a1{hero=big{about=-}} a4{hero=-}] 2"},
			{"tag", with(populate(b.tag, "articles")), "[go{articles=[a1]} sql{articles=[a1]}] 2"},
			{"tag", with(count), "[go{articles=1} sql{articles=1}] 2"},
			{"writer", with(populate(b.writer, "friend"), populate(b.writer, "articles")), "[ann{articles=[a1 a4] friend=-}] 1"},
			{"tag", filtered(test(b.tag, "articles.title", query.Eq, "Two")), "[] 0"},
			{"tag", filtered(test(b.tag, "articles.title", query.Eq, "One")), "[go sql] 2"},
			{"article", filtered(test(b.article, "tags.name", query.Eq, "css")), "[] 0"},
			{"article", filtered(query.Or{test(b.article, "title", query.Eq, "Two"), test(b.article, "title", query.Eq, "One")}), "[a1] 1"},
		} {
			of := b.set.Type(c.of)
			if got := b.find(t, of, c.q, anns); got != c.want {
				t.Errorf("%s %+v: %s, not %s", c.of, c.q, got, c.want)
			}
			n, err := b.Count(patient(t), of, &c.q, anns)
			if err != nil || !strings.HasSuffix(c.want, fmt.Sprint(" ", n)) {
				t.Errorf("%s %+v: %d, %v", c.of, c.q, n, err)
			}
		}
		// What he may not find at all is as if it had not been asked for; media come with who shows them.
		q := with(populate(b.article, "tags"), populate(b.article, "writer"), populate(b.article, "picture"))
		if got := b.find(t, b.article, q, rights{"article": nil, "tag": nil}); got != "[a1{picture=pic tags=[sql go]} a2{picture=- tags=[css go]} a3{picture=- tags=[]} a4{picture=- tags=[css]}] 4" {
			t.Error(got)
		}
	})
}

func TestOnlyTheFieldsThatAreAskedForAreRead(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		q := all()
		q.Fields = []string{"views", "id", "createdAt"}
		q.Populate = []query.Populate{{Attribute: b.article.Attribute("tags"), Query: query.Query{Fields: []string{"id"}, Populate: []query.Populate{populate(b.tag, "articles")}}}}
		list, err := b.Find(patient(t), b.article, &q, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := list.Entries[0]
		if e.Row["title"] != nil || e.Row["views"] != int64(10) || e.Row[rows.Number] == nil || e.Row[rows.Revision] == nil {
			t.Error(e.Row)
		}
		if got := sketch(e); got != "a1{tags=[sql{articles=[a1]} go{articles=[a1 a2]}]}" {
			t.Error(got)
		}
		if tag := e.Filled["tags"].([]*Entry)[0]; tag.Row["name"] != nil || fmt.Sprint(tag.Fields) != "[id]" {
			t.Error(tag.Row, tag.Fields)
		}
	})
}

// stuck is a store that answers nothing.
type stuck struct{ store.Store }

func (stuck) Find(ctx context.Context, _ store.Query) ([]store.Document, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("late: %w: %w", fault.Unavailable, ctx.Err())
}

func TestAReadEndsInTimeAndSaysWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(t, storetest.NewMemory())
		b.Entries.store = stuck{b.in}
		began := time.Now()
		q := all()
		_, err := b.Find(context.Background(), b.article, &q, nil)
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Status != http.StatusServiceUnavailable || !errors.Is(err, fault.Unavailable) || time.Since(began) != Timeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := b.Find(ctx, b.article, &q, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("who asked has left: %v", err)
		}
	})
}

func TestAQueryThatIsTooMuchIsRefused(t *testing.T) {
	b := filled(t, storetest.NewMemory())
	q := all()
	for range store.MaxSort {
		q.Sort = append(q.Sort, sorted(b.article, "title")...)
	}
	if got := b.find(t, b.article, q, nil); got != "error: At most 7 fields can be sorted by" {
		t.Error(got)
	}
	half := query.Or{}
	for range store.MaxNodes * 2 / 3 {
		half = append(half, test(b.article, "views", query.Eq, 1))
	}
	q = all()
	q.Filter = half
	if got := b.find(t, b.article, q, rights{"article": half}); !strings.HasPrefix(got, "error: The query is more than can be looked for") {
		t.Error(got)
	}
	big := strings.Repeat("x", 1<<20)
	var writes []store.Write
	for i := range maxBytes>>20 + 1 {
		writes = append(writes, b.row(b.article, fmt.Sprint("big", i), "", false, store.Document{"body": big}))
	}
	for _, w := range writes {
		b.put(t, w)
	}
	if got := b.find(t, b.article, all(), nil); got != "error: These entries have more than 32 MiB: ask for fewer, or for some of their fields" {
		t.Error(got)
	}
}

func TestMoreEntriesThanAreLookedUpFirstAreFoundAllTheSame(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		b := newBlog(t, s)
		var writes []store.Write
		for i := range maxNarrow + 5 {
			id := fmt.Sprintf("w%02d", i)
			writes = append(writes, b.row(b.writer, id, "", false, store.Document{"name": id}), b.row(b.article, id, "", false, store.Document{"writer": id, "tags": list(id)}), b.row(b.tag, id, "", false, store.Document{"name": id}))
		}
		b.put(t, writes...)
		for _, c := range []struct {
			less string
			want int
		}{{"w00", 0}, {"w01", 1}, {"w20", 20}, {"w21", 21}, {"w25", 25}} {
			for _, path := range []string{"writer.name", "tags.name"} {
				if n, err := b.Count(patient(t), b.article, &query.Query{Filter: test(b.article, path, query.Lt, c.less)}, nil); n != c.want || err != nil {
					t.Errorf("%s below %s: %d, %v", path, c.less, n, err)
				}
			}
		}
	})
}
