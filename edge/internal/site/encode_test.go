package site

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// TestRunFinishesWhatOpenLeft asks for files all the while that they are compressed.
func TestRunFinishesWhatOpenLeft(t *testing.T) {
	files := app()
	files["v.mp4"] = video(1)
	s, err := load("app", config.Site{Root: plant(t, files)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := len(s.jobs)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil || len(s.jobs) != all || all == 0 {
		t.Errorf("a cancelled Run: %v, %d of %d jobs left", err, len(s.jobs), all)
	}
	ask := []string{"Accept-Encoding", "br, gzip, zstd"}
	if r := get(s, "GET", "/"+script, ask...); r.Body.String() != files[script] || !r.Fields.Has("Vary") {
		t.Errorf("before Run: %v", r.Fields)
	}
	if r := get(s, "GET", "/v.mp4"); r.Body.String() != files["v.mp4"] || r.Fields.Has("ETag") {
		t.Errorf("before Run: %v", r.Fields)
	}

	var visitors sync.WaitGroup
	done := make(chan struct{})
	visitors.Go(func() {
		for {
			for _, path := range []string{script, "index.html", "v.mp4"} {
				if r := get(s, "GET", "/"+path, ask...); decode(t, r) != files[path] {
					t.Errorf("%s: not the file's content", path)
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	if err := s.Run(t.Context()); err != nil {
		t.Error(err)
	}
	close(done)
	visitors.Wait()
	for path, want := range map[string]string{script: "br", "index.html": "br", "v.mp4": ""} {
		if r := get(s, "GET", "/"+path, ask...); r.Fields.Get("Content-Encoding") != want || !r.Fields.Has("ETag") {
			t.Errorf("%s after Run: %v", path, r.Fields)
		}
	}
}

// TestOpenThenRun is the way of a site in the program. How far Open gets depends on the machine.
func TestOpenThenRun(t *testing.T) {
	s, err := Open("app", config.Site{Root: plant(t, map[string]string{"a.txt": strings.Repeat("a", minCompressed)})}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(s.entries["/a.txt"].file.variants()); got != int(codings) || len(s.jobs) != 0 {
		t.Errorf("%d variants, %d jobs left", got, len(s.jobs))
	}
}

func TestCompressionIsBrokenOff(t *testing.T) {
	c := newCompressor(1)
	defer c.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, to := range []coding{gzipped, brotlied} {
		if out, err := c.compress(ctx, to, []byte("content")); err == nil {
			t.Errorf("%s: %q", to, out)
		}
	}
}

// TestZstdWindow holds that a browser, which gives zstd 8 MiB (RFC 9659), can read a file larger than that.
func TestZstdWindow(t *testing.T) {
	c := newCompressor(1)
	defer c.close()
	data := make([]byte, zstdWindow+1)
	out, err := c.compress(t.Context(), zstandard, data)
	if err != nil {
		t.Fatal(err)
	}
	var r exchangetest.Recorder
	r.Fields.Add("Content-Encoding", "zstd")
	r.Body.Write(out)
	if decode(t, &r) != string(data) {
		t.Error("not the same")
	}
}

func TestCacheKeepsBetweenStarts(t *testing.T) {
	root, dir := plant(t, app()), filepath.Join(t.TempDir(), "new", "cache")
	first := prepared(t, config.Site{Root: root}, Options{Cache: dir})
	want := get(first, "GET", "/"+script, "Accept-Encoding", "br")

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 6 { // two files in three codings
		t.Fatalf("%v, %v", entries, err)
	}
	// An entry with other content and a right checksum shows that the cache is what the second start uses.
	f := first.entries["/"+script].file
	if err := first.cache.write(cacheName(f.hash, brotlied), []byte("from the cache")); err != nil {
		t.Fatal(err)
	}
	if got := get(prepared(t, config.Site{Root: root}, Options{Cache: dir}), "GET", "/"+script, "Accept-Encoding", "br").Body.String(); got != "from the cache" {
		t.Errorf("made anew: %.40q", got)
	}

	path := filepath.Join(dir, cacheName(f.hash, brotlied))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(dir, cacheName(f.hash, gzipped)))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"cut short":       whole[:len(whole)-1],
		"longer":          append(append([]byte{}, whole...), 'x'),
		"a bit turned":    append(append([]byte{}, whole[:len(whole)-1]...), whole[len(whole)-1]^1),
		"empty":           nil,
		"foreign":         []byte("#!/bin/sh\n"),
		"another entry's": other,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		log, out := logged()
		got := get(prepared(t, config.Site{Root: root}, Options{Cache: dir, Log: log}), "GET", "/"+script, "Accept-Encoding", "br")
		if got.Body.String() != want.Body.String() || got.Fields.Get("ETag") != want.Fields.Get("ETag") {
			t.Errorf("%s: %.40q", name, got.Body.String())
		}
		if !strings.Contains(out.String(), "damaged") {
			t.Errorf("%s: not logged: %s", name, out)
		}
		if now, err := os.ReadFile(path); err != nil || len(now) == len(content) {
			t.Errorf("%s: not put right: %v", name, err)
		}
	}
}

func TestCacheRemembersWhatIsNotWorthIt(t *testing.T) {
	noise := video(3)[:2000]
	root, dir := plant(t, map[string]string{"noise.txt": noise}), t.TempDir()
	prepared(t, config.Site{Root: root}, Options{Cache: dir})
	s := prepared(t, config.Site{Root: root}, Options{Cache: dir})
	if content, ok := s.cache.load(s.entries["/noise.txt"].file.hash, brotlied); !ok || len(content) != 0 {
		t.Errorf("%d bytes, %v", len(content), ok)
	}
	if r := get(s, "GET", "/noise.txt", "Accept-Encoding", "br"); r.Fields.Has("Content-Encoding") || r.Body.String() != noise {
		t.Errorf("%v", r.Fields)
	}
}

func TestACacheThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "", built)
	log, out := logged()
	s := prepared(t, config.Site{Root: plant(t, app())}, Options{Cache: filepath.Join(file, "cache"), Log: log})
	if r := get(s, "GET", "/", "Accept-Encoding", "gzip"); r.Fields.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", r.Fields)
	}
	if strings.Count(out.String(), "not kept") != 1 {
		t.Errorf("log: %s", out)
	}
}

// TestPruneSparesWhatIsUsed holds that starting with an entry makes it young again.
func TestPruneSparesWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	log, _ := logged()
	c := openCache(dir, log)
	used, unused := [32]byte{1}, [32]byte{2}
	for _, hash := range [][32]byte{used, unused} {
		c.save(hash, gzipped, []byte("content"))
		old := time.Now().Add(-100 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, cacheName(hash, gzipped)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := c.load(used, gzipped); !ok {
		t.Fatal("not there")
	}
	c.prune(cacheBytes, 50*time.Hour)
	if _, ok := c.load(used, gzipped); !ok {
		t.Error("the used one is gone")
	}
	if _, ok := c.load(unused, gzipped); ok {
		t.Error("the unused one is still there")
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	log, _ := logged()
	c := openCache(dir, log)
	entry := func(n int) string { return cacheName([32]byte{byte(n)}, gzipped) }
	for n, age := range []time.Duration{0, time.Hour, 2 * time.Hour, 50 * time.Hour} {
		put(t, filepath.Join(dir, entry(n)), strings.Repeat("x", 100), time.Now().Add(-age))
	}
	put(t, filepath.Join(dir, ".new-123"), "crashed", time.Now().Add(-2*time.Hour))
	put(t, filepath.Join(dir, ".new-456"), "being written", time.Now())
	put(t, filepath.Join(dir, "somebody-elses"), "x", time.Now().Add(-1000*time.Hour))

	c.prune(220, 40*time.Hour)
	for name, want := range map[string]bool{entry(0): true, entry(1): true, entry(2): false, entry(3): false,
		".new-123": false, ".new-456": true, "somebody-elses": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
