package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSiteRules holds what a site answers to which path, method and Accept.
func TestSiteRules(t *testing.T) {
	root := folder(t,
		"index.html", "<!doctype html><title>home</title>", "about.html", "about", "docs/index.html", "docs", "data.json", "{}",
		".well-known/security.txt", "Contact: x", ".env", "SECRET", ".git/config", "SECRET", "sub/.hidden", "SECRET")
	modified := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "data.json"), modified, modified); err != nil {
		t.Fatal(err)
	}
	s := serve(t, `
sites:
  app: {root: ROOT, spa: true}
  plain: {root: ROOT}
hosts:
  localhost: {default: {site: app}}
  plain.localhost: {default: {site: plain}}
`, "ROOT", root)
	const html, json = "Accept: text/html,*/*;q=0.8", "Accept: application/json"
	type want map[string]string
	tests := []struct {
		name        string
		method, url string
		field       string
		status      int
		text        string
		want        want
	}{
		{"index", "GET", "https://localhost/", html, 200, "home", want{"Cache-Control": "no-cache"}},
		{"fallback for a browser", "GET", "https://localhost/goals/7", html, 200, "home", nil},
		{"fallback without Accept", "GET", "https://localhost/goals/7", "", 200, "home", nil},
		{"fallback for any type", "GET", "https://localhost/goals/7", "Accept: */*", 200, "home", nil},
		{"fallback of HEAD", "HEAD", "https://localhost/goals/7", html, 200, "", nil},
		{"a folder with a dot is no extension", "GET", "https://localhost/v1.2/goals", html, 200, "home", nil},
		{"none for a program", "GET", "https://localhost/goals/7", json, 404, "", want{"Cache-Control": "no-store"}},
		{"none for who refuses HTML", "GET", "https://localhost/goals/7", "Accept: text/html;q=0, */*", 404, "", want{"Cache-Control": "no-store"}},
		{"none with an extension", "GET", "https://localhost/goals/7.png", html, 404, "", want{"Cache-Control": "no-store"}},
		{"POST of what is missing", "POST", "https://localhost/goals/7", html, 404, "", want{"Cache-Control": "no-store"}},
		{"none of a plain site", "GET", "https://plain.localhost/goals/7", html, 404, "", want{"Cache-Control": "no-store"}},
		{"the file's time", "GET", "https://localhost/data.json", "", 200, "{}", want{"Last-Modified": modified.Format(http.TimeFormat), "Content-Type": "application/json"}},
		{"not modified since", "GET", "https://localhost/data.json", "If-Modified-Since: " + modified.Format(http.TimeFormat), 304, "", nil},
		{"a range", "GET", "https://plain.localhost/about.html", "Range: bytes=1-2", 206, "bo", want{"Content-Range": "bytes 1-2/5"}},
		{".well-known", "GET", "https://localhost/.well-known/security.txt", "", 200, "Contact", nil},
		{"a dot file", "GET", "https://localhost/.env", html, 404, "", want{"Cache-Control": "no-store"}},
		{"a dot folder", "GET", "https://localhost/.git/config", html, 404, "", want{"Cache-Control": "no-store"}},
		{"a dot file below", "GET", "https://plain.localhost/sub/.hidden", html, 404, "", want{"Cache-Control": "no-store"}},
		{"a dot in disguise", "GET", "https://localhost/%2Eenv", html, 404, "", want{"Cache-Control": "no-store"}},
	}
	for _, protocol := range protocols {
		client := s.client(protocol)
		for _, test := range tests {
			t.Run(protocol+"/"+test.name, func(t *testing.T) {
				var fields []string
				if test.field != "" {
					fields = append(fields, test.field)
				}
				got := fetch(t, client, test.method, test.url, "", fields...)
				if got.StatusCode != test.status || !strings.Contains(got.text, test.text) || strings.Contains(got.text, "SECRET") {
					t.Errorf("%d, want %d\n%s", got.StatusCode, test.status, got.text)
				}
				if got.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.Error("no nosniff")
				}
				for name, value := range test.want {
					if got.Header.Get(name) != value {
						t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
					}
				}
			})
		}
	}
}
