package site

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/onehost/edge/core/config"
)

func TestRootsThatCannotBeServed(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "x", built)
	put(t, filepath.Join(dir, "hidden/.env"), "x", built)
	put(t, filepath.Join(dir, "plain/a.txt"), "x", built)
	for _, name := range []string{"empty", "unreadable", "loop"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"missing": "does not exist",
		"file":    "is not a folder",
		"empty":   "no files to serve",
		"hidden":  "no files to serve",
		"plain":   "no index.html",
	} {
		root := filepath.Join(dir, name)
		cfg := config.Site{Root: root, SPA: true}
		_, err := Open("app", cfg, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), root) || !strings.HasPrefix(err.Error(), "site app: ") {
			t.Errorf("%s: %v", name, err)
		}
		problems := Check(&config.Config{Sites: map[string]config.Site{"app": cfg}})
		if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: Check: %v", name, problems)
		}
	}
	if p := Check(&config.Config{Sites: map[string]config.Site{"app": {Root: filepath.Join(dir, "plain")}}}); len(p) != 1 || !p[0].Warning {
		t.Errorf("a plain site without index.html: %v", p)
	}
}

func TestUnreadableFile(t *testing.T) {
	root := plant(t, app())
	path := filepath.Join(root, "a/b.txt")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	asOwner(t, func() {
		if _, err := Open("app", config.Site{Root: root}, Options{}); err == nil || !strings.Contains(err.Error(), path+": permission denied") {
			t.Error(err)
		}
		if p := Check(&config.Config{Sites: map[string]config.Site{"app": {Root: root}}}); len(p) != 1 || !strings.Contains(p[0].Message, path) {
			t.Error(p)
		}
	})
}

// asOwner runs f without root's right to read everything, should the tests have it, on a thread that ends with it.
func asOwner(t *testing.T, f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlocked
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var rights [2]unix.CapUserData
		if err := unix.Capset(&header, &rights[0]); err != nil {
			t.Error(err)
		}
		f()
	})
	wg.Wait()
}

func TestLinks(t *testing.T) {
	root := plant(t, map[string]string{"index.html": "x", "real/a.txt": "inside"})
	secret := filepath.Join(t.TempDir(), "secret.txt")
	put(t, secret, "secret", built)
	beside, err := filepath.Rel(root, secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"in.txt": "real/a.txt", "out.txt": secret, "beside.txt": beside, "folder": "real", "up": "..", "loop.txt": "loop.txt",
		"gone.txt": "nothing",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, out := logged()
	s := open(t, config.Site{Root: root}, Options{Log: log})
	for path, want := range map[string]int{"/in.txt": 200, "/out.txt": 404, "/beside.txt": 404, "/folder/a.txt": 404, "/up/secret.txt": 404,
		"/loop.txt": 404, "/gone.txt": 404, "/pipe.txt": 404} {
		if r := get(s, "GET", path); r.Status != want || strings.Contains(r.Body.String(), "secret") {
			t.Errorf("%s: %d", path, r.Status)
		}
	}
	if !strings.Contains(out.String(), filepath.Join(root, "out.txt")) {
		t.Errorf("not logged: %s", out)
	}
}

// TestRootBehindALink keeps serving the folder that a link led to when the site was opened.
func TestRootBehindALink(t *testing.T) {
	first, second := plant(t, map[string]string{"v.mp4": video(1)}), plant(t, map[string]string{"v.mp4": video(2)})
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	s := prepared(t, config.Site{Root: link}, Options{})
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(second, link); err != nil {
		t.Fatal(err)
	}
	if r := get(s, "GET", "/v.mp4"); r.Body.String() != video(1) || !r.Fields.Has("ETag") {
		t.Errorf("%d, %d bytes, %v", r.Status, r.Body.Len(), r.Fields)
	}
}

func TestBounds(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files["f"+strconv.Itoa(i)+".txt"] = strings.Repeat("x", 100)
	}
	log, _ := logged()
	tr, err := openTree(plant(t, files), log)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()

	tr.maxMemory = 1000
	read, err := tr.read()
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, f := range read {
		held += len(f.data)
	}
	if len(read) != 20 || held != 1000 {
		t.Errorf("%d files, %d bytes in memory", len(read), held)
	}

	tr.maxFiles = 19
	if _, err := tr.read(); err == nil || !strings.Contains(err.Error(), "more than 19 files") {
		t.Error(err)
	}
}

func TestCheckSources(t *testing.T) {
	for _, c := range []struct {
		key, source, want string
	}{
		{"connect", "https://api.example.com", ""},
		{"script", "'unsafe-eval'", ""},
		{"frame-ancestors", "'none'", ""},
		{"img", "data:", ""},
		{"conect", "https://a", "no directive"},
		{"script", "self", "in quotes"},
		{"script", "https://a https://b", "not a source"},
		{"script", "https://a;img-src *", "not a source"},
		{"script", "a,b", "not a source"},
		{"script", "", "not a source"},
		{"script", "https://ä", "not a source"},
	} {
		got := strings.Join(checkSources(c.key, []string{c.source}), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %q: %q", c.key, c.source, got)
		}
	}
	if got := checkSources("script", []string{"'none'", "https://a"}); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
