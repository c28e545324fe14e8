package site

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

func TestContentCoding(t *testing.T) {
	files := app()
	// brotli is the smallest of this text, then zstd, then gzip
	files["text.txt"] = strings.Repeat("The planner helps people to reach their goals, week by week. ", 20) + prose
	s := prepared(t, config.Site{Root: plant(t, files)}, Options{})
	tags := map[string]string{}
	for _, c := range []struct{ target, accept, coding string }{
		{"/text.txt", "", ""},
		{"/text.txt", "gzip", "gzip"},
		{"/text.txt", "x-gzip", "gzip"},
		{"/text.txt", "BR", "br"},
		{"/text.txt", "zstd", "zstd"},
		{"/text.txt", "gzip, deflate, br, zstd", "br"},
		{"/text.txt", "gzip;q=1.0, br;q=0.5", "gzip"},
		{"/text.txt", "gzip ; q=0.001", "gzip"},
		{"/text.txt", "gzip;q=0.5, identity;q=1", ""},
		{"/text.txt", "gzip;q=0", ""},
		{"/text.txt", "deflate", ""},
		{"/text.txt", "*", "br"},
		{"/text.txt", "*, br;q=0", "zstd"},
		{"/text.txt", "*;q=0, gzip", "gzip"},
		{"/text.txt", "identity;q=0, gzip", "gzip"},
		{"/text.txt", "gzip;q=2, br;q=x, zstd;q=0.5", "zstd"},
		{"/text.txt", ",, ;;q=1, gzip", "gzip"},
		{"/text.txt", "identity;q=0", "406"},
		{"/text.txt", "*;q=0", "406"},
		{"/photo.png", "gzip, br", ""},
		{"/a/b.txt", "gzip, br", ""}, // too small to be worth it
		{"/empty.txt", "gzip, br", ""},
	} {
		fields := []string{"Accept-Encoding", c.accept}
		if c.accept == "" {
			fields = nil
		}
		r := get(s, "GET", c.target, fields...)
		if c.coding == "406" {
			if r.Status != 406 {
				t.Errorf("%s %q: %d", c.target, c.accept, r.Status)
			}
			continue
		}
		if got := r.Fields.Get("Content-Encoding"); r.Status != 200 || got != c.coding {
			t.Errorf("%s %q: %d %q, want %q", c.target, c.accept, r.Status, got, c.coding)
		}
		if decode(t, r) != files[c.target[1:]] {
			t.Errorf("%s %q: not the file's content", c.target, c.accept)
		}
		if c.target == "/text.txt" {
			tag := r.Fields.Get("ETag")
			if known, ok := tags[c.coding]; ok && known != tag || tag == "" {
				t.Errorf("%q: ETag %q, then %q", c.coding, known, tag)
			}
			tags[c.coding] = tag
		}
	}
	different := map[string]bool{}
	for _, tag := range tags {
		different[tag] = true
	}
	if len(different) != int(codings) {
		t.Errorf("ETags do not tell codings apart: %v", tags)
	}
}

// prose is a text on which the codings differ in size.
const prose = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Planner</title></head><body><main><h1>Your week</h1>
<ul><li>Monday: write the plan</li><li>Tuesday: begin with the hard part</li><li>Wednesday: ask for help</li></ul></main></body></html>`

func TestCodingInSeveralFields(t *testing.T) {
	s := prepared(t, config.Site{Root: plant(t, app())}, Options{})
	if got := get(s, "GET", "/"+script, "Accept-Encoding", "deflate", "Accept-Encoding", "zstd").Fields.Get("Content-Encoding"); got != "zstd" {
		t.Error(got)
	}
	if got := get(s, "GET", "/"+script, "Accept-Encoding", "gzip, deflate, br", "Accept-Encoding", "br;q=0").Fields.Get("Content-Encoding"); got != "gzip" {
		t.Error(got)
	}
}

func TestWhatIsKnownByHeartIsWhatReadingGives(t *testing.T) {
	for _, value := range []string{"gzip, deflate, br, zstd", "gzip, deflate, br"} {
		known, ok := usualCodings(value)
		if read := acceptedCodings(exchange.Fields{{Name: "accept-encoding", Value: value}}); !ok || known != read {
			t.Errorf("%s: %v, %v, want %v", value, ok, known, read)
		}
	}
	if w, ok := usualCodings("gzip"); ok {
		t.Errorf("%v", w)
	}
}

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		accept string
		want   bool
	}{
		{"", true},
		{"text/html", true},
		{"TEXT/HTML; level=1", true},
		{"application/json, text/*;q=0.1", true},
		{"*/*", true},
		{"text/html;q=0.0, */*", false},
		{"text/*;q=0, text/html", true},
		{"text/html, text/html;q=0", true}, // the first one counts
		{"text/html;q=0, text/html", false},
		{"application/xhtml+xml", false},
		{"text", false},
		{"*", false},
		{"text/html;q=", false},
	} {
		var fields exchange.Fields
		if c.accept != "" {
			fields.Add("accept", c.accept)
		}
		if got := accepts(fields, "text", "html"); got != c.want {
			t.Errorf("%q: %v", c.accept, got)
		}
	}
}
