package entries

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// recorded is the blog that the recorded requests were sent to: 120 articles, of which 108 are published, five tags and two writers. The tags have no articles of their own.
func recorded(t testing.TB) *blog {
	b := newBlog(t, enginetest.Opened(t, engines.Addresses()["sqlite"](t)))
	var writes []store.Write
	tags := []string{"go", "node", "css", "sql", "ops"}
	for _, tag := range tags {
		writes = append(writes, b.row(b.tag, tag, "", false, times(store.Document{"name": tag})))
	}
	for _, writer := range []string{"alice", "bob"} {
		writes = append(writes, b.row(b.writer, writer, "", false, times(store.Document{"name": writer})))
	}
	for i := 1; i <= 120; i++ {
		d := times(store.Document{
			"title": fmt.Sprintf("Alpha %03d", i), "views": 3 * i, "rating": float64((i%50)*10+5) / 100,
			"body": fmt.Sprintf("Body of article %03d. %s", i, strings.Repeat("Lorem ipsum dolor sit amet. ", 4)), "tags": list(tags[i%5], tags[(i+2)%5]), "writer": []string{"alice", "bob"}[i%2],
		})
		writes = append(writes, b.row(b.article, fmt.Sprintf("article%015d", i), "", true, d))
		if i%10 != 0 {
			writes = append(writes, b.row(b.article, fmt.Sprintf("article%015d", i), "", false, d))
		}
	}
	b.put(t, writes...)
	return b
}

func times(d store.Document) store.Document {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	d["createdAt"], d["updatedAt"], d["publishedAt"] = now, now, now
	return d
}

// reads are requests that are made often, by name.
func reads(b *blog) map[string]func(t testing.TB) {
	s := rights{"article": nil, "tag": nil, "writer": nil}
	own := rights{"article": test(b.article, "writer.documentId", query.Eq, "alice"), "tag": nil, "writer": nil}
	page := query.Page{Limit: 25, Size: true, Count: true}
	find := func(q query.Query, s rights, n int) func(t testing.TB) {
		q.Page = page
		return func(t testing.TB) {
			if list, err := b.Find(t.Context(), b.article, &q, s); err != nil || len(list.Entries) != n {
				t.Fatal(len(list.Entries), err)
			}
		}
	}
	published := store.Eq("_status", "published")
	return map[string]func(t testing.TB){
		"list, the store's share": func(t testing.TB) {
			if _, err := b.in.Find(t.Context(), store.Query{Collection: "content-article", Filter: published, Sort: []store.Order{{Field: "_n"}}, Limit: 25}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.in.Count(t.Context(), "content-article", published); err != nil {
				t.Fatal(err)
			}
		},
		"one": func(t testing.TB) {
			if _, err := b.FindOne(t.Context(), b.article, "article000000000000042", &query.Query{}, s); err != nil {
				t.Fatal(err)
			}
		},
		"list":            find(query.Query{}, s, 25),
		"list of titles":  find(query.Query{Fields: []string{"title"}}, s, 25),
		"list with tags":  find(query.Query{Populate: []query.Populate{populate(b.article, "tags")}}, s, 25),
		"list of a tag":   find(query.Query{Filter: test(b.article, "tags.name", query.Eq, "go")}, s, 25),
		"list of one's":   find(query.Query{}, own, 25),
		"list by views":   find(query.Query{Filter: test(b.article, "views", query.Gt, 200), Sort: sorted(b.article, "-views")}, s, 25),
		"list by writers": find(query.Query{Sort: sorted(b.article, "writer.name")}, s, 25),
	}
}

func BenchmarkRead(b *testing.B) {
	blog := recorded(b)
	all := reads(blog)
	for _, name := range sortedNames(all) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := used(b)
			for b.Loop() {
				all[name](b)
			}
			b.ReportMetric(float64((used(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// used is how long this process has used a processor.
func used(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func sortedNames[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A read costs little more than what the store takes for it.
func TestReadsAllocateLittle(t *testing.T) {
	blog := recorded(t)
	all := reads(blog)
	for name, most := range map[string]float64{"one": 45, "list": 700, "list of titles": 950, "list with tags": 900, "list of a tag": 800, "list of one's": 800} {
		if got := testing.AllocsPerRun(20, func() { all[name](t) }); got > most {
			t.Errorf("%s: %v allocations; %v are the most", name, got, most)
		}
	}
}

// large is a blog of n articles, a hundred of each writer.
func large(t testing.TB, n int) *blog {
	b := newBlog(t, enginetest.Opened(t, engines.Addresses()["sqlite"](t)))
	var writes []store.Write
	writers := n / 100
	for i := range writers {
		writes = append(writes, b.row(b.writer, fmt.Sprint("w", i), "", false, store.Document{"name": fmt.Sprint("w", i)}))
	}
	b.put(t, writes...)
	for start := 0; start < n; start += store.MaxWrites {
		writes = writes[:0]
		for i := start; i < min(start+store.MaxWrites, n); i++ {
			writes = append(writes, b.row(b.article, fmt.Sprintf("a%07d", i), "", false, store.Document{"title": fmt.Sprint(i), "views": i, "writer": fmt.Sprint("w", i%writers)}))
		}
		b.put(t, writes...)
	}
	return b
}

// lookups are lists that an index leads to. They find 100 articles at most, whatever there is.
func lookups(b *blog) map[string]query.Query {
	page := query.Page{Limit: 25, Count: true}
	return map[string]query.Query{
		"attribute":            {Page: page, Filter: test(b.article, "views", query.Between, 100, 149)},
		"sorted":               {Page: page, Filter: test(b.article, "views", query.Between, 100, 149), Sort: sorted(b.article, "-views")},
		"text":                 {Page: page, Filter: test(b.article, "title", query.Eq, "77")},
		"default":              {Page: query.Page{Limit: 25}},
		"writer by documentId": {Page: page, Filter: test(b.article, "writer.documentId", query.Eq, "w7")},
		"writer by name":       {Page: page, Filter: test(b.article, "writer.name", query.Eq, "w7")},
	}
}

func TestAListByAnIndexTakesAsLongWhateverThereIs(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a large store")
	}
	const few, many = 1000, 20_000
	small, big := large(t, few), large(t, many)
	took := func(b *blog, q query.Query) time.Duration {
		began := time.Now()
		if list, err := b.Find(patient(t), b.article, &q, nil); err != nil || len(list.Entries) == 0 {
			t.Fatal(list, err)
		}
		return time.Since(began)
	}
	ofSmall, ofBig := lookups(small), lookups(big)
	for _, name := range sortedNames(ofSmall) {
		least, most := time.Hour, time.Hour
		for range 30 {
			least, most = min(least, took(small, ofSmall[name])), min(most, took(big, ofBig[name]))
		}
		if most > 5*least {
			t.Errorf("%s: %v of %d, %v of %d", name, least, few, most, many)
		}
	}
}

// BenchmarkLookup is of 100,000 articles, or as many as EDGE_BENCH_ENTRIES says.
func BenchmarkLookup(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("EDGE_BENCH_ENTRIES"))
	if err != nil {
		n = 100_000
	}
	blog := large(b, n)
	all := lookups(blog)
	for _, name := range sortedNames(all) {
		b.Run(name, func(b *testing.B) {
			q := all[name]
			for b.Loop() {
				if _, err := blog.Find(b.Context(), blog.article, &q, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
