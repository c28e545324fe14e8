package signature

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeyFindsWhatStandsAtAPlace(t *testing.T) {
	body := `{"id":"evt_1","data":{"object":{"customer":"cus_1","n":12.50,"ok":true,"none":null,"":"x"}},"entry":[{"id":"a"},{"id":"b"}],"caf\u00e9":"\u00fc\n","Id":"no","empty":""}`
	header := http.Header{"X-Event": {"e1", "e2"}}
	for spec, want := range map[string]string{
		"id": "evt_1", "data.object.customer": "cus_1", "data.object.n": "12.50", "data.object.ok": "true", "entry.1.id": "b", "header:X-Event": "e1", "header:x-event": "e1", "*": "*",
		"café": "sha256:" + hashed([]byte("ü\n"))[7:], // a line break is not printed
	} {
		if got, ok := Key(spec, header, []byte(body)); !ok || got != want {
			t.Errorf("%s is %q %v, want %q", spec, got, ok, want)
		}
	}
	for _, spec := range []string{"ID", "data", "data.object.none", "data.object.", "entry", "entry.2.id", "entry.01.id", "entry.*.id", "empty", "x.y", "", "header:X-Other", "header:", strings.Repeat("a.", 20) + "a"} {
		if got, ok := Key(spec, header, []byte(body)); ok {
			t.Errorf("%s is %q, want nothing", spec, got)
		}
	}
}

func TestKeyTakesNothingFromWhatCanBeReadInTwoWays(t *testing.T) {
	for name, body := range map[string]string{
		"twice":           `{"id":"a","id":"b"}`,
		"twice, escaped":  `{"id":"a","\u0069d":"b"}`,
		"path twice":      `{"a":{"id":"a"},"id":"x","a":{}}`,
		"text after it":   `{"id":"a"}{"id":"b"}`,
		"comma at end":    `{"id":"a",}`,
		"no UTF-8":        "{\"id\":\"a\xff\"}",
		"a line in it":    "{\"id\":\"a\n\"}",
		"nested too deep": `{"id":"a","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
		"open":            `{"id":"a"`,
		"nothing":         ``,
		"leading zero":    `{"id":01}`,
		"bad escape":      `{"id":"\x"}`,
		"mark":            "\xef\xbb\xbf" + `{"id":"a"}`,
	} {
		for _, spec := range []string{"id", "a.id"} {
			if key, ok := Key(spec, nil, []byte(body)); ok && (spec == "id" || name == "path twice") && !(spec == "id" && name == "path twice") {
				t.Errorf("%s: %s is %q", name, spec, key)
			}
		}
	}
	if key, ok := Key("id", nil, []byte(`{"x":{"b":1,"b":2},"id":"a"}`)); !ok || key != "a" {
		t.Error("a name that comes twice where nobody looks is no matter, and was", key, ok)
	}
}

func TestAnIDIsShort(t *testing.T) {
	long := strings.Repeat("é", 200)
	key, ok := Key("header:X-Id", http.Header{"X-Id": {long}}, nil)
	if !ok || len(key) != len("sha256:")+64 {
		t.Error("it is", key)
	}
	if e := (Event{Type: "a\x00b"}).whole([]byte("x")); e.ID != hashed([]byte("x")) || !strings.HasPrefix(e.Type, "sha256:") {
		t.Errorf("it is %+v", e)
	}
}

// FuzzLook: what look takes is what encoding/json takes, and it finds what that finds, unless a name comes twice.
func FuzzLook(f *testing.F) {
	for _, seed := range []string{`{"id":"a"}`, `{"id":1e5,"a":[{"b":"\ud83d\ude00"},{"b":null}]}`, `[1,{"b":2}]`, `{"id":"a","id":"b"}`, `"\ud800"`, ` { "a" : { "b" : -0.5E+10 } } `, `{"a":{},"id":tru}`} {
		f.Add([]byte(seed))
	}
	paths := [][]string{{"id"}, {"a", "b"}, {"a", "0", "b"}, {"1", "b"}, {}}
	f.Fuzz(func(t *testing.T, body []byte) {
		found := map[int]string{}
		err := look(body, paths, func(i int, raw []byte) error {
			if _, twice := found[i]; twice {
				t.Fatalf("%q has %v twice", body, paths[i])
			}
			found[i] = string(raw)
			return nil
		})
		valid := json.Valid(body) && utf8.Valid(body)
		if err == nil && !valid || err == errNotJSON && valid {
			t.Fatalf("%q: %v, and valid is %v", body, err, valid)
		}
		if err != nil {
			return
		}
		var whole any
		if err := json.Unmarshal(body, &whole); err != nil {
			return // a number that no float64 is
		}
		for i, path := range paths {
			want, ok := at(whole, path)
			raw, has := found[i]
			if ok != has {
				t.Fatalf("%q: %v is found %v, want %v", body, path, has, ok)
			}
			var got any
			if has && (json.Unmarshal([]byte(raw), &got) != nil || !reflect.DeepEqual(got, want)) {
				t.Fatalf("%q: %v is %q, want %v", body, path, raw, want)
			}
			if has {
				_, _ = scalar([]byte(raw))
			}
		}
	})
}

// at is what look does, with encoding/json.
func at(v any, path []string) (any, bool) {
	for _, part := range path {
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[part]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			found := false
			for i := range in {
				if fmt.Sprint(i) == part {
					v, found = in[i], true
					break
				}
			}
			if !found {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return v, true
}
