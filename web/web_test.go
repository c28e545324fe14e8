package web

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

var reference = regexp.MustCompile(`(?:src|href)="/([^"]+\.[a-z0-9]+)"`)

// TestBuiltAppIsWhole holds that what index.html refers to is there, and that nothing is left of an older build.
func TestBuiltAppIsWhole(t *testing.T) {
	app := App()
	index, err := fs.ReadFile(app, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	referred := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(string(index), -1) {
		referred[m[1]] = true
		if content, err := fs.ReadFile(app, m[1]); err != nil || len(content) == 0 {
			t.Errorf("index.html refers to %s: %d bytes, %v", m[1], len(content), err)
		}
	}
	assets, err := fs.ReadDir(app, "assets")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, a := range assets {
		kinds[path.Ext(a.Name())]++
		if !referred["assets/"+a.Name()] {
			t.Errorf("assets/%s is not referred to: run npm run build", a.Name())
		}
	}
	if kinds[".js"] != 1 || kinds[".css"] != 1 {
		t.Errorf("assets: %v", kinds)
	}
	if strings.Contains(string(index), "/src/") {
		t.Error("index.html is the source, not what was built")
	}
}
