package api

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store/storetest"
)

// ask sends a request to the handler. Fields are name, value, name, value, ….
func (w *world) ask(method, target, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	got := httptest.NewRecorder()
	w.api.ServeHTTP(got, r)
	return got
}

// few is a world with one article and nobody else in it, but for a token.
func few(t *testing.T) (w *world, article string) {
	t.Helper()
	w = &world{t: t, docs: map[string]string{}, tokens: map[string]string{}}
	w.api = running(t, storetest.NewMemory(), lab(t), w)
	token, err := w.api.Accounts.CreateToken(w.ctx(), "full", "full-access", nil, time.Time{})
	w.must(err)
	w.tokens["full"] = "Bearer " + token
	return w, "/api/articles/" + w.create("article", `{"title":"one","views":1}`)
}

func TestWhoHasNotSeenAChangeDoesNotUndoIt(t *testing.T) {
	w, article := few(t)
	me := w.tokens["full"]
	tag := w.ask("GET", article+"?fields=title", "", "Authorization", me).Header().Get("Etag")
	first := w.ask("PUT", article, `{"data":{"views":2}}`, "Authorization", me, "If-Match", tag)
	if first.Code != http.StatusOK || first.Header().Get("Etag") == "" || first.Header().Get("Etag") == tag {
		t.Fatalf("with the ETag of what was read, in another form: %d %v", first.Code, first.Header())
	}
	for name, c := range map[string]struct {
		method, match string
		status        int
	}{
		"a stale one":            {"PUT", tag, http.StatusPreconditionFailed},
		"a stale one, to delete": {"DELETE", tag, http.StatusPreconditionFailed},
		"no ETag of ours":        {"PUT", `"x"`, http.StatusPreconditionFailed},
		"a weak one":             {"PUT", "W/" + first.Header().Get("Etag"), http.StatusPreconditionFailed},
		"none in quotes":         {"PUT", "2.x", http.StatusPreconditionFailed},
		"two":                    {"PUT", `"2.a", "3.b"`, http.StatusBadRequest},
	} {
		if got := w.ask(c.method, article, `{"data":{"views":3}}`, "Authorization", me, "If-Match", c.match); got.Code != c.status {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if got := w.ask("GET", article, ""); !strings.Contains(got.Body.String(), `"views":2`) {
		t.Errorf("it was changed: %s", got.Body)
	}
	for _, match := range []string{first.Header().Get("Etag"), "*", ""} {
		if got := w.ask("PUT", article, `{"data":{"views":2}}`, "Authorization", me, "If-Match", match); got.Code != http.StatusOK {
			t.Errorf("%s: %d %s", match, got.Code, got.Body)
		}
	}
}

func TestWhatIsNotChangedIsNotSentAgain(t *testing.T) {
	w, article := few(t)
	for _, target := range []string{article, "/api/articles"} {
		first := w.ask("GET", target, "")
		tag := first.Header().Get("Etag")
		for _, asked := range []string{tag, "W/" + tag, `"x", ` + tag, "*", strings.TrimSuffix(tag, `"`) + `-gzip"`} {
			got := w.ask("GET", target, "", "If-None-Match", asked)
			if got.Code != http.StatusNotModified || got.Body.Len() > 0 || got.Header().Get("Etag") != tag || got.Header().Get("Cache-Control") != "no-cache" {
				t.Errorf("%s %s: %d %v %s", target, asked, got.Code, got.Header(), got.Body)
			}
		}
		if got := w.ask("GET", target+"?fields=title", "", "If-None-Match", tag); got.Code != http.StatusOK {
			t.Errorf("%s in another form: %d", target, got.Code)
		}
		w.ask("PUT", article, `{"data":{"views":7}}`, "Authorization", w.tokens["full"])
		if got := w.ask("GET", target, "", "If-None-Match", tag); got.Code != http.StatusOK {
			t.Errorf("%s after a change: %d", target, got.Code)
		}
		w.ask("PUT", article, `{"data":{"views":1}}`, "Authorization", w.tokens["full"])
	}
}

func TestCachesAreToldWhoseAnAnswerIs(t *testing.T) {
	w, article := few(t)
	for name, c := range map[string]struct{ got, want string }{
		"everybody's":  {w.ask("GET", article, "").Header().Get("Cache-Control"), "no-cache"},
		"one caller's": {w.ask("GET", article, "", "Authorization", w.tokens["full"]).Header().Get("Cache-Control"), "private, no-cache"},
		"an error":     {w.ask("GET", article+"0", "").Header().Get("Cache-Control"), "no-store"},
		"a change":     {w.ask("PUT", article, `{"data":{}}`, "Authorization", w.tokens["full"]).Header().Get("Cache-Control"), "no-store"},
		"a login":      {w.ask("POST", "/api/auth/local", `{}`).Header().Get("Cache-Control"), "no-store"},
		"Vary":         {w.ask("GET", article, "").Header().Get("Vary"), "Origin, Authorization, Accept-Encoding, Strapi-Response-Format"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestLongAnswersAreCompressedForWhomTakesThat(t *testing.T) {
	w, article := few(t)
	long := "/api/articles/" + w.create("article", `{"title":"long","body":"`+strings.Repeat("x", 2000)+`"}`)
	plain := w.ask("GET", long, "")
	for accepts, zipped := range map[string]bool{"gzip, br": true, "*": true, "GZIP;q=0.5": true, "": false, "br": false, "gzip;q=0": false, "*, gzip;q=0": false} {
		got := w.ask("GET", long, "", "Accept-Encoding", accepts)
		if (got.Header().Get("Content-Encoding") == "gzip") != zipped || (got.Header().Get("Etag") == plain.Header().Get("Etag")) == zipped {
			t.Errorf("%q: %v", accepts, got.Header())
		}
		if !zipped {
			continue
		}
		r, err := gzip.NewReader(got.Body)
		w.must(err)
		if text, err := io.ReadAll(r); err != nil || string(text) != plain.Body.String() {
			t.Errorf("%q: %.100s %v", accepts, text, err)
		}
	}
	if got := w.ask("GET", article, "", "Accept-Encoding", "gzip"); got.Header().Get("Content-Encoding") != "" {
		t.Error("a short answer is compressed")
	}
}

func TestAnAnswerIsNotMixedWithAnother(t *testing.T) {
	w, _ := few(t)
	var all sync.WaitGroup
	for i := range 8 {
		letter := strings.Repeat(string(rune('a'+i)), 3000)
		target := "/api/articles/" + w.create("article", `{"title":"`+letter[:5]+`","body":"`+letter+`"}`)
		for _, accepts := range []string{"gzip", ""} {
			all.Go(func() {
				for range 20 {
					got := w.ask("GET", target, "", "Accept-Encoding", accepts)
					var from io.Reader = got.Body
					if accepts != "" {
						from, _ = gzip.NewReader(got.Body)
					}
					if text, err := io.ReadAll(from); err != nil || !strings.Contains(string(text), `"`+letter+`"`) {
						t.Errorf("%.60s… %v", text, err)
					}
				}
			})
		}
	}
	all.Wait()
}

func TestPagesOfOtherHostsAreToldWhatTheyMay(t *testing.T) {
	w, _ := few(t)
	preflight := []string{"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization, if-match"}
	got := w.ask("OPTIONS", "/api/articles", "", append(preflight, "Origin", "http://app.lab.test")...)
	h := got.Header()
	if got.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "http://app.lab.test" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
		h.Get("Access-Control-Allow-Headers") != "authorization, if-match" || h.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("a page that may: %d %v", got.Code, h)
	}
	h = w.ask("OPTIONS", "/api/articles", "", append(preflight, "Origin", "http://evil.test")...).Header()
	if h.Get("Access-Control-Allow-Methods") != "" || h["Access-Control-Allow-Origin"] != nil || h.Get("Vary") != "Origin" {
		t.Errorf("a page that may not: %v", h)
	}
	for _, c := range []struct {
		origins origins
		origin  string
		allowed string
	}{
		{nil, "http://any.test", "*"}, {origins{"*"}, "http://any.test", "*"}, {origins{"https://*.a.test"}, "https://x.y.a.test", "https://x.y.a.test"}, {origins{"https://*.a.test"}, "https://.a.test", ""},
		{origins{"https://*.a.test"}, "https://a.test", ""}, {origins{"https://*.a.test"}, "http://x.a.test", ""}, {origins{"https://a.test"}, "https://a.test.evil.test", ""},
		{origins{"https://a.test"}, "null", ""}, {origins{"https://a.test"}, "", ""},
	} {
		h := http.Header{}
		c.origins.mark(h, c.origin)
		if got := h.Get("Access-Control-Allow-Origin"); got != c.allowed || (h.Get("Access-Control-Allow-Credentials") != "") != (c.allowed != "" && c.allowed != "*") {
			t.Errorf("%v %s: %v", c.origins, c.origin, h)
		}
	}
}

func TestAPathLeadsToOneThing(t *testing.T) {
	w, article := few(t)
	for target, status := range map[string]int{
		article: 200, strings.ToUpper(article[:14]) + article[14:]: 200, article + "/": 200, article + "//": 404, "/api//articles": 404, "/api/./articles": 404, "/api/x/../articles": 404,
		"/api/articles.draft": 404, article + ".draft": 404, article + "%2Fx": 404, "/apiarticles": 404, "/api": 404, "/": 404, "/api/articles/%00": 400, "/api/%61rticles": 200, "/_health": 204,
		"/api/article": 404, "/api/homepages": 404, "/api/files": 404, "/api/roles": 404, "/uploads/../x": 404, "/uploads/": 404,
	} {
		if got := w.ask("GET", target, ""); got.Code != status || got.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v, want %d", target, got.Code, got.Header(), status)
		}
	}
	for target, allow := range map[string]string{
		article: "HEAD, GET, PUT, DELETE", "/api/homepage": "HEAD, GET, PUT, DELETE", "/api/users/me": "HEAD, GET, PUT", "/api/auth/local": "POST", "/api/upload/files": "HEAD, GET", "/api/nope": "HEAD, GET", "/": "HEAD, GET",
	} {
		if got := w.ask("PATCH", target, ""); got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != allow {
			t.Errorf("PATCH %s: %d, %s; want %s", target, got.Code, got.Header().Get("Allow"), allow)
		}
	}
}

func TestWhatIsNotReadyIsSaidToBe(t *testing.T) {
	s := storetest.NewMemory()
	a := New(Options{Store: s, Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
	w := &world{t: t, api: a}
	busy := func(when string) {
		t.Helper()
		if got := w.ask("GET", "/api/articles", ""); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", when, got.Code, got.Header())
		}
	}
	busy("before anything")
	p, err := a.Plan(&config.Config{API: lab(t)})
	w.must(err)
	p.Commit()
	s.SetUnavailable(true)
	early := make(chan int)
	go func() { early <- w.ask("GET", "/api/articles", "").Code }()
	if err := p.Prepare(w.ctx()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("prepared without a store: %v", err)
	}
	if got := <-early; got != http.StatusServiceUnavailable {
		t.Errorf("who came before the first try gets %d", got)
	}
	busy("without a store")
	s.SetUnavailable(false)
	w.must(p.Prepare(w.ctx()))
	if got := w.ask("GET", "/api/articles", ""); got.Code != http.StatusOK {
		t.Errorf("ready: %d %s", got.Code, got.Body)
	}
	none, err := a.Plan(&config.Config{})
	w.must(errors.Join(err, none.Prepare(w.ctx())))
	none.Commit()
	busy("without a content API")
}

func TestWhoComesWhileItIsPreparedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{Store: storetest.NewMemory(), Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
		w := &world{t: t, api: a}
		p, err := a.Plan(&config.Config{API: lab(t)})
		w.must(err)
		p.Commit()
		early := make(chan int)
		go func() { early <- w.ask("GET", "/api/articles", "").Code }()
		synctest.Wait()
		w.must(p.Prepare(w.ctx()))
		if got := <-early; got != http.StatusOK {
			t.Errorf("it gets %d", got)
		}
	})
}

func TestAChangedSchemaIsServedOnceItIsCommitted(t *testing.T) {
	w, article := few(t)
	c := lab(t)
	c.Schemas = t.TempDir()
	for _, name := range []string{"article", "tag", "homepage"} {
		text, err := os.ReadFile("testdata/schemas/" + name + ".json")
		w.must(err)
		text = []byte(strings.Replace(string(text), `"views": { "type": "integer" },`, `"views": { "type": "integer" }, "stars": { "type": "integer" },`, 1))
		w.must(os.WriteFile(filepath.Join(c.Schemas, name+".json"), text, 0o600))
	}
	p, err := w.api.Plan(&config.Config{API: c})
	w.must(errors.Join(err, p.Prepare(w.ctx())))
	if got := w.ask("GET", article, ""); strings.Contains(got.Body.String(), "stars") {
		t.Errorf("before: %s", got.Body)
	}
	p.Commit()
	if got := w.ask("PUT", article, `{"data":{"stars":5}}`, "Authorization", w.tokens["full"]); !strings.Contains(got.Body.String(), `"views":1,"stars":5`) {
		t.Errorf("after: %s", got.Body)
	}
}

func TestWhatCannotBeMeantIsFoundBeforeItIsServed(t *testing.T) {
	for want, c := range map[string]func(*config.API){
		"nope.find": func(c *config.API) { c.Permissions = map[string][]string{"public": {"nope.find"}} },
		"users":     func(c *config.API) { c.Schemas = with(t, "user", "users") },
		"realtime":  func(c *config.API) { c.Schemas = with(t, "time", "realtime"); c.Permissions = nil },
	} {
		api := lab(t)
		c(api)
		cfg := &config.Config{API: api}
		var said strings.Builder
		for _, p := range Check(cfg) {
			said.WriteString(p.Error() + "\n")
		}
		if !strings.Contains(said.String(), want) {
			t.Errorf("edge check says %q, want %s", &said, want)
		}
		if _, err := New(Options{Store: storetest.NewMemory(), Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler)}).Plan(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the plan is refused with %v, want %s", err, want)
		}
	}
	if said := Check(&config.Config{API: lab(t)}); len(said) > 0 {
		t.Errorf("nothing is wrong, and edge check says %v", said)
	}
}

// with is a folder with one content type.
func with(t *testing.T, name, plural string) string {
	folder := t.TempDir()
	text := `{"kind":"collectionType","collectionName":"x","info":{"singularName":"my-` + name + `","pluralName":"` + plural + `","displayName":"x"},"attributes":{"a":{"type":"string"}}}`
	if err := os.WriteFile(filepath.Join(folder, "my-"+name+".json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestEventsArriveWithTheSamePermissions(t *testing.T) {
	w, _ := few(t)
	server := httptest.NewServer(w.api)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/realtime/articles?filters[views][$gt]=1&fields=title", nil)
	w.must(err)
	stream, err := server.Client().Do(r)
	w.must(err)
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	for begun := false; lines.Scan(); {
		if !begun && strings.HasPrefix(lines.Text(), "id: ") {
			begun = true
			w.create("article", `{"title":"no","views":1}`)
			w.create("article", `{"title":"two","views":2}`)
		}
		if strings.Contains(lines.Text(), `"title":"no"`) {
			t.Errorf("not asked for: %s", lines.Text())
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.Contains(data, `"title":"two"`) {
			w.api.Drain()
			for lines.Scan() {
			}
			return
		}
	}
	t.Errorf("the stream ended: %v", lines.Err())
}

func TestAStoreThatIsAwayIsSaidToBe(t *testing.T) {
	w, article := few(t)
	memory := w.api.Store.(*storetest.Memory)
	memory.SetUnavailable(true)
	defer memory.SetUnavailable(false)
	if got := w.ask("GET", article, ""); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
