package forms

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestFieldsHaveToLookAsTheyAreConfigured(t *testing.T) {
	forms := load(t, `
  a:
    fields:
      text: {min: 2, max: 4, pattern: "[a-z\\r\\n]+"}
      email: {type: email}
      url: {type: url}
      tel: {type: tel}
      number: {type: number, min: 2, max: 5}
      date: {type: date}
      checkbox: {type: checkbox, required: true}
      select: {type: select, options: [one, two]}
      file: {type: file}
`).Forms["a"].Fields
	for field, c := range map[string]struct{ good, bad []string }{
		"text":   {[]string{"ab", "abcd", "ab\r\nc", "éé"[:0]}, []string{"a", "abcde", "AB", "ab1", "abc\n\n"}},
		"email":  {[]string{"a@b.test", " a.b+c@d-e.example.org ", "ü@müller.test"}, []string{"a", "a@b", "a@b.", "a@.b", "a@b..c", "Ann <a@b.test>", "<a@b.test>", "a@b.test, c@d.test", "a@b.test\r\nBcc: c@d.test", "a b@c.test", `"a"@b.test`, "a@[192.0.2.1]", "a@b.test (x)", "a@-b.test", "a@b.test;c@d.test", strings.Repeat("a", 65) + "@b.test", "a@b.test\x7f"}},
		"url":    {[]string{"https://b.test", "http://b.test:8080/a?b=c#d"}, []string{"b.test", "javascript:alert(1)", "ftp://b.test", "https://", "https:///a", "https://b.test/a b", "//b.test"}},
		"tel":    {[]string{"+34 600 000-000", "(0) 123.456", "112"}, []string{"12", "call me", "123\n456", "<123>"}},
		"number": {[]string{"2", "5.0", "+3", "4e0", " 3 "}, []string{"1.99", "5.01", "x", "0x3", "1_0", "NaN", "inf", "3,5", "1e999"}},
		"date":   {[]string{"2024-02-29"}, []string{"2023-02-29", "29.2.2024", "2024-2-9", "2024-02-29T00:00"}},
		"select": {[]string{"one", "two"}, []string{"three", "One", "one "}},
	} {
		r, err := newRule(field, forms[field])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range c.good {
			if reason := r.check([]*item{{name: field, text: text}}); reason != "" {
				t.Errorf("%s %q: %s", field, text, reason)
			}
		}
		for _, text := range c.bad {
			if reason := r.check([]*item{{name: field, text: text}}); reason == "" {
				t.Errorf("%s %q is good", field, text)
			}
		}
		if reason := r.check([]*item{{name: field, file: &file{}}}); reason == "" {
			t.Errorf("%s may be a file", field)
		}
	}
	for field, values := range map[string][]*item{
		"email":    {{text: "a@b.test"}, {text: "c@d.test"}},
		"checkbox": {{text: "false", bare: true}},
		"file":     {{text: "a"}},
	} {
		r, _ := newRule(field, forms[field])
		if r.check(values) == "" {
			t.Errorf("%s: %v is good", field, values)
		}
	}
	for _, values := range [][]*item{nil, {{text: ""}}} {
		box, _ := newRule("checkbox", forms["checkbox"])
		text, _ := newRule("text", forms["text"])
		if box.check(values) == "" || text.check(values) != "" {
			t.Errorf("%d values: required and not required", len(values))
		}
	}
}

func TestAFileIsWhatItsBytesSay(t *testing.T) {
	const png, zip = "\x89PNG\x0d\x0a\x1a\x0a", "PK\x03\x04"
	for _, c := range []struct {
		accept, media, data string
		good                bool
	}{
		{"image/png", "image/png", png, true},
		{"image/png", "text/plain", png, true},
		{"image/*", "image/png", png, true},
		{"image/png", "image/png", "MZ\x90\x00\x03", false},
		{"image/png", "image/png", "<html>", false},
		{"image/png", "image/png", "plain", false},
		{"text/csv", "text/csv", "a,b\n1,2", true},
		{"text/csv", "text/csv", "<html><script>", false},
		{"text/csv", "text/csv", png, false},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", zip, true},
		{"application/pdf", "application/pdf", zip, false},
	} {
		r := rule{FormField: config.FormField{Type: "file", Accept: []string{c.accept}}}
		if got := r.check([]*item{{file: &file{media: c.media, data: []byte(c.data)}}}); (got == "") != c.good {
			t.Errorf("%+v: %q", c, got)
		}
	}
	r := rule{FormField: config.FormField{Type: "file", Size: 3}}
	if r.check([]*item{{file: &file{data: []byte("123")}}}) != "" || r.check([]*item{{file: &file{data: []byte("1234")}}}) == "" {
		t.Error("size is not kept")
	}
}

func TestEachWrongFieldIsNamedWithItsReason(t *testing.T) {
	h := serve(t, `  contact: {fields: {email: {type: email, required: true}, plan: {type: select, options: [a, b]}, note: {min: 3}}, `+plenty+`}`)
	got := h.send(t, "POST", "/forms/contact", `{"plan":"c","note":"ab","other":7}`, asJSON)
	var p problem
	if err := json.Unmarshal([]byte(got.text), &p); err != nil || got.StatusCode != 422 || got.Header.Get("Content-Type") != "application/problem+json" || p.Type != "about:blank" || p.Status != 422 || len(p.Errors) != 3 {
		t.Fatal(got.StatusCode, got.text)
	}
	for i, want := range []fieldError{{"email", "Fill this in."}, {"note", "Use at least 3 characters."}, {"plan", "Choose one of the options."}} {
		if p.Errors[i] != want {
			t.Errorf("%v, want %v", p.Errors[i], want)
		}
	}
}

// form writes a multipart body.
func multipartOf(t *testing.T, parts ...[3]string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {p[0]}}
		if p[1] != "" {
			header.Set("Content-Type", p[1])
		}
		part, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(p[2]))
	}
	w.Close()
	return w.FormDataContentType(), b.String()
}

func TestFilesArriveWithTheirNames(t *testing.T) {
	h := serve(t, `  contact: {fields: {cv: {type: file, accept: [application/pdf]}}, `+plenty+`}`)
	media, body := multipartOf(t,
		[3]string{`form-data; name="cv"; filename="C:\\me\\über \"x\".pdf"`, "application/pdf", "%PDF-1.7"},
		[3]string{`form-data; name="none"; filename=""`, "application/octet-stream", ""},
		[3]string{`form-data; name="a"`, "", "text"})
	if got := h.send(t, "POST", "/forms/contact", body, "Content-Type: "+media); got.StatusCode != 303 {
		t.Fatal(got.StatusCode, got.text)
	}
	s, err := h.kept.Get(t.Context(), h.all(t)[0].ID)
	if err != nil || len(s.Files) != 1 || s.Files[0].Name != `über "x".pdf` || s.Files[0].Type != "application/pdf" || s.Files[0].Size != 8 || len(s.Fields) != 1 || s.Fields[0].Value != "text" {
		t.Errorf("%+v %v", s, err)
	}
	if got, _ := event(t, s.Event); !strings.Contains(got, `filename="über %22x%22.pdf"`) || !strings.Contains(got, "%PDF-1.7") {
		t.Errorf("%q", got)
	}
	for what, part := range map[string][3]string{
		"no name":  {`form-data`, "", "a"},
		"no form":  {`attachment; name="a"`, "", "a"},
		"Latin 1":  {`form-data; name="a"`, "text/plain; charset=iso-8859-1", "a"},
		"unnamed":  {`form-data; name="a"; filename="b/"`, "", "https://spam.example"},
		"a folder": {"form-data; name=\"a\"; filename=\"a\x01b\"", "", "a"},
	} {
		media, body := multipartOf(t, part)
		if got := h.send(t, "POST", "/forms/contact", body, "Content-Type: "+media); got.StatusCode != 400 {
			t.Errorf("%s: %d", what, got.StatusCode)
		}
	}
	var many [][3]string
	for range maxFiles + 1 {
		many = append(many, [3]string{`form-data; name="a"; filename="b"`, "", "c"})
	}
	var none [][3]string
	for range maxItems + 1 {
		none = append(none, [3]string{`form-data; name="a"; filename=""`, "", ""})
	}
	for what, parts := range map[string][][3]string{"files": many, "fields without a file": none} {
		media, body := multipartOf(t, parts...)
		if got := h.send(t, "POST", "/forms/contact", body, "Content-Type: "+media); got.StatusCode != 413 {
			t.Errorf("too many %s: %d", what, got.StatusCode)
		}
	}
}

func TestWhatIsWrongWithAFormIsFoundBeforeItIsServed(t *testing.T) {
	_, problems := tryLoad(t, `
  a:
    origins: ["https://a.test:443"]
    honeypot: _token
    limits: {body: 1KiB}
    captcha: {recaptcha: {secret: s}}
    fields:
      g-recaptcha-response: text
      b: {pattern: "a)(b"}
      c: {type: select, options: [x, x]}
      d: {type: file, size: 2KiB}
  e: {captcha: {hcaptcha: {secret: s, action: x}}}
  g: {captcha: {turnstile: {secret: s}}, honeypot: cf-turnstile-response}`)
	var all []string
	for _, p := range problems {
		all = append(all, p.Message)
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"default port", "_token is the page's token field already", "g-recaptcha-response is the captcha's field, which is taken out", "no regular expression", "there twice", "larger than the form's body", "leave action out", "the captcha's field already"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing is said of %q", want)
		}
	}
	if len(problems) != 8 {
		t.Errorf("%d problems", len(problems))
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestAListOfOneIsWhatIsInIt(t *testing.T) {
	h := serve(t, `  contact: {fields: {email: email, many: {type: checkbox}}, `+plenty+`}`)
	h.send(t, "POST", "/forms/contact", `{"email":["a@b.test"],"many":["a"],"other":["b"]}`, asJSON)
	s, err := h.kept.Get(t.Context(), h.all(t)[0].ID)
	if got, _ := event(t, s.Event); err != nil || got != `{"email":"a@b.test","many":["a"],"other":["b"]}` {
		t.Error(got, err)
	}
}

func TestNoRuleIsGotAroundByTheCaseOfAName(t *testing.T) {
	h := serve(t, `  contact: {fields: {tick: email}, `+plenty+`}`)
	for body, want := range map[string]int{`{"tick":"a@b.test","Tick":"x"}`: 400, `{"TIC\u212a":"x"}`: 400, `{"tick":"a@b.test","ticket":"x","Other":"y","other":"z"}`: 200} {
		if got := h.send(t, "POST", "/forms/contact", body, asJSON); got.StatusCode != want {
			t.Errorf("%s: %d", body, got.StatusCode)
		}
	}
}
