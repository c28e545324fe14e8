package site

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// An ask is a request as a browser sends it, and what answering it may cost.
type ask struct {
	path   string
	fields []string // besides the browser's own: pairs of name and value; "" as value leaves the browser's out
	status int
	writes int
	allocs float64 // the ceiling
}

const everyCoding = "gzip, deflate, br, zstd"

// asks are the usual ones of a visitor of a web app, and some that are not.
func asks(t testing.TB) (*Site, map[string]ask) {
	t.Helper()
	files := app()
	files["kib.png"] = strings.Repeat("x", 1024)
	files["mib.png"] = strings.Repeat("x", maxPlainFile)
	files["v.mp4"] = video(1)
	s := prepared(t, config.Site{Root: plant(t, files), SPA: true}, Options{})
	asset := get(s, "GET", "/"+script, "Accept-Encoding", everyCoding).Fields
	etag, modified := asset.Get("ETag"), asset.Get("Last-Modified")
	asset = get(s, "GET", "/"+script).Fields
	return s, map[string]ask{
		"plain file":            {"/kib.png", nil, 200, 1, 0},
		"plain, no coding":      {"/" + script, []string{"Accept-Encoding", ""}, 200, 1, 0},
		"compressed":            {"/" + script, nil, 200, 1, 0},
		"compressed, gzip":      {"/" + script, []string{"Accept-Encoding", "gzip;q=0.9, deflate;q=0.1"}, 200, 1, 0},
		"page":                  {"/", nil, 200, 1, 0},
		"route":                 {"/route/of/the/app", nil, 200, 1, 0},
		"encoded path":          {"/with%20space%20(1).txt", nil, 200, 1, 0},
		"1 MiB":                 {"/mib.png", nil, 200, 1, 0},
		"same tag":              {"/" + script, []string{"If-None-Match", etag, "If-Modified-Since", modified}, 304, 0, 0},
		"tag in a list":         {"/" + script, []string{"If-None-Match", `"x", W/` + etag}, 304, 0, 0},
		"other tag":             {"/" + script, []string{"If-None-Match", `"x"`}, 200, 1, 0},
		"same date":             {"/" + script, []string{"If-Modified-Since", modified}, 304, 0, 0},
		"later date":            {"/" + script, []string{"If-Modified-Since", "Mon, 02 Mar 2026 12:00:00 GMT"}, 304, 0, 0},
		"failed condition":      {"/" + script, []string{"If-Match", `"x"`}, 412, 1, 0},
		"range":                 {"/kib.png", []string{"Range", "bytes=100-199"}, 206, 1, 0},
		"range, If-Range":       {"/" + script, []string{"Accept-Encoding", "", "Range", "bytes=100-", "If-Range", asset.Get("ETag")}, 206, 1, 0},
		"three ranges":          {"/kib.png", []string{"Range", "bytes=0-9,100-199,-5"}, 206, 7, 4},
		"range beyond":          {"/kib.png", []string{"Range", "bytes=5000-"}, 416, 1, 0},
		"missing":               {"/gone.js", nil, 404, 1, 0},
		"missing, to a program": {"/gone.json", []string{"Accept", "application/json"}, 404, 1, 0},
		"folder":                {"/docs", nil, 301, 0, 0},
		"on disk":               {"/v.mp4", nil, 200, 17, 12},
	}
}

// send makes the request anew and has it answered.
func (a *ask) send(t testing.TB, s *Site, v *visitor) {
	x := &v.x
	v.writes = 0
	x.Reset(v)
	x.ID, x.Method, x.Path = "0123456789abcdef", "GET", a.path
	x.Fields = append(x.Fields, v.fields...)
	s.ServeExchange(x)
	if x.Finish() != nil || x.Response.Status != a.status || v.writes != a.writes {
		t.Fatalf("%s: %d in %d writes, %v", a.path, x.Response.Status, v.writes, x.Aborted())
	}
}

// A visitor takes everything and keeps nothing.
type visitor struct {
	exchange.Stream
	x      exchange.Exchange
	fields exchange.Fields // that a browser sends
	writes int
}

func (v *visitor) SendHead(*exchange.Response, bool) error { return nil }
func (v *visitor) Write(p []byte) (int, error)             { v.writes++; return len(p), nil }

func (a *ask) visitor() *visitor {
	v := &visitor{fields: exchange.Fields{
		{Name: "sec-ch-ua", Value: `"Chromium";v="140", "Not=A?Brand";v="24"`}, {Name: "sec-ch-ua-mobile", Value: "?0"}, {Name: "sec-ch-ua-platform", Value: `"Linux"`},
		{Name: "Upgrade-Insecure-Requests", Value: "1"}, {Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
		{Name: "Sec-Fetch-Site", Value: "same-origin"}, {Name: "Sec-Fetch-Mode", Value: "navigate"}, {Name: "Sec-Fetch-Dest", Value: "document"},
		{Name: "Referer", Value: "https://example.com/"}, {Name: "Accept-Encoding", Value: everyCoding}, {Name: "Accept-Language", Value: "en-GB,en;q=0.9"},
		{Name: "Cookie", Value: "session=0123456789abcdef0123456789abcdef; theme=dark"},
	}}
	for i := 0; i < len(a.fields); i += 2 {
		if a.fields[i+1] == "" {
			v.fields.Del(a.fields[i])
		} else {
			v.fields.Set(a.fields[i], a.fields[i+1])
		}
	}
	return v
}

func BenchmarkHit(b *testing.B) {
	s, all := asks(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.Run(name, func(b *testing.B) {
			a := all[name]
			v := a.visitor()
			b.ReportAllocs()
			for b.Loop() {
				a.send(b, s, v)
			}
		})
	}
}

// TestWhatAnAnswerMayCost holds the ceilings of allocations, and of writes: a small file is one.
func TestWhatAnAnswerMayCost(t *testing.T) {
	s, all := asks(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		v := a.visitor()
		if got := testing.AllocsPerRun(100, func() { a.send(t, s, v) }); got > a.allocs && !raceEnabled {
			t.Errorf("%s: %v allocations, and not at most %v", name, got, a.allocs)
		}
	}
}
