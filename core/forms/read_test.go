package forms

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onehost/edge/core/config"
)

// fuzz holds for whatever is decoded: it is within bounds, and what is made of it is read as the same.
func fuzz(t *testing.T, m mediaType, body []byte) {
	s, err := decode(m, body)
	if err != nil {
		return
	}
	if len(s.items) > maxItems {
		t.Errorf("%d items", len(s.items))
	}
	for _, i := range s.items {
		if i.name == "" || len(i.name) > maxName || !utf8.ValidString(i.name+i.text) || strings.Contains(i.name+i.text, "\x00") {
			t.Errorf("item %q %q", i.name, i.text)
		}
	}
	contentType, encoded, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := readMediaType(map[string][]string{"Content-Type": {contentType}})
	if err != nil {
		t.Fatal(contentType, err)
	}
	read, err := decode(again, encoded)
	if err != nil || !same(s, read) || read.digest() != s.digest() {
		t.Errorf("%q became %q: %v\n%+v\n%+v", body, encoded, err, s, read)
	}
	if _, twice, _ := read.encode(); string(twice) != string(encoded) {
		t.Errorf("%q, then %q", encoded, twice)
	}
	form := form{rules: []rule{{name: "a"}, {name: "b", FormField: config.FormField{Type: "email"}}, {name: "c", FormField: config.FormField{Type: "number"}}}}
	form.check(s)
}

func same(a, b *sent) bool {
	return slices.EqualFunc(a.items, b.items, func(a, b item) bool {
		return a.name == b.name && a.text == b.text && a.bare == b.bare && a.list == b.list && (a.file == nil) == (b.file == nil) && (a.file == nil || string(a.file.data) == string(b.file.data) && a.file.media == b.file.media)
	})
}

func FuzzURLEncoded(f *testing.F) {
	f.Add([]byte("a=1&b=%C3%A9+x&&c&a=2&=x"))
	f.Fuzz(func(t *testing.T, body []byte) { fuzz(t, mediaType{name: urlencoded}, body) })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":"b","c":[1,true,"x",null],"d":-1.5e3,"e":null,"f":[]}`))
	f.Add([]byte(`{"a":"\ud800","a":1}`))
	f.Fuzz(func(t *testing.T, body []byte) { fuzz(t, mediaType{name: object}, body) })
}

func FuzzMultipart(f *testing.F) {
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=f; filename=\"a\\\"b%22.txt\"\r\nContent-Type: text/plain; charset=x\r\n\r\n2\r\n--x--\r\n"))
	for _, head := range []string{`name="a\\\\b%0a"`, `name*=utf-8''%C3%A9; filename*=utf-8''%ff`, "name=a; filename=\"C:\\\\x\\\\y\"\r\nContent-Type: image", "name=\"\"", "name=é"} {
		f.Add([]byte("--x\r\nContent-Disposition: form-data; " + head + "\r\n\r\nb\x00\r\n--x--"))
		f.Add([]byte("--x\r\nContent-Disposition: form-data; " + head + "\r\n\r\nb\r\n--x--"))
	}
	f.Fuzz(func(t *testing.T, body []byte) { fuzz(t, mediaType{name: multiparts, boundary: "x"}, body) })
}

func FuzzHead(f *testing.F) {
	f.Add("application/json; charset=utf-8", "text/html;q=0.9,*/*;q=0.1", "https://a.test", `"key"`)
	f.Fuzz(func(t *testing.T, contentType, accept, origin, key string) {
		h := map[string][]string{"Content-Type": {contentType}, "Accept": {accept}, "Origin": {origin}, "Referer": {origin}, "Idempotency-Key": {key}}
		if m, err := readMediaType(h); err == nil && m.name == multiparts && m.boundary == "" {
			t.Error("no boundary")
		}
		if key, err := readKey(h); err == nil && (len(key) > len("key ")+maxKeyHeader || len(key) <= len("key ")) {
			t.Errorf("key %q", key)
		}
		weight(accept)
		o := newOrigins([]string{"https://*.a.test", "https://b.test"})
		if o.has(origin) && origin != "https://b.test" && !strings.HasSuffix(origin, ".a.test") {
			t.Errorf("origin %q", origin)
		}
	})
}

func TestWhoPrefersJSONGetsIt(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": true, "application/json, text/plain, */*": true, "text/html,application/xhtml+xml,*/*;q=0.8": false,
		"text/html;q=0.5, application/json": true, "application/json;q=0.5, text/html": false, "application/json;q=0": false, "application/problem+json": true, "application/json;q=x": false,
		"TEXT/HTML, application/*": false,
	} {
		if got := forPrograms(request(accept)); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}

func TestWhatIsLongAndSaysNothingIsRefused(t *testing.T) {
	head := "--x\r\nContent-Disposition: form-data; name=a" + strings.Repeat("; a=b", maxPartHead/5) + "\r\n\r\nv\r\n--x--\r\n"
	for what, c := range map[string]struct {
		m    mediaType
		body string
	}{
		"the head of a part": {mediaType{multiparts, "x"}, head},
		"a list of nothing":  {mediaType{name: object}, `{"a":[` + strings.Repeat("null,", maxItems) + `null]}`},
	} {
		_, err := decode(c.m, []byte(c.body))
		if known, ok := errors.AsType[*refusal](err); !ok || known.status != 413 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
