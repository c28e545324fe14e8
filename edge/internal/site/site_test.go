package site

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is when the files of the tests were built.
var built = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const script = "assets/index-BxY3kQ9z.js"

// app is a small web app as Vite builds it.
func app() map[string]string {
	return map[string]string{
		"index.html":             `<!doctype html><script type="module" src="/` + script + `"></script>` + strings.Repeat("<p>home</p>", 100),
		script:                   strings.Repeat("console.log('planner');\n", 200),
		"favicon.ico":            "icon",
		"photo.png":              strings.Repeat("0123456789", 100),
		"docs/index.html":        "<h1>docs</h1>",
		"with space (1).txt":     "space",
		"a/b.txt":                "inner",
		".env":                   "SECRET=1",
		".git/config":            "secret",
		"docs/.htpasswd":         "secret",
		".well-known/assetlinks": `{"a":1}`,
		"empty.txt":              "",
	}
}

// plant writes files below a new folder.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(root, name), content, built)
	}
	return root
}

func put(t testing.TB, path, content string, modified time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

// open opens a site and compresses nothing.
func open(t testing.TB, cfg config.Site, o Options) *Site {
	t.Helper()
	s, err := load("app", cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prepared opens a site and does all that Open and Run would.
func prepared(t testing.TB, cfg config.Site, o Options) *Site {
	t.Helper()
	s := open(t, cfg, o)
	s.work(t.Context(), 1)
	return s
}

// get asks s for target; fields are pairs of name and value.
func get(s exchange.Handler, method, target string, fields ...string) *exchangetest.Recorder {
	options := make([]exchangetest.Option, 0, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		options = append(options, exchangetest.Field(fields[i], fields[i+1]))
	}
	_, r := exchangetest.New(method, target, options...)
	r.Serve(s)
	return r
}

func TestWhatAPathLeadsTo(t *testing.T) {
	files := app()
	root := plant(t, files)
	spa := open(t, config.Site{Root: root, SPA: true}, Options{})
	plain := open(t, config.Site{Root: root}, Options{})
	index := files["index.html"]

	for _, c := range []struct {
		name, method, target, accept string
		site                         *Site
		status                       int
		body                         string // "-": do not look
	}{
		{"root", "GET", "/", "", spa, 200, index},
		{"index by name", "GET", "/index.html", "", spa, 200, index},
		{"file", "GET", "/a/b.txt", "", plain, 200, "inner"},
		{"file, HEAD", "HEAD", "/a/b.txt", "", plain, 200, ""},
		{"query is ignored", "GET", "/a/b.txt?x=1", "", plain, 200, "inner"},
		{"empty file", "GET", "/empty.txt", "", plain, 200, ""},
		{"encoded name", "GET", "/with%20space%20(1).txt", "", plain, 200, "space"},
		{"encoded in another way", "GET", "/with%20space%20%281%29.txt", "", plain, 200, "space"},
		{"encoded slash is no separator", "GET", "/a%2Fb.txt", "", plain, 404, "-"},
		{"encoded backslash", "GET", "/a%5Cb.txt", "", plain, 404, "-"},
		{"other case", "GET", "/A/b.txt", "", plain, 404, "-"},
		{"double slash", "GET", "//a/b.txt", "", plain, 404, "-"},
		{"slash behind a file", "GET", "/a/b.txt/", "", plain, 404, "-"},
		{"folder", "GET", "/docs/", "", plain, 200, "<h1>docs</h1>"},
		{"folder without slash", "GET", "/docs", "", plain, 301, ""},
		{"folder without slash in an SPA", "GET", "/docs", "text/html", spa, 301, ""},
		{"folder without index", "GET", "/a/", "", plain, 404, "-"},
		{"folder without index and slash", "GET", "/a", "", plain, 404, "-"},
		{"missing in plain", "GET", "/about", "text/html", plain, 404, "-"},

		{"route of an SPA", "GET", "/about", "text/html,*/*;q=0.8", spa, 200, index},
		{"route, HEAD", "HEAD", "/about", "text/html", spa, 200, ""},
		{"route without Accept", "GET", "/about/me", "", spa, 200, index},
		{"route with any Accept", "GET", "/about/", "*/*", spa, 200, index},
		{"route asked for as JSON", "GET", "/about", "application/json", spa, 404, "-"},
		{"route that refuses HTML", "GET", "/about", "text/html;q=0, */*", spa, 404, "-"},
		{"route below a folder with a dot", "GET", "/v1.2/page", "", spa, 200, index},
		{"missing asset", "GET", "/assets/gone-BxY3kQ9z.js", "*/*", spa, 404, "-"},
		{"missing page with extension", "GET", "/users/john.doe", "text/html", spa, 404, "-"},
		{"encoded dot", "GET", "/gone%2Ejs", "", spa, 404, "-"},

		{"dot file", "GET", "/.env", "", spa, 404, "-"},
		{"dot file, plain", "GET", "/.env", "", plain, 404, "-"},
		{"below a dot folder", "GET", "/.git/config", "text/html", spa, 404, "-"},
		{"dot file in a folder", "GET", "/docs/.htpasswd", "", plain, 404, "-"},
		{"well-known", "GET", "/.well-known/assetlinks", "", spa, 200, `{"a":1}`},
		{"well-known that is missing", "GET", "/.well-known/change-password", "text/html", spa, 404, "-"},

		{"POST", "POST", "/", "", spa, 405, "-"},
		{"POST to a route", "POST", "/about", "", spa, 404, "-"}, // only reading falls back to the page
		{"OPTIONS", "OPTIONS", "/a/b.txt", "", plain, 405, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fields []string
			if c.accept != "" {
				fields = []string{"Accept", c.accept}
			}
			r := get(c.site, c.method, c.target, fields...)
			if r.Status != c.status || c.body != "-" && r.Body.String() != c.body {
				t.Errorf("%s %s: %d %.60q, want %d %.60q", c.method, c.target, r.Status, r.Body.String(), c.status, c.body)
			}
			if r.Fields.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("no nosniff")
			}
			if allow := r.Fields.Get("Allow"); (allow == "GET, HEAD") != (c.status == 405) {
				t.Errorf("Allow: %q", allow)
			}
			if cached := r.Fields.Get("Cache-Control"); c.status == 404 && cached != "no-store" {
				t.Errorf("404 with Cache-Control: %q", cached)
			}
			if r.Aborted != nil {
				t.Error(r.Aborted)
			}
		})
	}
}

func TestAFolderRedirectsWithinItself(t *testing.T) {
	s := open(t, config.Site{Root: plant(t, app())}, Options{})
	if got := get(s, "GET", "/docs?a=1&b").Fields.Get("Location"); got != "./docs/?a=1&b" {
		t.Errorf("Location: %q", got)
	}
}

func TestHeads(t *testing.T) {
	s := open(t, config.Site{Root: plant(t, app()), SPA: true}, Options{})
	for _, c := range []struct{ target, contentType, cached, vary string }{
		{"/", "text/html; charset=utf-8", "no-cache", "Accept-Encoding"},
		{"/route", "text/html; charset=utf-8", "no-cache", "Accept-Encoding"},
		{"/" + script, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "Accept-Encoding"},
		{"/photo.png", "image/png", "no-cache", ""},
		{"/.well-known/assetlinks", "application/json", "no-cache", "Accept-Encoding"},
	} {
		r := get(s, "GET", c.target)
		page := strings.HasPrefix(c.contentType, "text/html")
		for name, want := range map[string]string{
			"Content-Type": c.contentType, "Cache-Control": c.cached, "Vary": c.vary,
			"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT", "Accept-Ranges": "bytes", "Content-Encoding": "",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := r.Fields.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", c.target, name, got, want)
			}
		}
		if tag := r.Fields.Get("ETag"); len(tag) != 22 {
			t.Errorf("%s: ETag: %s", c.target, tag)
		}
		if r.Length != int64(r.Body.Len()) {
			t.Errorf("%s: length %d of %d", c.target, r.Length, r.Body.Len())
		}
		if r.Fields.Has("Content-Security-Policy") != page || r.Fields.Has("Referrer-Policy") != page {
			t.Errorf("%s: policies on what is not a page, or none on one: %v", c.target, r.Fields)
		}
	}
}

func TestOwnNotFoundPage(t *testing.T) {
	files := app()
	files["404.html"] = "<h1>lost</h1>" + strings.Repeat("<p>lost</p>", 100)
	s := prepared(t, config.Site{Root: plant(t, files)}, Options{})

	r := get(s, "GET", "/gone", "Accept", "text/html", "Accept-Encoding", "gzip", "Range", "bytes=0-1")
	if r.Status != 404 || r.Fields.Get("Cache-Control") != "no-store" || r.Fields.Has("ETag") || r.Fields.Has("Last-Modified") {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
	if got := decode(t, r); got != files["404.html"] {
		t.Errorf("%.40q", got)
	}
	if r := get(s, "GET", "/gone.json", "Accept", "application/json"); r.Fields.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a program got %v", r.Fields)
	}
	if r := get(s, "GET", "/404.html"); r.Status != 200 {
		t.Errorf("the page itself: %d", r.Status)
	}
}

// decode undoes the content coding of an answer, within the limits that a browser has.
func decode(t testing.TB, r *exchangetest.Recorder) string {
	t.Helper()
	var from io.Reader = &r.Body
	var err error
	switch c := r.Fields.Get("Content-Encoding"); c {
	case "":
	case "gzip":
		from, err = gzip.NewReader(from)
	case "br":
		from = brotli.NewReader(from)
	case "zstd":
		var d *zstd.Decoder
		d, err = zstd.NewReader(from, zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
		if err == nil {
			defer d.Close()
			from = d
		}
	default:
		t.Fatalf("Content-Encoding: %s", c)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASnapshotStaysWhatItWas(t *testing.T) {
	root := plant(t, app())
	s := open(t, config.Site{Root: root}, Options{})
	before := get(s, "GET", "/a/b.txt")
	put(t, filepath.Join(root, "a/b.txt"), "changed", built.Add(time.Hour))
	put(t, filepath.Join(root, "new.txt"), "new", built)
	if after := get(s, "GET", "/a/b.txt"); after.Body.String() != "inner" || after.Fields.Get("ETag") != before.Fields.Get("ETag") {
		t.Errorf("%q", after.Body.String())
	}
	s = open(t, config.Site{Root: root}, Options{})
	if r := get(s, "GET", "/a/b.txt"); r.Body.String() != "changed" || r.Fields.Get("Last-Modified") != "Sun, 01 Mar 2026 13:00:00 GMT" {
		t.Errorf("after opening again: %q", r.Body.String())
	}
	if r := get(s, "GET", "/new.txt"); r.Status != 200 {
		t.Errorf("new file: %d", r.Status)
	}
}

// TestFieldsAreNotShared lets a hook change an answer's fields, as a rule's headers do. The next answer must not have them.
func TestFieldsAreNotShared(t *testing.T) {
	s := open(t, config.Site{Root: plant(t, app())}, Options{})
	x, r := exchangetest.New("GET", "/a/b.txt")
	x.BeforeHead(hook(func(x *exchange.Exchange) {
		x.Response.Fields.Set("ETag", "changed")
		x.Response.Fields.Del("Content-Type")
	}))
	r.Serve(s)
	x.Reset(r)
	if got := get(s, "GET", "/a/b.txt").Fields; got.Get("ETag") == "changed" || !got.Has("Content-Type") {
		t.Errorf("%v", got)
	}
}

type hook func(*exchange.Exchange)

func (h hook) BeforeHead(x *exchange.Exchange) { h(x) }

// logged returns a logger and what it wrote.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}
