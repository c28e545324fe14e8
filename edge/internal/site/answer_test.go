package site

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// TestConditionsAndRangesAsNetHTTP compares every combination of conditions and ranges with http.ServeContent.
// They differ where RFC 9110 lets a server choose: we ignore a Range that is not one, net/http refuses it with 416.
func TestConditionsAndRangesAsNetHTTP(t *testing.T) {
	const content = "0123456789abcdefghij"
	s := open(t, config.Site{Root: plant(t, map[string]string{"a.txt": content})}, Options{})
	etag := get(s, "GET", "/a.txt").Fields.Get("ETag")
	before, same, after := httpTime(built.Add(-time.Hour)), httpTime(built), httpTime(built.Add(time.Hour))

	conditions := map[string][]string{
		"If-Match":            {"", etag, `"x", ` + etag, "*", `"x"`, "W/" + etag},
		"If-Unmodified-Since": {"", before, same, after, "nonsense"},
		"If-None-Match":       {"", etag, "W/" + etag, `"x" , ` + etag, "*", `"x"`},
		"If-Modified-Since":   {"", before, same, after, "nonsense"},
	}
	ranges := []string{"", "bytes=0-4", "bytes=5-", "bytes=-5", "bytes=-100", "bytes=19-30", "bytes=20-", "bytes=0-0,5-9,-3", "bytes=0-1, 30-40",
		"bytes=30-,40-", "bytes=0-19,0-19", "bytes=0-,1-"}
	ifRanges := []string{"", etag, `"x"`, "W/" + etag, same, before}

	compare := func(method string, fields []string) {
		t.Helper()
		want := httptest.NewRecorder()
		request := httptest.NewRequest(method, "/a.txt", nil)
		for i := 0; i < len(fields); i += 2 {
			request.Header.Set(fields[i], fields[i+1])
		}
		want.Header().Set("ETag", etag)
		want.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.ServeContent(want, request, "a.txt", built, strings.NewReader(content))

		got := get(s, method, "/a.txt", fields...)
		if got.Status != want.Code || got.Fields.Get("Content-Range") != want.Header().Get("Content-Range") {
			t.Fatalf("%s %q: %d %q, want %d %q", method, fields, got.Status, got.Fields.Get("Content-Range"), want.Code, want.Header().Get("Content-Range"))
		}
		if got.Status >= 400 {
			return // with a body of edge's own
		}
		for _, name := range []string{"ETag", "Accept-Ranges"} {
			if got.Fields.Get(name) != want.Header().Get(name) && got.Status != 304 {
				t.Fatalf("%s %q: %s: %q, want %q", method, fields, name, got.Fields.Get(name), want.Header().Get(name))
			}
		}
		if g, w := unbounded(got.Fields.Get("Content-Type"), got.Body.String()), unbounded(want.Header().Get("Content-Type"), want.Body.String()); g != w {
			t.Fatalf("%s %q: body\n%s\nwant\n%s", method, fields, g, w)
		}
		if got.Status == 200 || got.Status == 206 {
			if method == "GET" && got.Length != int64(got.Body.Len()) {
				t.Fatalf("%s %q: length %d, sent %d", method, fields, got.Length, got.Body.Len())
			}
			if w := want.Header().Get("Content-Length"); got.Status == 200 && strconv.FormatInt(got.Length, 10) != w {
				t.Fatalf("%s %q: length %d, want %s", method, fields, got.Length, w)
			}
		}
	}
	n := 0
	for _, method := range []string{"GET", "HEAD"} {
		for _, match := range conditions["If-Match"] {
			for _, unmodified := range conditions["If-Unmodified-Since"] {
				for _, none := range conditions["If-None-Match"] {
					for _, modified := range conditions["If-Modified-Since"] {
						compare(method, present("If-Match", match, "If-Unmodified-Since", unmodified, "If-None-Match", none, "If-Modified-Since", modified))
						n++
					}
				}
			}
		}
	}
	for _, r := range ranges {
		for _, ifRange := range ifRanges {
			for name, values := range conditions {
				for _, value := range values {
					compare("GET", present("Range", r, "If-Range", ifRange, name, value))
					n++
				}
			}
		}
	}
	t.Log(n, "combinations")
}

func httpTime(t time.Time) string { return t.Format(http.TimeFormat) }

// present leaves out the pairs of name and value that have no value.
func present(pairs ...string) (fields []string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fields = append(fields, pairs[i], pairs[i+1])
		}
	}
	return fields
}

// unbounded writes a body with its media type and without its boundary.
func unbounded(contentType, body string) string {
	if media, boundary, ok := strings.Cut(contentType, "boundary="); ok {
		return media + strings.ReplaceAll(body, boundary, "BOUNDARY")
	}
	return body
}

func TestRange(t *testing.T) {
	const content = "0123456789"
	s := open(t, config.Site{Root: plant(t, map[string]string{"a.txt": content, "empty.txt": ""})}, Options{})
	for _, c := range []struct {
		method, target, value string
		status                int
		body, contentRange    string
	}{
		{"GET", "/a.txt", "bytes=2-4", 206, "234", "bytes 2-4/10"},
		{"GET", "/a.txt", "BYTES=2-4", 206, "234", "bytes 2-4/10"},
		{"GET", "/a.txt", "bytes=0-99999999999999999999999", 206, content, "bytes 0-9/10"},
		{"GET", "/a.txt", "bytes=-0", 416, "-", "bytes */10"},
		{"GET", "/a.txt", "bytes=10-", 416, "-", "bytes */10"},
		{"GET", "/a.txt", "bytes=99999999999999999999999-", 416, "-", "bytes */10"},
		{"GET", "/empty.txt", "bytes=0-", 200, "", ""},
		{"HEAD", "/a.txt", "bytes=2-4", 200, "", ""},
		{"GET", "/a.txt", "lines=2-4", 200, content, ""},
		{"GET", "/a.txt", "bytes=4-2", 200, content, ""},
		{"GET", "/a.txt", "bytes=", 200, content, ""},
		{"GET", "/a.txt", "bytes=-", 200, content, ""},
		{"GET", "/a.txt", "bytes=a-b", 200, content, ""},
		{"GET", "/a.txt", "bytes=0--1", 200, content, ""},
		{"GET", "/a.txt", "bytes=+1-2", 200, content, ""},
		{"GET", "/a.txt", "bytes=0-9,0-9", 200, content, ""},
		{"GET", "/a.txt", "bytes=" + strings.Repeat("0-,", 1000), 200, content, ""},
		{"GET", "/a.txt", "bytes=" + strings.Repeat("20-,", maxRanges), 416, "-", "bytes */10"},
		{"GET", "/a.txt", "bytes=" + strings.Repeat("20-,", maxRanges+1), 200, content, ""},
	} {
		r := get(s, c.method, c.target, "Range", c.value)
		if r.Status != c.status || c.body != "-" && r.Body.String() != c.body || r.Fields.Get("Content-Range") != c.contentRange {
			t.Errorf("%s %.40q: %d %q %q", c.method, c.value, r.Status, r.Body.String(), r.Fields.Get("Content-Range"))
		}
	}
}

// TestRangesOfACompressedFile puts a compressed file together from its ranges.
func TestRangesOfACompressedFile(t *testing.T) {
	files := app()
	s := prepared(t, config.Site{Root: plant(t, files)}, Options{})
	ask := []string{"Accept-Encoding", "br"}
	whole := get(s, "GET", "/"+script, ask...)
	first := get(s, "GET", "/"+script, append(ask, "Range", "bytes=0-9")...)
	rest := get(s, "GET", "/"+script, append(ask, "Range", "bytes=10-", "If-Range", whole.Fields.Get("ETag"))...)
	if first.Status != 206 || rest.Status != 206 || first.Fields.Get("Content-Encoding") != "br" {
		t.Fatalf("%d %d %v", first.Status, rest.Status, first.Fields)
	}
	first.Body.Write(rest.Body.Bytes())
	if decode(t, first) != files[script] {
		t.Error("the ranges are not of the same bytes")
	}
	plain := get(s, "GET", "/"+script, "Range", "bytes=10-", "If-Range", whole.Fields.Get("ETag"))
	if plain.Status != 200 || plain.Body.String() != files[script] {
		t.Errorf("a range of another coding's bytes: %d", plain.Status)
	}
}

// video is a file that is served from disk.
func video(seed uint64) string {
	b := make([]byte, maxPlainFile+12345)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return string(b)
}

func TestFileOnDisk(t *testing.T) {
	content := video(1)
	root := plant(t, map[string]string{"v.mp4": content, "index.html": "x"})
	s := prepared(t, config.Site{Root: root}, Options{})
	etag := get(s, "HEAD", "/v.mp4").Fields.Get("ETag")
	if etag == "" {
		t.Error("not hashed")
	}
	for _, c := range []struct {
		fields []string
		status int
		body   string
	}{
		{nil, 200, content},
		{[]string{"Range", "bytes=70000-1050000"}, 206, content[70000:1050001]},
		{[]string{"Range", "bytes=-10", "If-Range", etag}, 206, content[len(content)-10:]},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-Modified-Since", httpTime(built)}, 304, ""},
	} {
		r := get(s, "GET", "/v.mp4", c.fields...)
		if r.Status != c.status || r.Body.String() != c.body || r.Aborted != nil {
			t.Errorf("%q: %d, %d bytes, %v", c.fields, r.Status, r.Body.Len(), r.Aborted)
		}
	}
	parts := get(s, "GET", "/v.mp4", "Range", "bytes=0-99999,200000-299999")
	if parts.Status != 206 || !bytes.Contains(parts.Body.Bytes(), []byte(content[200000:300000])) || parts.Length != int64(parts.Body.Len()) {
		t.Errorf("multipart: %d, %d bytes", parts.Status, parts.Body.Len())
	}
}

func TestFileOnDiskThatChanges(t *testing.T) {
	old, changed := video(1), video(2)+"longer"
	path := func(root string) string { return filepath.Join(root, "v.mp4") }
	setUp := func(t *testing.T) (string, *Site, string) {
		root := plant(t, map[string]string{"v.mp4": old})
		s := prepared(t, config.Site{Root: root}, Options{})
		return root, s, get(s, "HEAD", "/v.mp4").Fields.Get("ETag")
	}
	t.Run("replaced before", func(t *testing.T) {
		root, s, etag := setUp(t)
		put(t, path(root)+".new", changed, built.Add(time.Hour))
		if err := os.Rename(path(root)+".new", path(root)); err != nil {
			t.Fatal(err)
		}
		r := get(s, "GET", "/v.mp4", "If-None-Match", etag, "Range", "bytes=5-9", "If-Range", etag)
		if r.Status != 200 || r.Body.String() != changed || r.Fields.Has("ETag") || r.Fields.Get("Last-Modified") != httpTime(built.Add(time.Hour)) {
			t.Errorf("%d, %d bytes, %v", r.Status, r.Body.Len(), r.Fields)
		}
	})
	t.Run("gone", func(t *testing.T) {
		root, s, _ := setUp(t)
		if err := os.Remove(path(root)); err != nil {
			t.Fatal(err)
		}
		if r := get(s, "GET", "/v.mp4"); r.Status != 404 {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("became a link out of the root", func(t *testing.T) {
		root, s, _ := setUp(t)
		secret := filepath.Join(t.TempDir(), "secret")
		put(t, secret, "secret", built)
		if err := os.Remove(path(root)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, path(root)); err != nil {
			t.Fatal(err)
		}
		if r := get(s, "GET", "/v.mp4"); r.Status != 500 || strings.Contains(r.Body.String(), "secret") {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("became a named pipe", func(t *testing.T) {
		root, s, _ := setUp(t)
		if err := os.Remove(path(root)); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path(root), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := get(s, "GET", "/v.mp4"); r.Status != 500 { // and does not wait for a writer
			t.Errorf("%d", r.Status)
		}
	})
	for name, write := range map[string]func(string) error{
		"written to meanwhile": func(p string) error { return os.WriteFile(p, []byte(changed), 0o644) },
		"cut off meanwhile":    func(p string) error { return os.Truncate(p, 70000) },
	} {
		t.Run(name, func(t *testing.T) {
			root, s, _ := setUp(t)
			x, r := exchangetest.New("GET", "/v.mp4")
			x.BeforeHead(hook(func(*exchange.Exchange) {
				if err := write(path(root)); err != nil {
					t.Error(err)
				}
			}))
			r.Serve(s)
			if r.Aborted == nil || r.Body.Len() >= len(old) || x.Record.ErrorReason != "site_file_changed" {
				t.Errorf("a mixed answer: %d bytes, %v", r.Body.Len(), r.Aborted)
			}
		})
	}
	t.Run("replaced meanwhile", func(t *testing.T) {
		root, s, _ := setUp(t)
		x, r := exchangetest.New("GET", "/v.mp4")
		x.BeforeHead(hook(func(*exchange.Exchange) {
			put(t, path(root)+".new", changed, built)
			if err := os.Rename(path(root)+".new", path(root)); err != nil {
				t.Error(err)
			}
		}))
		r.Serve(s)
		if r.Aborted != nil || r.Body.String() != old {
			t.Errorf("%d bytes, %v", r.Body.Len(), r.Aborted)
		}
	})
}

// keeper holds on to what it was given last and takes no more than that, as x/net/http2 may for a stream that was reset.
type keeper struct {
	visitor
	kept []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = p
	return 0, exchange.ErrClientGone
}

func TestMemoryThatABrokenOffAnswerMayStillBeReadFromIsNotUsedAgain(t *testing.T) {
	one, two := video(1), video(2)
	s := prepared(t, config.Site{Root: plant(t, map[string]string{"1.mp4": one, "2.mp4": two})}, Options{})
	for range 10 { // a pool may forget by chance
		k := new(keeper)
		k.x.Reset(k)
		k.x.Method, k.x.Path = "GET", "/1.mp4"
		s.ServeExchange(&k.x)
		if got := get(s, "GET", "/2.mp4"); got.Body.String() != two {
			t.Fatal("not the file")
		}
		if string(k.kept) != one[:len(k.kept)] || len(k.kept) != chunkSize {
			t.Fatal("another file's bytes")
		}
	}
}
