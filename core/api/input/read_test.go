package input

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func ptr[T any](v T) *T { return &v }

// seo is a component, and thing a type that has every kind of attribute.
var (
	seo = &schema.Component{UID: "shared.seo", Attributes: []*schema.Attribute{
		{Name: "title", Kind: schema.String, Required: true},
		{Name: "score", Kind: schema.Integer, Default: int64(7)},
		{Name: "cover", Kind: schema.Media, Target: &schema.Type{UID: schema.FileUID}},
	}}
	thing = &schema.Type{UID: "api::thing.thing", Name: "thing", Attributes: []*schema.Attribute{
		{Name: "name", Kind: schema.String, MinLength: ptr(2), MaxLength: ptr(5), Regex: regexp.MustCompile(`^[a-z😀]+$`)},
		{Name: "must", Kind: schema.Text, Required: true, Default: "as ever"},
		{Name: "mail", Kind: schema.Email},
		{Name: "slug", Kind: schema.UID},
		{Name: "secret", Kind: schema.Password, MinLength: ptr(3)},
		{Name: "color", Kind: schema.Enumeration, Enum: []string{"red", "blue"}},
		{Name: "count", Kind: schema.Integer, Min: ptr(-2.0), Max: ptr(9.5e18)},
		{Name: "large", Kind: schema.BigInteger},
		{Name: "price", Kind: schema.Decimal, Min: ptr(0.5), Max: ptr(10.0)},
		{Name: "yes", Kind: schema.Boolean},
		{Name: "day", Kind: schema.Date},
		{Name: "clock", Kind: schema.Time},
		{Name: "at", Kind: schema.DateTime},
		{Name: "any", Kind: schema.JSON},
		{Name: "rich", Kind: schema.Blocks},
		{Name: "seo", Kind: schema.Part, Component: seo},
		{Name: "list", Kind: schema.Part, Component: seo, Repeatable: true, MinLength: ptr(2), MaxLength: ptr(3)},
		{Name: "zone", Kind: schema.Zone, Zone: []*schema.Component{seo}},
		{Name: "tags", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: &schema.Type{UID: "api::tag.tag", Attributes: []*schema.Attribute{{Name: "name"}}}},
	}}
	article = &schema.Type{UID: "api::article.article", Name: "article", Drafts: true, Attributes: []*schema.Attribute{
		{Name: "title", Kind: schema.String, Required: true, Unique: true},
		{Name: "body", Kind: schema.Text},
		{Name: "views", Kind: schema.Integer},
		{Name: "rating", Kind: schema.Decimal},
		{Name: "published", Kind: schema.Date},
		{Name: "tags", Kind: schema.RelationTo, Relation: schema.ManyToMany, Target: &schema.Type{UID: "api::tag.tag"}},
		{Name: "author", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: &schema.Type{UID: schema.UserUID}},
	}}
)

// data reads JSON as requests are read.
func data(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// asJSON is v as a client sees it.
func asJSON(t testing.TB, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

// published does with data what publishing does.
func published(t *schema.Type, sent map[string]any, create bool) error {
	values, err := Read(t, sent, Options{Create: create, Draft: t.Drafts})
	if err != nil || !create {
		return err
	}
	row := store.Document{}
	maps.Copy(row, values)
	return Complete(t, row)
}

func TestWhatStrapiRefusedIsRefusedInItsWords(t *testing.T) {
	text, err := os.ReadFile("testdata/recorded.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var r struct {
			Name   string
			Create bool
			Data   json.RawMessage
			Error  map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, func(t *testing.T) {
			err := published(article, data(t, string(r.Data)), r.Create)
			if r.Error == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			p, ok := errors.AsType[*problem.Error](err)
			if !ok {
				t.Fatalf("%v, want %v", err, r.Error["message"])
			}
			got := asJSON(t, map[string]any{"status": p.Status, "name": p.Name, "message": p.Message, "details": p.Details})
			if !reflect.DeepEqual(got, any(r.Error)) {
				t.Errorf("got  %v\nwant %v", got, r.Error)
			}
		})
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		sent, want string // want is all messages, joined by a semicolon
	}{
		{`{"name": "a"}`, "name must be at least 2 characters"},
		{`{"name": "😀😀😀"}`, "name must be at most 5 characters"},
		{`{"name": "AB"}`, "name must match the following: \"/^[a-z😀]+$/\""},
		{`{"name": 5}`, "name must be a `string` type, but the final value was: `5`."},
		{`{"name": ["a"]}`, "name must be a `string` type, but the final value was: `[\n  \"\\\"a\\\"\"\n]`."},
		{`{"must": null}`, "must must be a `string` type, but the final value was: `null`."},
		{`{"mail": "nobody"}`, "mail must be a valid email"},
		{`{"mail": ""}`, "mail cannot be empty"},
		{`{"slug": "a b"}`, "slug must match the following: \"/^[A-Za-z0-9-_.~]*$/\""},
		{`{"secret": "ab"}`, "secret must be at least 3 characters"},
		{`{"color": "green"}`, "color must be one of the following values: red, blue, "},
		{`{"count": -3}`, "count must be greater than or equal to -2"},
		{`{"count": 9223372036854775808}`, "count must be less than or equal to 9223372036854775807"},
		{`{"count": 1.5}`, "count must be an integer"},
		{`{"count": 9007199254740992.5}`, "count must be an integer"},
		{`{"count": 1e99999999999999999999}`, "count must be less than or equal to 9223372036854775807"},
		{`{"count": true}`, "count must be a `number` type, but the final value was: `NaN` (cast from the value `true`)."},
		{`{"count": ""}`, "count must be a `number` type, but the final value was: `NaN` (cast from the value `\"\"`)."},
		{`{"large": "12x"}`, "large must be a valid integer"},
		{`{"large": 1.5}`, "large must be a valid integer"},
		{`{"price": 0.25}`, "price must be greater than or equal to 0.5"},
		{`{"price": 1e999}`, "price must be a finite number"},
		{`{"yes": "maybe"}`, "yes must be a `boolean` type, but the final value was: `\"maybe\"`."},
		{`{"day": "2026-02-30"}`, "Invalid date"},
		{`{"day": 5}`, "Invalid format, expected yyyy-MM-dd"},
		{`{"clock": "25:00:00"}`, "Invalid time format, expected HH:mm:ss.SSS"},
		{`{"clock": 5}`, "Expected a string, got a number"},
		{`{"at": "yesterday"}`, "Invalid format, expected a timestamp or an ISO date"},
		{`{"any": 18446744073709551615}`, "any must have no whole number over 64 bits: send it as a string"},
		{`{"any": {"deep": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, "any must have at most 32 levels of lists and objects"},
		{`{"rich": "text"}`, "rich must be a `array` type, but the final value was: `\"text\"`."},
		{`{"rich": [{"type": "script"}]}`, "Block node is of invalid type"},
		{`{"rich": [{"type": "paragraph", "children": []}]}`, "Paragraph node children must have at least one Text or Link node"},
		{`{"rich": [{"type": "paragraph", "children": [{"type": "link", "url": "javascript:alert(1)", "children": []}]}]}`, "Please specify a valid link."},
		{`{"seo": "x"}`, "seo must be a `object` type, but the final value was: `\"x\"`."},
		{`{"seo": {}}`, "seo.title must be defined."},
		{`{"seo": {"title": "t", "score": "5"}}`, "seo.score must be a `number` type, but the final value was: `\"5\"`."},
		{`{"seo": {"title": "t", "foo": 1}}`, "Invalid key foo at seo"},
		{`{"list": null}`, "list must be a `array` type, but the final value was: `null`."},
		{`{"list": [{"title": "t"}]}`, "list field must have at least 2 items"},
		{`{"list": [{"title": "t"}, {"title": 5}]}`, "list[1].title must be a `string` type, but the final value was: `5`."},
		{`{"list": [{"title": "t"}, null]}`, "list[1] must be a `object` type, but the final value was: `null`."},
		{`{"zone": [{"title": "t"}]}`, "zone[0].__component is a required field"},
		{`{"zone": [{"__component": "no.such"}]}`, "zone[0].__component must be one of the following values: shared.seo"},
		{`{"tags": [true]}`, "tags must be an id, a documentId, or an object with one of them, but the final value was: `true`."},
		{`{"tags": [{"id": 1, "evil": 2}]}`, "Invalid key evil at tags"},
		{`{"status": "draft"}`, "Invalid key status"},
		{`{"createdAt": "2026-01-01"}`, "Invalid key createdAt"},
		{`{"mail": "` + long + `", "color": 5, "yes": []}`, "mail must be a valid email; color must be one of the following values: red, blue, ; yes must be a `boolean` type, but the final value was: `[]`."},
	} {
		_, err := Read(thing, data(t, c.sent), Options{})
		if got := messages(err); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.sent, got, c.want)
		}
	}
}

func messages(err error) string {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		return "no problem"
	}
	details, _ := p.Details.(map[string][]problem.Field)
	if details == nil {
		return p.Message
	}
	var all []string
	for _, f := range details["errors"] {
		all = append(all, f.Message)
	}
	return strings.Join(all, "; ")
}

func TestValuesAreThoseThatAStoreKeeps(t *testing.T) {
	got, err := Read(thing, data(t, `{
		"name": "😀ab", "mail": "a.b+c@example.co", "slug": "a_b~c", "secret": "abc", "color": "red", "count": 9007199254740993, "large": "+9223372036854775807",
		"price": "2.50", "yes": "TRUE", "day": "2026-05-01T23:00:00Z", "clock": "18:30:00.5", "at": "2026-05-01T10:00:00.1239+02:00",
		"any": {"n": 9007199254740993, "f": 1.5, "l": [null, true]}, "rich": [{"type": "paragraph", "children": [{"type": "text", "text": "hi"}]}],
		"seo": {"title": "t"}, "zone": [{"__component": "shared.seo", "id": 4, "score": 2}], "publishedAt": null, "locale": "fr"}`), Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	want := Values{
		"name": "😀ab", "must": "as ever", "mail": "a.b+c@example.co", "slug": "a_b~c", "secret": Plain("abc"), "color": "red", "count": int64(9007199254740993),
		"large": int64(9223372036854775807), "price": 2.5, "yes": true, "day": "2026-05-01", "clock": "18:30:00.500",
		"at":   time.Date(2026, 5, 1, 8, 0, 0, 123e6, time.UTC),
		"any":  store.Document{"n": int64(9007199254740993), "f": 1.5, "l": []any{nil, true}},
		"rich": []any{store.Document{"type": "paragraph", "children": []any{store.Document{"type": "text", "text": "hi"}}}},
		"seo":  store.Document{"title": "t", "score": int64(7)}, "list": []any{},
		"zone": []any{store.Document{"__component": "shared.seo", "_n": int64(4), "score": int64(2)}},
	}
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s is %#v, want %#v", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d values, want %d: %v", len(got), len(want), got)
	}
}

func TestAWholeNumberIsExactOrNone(t *testing.T) {
	for text, want := range map[string]int64{"1.0": 1, "1e3": 1000, "1200e-2": 12, "-0.0": 0, "9223372036854775807.0": 9223372036854775807, "-9223372036854775808": -9223372036854775808, "90071992547409930e-1": 9007199254740993} {
		if n, is := whole(text); n != want || is != exact {
			t.Errorf("%s is %d, %d", text, n, is)
		}
	}
	for text, want := range map[string]wholeness{"": none, "0x10": none, "1e": none, "1.0000000000000000000000001": fraction, "1e-99999999999999999999": fraction, "9223372036854775808": tooMuch, "1e19": tooMuch} {
		if n, is := whole(text); is != want {
			t.Errorf("%s is %d, %d", text, n, is)
		}
	}
}

func TestADateTimeIsTakenInTheFormsThatStrapiTakes(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-05-01"`: "2026-05-01T00:00:00Z", `"2026-05-01T10:00"`: "2026-05-01T10:00:00Z", `"2026-05-01T10:00:00+0200"`: "2026-05-01T08:00:00Z", `1714521600000`: "2024-05-01T00:00:00Z",
	} {
		got, err := Read(thing, data(t, `{"at": `+text+`}`), Options{})
		if at, _ := got["at"].(time.Time); err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%s is %v: %v", text, got["at"], err)
		}
	}
}

func TestAReferenceIsTakenInAllForms(t *testing.T) {
	a, b := Target{Number: 4}, Target{DocumentID: "abc"}
	for text, want := range map[string]Links{
		`null`:                           {Replace: true},
		`4`:                              {Replace: true, Set: []Target{a}},
		`"4"`:                            {Replace: true, Set: []Target{a}},
		`["abc", {"id": 4}]`:             {Replace: true, Set: []Target{b, a}},
		`{"documentId": "abc"}`:          {Replace: true, Set: []Target{b}},
		`{"set": [4], "connect": []}`:    {Replace: true, Set: []Target{a}},
		`{"set": null, "disconnect": 4}`: {Replace: true, Disconnect: []Target{a}},
		`{"connect": "abc", "disconnect": [{"id": 4}]}`:                                                           {Connect: []Connect{{Target: b}}, Disconnect: []Target{a}},
		`{"connect": [{"documentId": "abc", "position": {"before": 4}}, {"id": 4, "position": {"start": true}}]}`: {Connect: []Connect{{Target: b, Before: &a}, {Target: a, Start: true}}},
	} {
		got, err := Read(thing, data(t, `{"tags": `+text+`}`), Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		l := *got["tags"].(*Links)
		same := reflect.DeepEqual(l.Set, want.Set) || len(l.Set)+len(want.Set) == 0
		same = same && (reflect.DeepEqual(l.Disconnect, want.Disconnect) || len(l.Disconnect)+len(want.Disconnect) == 0)
		if !same || l.Replace != want.Replace || !reflect.DeepEqual(l.Connect, want.Connect) {
			t.Errorf("%s is %+v, want %+v", text, l, want)
		}
	}
}

func TestARelationToWhatTheClientDoesNotSeeIsNoKeyOfHis(t *testing.T) {
	sent := data(t, `{"tags": [1]}`)
	none := func(*schema.Type) bool { return false }
	_, err := Read(thing, sent, Options{May: none})
	if got := messages(err); got != "Invalid key tags" {
		t.Error(got)
	}
	got, err := Read(thing, sent, Options{May: none, Stamp: map[string]any{"tags": "abc"}})
	if err != nil || !reflect.DeepEqual(got["tags"].(*Links).Set, []Target{{DocumentID: "abc"}}) {
		t.Error(got, err)
	}
}

func TestADraftNeedNotBeCompleteAndIsNotPublishedThen(t *testing.T) {
	sent := `{"must": null, "name": "a", "mail": "x", "slug": "a b", "price": 0.1, "seo": {}, "list": [{}]}`
	got, err := Read(thing, data(t, sent), Options{Create: true, Draft: true})
	if err != nil {
		t.Fatal(err)
	}
	row := store.Document{}
	maps.Copy(row, got)
	const want = "name must be at least 2 characters; must must be a `string` type, but the final value was: `null`.; mail must be a valid email; " +
		"slug must match the following: \"/^[A-Za-z0-9-_.~]*$/\"; price must be greater than or equal to 0.5; " +
		"seo.title must be a `string` type, but the final value was: `null`.; list[0].title must be a `string` type, but the final value was: `null`.; list field must have at least 2 items"
	if got := messages(Complete(thing, row)); got != want {
		t.Error(got)
	}
}

func TestOnlySoMuchIsSaidToBeWrong(t *testing.T) {
	sent := `{"list": [` + strings.TrimSuffix(strings.Repeat(`{"title": 1},`, 1000), ",") + `]}`
	_, err := Read(thing, data(t, sent), Options{})
	if got := strings.Count(messages(err), ";"); got != maxWrong-1 {
		t.Error(got)
	}
	if got := printed(data(t, `{"a": "`+strings.Repeat("é", 9000)+`"}`)); len(got) > 2*maxText {
		t.Error(len(got))
	}
}

// FuzzRead wants that whatever is sent is refused with a problem, or is kept by a store.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"name": "abc", "count": 1e3, "any": {"a": [1, 2.5, "x"]}, "list": [{"title": "t", "id": 3}]}`, `{"zone": [{"__component": "shared.seo"}], "rich": [{"type": "list", "format": "ordered", "children": []}]}`,
		`{"tags": {"connect": [{"id": 1, "position": {"before": "a"}}]}, "at": "2026-05-01", "day": "2026-05-01", "clock": "10:00:00", "large": "9223372036854775808"}`,
	} {
		f.Add([]byte(text), true, true)
	}
	f.Fuzz(func(t *testing.T, text []byte, create, draft bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var sent map[string]any
		if d.Decode(&sent) != nil {
			return
		}
		values, err := Read(thing, sent, Options{Create: create, Draft: draft})
		if err != nil {
			if _, ok := errors.AsType[*problem.Error](err); !ok {
				t.Fatal(err)
			}
			return
		}
		row := plain(values)
		row["id"] = "a"
		if _, _, err := store.Normal(row); err != nil {
			t.Fatal(err)
		}
		Complete(thing, row)
	})
}

// plain is values without what entries makes of them.
func plain(values map[string]any) store.Document {
	row := store.Document{}
	for name, v := range values {
		switch v := v.(type) {
		case *Links, Plain:
		case store.Document:
			if name == "seo" {
				row[name] = plain(v)
			} else {
				row[name] = v
			}
		case []any:
			row[name] = v
			if name == "list" || name == "zone" {
				all := make([]any, len(v))
				for i, one := range v {
					all[i] = plain(one.(store.Document))
				}
				row[name] = all
			}
		default:
			row[name] = v
		}
	}
	return row
}
