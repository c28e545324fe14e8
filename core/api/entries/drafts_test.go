package entries

import (
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
)

// writing is a scope that sees all, and may change the articles of some writer; with locked no article at all.
type writing struct {
	only   query.Expr
	locked bool
}

func (w writing) May(t *schema.Type, a access.Action) bool {
	return a != access.Update || t.Name == "article" && !w.locked
}

func (w writing) Only(t *schema.Type, a access.Action) query.Expr {
	if t.Name == "article" && a == access.Update {
		return w.only
	}
	return nil
}

func (writing) Stamp(*schema.Type) map[string]any { return nil }

func TestADraftIsSeenByThoseAloneWhoMayChangeIt(t *testing.T) {
	blogs(t, func(t *testing.T, b *blog) {
		ann := writing{only: test(b.article, "writer.name", query.Eq, "Ann")}
		locked := writing{locked: true}
		drafts := func(s access.Scope, of *schema.Type, change func(*query.Query)) string {
			q := all()
			q.Draft = true
			change(&q)
			return b.find(t, of, q, s)
		}
		for _, c := range []struct {
			what   string
			scope  access.Scope
			of     *schema.Type
			change func(*query.Query)
			want   string
		}{
			{"a list", ann, b.article, func(*query.Query) {}, "[a5'] 1"},
			{"a list for who sees all", nil, b.article, func(*query.Query) {}, "[a1' a5'] 2"},
			{"filled in", ann, b.tag, func(q *query.Query) { q.Populate = []query.Populate{populate(b.tag, "articles")} }, "[go{articles=[a5']} css{articles=[]} sql{articles=[]}] 3"},
			{"counted", ann, b.tag, func(q *query.Query) {
				q.Populate = []query.Populate{{Attribute: b.tag.Attribute("articles"), Count: true}}
			}, "[go{articles=1} css{articles=0} sql{articles=0}] 3"},
			{"a filter", ann, b.tag, func(q *query.Query) { q.Filter = test(b.tag, "articles.title", query.Contains, "drafted") }, "[] 0"},
			{"an order", ann, b.tag, func(q *query.Query) { q.Sort = sorted(b.tag, "-articles.title") }, "[go css sql] 3"},
			{"published instead, where no draft may be seen", locked, b.writer, func(q *query.Query) { q.Populate = []query.Populate{populate(b.writer, "articles")} }, "[ann{articles=[a1 a4]} bob{articles=[a2]}] 2"},
		} {
			if got := drafts(c.scope, c.of, c.change); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
			}
		}
		if _, err := b.FindOne(patient(t), b.article, "a1", &query.Query{Draft: true}, ann); err == nil {
			t.Error("one draft is told to who may not change it")
		}
	})
}

func TestADraftThatMayNotBeSeenCanNotBeFoundOutByWriting(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		theirs := d.create(t, d.article, Change{Draft: true}, `{"title": "theirs"}`)
		mine := reader{only: map[access.Action]query.Expr{access.Update: is(d.article, "title", "mine")}}
		for _, draft := range []bool{true, false} {
			if err := d.Update(patient(t), d.article, theirs, sent(t, `{"views": 1}`), Change{Scope: mine, Draft: draft}); err == nil || err.Error() != "Not Found" {
				t.Error(err)
			}
		}
		if _, err := d.Create(patient(t), d.tag, sent(t, `{"name": "a", "articles": [%q]}`, theirs), Change{Scope: mine}); err == nil || err.Error() == "Forbidden" {
			t.Errorf("a relation to it: %v", err)
		}
		if d.create(t, d.tag, Change{Scope: mine}, `{"name": "b", "articles": {"disconnect": [%q]}}`, theirs); d.row(t, d.article, theirs+".draft")[rows.Revision] != int64(1) {
			t.Error("what refers to nothing was changed by being disconnected")
		}
	})
}
