package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store/enginetest"
)

// recorded is a request to a Strapi 5.54, and what it answered.
type recorded struct {
	Group, Name string
	Req         struct {
		Method, Path string
		As           string
		Headers      map[string]string
		Body         json.RawMessage
		Raw          *string
		BodyNote     string
	}
	Res struct {
		Status  int
		Headers map[string]string
		JSON    json.RawMessage
		Text    string
	}
}

func readRecorded(t testing.TB) (all []recorded) {
	text, err := os.ReadFile("testdata/recorded.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var one recorded
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// equal is how many of the recorded requests get the recorded answers. The others are in exceptions.
const equal = 251

func TestRecordedRequestsGetTheRecordedAnswers(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, enginetest.Opened(t, address(t)))
			n, unused := 0, maps.Clone(exceptions)
			for _, c := range readRecorded(t) {
				key := c.Group + " | " + c.Name
				e, excepted := exceptions[key]
				delete(unused, key)
				if before := preparations[key]; before != nil {
					before(w)
				}
				if path := paths[key]; path != "" {
					c.Req.Path = path
				}
				if e.instead != nil {
					e.instead(w, c)
					continue
				}
				d := w.replay(c, e)
				switch {
				case d != "":
					t.Errorf("%s: %s %.200s\n\t%s", key, c.Req.Method, c.Req.Path, d)
				case !excepted:
					n++
				}
			}
			if n != equal {
				t.Errorf("%d are as recorded, want %d", n, equal)
			}
			if len(unused) > 0 {
				t.Errorf("exceptions of nothing: %v", slices.Sorted(maps.Keys(unused)))
			}
		})
	}
}

// replay sends a request, and says what is not as recorded, or not as the exception says.
func (w *world) replay(c recorded, e exception) string {
	if e.as != "" {
		if got := w.send(c); got.Code != http.StatusForbidden {
			return fmt.Sprintf("not only for %s: %d", e.as, got.Code)
		}
		c.Req.As = e.as
	}
	got := w.send(c)
	d := w.compare(c, got, e.unordered)
	switch {
	case e.status != 0 && d == "":
		return "as recorded, and an exception: " + e.reason
	case e.status != 0 && got.Code != e.status:
		return fmt.Sprintf("status %d, want %d: %s", got.Code, e.status, e.reason)
	case e.status != 0:
		return ""
	}
	return d
}

// compare says what of an answer is not as recorded.
func (w *world) compare(c recorded, got *httptest.ResponseRecorder, unordered bool) string {
	if got.Code != c.Res.Status {
		return fmt.Sprintf("status %d, want %d: %.300s", got.Code, c.Res.Status, got.Body)
	}
	for _, name := range []string{"Content-Type", "Allow", "Access-Control-Allow-Origin", "Location"} {
		if want := c.Res.Headers[name]; want != "" && got.Header().Get(name) != want {
			return fmt.Sprintf("%s: %s, want %s", name, got.Header().Get(name), want)
		}
	}
	if c.Res.JSON == nil {
		if text := got.Body.String(); c.Req.Method != http.MethodHead && text != c.Res.Text {
			return fmt.Sprintf("%.200q, want %q", text, c.Res.Text)
		}
		return ""
	}
	want, err := ordered(c.Res.JSON)
	w.must(err)
	answered, err := ordered(got.Body.Bytes())
	if err != nil {
		return fmt.Sprintf("%v: %.200s", err, got.Body)
	}
	if unordered {
		sortMembers(want)
		sortMembers(answered)
	}
	return w.differs("", want, answered)
}

// send sends a recorded request to the handler, as bytes that a server would have made a request of.
func (w *world) send(c recorded) *httptest.ResponseRecorder {
	body := c.Req.Body
	switch {
	case c.Req.Raw != nil:
		body = []byte(*c.Req.Raw)
	case c.Name == "body 900 kB":
		body = []byte(`{"data":{"title":"big <run>","body":"` + strings.Repeat("x", 900_000) + `"}}`)
	case c.Req.BodyNote != "":
		body = []byte("data[title]=" + strings.Repeat("x", 100_000))
	}
	r := httptest.NewRequest(c.Req.Method, "/", strings.NewReader(w.filled(string(body))))
	path, query, _ := strings.Cut(w.filled(c.Req.Path), "?")
	r.URL = &url.URL{Path: path, RawQuery: query}
	if plain, err := url.PathUnescape(path); err == nil {
		r.URL.Path = plain
	} else {
		r.URL.RawPath = path
	}
	for name, value := range c.Req.Headers {
		r.Header.Set(name, w.filled(value))
	}
	if c.Req.As != "" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[c.Req.As])
	}
	got := httptest.NewRecorder()
	w.api.ServeHTTP(got, r)
	w.learn(c, got)
	return got
}
