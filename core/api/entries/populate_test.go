package entries

import (
	"context"
	"fmt"
	"testing"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestWhatAttributesLeadToIsFilledIn(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		box := b.set.Component("shared.box")
		about := query.Populate{Attribute: box.Attribute("about")}
		counted := func(p query.Populate) query.Populate { p.Count = true; return p }
		with := func(p query.Populate, set func(*query.Query)) query.Populate { set(&p.Query); return p }
		for _, c := range []struct {
			of   *schema.Type
			p    query.Populate
			want string
		}{
			{b.article, populate(b.article, "writer"), "[a1{writer=ann} a2{writer=bob} a3{writer=-} a4{writer=ann}]"},
			{b.article, populate(b.article, "tags"), "[a1{tags=[sql go]} a2{tags=[css go]} a3{tags=[]} a4{tags=[css]}]"},
			{b.tag, populate(b.tag, "articles"), "[go{articles=[a1 a2]} css{articles=[a2 a4]} sql{articles=[a1]}]"},
			{b.writer, populate(b.writer, "articles"), "[ann{articles=[a1 a4]} bob{articles=[a2]}]"},
			{b.article, counted(populate(b.article, "tags")), "[a1{tags=2} a2{tags=2} a3{tags=0} a4{tags=1}]"},
			{b.tag, counted(populate(b.tag, "articles")), "[go{articles=2} css{articles=2} sql{articles=1}]"},
			{b.article, populate(b.article, "picture"), "[a1{picture=pic} a2{picture=-} a3{picture=-} a4{picture=-}]"},
			{b.article, populate(b.article, "hero"), "[a1{hero=big} a2{hero=-} a3{hero=-} a4{hero=-}]"},
			{b.article, populate(b.article, "hero", about), "[a1{hero=big{about=css}} a2{hero=-} a3{hero=-} a4{hero=-}]"},
			{b.article, populate(b.article, "boxes", about), "[a1{boxes=[x{about=go} y{about=-}]} a2{boxes=[]} a3{boxes=[]} a4{boxes=[]}]"},
			{b.article, counted(populate(b.article, "boxes")), "[a1{boxes=2} a2{boxes=0} a3{boxes=0} a4{boxes=0}]"},
			{b.article, populate(b.article, "zone"), "[a1{zone=[]} a2{zone=[z so]} a3{zone=[]} a4{zone=[]}]"},
			{
				b.article, query.Populate{Attribute: b.article.Attribute("zone"), On: map[*schema.Component]*query.Query{box: {Populate: []query.Populate{about}}}},
				"[a1{zone=[]} a2{zone=[z{about=sql}]} a3{zone=[]} a4{zone=[]}]",
			},
			{
				b.article, populate(b.article, "tags", populate(b.tag, "articles", populate(b.article, "writer"))),
				"[a1{tags=[sql{articles=[a1{writer=ann}]} go{articles=[a1{writer=ann} a2{writer=bob}]}]} " +
					"a2{tags=[css{articles=[a2{writer=bob} a4{writer=ann}]} go{articles=[a1{writer=ann} a2{writer=bob}]}]} a3{tags=[]} a4{tags=[css{articles=[a2{writer=bob} a4{writer=ann}]}]}]",
			},
			{
				b.article, with(populate(b.article, "tags"), func(q *query.Query) { q.Filter = test(b.tag, "name", query.Eq, "go") }),
				"[a1{tags=[go]} a2{tags=[go]} a3{tags=[]} a4{tags=[]}]",
			},
			{
				b.article, with(counted(populate(b.article, "tags")), func(q *query.Query) { q.Filter = test(b.tag, "name", query.Eq, "go") }),
				"[a1{tags=1} a2{tags=1} a3{tags=0} a4{tags=0}]",
			},
			{
				b.article, with(populate(b.article, "tags"), func(q *query.Query) { q.Sort = sorted(b.tag, "name") }),
				"[a1{tags=[go sql]} a2{tags=[css go]} a3{tags=[]} a4{tags=[css]}]",
			},
			{
				b.tag, with(populate(b.tag, "articles"), func(q *query.Query) { q.Sort, q.Fields = sorted(b.article, "-views"), []string{"title"} }),
				"[go{articles=[a2 a1]} css{articles=[a2 a4]} sql{articles=[a1]}]",
			},
			{
				b.tag, with(populate(b.tag, "articles"), func(q *query.Query) { q.Sort, q.Fields = sorted(b.article, "-writer.name"), []string{"title"} }),
				"[go{articles=[a2 a1]} css{articles=[a2 a4]} sql{articles=[a1]}]",
			},
			{
				b.tag, with(populate(b.tag, "articles"), func(q *query.Query) { q.Page = query.Page{Start: 1, Limit: 1} }),
				"[go{articles=[a2]} css{articles=[a4]} sql{articles=[]}]",
			},
		} {
			q := query.Query{Page: query.Page{Limit: 100}, Populate: []query.Populate{c.p}}
			if got := b.find(t, c.of, q, nil); got != c.want {
				t.Errorf("%s %+v:\n%s, not\n%s", c.p.Attribute.Name, c.p.Query, got, c.want)
			}
		}
	})
}

// counting counts the calls of a store.
type counting struct {
	store.Store
	calls int
}

func (c *counting) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	c.calls++
	return c.Store.Find(ctx, q)
}

func (c *counting) Count(ctx context.Context, collection string, f store.Filter) (int, error) {
	c.calls++
	return c.Store.Count(ctx, collection, f)
}

func TestFillingInTakesACallForEachAttributeAndNotForEachEntry(t *testing.T) {
	b := filled(t, storetest.NewMemory())
	s := &counting{Store: b.in}
	b.Entries.store = s
	q := query.Query{Page: query.Page{Limit: 25, Count: true}, Populate: []query.Populate{populate(b.article, "writer"), populate(b.article, "tags", populate(b.tag, "articles"))}}
	b.find(t, b.article, q, nil)
	if s.calls != 4 {
		t.Errorf("%d calls", s.calls)
	}
}

// crowd is a blog in which everything is about go, and one in a hundred articles is about css.
func crowd(t *testing.T) *blog {
	b := newBlog(t, storetest.NewMemory())
	b.put(t, b.row(b.tag, "go", "", false, nil), b.row(b.tag, "css", "", false, nil))
	var writes []store.Write
	for i := range MaxFilled + 500 {
		tags := list("go")
		if i%100 == 99 {
			tags = list("go", "css")
		}
		writes = append(writes, b.row(b.article, fmt.Sprintf("a%04d", i), "", false, store.Document{"tags": tags}))
	}
	b.put(t, writes...)
	return b
}

func TestWhatIsFilledInHasABound(t *testing.T) {
	b := crowd(t)
	articles := func(page query.Page) (n []int) {
		p := populate(b.tag, "articles")
		p.Query.Page = page
		q := query.Query{Page: query.Page{Limit: 25}, Populate: []query.Populate{p}}
		found, err := b.Find(patient(t), b.tag, &q, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found.Entries {
			n = append(n, len(e.Filled["articles"].([]*Entry)))
		}
		return n
	}
	if got := fmt.Sprint(articles(query.Page{})); got != "[1000 10]" {
		t.Error("without a limit:", got)
	}
	if got := fmt.Sprint(articles(query.Page{Limit: 12})); got != "[12 12]" {
		t.Error("with a limit each tag gets its own:", got)
	}
	if got := fmt.Sprint(articles(query.Page{Start: 990, Limit: 990})); got != "[10 0]" {
		t.Error("with a large one:", got)
	}
	p := populate(b.tag, "articles")
	p.Count = true
	if got := b.find(t, b.tag, query.Query{Page: query.Page{Limit: 25}, Populate: []query.Populate{p}}, nil); got != "[go{articles=1500} css{articles=15}]" {
		t.Error(got)
	}
}

// numerous is a store that has more entries of each type than can be put in order.
type numerous struct{ store.Store }

func (numerous) Count(context.Context, string, store.Filter) (int, error) { return MaxOrdered + 1, nil }

func TestTooManyAreNotPutInOrder(t *testing.T) {
	b := filled(t, storetest.NewMemory())
	b.Entries.store = numerous{b.in}
	q := all()
	q.Sort = sorted(b.article, "writer.name")
	if got := b.find(t, b.article, q, nil); got != "error: 10001 entries can't be sorted by what they refer to; 10000 are the most: filter them" {
		t.Error(got)
	}
}
