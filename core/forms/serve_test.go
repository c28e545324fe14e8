package forms

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store/storetest"
)

const plenty = "limits: {rate: 1000/s, burst: 1000}"

// event is an event's body and fields.
func event(t *testing.T, raw []byte) (body string, headers map[string]string) {
	t.Helper()
	var e struct {
		Body            string
		IsBase64Encoded bool
		Headers         map[string]string
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if e.IsBase64Encoded {
		text, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		e.Body = string(text)
	}
	return e.Body, e.Headers
}

func TestWhatIsSentIsKeptBeforeTheVisitorIsThanked(t *testing.T) {
	h := serve(t, `  contact: {function: f, `+plenty+`}`)
	got := h.send(t, "POST", "/forms/contact", "name=Ann&note=h%C3%A9&_gotcha=&_token=none", asURL, "X-Request-Id: r1", "Referer: https://a.test/page", "Cookie: session=1", "Authorization: Basic eDp5")
	if got.StatusCode != 303 || got.Header.Get("Location") != "./contact/thanks" || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatal(got.StatusCode, got.Header, got.text)
	}
	all := h.all(t)
	if len(all) != 1 {
		t.Fatal(all)
	}
	s, err := h.kept.Get(t.Context(), all[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	body, headers := event(t, s.Event)
	if s.Form != "contact" || s.Function != "f" || s.State != submissions.Pending || s.Client != "127.0.0.1" || s.RequestID != "r1" || s.Page != "https://a.test/page" {
		t.Errorf("%+v", s)
	}
	if strings.Contains(string(s.Event), "session") || headers["authorization"] != "" {
		t.Errorf("a session is kept: %s", s.Event)
	}
	if body != "name=Ann&note=h%C3%A9" || headers["x-edge-submission"] != s.ID || headers["content-length"] != "21" {
		t.Errorf("%q %v", body, headers)
	}
}

func TestEachKindOfBodyIsTakenAndPassedOnAsTheSameKind(t *testing.T) {
	h := serve(t, `  contact: {function: f, `+plenty+`}`)
	for _, c := range []struct{ media, body, want string }{
		{"application/x-www-form-urlencoded; charset=UTF-8", "a=1&a=2&_gotcha=", "a=1&a=2"},
		{"application/json", `{"a":[1,"b",true],"_gotcha":"","n":-1.50,"x":null}`, `{"a":[1,"b",true],"n":-1.50}`},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=_token\r\n\r\nz\r\n--x--\r\n", "name=\"a\"\r\n\r\n1\r\n"},
	} {
		got := h.send(t, "POST", "/forms/contact", c.body, "Content-Type: "+c.media, wantsJSON)
		var thanks struct {
			OK bool
			ID string
		}
		if err := json.Unmarshal([]byte(got.text), &thanks); err != nil || got.StatusCode != 200 || !thanks.OK {
			t.Fatal(c.media, got.StatusCode, got.text)
		}
		s, err := h.kept.Get(t.Context(), thanks.ID)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := event(t, s.Event); !strings.Contains(body, c.want) || strings.Contains(body, "_token") {
			t.Errorf("%s: %q", c.media, body)
		}
	}
}

func TestWhatCanNotBeTakenIsRefusedWithAStatusThatSaysWhy(t *testing.T) {
	h := serve(t, `  contact: {function: f, origins: [https://a.test], limits: {rate: 1000/s, burst: 1000, body: 1KiB}}`)
	for what, c := range map[string]struct {
		method, path, body, field string
		status                    int
		code                      string
	}{
		"unknown form":    {"POST", "/forms/other", "", asURL, 404, "not_found"},
		"GET":             {"GET", "/forms/contact", "", "X-A: b", 405, "method"},
		"PUT of a token":  {"PUT", "/forms/contact/token", "", "X-A: b", 405, "method"},
		"text":            {"POST", "/forms/contact", "a", "Content-Type: text/plain", 415, "media_type"},
		"no type":         {"POST", "/forms/contact", "a", "X-A: b", 415, "media_type"},
		"Latin 1":         {"POST", "/forms/contact", "a=1", asURL + "; charset=iso-8859-1", 415, "media_type"},
		"no boundary":     {"POST", "/forms/contact", "a=1", "Content-Type: multipart/form-data", 415, "media_type"},
		"too large":       {"POST", "/forms/contact", strings.Repeat("a", 1025), asURL, 413, "too_large"},
		"too many":        {"POST", "/forms/contact", strings.Repeat("a&", 201), asURL, 413, "too_large"},
		"NUL":             {"POST", "/forms/contact", "a=%00", asURL, 400, "invalid"},
		"not UTF-8":       {"POST", "/forms/contact", "a=%ff", asURL, 400, "invalid"},
		"broken escape":   {"POST", "/forms/contact", "a=%zz", asURL, 400, "invalid"},
		"a key twice":     {"POST", "/forms/contact", `{"a":1,"\u0061":2}`, asJSON, 400, "invalid"},
		"nested":          {"POST", "/forms/contact", `{"a":{"b":1}}`, asJSON, 400, "invalid"},
		"a list of lists": {"POST", "/forms/contact", `{"a":[[1]]}`, asJSON, 400, "invalid"},
		"not an object":   {"POST", "/forms/contact", `[1]`, asJSON, 400, "invalid"},
		"more after it":   {"POST", "/forms/contact", `{} {}`, asJSON, 400, "invalid"},
		"a bad multipart": {"POST", "/forms/contact", "--x\r\nA: b\r\n\r\n", "Content-Type: multipart/form-data; boundary=x", 400, "invalid"},
	} {
		got := h.send(t, c.method, c.path, c.body, c.field, "Origin: https://a.test", wantsJSON, "X-Request-Id: r7")
		if got.StatusCode != c.status || got.code() != c.code || !strings.Contains(got.text, `"request_id":"r7"`) || got.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", what, got.StatusCode, got.text)
		}
		if c.status == 405 && got.Header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", what)
		}
	}
	chunked, err := http.NewRequestWithContext(t.Context(), "POST", h.URL+"/forms/contact", io.MultiReader(strings.NewReader(strings.Repeat("a", 1025))))
	if err != nil {
		t.Fatal(err)
	}
	chunked.Header = http.Header{"Content-Type": {urlencoded}, "Origin": {"https://a.test"}}
	if got, err := h.Client().Do(chunked); err != nil || got.Body.Close() != nil || got.StatusCode != 413 {
		t.Errorf("a long body of unknown length: %v %v", got, err)
	}
	if all := h.all(t); len(all) != 0 {
		t.Errorf("%d were kept", len(all))
	}
}

func TestTheSameKeyTakesTheSameOnceAndNothingElse(t *testing.T) {
	h := serve(t, `  contact: {function: f, `+plenty+`}`)
	post := func(body string, fields ...string) answer {
		return h.send(t, "POST", "/forms/contact", body, append(fields, asURL, wantsJSON)...)
	}
	first, again := post("a=1", `Idempotency-Key: "k-1"`), post("a=1", "Idempotency-Key: k-1")
	if first.StatusCode != 200 || again.text != first.text {
		t.Errorf("%s\n%s", first.text, again.text)
	}
	if other := post("a=2", "Idempotency-Key: k-1"); other.StatusCode != 422 || other.code() != "idempotency_key" {
		t.Error(other.StatusCode, other.text)
	}
	for _, bad := range []string{"Idempotency-Key: a b", "Idempotency-Key: " + strings.Repeat("a", 129), `Idempotency-Key: ""`} {
		if got := post("a=1", bad); got.StatusCode != 400 {
			t.Error(bad, got.StatusCode)
		}
	}
	multipart := func(boundary string) answer {
		body := "--" + boundary + "\r\nContent-Disposition: form-data; name=a; filename=b.txt\r\n\r\nfile\r\n--" + boundary + "--\r\n"
		return h.send(t, "POST", "/forms/contact", body, "Content-Type: multipart/form-data; boundary="+boundary, wantsJSON, "Idempotency-Key: k-2")
	}
	if first, again := multipart("x"), multipart("y"); first.StatusCode != 200 || first.text != again.text {
		t.Errorf("another boundary is another form: %s %s", first.text, again.text)
	}
	if n := len(h.all(t)); n != 2 {
		t.Errorf("%d were kept", n)
	}
}

func TestAStoreThatIsAwayIsSaidHonestly(t *testing.T) {
	kept := storetest.NewMemory()
	h := serveFrom(t, `  contact: {function: f, `+plenty+`}`, kept, nil)
	kept.SetUnavailable(true)
	got := h.send(t, "POST", "/forms/contact", "a=1", asURL, wantsHTML)
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.text, "could not be kept") {
		t.Error(got.StatusCode, got.Header, got.text)
	}
	kept.SetUnavailable(false)
	if got := h.send(t, "POST", "/forms/contact", "a=1", asURL); got.StatusCode != 303 {
		t.Error(got.StatusCode)
	}
}

func TestWhatLooksLikeSpamIsKeptAsideAndThankedLikeAllElse(t *testing.T) {
	h := serve(t, `  contact: {function: f, flag: {links: 2, words: [casino, free money]}, `+plenty+`}`)
	for body, reason := range map[string]string{
		"a=1&_gotcha=x":                              "honeypot",
		"a=1&_gotcha=&_gotcha=x":                     "honeypot",
		"a=see+http://b.test+and+www.c.test":         "links",
		"a=http%3A%2F%2Fb.test&b=HTTPS://c.test":     "links",
		"a=the+CASINO!":                              "words",
		"a=Free%0Amoney":                             "words",
		"a=occasionally+http://www.one.test/,+ok":    "",
		"a=casinos+of+Scunthorpe,+free+of+any+money": "",
	} {
		got := h.send(t, "POST", "/forms/contact", body, asURL, wantsJSON)
		var thanks struct{ ID string }
		if err := json.Unmarshal([]byte(got.text), &thanks); err != nil || got.StatusCode != 200 {
			t.Fatal(body, got.StatusCode, got.text)
		}
		s, err := h.kept.Get(t.Context(), thanks.ID)
		if err != nil || strings.Join(s.Reasons, ",") != reason || (s.State == submissions.Spam) != (reason != "") {
			t.Errorf("%s: %v %v %v", body, s.State, s.Reasons, err)
		}
	}
}

func TestAFormThatIsSyncAnswersAsItsFunction(t *testing.T) {
	f := &function{}
	h := serveFrom(t, `  direct: {function: f, sync: true, `+plenty+`}`, storetest.NewMemory(), f)
	for what, c := range map[string]struct {
		payload string
		err     error
		status  int
		text    string
	}{
		"an answer":  {payload: `{"statusCode":201,"headers":{"content-type":"text/plain","x-a":"b"},"body":"done"}`, status: 201, text: "done"},
		"JSON":       {payload: `{"any":1}`, status: 200, text: `{"any":1}`},
		"no JSON":    {payload: `{`, status: 502, text: "did not work"},
		"an error":   {err: &lambda.Error{Kind: lambda.Failed, Message: "secret"}, status: 502, text: "did not work"},
		"throttled":  {err: &lambda.Error{Kind: lambda.Throttled}, status: 429, text: "busy"},
		"timed out":  {err: &lambda.Error{Kind: lambda.TimedOut}, status: 504, text: "too long"},
		"not there":  {err: &lambda.Error{Kind: lambda.Unavailable}, status: 503, text: "busy"},
		"not edge's": {err: http.ErrBodyNotAllowed, status: 502, text: "did not work"},
	} {
		f.answer = func([]byte) (lambda.Result, error) { return lambda.Result{Payload: []byte(c.payload)}, c.err }
		got := h.send(t, "POST", "/forms/direct", "a=1&_gotcha=", asURL, wantsHTML)
		if got.StatusCode != c.status || !strings.Contains(got.text, c.text) || strings.Contains(got.text, "secret") {
			t.Errorf("%s: %d %s", what, got.StatusCode, got.text)
		}
		if (c.status == 429 || c.status == 503) != (got.Header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", what, got.Header.Get("Retry-After"))
		}
	}
	if body, headers := event(t, f.events[0]); body != "a=1" || headers["x-edge-submission"] != "" {
		t.Errorf("%q %v", body, headers)
	}
	asked := len(f.events)
	if got := h.send(t, "POST", "/forms/direct", "a=1&_gotcha=x", asURL); got.StatusCode != 303 || len(f.events) != asked || len(h.all(t)) != 1 {
		t.Errorf("spam: %d, %d invocations, %d kept", got.StatusCode, len(f.events)-asked, len(h.all(t)))
	}
}

func TestWhereBrowsersGoIsTheOperatorsPageOrOurs(t *testing.T) {
	h := serve(t, `
  own: {redirect: "https://b.test/thanks?a=1", `+plenty+`}
  plain: {`+plenty+`}`)
	if got := h.send(t, "POST", "/x/own", "a=1", asURL, wantsHTML); got.Header.Get("Location") != "https://b.test/thanks?a=1" {
		t.Error(got.Header)
	}
	got := h.send(t, "POST", "//evil.test/plain", "a=1", asURL)
	base, _ := url.Parse("https://a.test//evil.test/plain")
	if where, err := base.Parse(got.Header.Get("Location")); err != nil || where.Host != "a.test" {
		t.Errorf("%s goes to %s", got.Header.Get("Location"), where)
	}
	for _, method := range []string{"GET", "HEAD"} {
		page := h.send(t, method, "/forms/plain/thanks", "")
		if page.StatusCode != 200 || page.Header.Get("Cache-Control") != "no-store" || strings.Contains(page.text, "has arrived") != (method == "GET") {
			t.Error(method, page.StatusCode, page.Header, page.text)
		}
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	h := serve(t, `  contact: {fields: {a: {required: true}}, `+plenty+`}`)
	for _, body := range []string{"a=1", "a=2&_gotcha=x", "b=1", "%zz"} {
		h.send(t, "POST", "/forms/contact", body, asURL)
	}
	h.use(t, load(t, `  contact: {`+plenty+`}`))
	got := make(map[string]uint64)
	for _, c := range h.forms.Counts() {
		if c.N > 0 {
			got[c.Form+" "+c.Outcome.String()] = c.N
		}
	}
	if len(got) != 4 || got["contact kept"] != 1 || got["contact flagged"] != 1 || got["contact invalid"] != 1 || got["contact malformed"] != 1 {
		t.Error(got)
	}
}
