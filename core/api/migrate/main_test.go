package migrate

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(engines.Around(m))
}

// onEveryEngine runs a test on a new store of every engine.
func onEveryEngine(t *testing.T, test func(t *testing.T, s store.Store)) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, enginetest.Opened(t, address(t)))
		})
	}
}

func busy(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// attr is an attribute of an article.
func attr(name string, kind schema.Kind) *schema.Attribute {
	return &schema.Attribute{Name: name, Kind: kind}
}

// article is a type with attributes.
func article(all ...*schema.Attribute) *schema.Type {
	return &schema.Type{UID: "api::article.article", Name: "article", Plural: "articles", Attributes: all}
}

var tag = &schema.Type{UID: "api::tag.tag", Name: "tag", Plural: "tags"}

func set(t testing.TB, types []*schema.Type, components ...*schema.Component) *schema.Set {
	t.Helper()
	s, err := schema.New([]string{"en", "fr"}, types, components)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// articles is a set with that type of articles, and tags.
func articles(t testing.TB, of *schema.Type, components ...*schema.Component) *schema.Set {
	t.Helper()
	types := []*schema.Type{tag}
	if of != nil {
		types = append(types, of)
	}
	return set(t, types, components...)
}

// migrated brings a store to a set, and returns what was said.
func migrated(t testing.TB, s store.Store, to *schema.Set) []string {
	t.Helper()
	steps, err := Plan(busy(t), s, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := steps.Apply(busy(t)); err != nil {
		t.Fatal(err)
	}
	return steps.Summary()
}

// refused wants that a store can't be brought to a set, for a reason, and that nothing is changed by that.
func refused(t testing.TB, s store.Store, to *schema.Set, want ...string) {
	t.Helper()
	before := fmt.Sprint(all(t, s, "content-article"))
	_, err := Plan(busy(t), s, to)
	if err == nil {
		t.Error("it is not refused")
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nwant %q", err, w)
		}
	}
	if after := fmt.Sprint(all(t, s, "content-article")); after != before {
		t.Errorf("was %s, and is %s", before, after)
	}
}

var made = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// keep adds the rows of an entry of the type as it is in the set: published, and the draft beside it.
func keep(t testing.TB, s store.Store, of *schema.Set, doc string, n int64, values store.Document) {
	t.Helper()
	if _, err := s.Apply(busy(t), inserts(of, doc, n, values)...); err != nil {
		t.Fatal(err)
	}
}

// many are so many entries more than fit in a page.
const many = 350

// keepMany adds that many entries.
func keepMany(t testing.TB, s store.Store, of *schema.Set, values func(i int) store.Document) {
	t.Helper()
	var writes []store.Write
	for i := range many {
		writes = append(writes, inserts(of, fmt.Sprintf("a%03d", i), int64(i+1), values(i))...)
	}
	if _, err := s.Apply(busy(t), writes...); err != nil {
		t.Fatal(err)
	}
}

func inserts(of *schema.Set, doc string, n int64, values store.Document) []store.Write {
	typ, locale := of.Type("article"), ""
	if typ.Localized {
		locale = "en"
	}
	row := func(draft bool, n int64) store.Write {
		d := store.Document{"id": rows.RowID(typ, doc, locale, draft), rows.DocumentID: doc, rows.Number: n, rows.Revision: int64(1), rows.CreatedAt: made, rows.UpdatedAt: made}
		if typ.Localized {
			d[rows.Locale] = locale
		}
		if typ.Drafts {
			d[rows.Status] = map[bool]string{true: rows.Draft, false: rows.Published}[draft]
		}
		if !draft {
			d[rows.PublishedAt] = made
		}
		maps.Copy(d, values)
		return store.Insert{Collection: rows.Name(typ), Document: d}
	}
	writes := []store.Write{row(false, 2*n)}
	if typ.Drafts {
		writes = append(writes, row(true, 2*n-1))
	}
	return writes
}

// all are the documents of a collection.
func all(t testing.TB, s store.Store, collection string) []store.Document {
	t.Helper()
	found, err := s.Find(busy(t), store.Query{Collection: collection, Limit: store.MaxFind})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// value is that of the one article that there is.
func value(t testing.TB, s store.Store, name string) any {
	t.Helper()
	found := all(t, s, "content-article")
	if len(found) != 1 {
		t.Fatal(found)
	}
	return found[0][name]
}
