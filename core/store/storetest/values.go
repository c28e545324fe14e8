package storetest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

func values() []test {
	return []test{
		{"every value comes back as it was given", everyValue},
		{"every value comes back from within lists and documents", everyValueWithin},
		{"bytes of every length come back", everyLength},
		{"lists and documents lie in one another 64 levels deep", deepValues},
		{"a field of the document itself goes when it is null, further down null stays", nulls},
		{"what is given is made normal", normalised},
		{"a name below the top may be any string", anyName},
		{"fields may be called like anything that an engine knows", anyField},
		{"an id may be any string", anyID},
		{"what is given and what is returned are the caller's own", ownCopies},
	}
}

func wholeNumbers() []any {
	return []any{
		int64(0), int64(1), int64(-1), int64(1<<53 - 1), int64(1 << 53), int64(1<<53 + 1), int64(-1<<53 - 1), int64(math.MaxInt32 + 1),
		int64(math.MaxInt64 - 1), int64(math.MaxInt64), int64(math.MinInt64 + 1), int64(math.MinInt64),
	}
}

func floats() []any {
	return []any{
		0.0, 1.0, -1.0, 100.0, 0.1, 0.1 + 0.2, 1.5, 1e21, 1e22, 1e-7, 123456789012345680.0, 1e308, math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 0x1p-1022, 0x1p-1022 - 0x1p-1074, 0x1p53, 0x1p53 + 2, 0x1p63, -0x1p63, 0x1p64, math.Pi,
	}
}

func strange() []string {
	return []string{
		"", " ", "a", "\x00", "a\x00b", "\x00\x00", "\x1f", "\x7f", "\"", "'", "\\", "\\\"", "\\u0000", "`", "\n", "\r\n", "\t", "\u2028\u2029", "\ufeff", "\ufffd", "\ue000",
		"é", "e\u0301", "👩‍👩‍👧‍👦", "🇩🇪", "\U0010FFFE", "a\U0010FFFF", "\U00010000", "\uffff", "null", "true", "1", "1.0", "1e3", "$where", "$", "a.$b", ".", "%", "_",
		"{}", "[]", `{"$date":1}`, `{"$numberLong":"1"}`, "AAEC", "0001-01-01T00:00:00Z", `"; drop table x; --`, "'; drop table x; --", "?", "?1", ":a", "@a", "../x",
		"ſ", "\u212a", "İ", "ß", strings.Repeat("x", 70_000), strings.Repeat("😀", 5_000),
	}
}

func times() []any {
	return []any{
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC), time.Date(1582, 10, 10, 0, 0, 0, 0, time.UTC),
		time.UnixMilli(-1).UTC(), time.UnixMilli(0).UTC(), time.UnixMilli(1).UTC(), time.Date(2024, 2, 29, 23, 59, 59, 123e6, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	}
}

// samples are values of every kind that are normal already.
func samples() []any {
	all := append(append(append(wholeNumbers(), floats()...), times()...), true, false, []byte{}, []byte{0}, []byte("\x00\xff\"'"))
	for _, s := range strange() {
		if !strings.HasPrefix(s, "\U0010FFFF") {
			all = append(all, s)
		}
	}
	return append(all,
		[]any{}, doc{}, []any{[]any{}, doc{}, []any{[]any{}}}, []any{nil}, []any{nil, int64(1), nil}, []any{int64(1), 1.0, "1", true, []byte("1")},
		doc{"a": doc{}}, doc{"a": []any{}}, doc{"a": nil}, doc{"": doc{"": ""}}, doc{"1": int64(1), "0": int64(0)}, []any{doc{"a": []any{doc{"a": nil}}}},
	)
}

func everyValue(s *scene) {
	all := samples()
	documents := make([]doc, len(all))
	for i, v := range all {
		documents[i] = doc{"id": fmt.Sprintf("%03d", i), "v": v, "and": "more"}
	}
	name := s.with(documents...)
	found := s.find(store.Query{Collection: name})
	if len(found) != len(documents) {
		s.Fatalf("%d documents of %d", len(found), len(documents))
	}
	for i, d := range documents {
		s.is(found[i], d, "found")
		s.is(s.get(name, d.ID()), d, "got")
	}
	for i, d := range s.find(store.Query{Collection: name, Fields: []string{"v"}}) {
		s.is(d, doc{"id": documents[i].ID(), "v": all[i]}, "one field")
	}
}

func everyValueWithin(s *scene) {
	within := doc{}
	for i, v := range samples() {
		within[fmt.Sprint(i)] = v
	}
	d := doc{"id": "1", "list": samples(), "document": within, "lists": []any{samples(), samples()}}
	name := s.with(d)
	s.is(s.get(name, "1"), d, "got")
	after, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{"other": samples()}})
	s.must(err)
	d["other"] = samples()
	s.is(after, d, "claimed")
	s.is(s.get(name, "1"), d, "got after a change")
}

func everyLength(s *scene) {
	var documents []doc
	for n := range 301 {
		bytes := make([]byte, n)
		for i := range bytes {
			bytes[i] = byte(i + n)
		}
		documents = append(documents, doc{"id": fmt.Sprintf("%03d", n), "v": bytes, "l": []any{bytes}})
	}
	name := s.with(documents...)
	s.is(s.find(store.Query{Collection: name}), documents, "found")
}

// nest puts v under so many levels.
func nest(v any, levels int, document bool) any {
	for range levels {
		if document {
			v = doc{"a": v}
		} else {
			v = []any{v}
		}
	}
	return v
}

func deepValues(s *scene) {
	lists := doc{"id": "lists", "v": nest("deep", store.MaxDepth-1, false)}
	documents := doc{"id": "documents", "v": nest("deep", store.MaxDepth-1, true)}
	name := s.with(lists, documents)
	s.is(s.get(name, "lists"), lists, "lists")
	s.is(s.get(name, "documents"), documents, "documents")
	path := "v" + strings.Repeat(".a", store.MaxDepth-1)
	s.finds(name, store.Eq(path, "deep"), "documents")
	s.is(s.ids(store.Query{Collection: name, Sort: []store.Order{{Field: path, Descending: true}}}), "documents lists", "sorted by 64 names")
}

func nulls(s *scene) {
	name := s.with(doc{"id": "1", "a": nil, "b": []any{nil}, "c": doc{"d": nil}})
	s.is(s.get(name, "1"), doc{"id": "1", "b": []any{nil}, "c": doc{"d": nil}}, "got")
	s.apply(store.Put{Collection: name, Document: doc{"id": "1", "b": nil, "e": int64(1)}})
	s.is(s.get(name, "1"), doc{"id": "1", "e": int64(1)}, "got after Put")
	s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"e": nil, "f": doc{"g": nil}}}})
	s.is(s.get(name, "1"), doc{"id": "1", "f": doc{"g": nil}}, "got after Update")
}

func normalised(s *scene) {
	at := time.Date(2024, 3, 1, 1, 0, 0, 1_999_999, time.FixedZone("", 3600))
	want := time.Date(2024, 3, 1, 0, 0, 0, 1e6, time.UTC)
	before1970 := time.Date(1969, 12, 31, 23, 59, 59, 999_900_000, time.UTC)
	given := doc{
		"int": 1, "zero": math.Copysign(0, -1), "time": at, "early": before1970, "bytes": []byte(nil), "list": []any(nil),
		"map": map[string]any{"a": map[string]any{"b": 2}}, "in": []any{3, math.Copysign(0, -1), at, map[string]any{"c": 4}},
	}
	kept := doc{
		"int": int64(1), "zero": 0.0, "time": want, "early": before1970.Truncate(time.Millisecond), "bytes": []byte{}, "list": []any{},
		"map": doc{"a": doc{"b": int64(2)}}, "in": []any{int64(3), 0.0, want, doc{"c": int64(4)}},
	}
	name := s.make(store.Collection{})
	write := func(id string, w func(doc) store.Write) {
		given["id"], kept["id"] = id, id
		s.apply(w(given))
		s.is(s.get(name, id), kept, "after %s", id)
	}
	write("insert", func(d doc) store.Write { return store.Insert{Collection: name, Document: d} })
	write("put", func(d doc) store.Write { return store.Put{Collection: name, Document: d} })
	s.insert(name, doc{"id": "update"})
	write("update", func(d doc) store.Write {
		set := doc{}
		for field, v := range d {
			if field != "id" {
				set[field] = v
			}
		}
		return store.Update{Collection: name, Filter: store.ID("update"), Change: store.Change{Set: set}}
	})
	s.finds(name, store.Eq("time", at), "insert put update")
	s.finds(name, store.In{Field: "int", Values: []any{1}}, "insert put update")
	s.finds(name, store.Has{Field: "in", Value: at}, "insert put update")
	s.finds(name, store.Eq("zero", math.Copysign(0, -1)), "insert put update")
}

func anyName(s *scene) {
	inner := doc{}
	for i, name := range strange() {
		if !strings.Contains(name, "\x00") && len(name) <= 1024 {
			inner[name] = int64(i)
		}
	}
	for _, name := range []string{"_id", "id", "$set", "$oid", "$date", "a.b", "a..b", ".a", "a.", "$a.b", "__proto__", "0", "00", "-1", strings.Repeat("n", 1024), "\U0010FFFF"} {
		inner[name] = doc{name: []any{doc{name: name + "!"}}}
	}
	for name, v := range inner {
		if s, ok := v.(string); ok && strings.HasPrefix(s, "\U0010FFFF") {
			delete(inner, name)
		}
	}
	delete(inner, "\U0010FFFF")
	d := doc{"id": "1", "v": inner, "l": []any{inner}}
	name := s.with(d)
	s.is(s.get(name, "1"), d, "got")
	s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"w": inner}}})
	d["w"] = inner
	s.is(s.get(name, "1"), d, "got after an update")
	s.finds(name, store.Eq("v.id", nil), "")
	s.finds(name, store.Eq("v.b", nil), "1") // "a.b" is a name, no path
}

func anyField(s *scene) {
	d := doc{"id": "1"}
	for i, field := range []string{
		"_", "_a", "a-b", "A", "a", "ID", "Id", "rowid", "oid", "_rowid_", "key", "value", "data", "doc", "document", "body", "json", "type", "select", "from", "where", "order", "group",
		"index", "table", "null", "true", "constructor", "__proto__", "length", "set", "unset", "ROOT", "NOW", "this", "v", "c", "_v", "__v", "ts", strings.Repeat("n", store.MaxName),
	} {
		d[field] = int64(i)
	}
	other := doc{"id": "2"}
	for field := range d {
		if field != "id" {
			other[field] = int64(-1)
		}
	}
	name := s.with(d, other)
	s.is(s.get(name, "1"), d, "got")
	for field, v := range d {
		s.finds(name, store.Eq(field, v), "1")
		s.is(s.find(store.Query{Collection: name, Fields: []string{field}, Limit: 1, Sort: []store.Order{{Field: field, Descending: field != "id"}}}),
			[]doc{{"id": "1", field: v}}, "sorted by %s", field)
	}
	add := map[string]int64{}
	for field, v := range d {
		if n, ok := v.(int64); ok {
			add[field] = 1
			d[field] = n + 1
		}
	}
	s.apply(store.Update{Collection: name, Filter: store.ID("1"), Change: store.Change{Add: add}})
	s.is(s.get(name, "1"), d, "got after an update of every field")
}

func anyID(s *scene) {
	var ids []string
	for _, id := range append(strange(), "/", "a/b", "a b", "65f1a0c3d4e5f60718293a4b", "0", "-1", "1", strings.Repeat("i", store.MaxID)) {
		if id != "" && len(id) <= store.MaxID && !strings.Contains(id, "\x00") {
			ids = append(ids, id)
		}
	}
	name := s.make(store.Collection{})
	seen := make(map[string]bool)
	for _, id := range ids {
		if !seen[id] {
			s.insert(name, doc{"id": id})
		}
		seen[id] = true
		s.is(s.get(name, id), doc{"id": id}, "got")
	}
	last := ""
	for _, d := range s.find(store.Query{Collection: name}) {
		if d.ID() <= last {
			s.Errorf("%q comes after %q", d.ID(), last)
		}
		last = d.ID()
	}
	for id := range seen {
		s.is(s.find(store.Query{Collection: name, Filter: store.ID(id)}), []doc{{"id": id}}, "found")
		s.is(s.apply(store.Delete{Collection: name, Filter: store.ID(id), Must: 1}), []int{1}, "deleted")
	}
}

func ownCopies(s *scene) {
	bytes, list, inner := []byte{1}, []any{int64(1)}, doc{"a": int64(1)}
	d := doc{"id": "1", "bytes": bytes, "list": list, "inner": inner, "int": 1, "null": nil}
	name := s.with(d)
	if _, ok := d["int"].(int); !ok || len(d) != 6 {
		s.Errorf("Insert has changed what it was given: %s", Describe(d))
	}
	bytes[0], list[0], inner["a"] = 2, int64(2), int64(2)
	want := doc{"id": "1", "bytes": []byte{1}, "list": []any{int64(1)}, "inner": doc{"a": int64(1)}, "int": int64(1)}
	got := s.get(name, "1")
	s.is(got, want, "got")
	got.Bytes("bytes")[0], got.List("list")[0], got.Document("inner")["a"] = 3, int64(3), int64(3)
	s.is(s.get(name, "1"), want, "got once more")
	found := s.find(store.Query{Collection: name})[0]
	found.Bytes("bytes")[0], found["new"] = 3, true
	s.is(s.get(name, "1"), want, "got at last")
}
