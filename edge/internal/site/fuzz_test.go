package site

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// FuzzRequest asks for any path with any fields: never a panic, never a byte that is not of a file to be served, never an
// answer that is not as long as it says.
func FuzzRequest(f *testing.F) {
	files := app()
	s := prepared(f, config.Site{Root: plant(f, files), SPA: true}, Options{})
	for _, path := range []string{"/", "/about", "/docs", "/.env", "/../.env", "/a%2Fb.txt", "/with%20space", "/%", "/%0", "/%zz", "*", "", "/" + script} {
		f.Add(path, "bytes=0-3,5-,-2", "gzip;q=0.5, *;q=0", "text/html")
	}
	f.Add("/index.html", "bytes=99999999999999999999-", "identity;q=0", "*/*;q=0")
	var served []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, ".well-known/") || !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.") {
			served = append(served, files[name])
		}
	}
	f.Fuzz(func(t *testing.T, path, ranges, codings, accept string) {
		if got := answerTo(t, s, path, "Accept-Encoding", codings); got.Status == 200 && !slices.Contains(served, decode(t, got)) {
			t.Errorf("%q: not a file of the site: %q", path, got.Body.String())
		}
		got := answerTo(t, s, path, "Range", ranges, "Accept-Encoding", codings, "Accept", accept)
		if got.Status == 206 && strings.Count(got.Body.String(), "\r\nContent-Range: ") > maxRanges {
			t.Errorf("%q: too many parts", ranges)
		}
		if strings.Contains(got.Body.String(), "secret") || strings.Contains(got.Body.String(), "SECRET") {
			t.Errorf("%q: a dot file", path)
		}
	})
}

// answerTo gives the site a path that no chain has looked at.
func answerTo(t *testing.T, s *Site, path string, fields ...string) *exchangetest.Recorder {
	t.Helper()
	x, r := exchangetest.New("GET", "/")
	x.Path = path
	for i := 0; i < len(fields); i += 2 {
		x.Fields.Add(fields[i], fields[i+1])
	}
	r.Serve(s)
	if !slices.Contains([]int{200, 206, 301, 404, 406, 416}, r.Status) || r.Aborted != nil || r.Length != int64(r.Body.Len()) {
		t.Errorf("%q %q: %d, length %d of %d, %v", path, fields, r.Status, r.Length, r.Body.Len(), r.Aborted)
	}
	return r
}

// FuzzConditions compares what is made of entity tags with a slow reading of them.
func FuzzConditions(f *testing.F) {
	f.Add(`"a"`, "Sun, 01 Mar 2026 12:00:00 GMT")
	f.Add(`W/"a", "b"`, "x")
	f.Add(`*`, "")
	f.Add(`"a`, "")
	f.Fuzz(func(t *testing.T, list, date string) {
		v := &variant{etag: `"a"`, modified: built, lastModified: httpTime(built)}
		if tagIn(list, v.etag, true) && !tagIn(list, v.etag, false) {
			t.Errorf("%q matches strongly but not weakly", list)
		}
		if tagIn(list, v.etag, false) && !strings.Contains(list, v.etag) && strings.Trim(list, " \t") != "*" {
			t.Errorf("%q matches", list)
		}
		for _, name := range []string{"If-Match", "If-None-Match", "If-Range"} {
			request := exchange.Fields{{Name: name, Value: list}, {Name: "If-Modified-Since", Value: date}, {Name: "If-Unmodified-Since", Value: date}}
			q := questionOf(request)
			precondition(&q, v)
			rangeHolds(&q, v)
		}
	})
}
