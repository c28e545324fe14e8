package entries

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestReadsThatNoIndexLeadsToHaveLanes(t *testing.T) {
	b := filled(t, storetest.NewMemory())
	l := b.lanes
	mine := rights{"article": test(b.article, "writer.documentId", query.Eq, "ann"), "tag": nil, "writer": nil}
	texts := query.Or{}
	for range manyTexts + 1 {
		texts = append(texts, test(b.article, "body", query.Containsi, "x"))
	}
	deep := populate(b.article, "tags")
	deep.Query.Filter = test(b.tag, "articles.tags.name", query.Eq, "go")
	for name, c := range map[string]struct {
		q     query.Query
		scope rights
		want  any
	}{
		"all, as they come":                 {query.Query{}, nil, nil},
		"all, by what has an index":         {query.Query{Sort: sorted(b.article, "views")}, nil, nil},
		"all, by what has none":             {query.Query{Sort: sorted(b.article, "body")}, nil, l.searches},
		"one by a unique value":             {query.Query{Filter: test(b.article, "title", query.Eq, "x")}, nil, nil},
		"some by their ids":                 {query.Query{Filter: test(b.article, "documentId", query.In, "x", "y")}, nil, nil},
		"some by what they refer to":        {query.Query{Filter: test(b.article, "tags.documentId", query.Eq, "x"), Sort: sorted(b.article, "body")}, nil, nil},
		"some by one of two indexes":        {query.Query{Filter: query.Or{test(b.article, "title", query.Eq, "x"), test(b.article, "views", query.Eq, 1)}}, nil, nil},
		"some by an index or not":           {query.Query{Filter: query.Or{test(b.article, "title", query.Eq, "x"), test(b.article, "rating", query.Eq, 1)}}, nil, l.searches},
		"a range":                           {query.Query{Filter: test(b.article, "views", query.Gt, 1)}, nil, l.searches},
		"a text":                            {query.Query{Filter: test(b.article, "body", query.Contains, "x")}, nil, l.searches},
		"a text among one's own":            {query.Query{Filter: test(b.article, "body", query.Contains, "x")}, mine, l.searches},
		"one's own, by what has no index":   {query.Query{Filter: test(b.article, "rating", query.Gt, 1), Sort: sorted(b.article, "body")}, mine, nil},
		"not one of them":                   {query.Query{Filter: query.Not{Expr: test(b.article, "title", query.Eq, "x")}}, nil, l.searches},
		"a value of what they refer to":     {query.Query{Filter: test(b.article, "tags.name", query.Eq, "go")}, nil, l.searches},
		"many texts":                        {query.Query{Filter: texts}, nil, l.sweeps},
		"further than one relation":         {query.Query{Filter: query.And{test(b.article, "title", query.Eq, "x"), test(b.article, "tags.articles.title", query.Eq, "x")}}, nil, l.sweeps},
		"filled in":                         {query.Query{Populate: []query.Populate{populate(b.article, "tags")}}, nil, nil},
		"filled in, with a filter that far": {query.Query{Populate: []query.Populate{deep}}, nil, l.sweeps},
		"by what they lead to":              {query.Query{Sort: sorted(b.article, "tags.name")}, nil, l.searches},
	} {
		var r *reading
		if c.scope == nil {
			r = b.reading(&c.q, nil)
		} else {
			r = b.reading(&c.q, c.scope)
		}
		got := l.lane(r, b.article, &c.q)
		if (got == nil) != (c.want == nil) || got != nil && got != c.want {
			t.Errorf("%s: searches %v, sweeps %v", name, got == l.searches, got == l.sweeps)
		}
	}
}

// held is a store in which nobody who looks for a text finds an end, until they are let go.
type held struct {
	store.Store
	texts chan struct{}
	busy  atomic.Int32
}

func (h *held) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	if hasText(q.Filter) {
		h.busy.Add(1)
		defer h.busy.Add(-1)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.texts:
		}
	}
	return h.Store.Find(ctx, q)
}

func hasText(f store.Filter) bool {
	switch f := f.(type) {
	case store.Text:
		return true
	case store.And:
		for _, one := range f {
			if hasText(one) {
				return true
			}
		}
	}
	return false
}

func TestWhoSearchesHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(t, storetest.NewMemory())
		h := &held{Store: b.store, texts: make(chan struct{})}
		b.Entries.store = h
		search := query.Query{Filter: test(b.article, "body", query.Contains, "x"), Page: query.Page{Limit: 10}}
		done := make(chan error)
		const crowd = 40
		for range crowd {
			go func() {
				_, err := b.Find(t.Context(), b.article, &search, nil)
				done <- err
			}()
		}
		synctest.Wait()
		if n := int(h.busy.Load()); n == 0 || n > max(runtime.GOMAXPROCS(0)/2, 1) {
			t.Errorf("%d look through the store at once", n)
		}
		q := all()
		if _, err := b.Find(t.Context(), b.article, &q, nil); err != nil {
			t.Error("a list waits for them: ", err)
		}
		close(h.texts)
		for range crowd {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
