package strapi

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func TestAllIsTakenOverOnce(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *Source, to store.Store) {
		records := all(t, s)
		counts, err := s.Count(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		p := begin(t, s, to)
		for uid, of := range p.take(t, records) {
			if !maps.Equal(of, map[Outcome]int{Created: counts[uid]}) {
				t.Errorf("%s: %v of %d", uid, of, counts[uid])
			}
		}
		if p.reserved["article"] != 228 || p.reserved[".components"] < 18 {
			t.Errorf("reserved are %v", p.reserved)
		}
		page := the(t, records, "api::page.page", "title", "Root", "published", "en")
		row := rowOf(t, to, s.set, page)
		first := row.List("zone")[0].(store.Document)
		at := time.Date(2026, 5, 1, 18, 30, 0, 123e6, time.UTC)
		if row.ID() != page.Document+".en" || row.Int(rows.Number) != page.Number || !row.Time("at").Equal(at) || row["ratio"] != 1.5 || row.Int("count") != 9007199254740992 ||
			first.String(rows.Component) != "shared.quote" || first.Int(rows.Number) == 0 || row.Document("extra").List("a")[3] != int64(12345678901234) || !row.Time(rows.PublishedAt).Equal(page.Published) {
			t.Errorf("the page is %v", row)
		}
		for uid, of := range begin(t, s, to).take(t, records) {
			if !maps.Equal(of, map[Outcome]int{Same: counts[uid]}) {
				t.Errorf("the second time, %s: %v of %d", uid, of, counts[uid])
			}
		}
		told, err := changes.List(patient(t), to, changes.Filter{Type: "homepage", Limit: 10})
		if err != nil || len(told) != 1 || told[0].By != by {
			t.Errorf("the history of the homepage is %v, %v", told, err)
		}
	})
}

func TestWhatIsNewerWins(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *Source, to store.Store) {
		records := all(t, s)
		tag := the(t, records, "api::tag.tag", "name", "go", "", "")
		begin(t, s, to).take(t, []Record{tag})
		tag.Values = map[string]any{"name": "golang"}
		tag.Updated = tag.Updated.Add(time.Second)
		if got := begin(t, s, to).take(t, []Record{tag}); got[tag.Type][Changed] != 1 {
			t.Errorf("what is newer in Strapi is %v", got)
		}
		row := rowOf(t, to, s.set, tag)
		if row.String("name") != "golang" || row.Int(rows.Revision) != 2 {
			t.Errorf("the tag is %v", row)
		}
		_, err := to.Apply(patient(t), store.Update{Collection: rows.Name(s.set.Type("tag")), Filter: store.ID(row.ID()), Change: store.Change{Set: store.Document{"name": "ours", rows.UpdatedAt: tag.Updated.Add(time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := begin(t, s, to).take(t, []Record{tag}); got[tag.Type][Kept] != 1 || rowOf(t, to, s.set, tag).String("name") != "ours" {
			t.Errorf("what is newer here is %v", got)
		}
	})
}

func TestWhatIsHereAlreadyStays(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *Source, to store.Store) {
		role, user, tag := s.set.UID(schema.RoleUID), s.set.UID(schema.UserUID), s.set.Type("tag")
		mine := func(number int, fields store.Document) store.Document {
			d := store.Document{"id": "mine", rows.DocumentID: "mine", rows.Number: number, rows.Revision: 1}
			maps.Copy(d, fields)
			return d
		}
		_, err := to.Apply(patient(t),
			store.Insert{Collection: rows.Name(role), Document: mine(1, store.Document{"type": "authenticated", "name": "Authenticated"})},
			store.Insert{Collection: rows.Name(user), Document: mine(1, store.Document{"username": "bob", "email": "b@example.com"})},
			store.Insert{Collection: rows.Name(tag), Document: mine(3, store.Document{"name": "mine"})})
		if err != nil {
			t.Fatal(err)
		}
		records := all(t, s)
		p := begin(t, s, to)
		got := p.take(t, records)
		if of := got[schema.RoleUID]; of[Same] != 1 || of[Created] != 2 {
			t.Errorf("roles: %v", of)
		}
		if of := got[schema.UserUID]; of[Refused] != 1 || of[Created] != 3 {
			t.Errorf("users: %v", of)
		}
		if of := got["api::tag.tag"]; of[Created] != 5 {
			t.Errorf("tags: %v", of)
		}
		if alice := rowOf(t, to, s.set, the(t, records, schema.UserUID, "username", "alice", "", "")); alice.String("role") != "mine" || alice.Int(rows.Number) == 1 {
			t.Errorf("alice is %v", alice)
		}
		if of := begin(t, s, to).take(t, records)["api::tag.tag"]; of[Same] != 5 {
			t.Errorf("the second time, tags: %v", of)
		}
	})
}

func TestWhatCannotBeIsRefusedAloneAndSaysWhy(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *Source, to store.Store) {
		good := the(t, all(t, s), "api::tag.tag", "name", "go", "", "")
		with := func(change func(*Record)) Record {
			r := good
			r.Number, r.Document = 100, "other"
			r.Values = map[string]any{"name": "other"}
			change(&r)
			return r
		}
		cases := []struct {
			says string
			r    Record
		}{
			{"no such type", with(func(r *Record) { r.Type = "api::no.no" })},
			{"no document id", with(func(r *Record) { r.Document = "a.draft" })},
			{"no attribute", with(func(r *Record) { r.Values["what"] = "x" })},
			{"has drafts", with(func(r *Record) { r.Status = "draft" })},
			{"localized", with(func(r *Record) { r.Locale = "fr" })},
			{"no id of a row", with(func(r *Record) { r.Number = 0 })},
			{"not UTF-8", with(func(r *Record) { r.Values["name"] = "\xff" })},
			{"there is a document with this name", with(func(r *Record) { r.Values["name"] = "go" })},
		}
		records := []Record{good}
		for _, c := range cases {
			records = append(records, c.r)
		}
		results, err := begin(t, s, to).Import(patient(t), records)
		if err != nil || results[0].Outcome != Created {
			t.Fatal(results, err)
		}
		for i, c := range cases {
			if got := results[i+1]; got.Outcome != Refused || !strings.Contains(got.Why, c.says) {
				t.Errorf("%s: %+v", c.says, got)
			}
		}
	})
}

func TestAUserComesWithItsPassword(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s *Source, to store.Store) {
		alice := the(t, all(t, s), schema.UserUID, "username", "alice", "", "")
		p := begin(t, s, to)
		p.take(t, []Record{alice})
		if got := p.take(t, []Record{alice}); got[schema.UserUID][Same] != 1 || !slices.Equal(p.hashes[alice.Document], []string{alice.Password}) {
			t.Errorf("the second time %v, of the hashes %v", got, p.hashes)
		}
	})
}

func TestRecordsGoThroughLines(t *testing.T) {
	s := source(t, project(t))
	records := all(t, s)
	var lines bytes.Buffer
	for _, r := range records {
		line, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
	}
	direct, through := converter{set: s.set}, 0
	for batch, err := range Batches(&lines) {
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range batch {
			want := records[through]
			through++
			attribute := s.set.UID(want.Type).Attribute
			a, err1 := direct.document(attribute, want.Values, 0)
			b, err2 := direct.document(attribute, got.Values, 0)
			if err1 != nil || err2 != nil || !same(a, b) || got.Document != want.Document || !got.Published.Equal(want.Published) || got.Password != want.Password {
				t.Fatalf("%+v became %+v, %v %v", want, got, err1, err2)
			}
		}
	}
	if through != len(records) {
		t.Errorf("%d of %d came through", through, len(records))
	}
}

func TestLinesAreBounded(t *testing.T) {
	long := `{"type":"` + strings.Repeat("x", MaxRecord) + `"}`
	for _, text := range []string{"{", `{"what":1}`, `{} {}`, "[]", long} {
		for batch, err := range Batches(strings.NewReader(text)) {
			if err == nil {
				t.Errorf("%.20s is %v", text, batch)
			}
		}
	}
}

func FuzzAnyLineIsARecordOrRefused(f *testing.F) {
	f.Add([]byte(`{"type":"api::tag.tag","documentId":"a1","id":3,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","values":{"name":"x","json":{"a":[1,2.5e3]}}}`))
	name := &schema.Type{UID: "api::tag.tag", Name: "tag", Plural: "tags", Attributes: []*schema.Attribute{{Name: "name", Kind: schema.String}, {Name: "json", Kind: schema.JSON}, {Name: "n", Kind: schema.BigInteger}}}
	set, err := schema.New([]string{"en"}, []*schema.Type{name}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := Decode(line)
		if err != nil {
			return
		}
		c := NewImporter(Options{Set: set}).begin(&r)
		if (c.row == nil) != (c.result.Outcome == Refused) {
			t.Errorf("%s: %v, %v", line, c.row, c.result)
		}
		if c.row != nil && !slices.Contains([]string{r.Document, r.Document + ".draft"}, c.row.ID()) {
			t.Errorf("%s is the row %s", line, c.row.ID())
		}
	})
}
