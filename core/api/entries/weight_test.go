package entries

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAnAnswerIsBoundedThatShowsTheSameEntriesManyTimes(t *testing.T) {
	b := newBlog(t, storetest.NewMemory())
	b.put(t, b.row(b.writer, "ann", "", false, store.Document{"name": "Ann"}))
	body := strings.Repeat("x", 40<<10)
	for i := range 30 {
		b.put(t, b.row(b.article, fmt.Sprint("a", i), "", false, store.Document{"title": fmt.Sprint(i), "writer": "ann", "body": body}))
	}
	q := all()
	q.Populate = []query.Populate{populate(b.article, "writer", populate(b.writer, "articles"))}
	if got := b.find(t, b.article, q, nil); got != "error: These entries have more than 32 MiB: ask for fewer, or for some of their fields" {
		t.Errorf("%.100s", got)
	}
	q.Page.Limit = 10
	if got := b.find(t, b.article, q, nil); strings.HasPrefix(got, "error") {
		t.Error(got)
	}
	deep := populate(b.writer, "articles")
	for range 40 { // each step takes little, all of them much
		deep = populate(b.writer, "articles", populate(b.article, "writer", deep))
	}
	q = all()
	q.Populate = []query.Populate{deep}
	if got := b.find(t, b.writer, q, nil); !strings.HasPrefix(got, "error: These entries have more than 32 MiB") {
		t.Errorf("%.100s", got)
	}
}
