package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

var when = time.Date(2026, 5, 1, 12, 0, 0, 7_000_000, time.FixedZone("", 7200))

const whenText = `"2026-05-01T10:00:00.007Z"`

var (
	tag     = &schema.Type{Name: "tag", Attributes: []*schema.Attribute{{Name: "name", Kind: schema.String}}}
	quote   = &schema.Component{UID: "blocks.quote", Attributes: []*schema.Attribute{{Name: "text", Kind: schema.Text}, {Name: "about", Kind: schema.RelationTo, Target: tag}}}
	article = &schema.Type{Name: "article", Drafts: true, Localized: true, Attributes: []*schema.Attribute{
		{Name: "title", Kind: schema.String},
		{Name: "tags", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: tag},
		{Name: "secret", Kind: schema.String, Private: true},
		{Name: "word", Kind: schema.Password},
		{Name: "views", Kind: schema.BigInteger},
		{Name: "rating", Kind: schema.Decimal},
		{Name: "extra", Kind: schema.JSON},
		{Name: "first", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: tag},
		{Name: "parts", Kind: schema.Zone, Zone: []*schema.Component{quote}},
	}}
)

func tagged(n int64, name string) *entries.Entry {
	return &entries.Entry{Type: tag, Fields: []string{"name"}, Row: store.Document{"_n": n, "_doc": "t" + name, "name": name}}
}

func written() *entries.Entry {
	return &entries.Entry{
		Type: article,
		Row: store.Document{
			"id": "a.en", "_n": int64(7), "_doc": "a", "_locale": "en", "_rev": int64(3), "_status": "published", "title": "<b>\"é\"\n", "secret": "s", "word": "w",
			"views": int64(math.MaxInt64), "rating": 0.15, "extra": store.Document{"b": []any{nil, true, 1.5e300}, "a": int64(1)}, "createdAt": when, "updatedAt": when, "publishedAt": when,
		},
		Filled: map[string]any{
			"tags": []*entries.Entry{tagged(1, "go"), tagged(2, "css")}, "first": (*entries.Entry)(nil), "secret": entries.Count(1),
			"parts": []*entries.Entry{{Component: quote, Row: store.Document{"_n": int64(9), "__component": "blocks.quote", "text": "x"}, Filled: map[string]any{"about": tagged(1, "go")}}},
		},
	}
}

func TestAnEntryIsWrittenAsStrapiDoes(t *testing.T) {
	plain := `"title":"<b>\"é\"\n","views":"9223372036854775807","rating":0.15,"extra":{"a":1,"b":[null,true,1.5e+300]},` +
		`"createdAt":` + whenText + `,"updatedAt":` + whenText + `,"publishedAt":` + whenText + `,"locale":"en",`
	few := written()
	few.Fields, few.Filled = []string{"rating", "id", "secret", "word", "tags", "title", "publishedAt", "locale"}, map[string]any{"tags": entries.Count(2)}
	few.Row = store.Document{"_n": int64(7), "_doc": "a", "rating": 5.0}
	for name, c := range map[string]struct {
		entry *entries.Entry
		form  Form
		want  string
	}{
		"all": {written(), Flat, `{"id":7,"documentId":"a",` + plain + `"tags":[{"id":1,"documentId":"tgo","name":"go"},{"id":2,"documentId":"tcss","name":"css"}],"first":null,` +
			`"parts":[{"__component":"blocks.quote","id":9,"text":"x","about":{"id":1,"documentId":"tgo","name":"go"}}]}`},
		"v4": {written(), V4, `{"id":7,"documentId":"a","attributes":{` + plain +
			`"tags":{"data":[{"id":1,"documentId":"tgo","attributes":{"name":"go"}},{"id":2,"documentId":"tcss","attributes":{"name":"css"}}]},"first":{"data":null},` +
			`"parts":[{"__component":"blocks.quote","id":9,"text":"x","about":{"data":{"id":1,"documentId":"tgo","attributes":{"name":"go"}}}}]}}`},
		"few":       {few, Flat, `{"id":7,"documentId":"a","rating":5,"title":null,"publishedAt":null,"locale":null,"tags":{"count":2}}`},
		"few in v4": {few, V4, `{"id":7,"documentId":"a","attributes":{"rating":5,"title":null,"publishedAt":null,"locale":null,"tags":{"data":{"attributes":{"count":2}}}}}`},
		"none":      {nil, Flat, `null`},
	} {
		if got := string(AppendEntry(nil, c.entry, c.form)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestAPageSaysWhatWasAskedFor(t *testing.T) {
	for want, c := range map[string]struct {
		page  query.Page
		total int
	}{
		`{"data":[],"meta":{"pagination":{"page":3,"pageSize":10,"pageCount":11,"total":101}}}`: {query.Page{Start: 20, Limit: 10, Size: true}, 101},
		`{"data":[],"meta":{"pagination":{"page":1,"pageSize":10,"pageCount":0,"total":0}}}`:    {query.Page{Limit: 10, Size: true}, 0},
		`{"data":[],"meta":{"pagination":{"page":1,"pageSize":2}}}`:                             {query.Page{Limit: 2, Size: true}, -1},
		`{"data":[],"meta":{"pagination":{"start":5,"limit":2,"total":9}}}`:                     {query.Page{Start: 5, Limit: 2}, 9},
		`{"data":[],"meta":{"pagination":{"start":5,"limit":2}}}`:                               {query.Page{Start: 5, Limit: 2}, -1},
	} {
		if got := string(AppendList(nil, entries.List{Total: c.total}, c.page, Flat)); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestWhatIsBareHasNoEnvelope(t *testing.T) {
	w := httptest.NewRecorder()
	BareList(w, []*entries.Entry{tagged(1, "go")})
	if got := w.Body.String(); got != `[{"id":1,"documentId":"tgo","name":"go"}]` || w.Header().Get("Content-Length") != "41" || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%s %v", got, w.Header())
	}
	r := httptest.NewRequest("GET", "/", nil)
	if FormOf(r) != Flat {
		t.Error("Strapi 4's form without being asked for")
	}
	if r.Header = (http.Header{"Strapi-Response-Format": {"v4"}}); FormOf(r) != V4 {
		t.Error("not Strapi 4's form")
	}
}

func TestNumbersAreWrittenAsJavaScriptDoes(t *testing.T) {
	for want, f := range map[string]float64{
		"0": math.Copysign(0, -1), "0.15": 0.15, "5": 5, "-1.5": -1.5, "0.000001": 1e-6, "1e-7": 1e-7, "1.5e-9": 1.5e-9, "1e-10": 1e-10, "100000000000000000000": 1e20, "1e+21": 1e21,
		"1.7976931348623157e+308": math.MaxFloat64, "5e-324": math.SmallestNonzeroFloat64, "null": math.Inf(1), "0.30000000000000004": 0.30000000000000004, "9007199254740992": 1 << 53,
	} {
		if got := string(appendFloat(nil, f)); got != want {
			t.Errorf("%g is %s, want %s", f, got, want)
		}
	}
}

func TestTimesHaveMilliseconds(t *testing.T) {
	for want, at := range map[string]time.Time{
		whenText:                     when,
		`"0001-01-01T00:00:00.000Z"`: {},
		`"9999-12-31T23:59:59.999Z"`: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		if got := string(appendTime(nil, at)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// FuzzWrite reads what was written: it is JSON, and the same.
func FuzzWrite(f *testing.F) {
	f.Add(" <>&\u2028\x7f\x00\x1f\"\\/", "é\xff😀", 1e21, int64(math.MinInt64))
	f.Add("", "\xed\xa0\x80", math.Copysign(0, -1), int64(9007199254740993))
	f.Fuzz(func(t *testing.T, name, text string, number float64, whole int64) {
		v := store.Document{name: text, "_number": number, "_whole": whole, "_list": []any{name, store.Document{}, nil}}
		b := appendValue(nil, v)
		got, err := Parse(b)
		if err != nil || !json.Valid(b) {
			t.Fatalf("%s is not valid: %v", b, err)
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if math.IsNaN(number) || math.IsInf(number, 0) {
			v["_number"] = nil
		} else if number == 0 {
			v["_number"] = 0
		}
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		read, err := Parse(want.Bytes())
		if err != nil || !reflect.DeepEqual(got, read) {
			t.Fatalf("%#v was written as %s, which encoding/json would write as %s", v, b, want.Bytes())
		}
	})
}

func page(n int) entries.List {
	list := entries.List{Total: n}
	for i := range n {
		list.Entries = append(list.Entries, &entries.Entry{Type: article, Row: store.Document{"_n": int64(i), "_doc": "abcdefghijklmnopqrstuvwx", "title": "Alpha 001", "views": int64(i * 3), "rating": 0.15,
			"extra": strings.Repeat("Lorem ipsum dolor sit amet. ", 4), "createdAt": when, "updatedAt": when, "publishedAt": when, "_locale": "en"}})
	}
	return list
}

func TestWritingAllocatesNothing(t *testing.T) {
	list, b := page(25), make([]byte, 0, 64<<10)
	if n := testing.AllocsPerRun(100, func() { b = AppendList(b[:0], list, query.Page{Limit: 25, Size: true}, Flat) }); n > 0 {
		t.Errorf("a page of 25 takes %g allocations", n)
	}
}

func BenchmarkAList(b *testing.B) {
	list, buffer := page(25), make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendList(buffer[:0], list, query.Page{Limit: 25, Size: true}, Flat)
	}
	b.SetBytes(int64(len(buffer)))
}
