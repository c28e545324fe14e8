package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"time"
)

// Bounds of the cache: an entry that no site has used for cacheAge goes, and the oldest ones while all are over cacheBytes.
const (
	cacheBytes = 1 << 30
	cacheAge   = 30 * 24 * time.Hour
)

// cacheMagic begins every entry. It is changed when the compressors are to be run again.
const cacheMagic = "edge site cache 1\n"

// cache keeps compressed files between starts, each in a file named by the hash of what it was made from and its coding.
//
// An entry is cacheMagic, a checksum over its name and its content, and the content; empty content says that compressing
// was not worth it. One that is not right to the last bit is as good as none and is made anew.
type cache struct {
	dir    string // "" keeps nothing
	log    *slog.Logger
	broken *atomic.Bool // writing failed and was reported
}

func openCache(dir string, log *slog.Logger) cache {
	c := cache{dir: dir, log: log, broken: new(atomic.Bool)}
	if dir == "" {
		return c
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		log.Warn("compressed files are not kept between starts", "cache", dir, "error", cause(err))
		c.dir = ""
	}
	return c
}

func cacheName(hash [sha256.Size]byte, c coding) string {
	return hex.EncodeToString(hash[:]) + "." + c.String()
}

// cacheEntry is how a cache's own files are named; no others are ever removed.
var cacheEntry = regexp.MustCompile(`^(?:[0-9a-f]{64}\.(?:gzip|br|zstd)|\.new-[0-9]+)$`)

func checksum(name string, content []byte) []byte {
	h := sha256.New()
	_, _ = io.WriteString(h, name+"\n") // a hash takes everything
	_, _ = h.Write(content)
	return h.Sum(nil)
}

// load returns what was saved for a file in a coding.
func (c cache) load(hash [sha256.Size]byte, as coding) ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	name := cacheName(hash, as)
	path := filepath.Join(c.dir, name)
	entry, err := readAtMost(path, maxCompressible+1024)
	if err != nil {
		return nil, false
	}
	rest, ok := bytes.CutPrefix(entry, []byte(cacheMagic))
	if !ok || len(rest) < sha256.Size || !bytes.Equal(rest[:sha256.Size], checksum(name, rest[sha256.Size:])) {
		c.log.Warn("a damaged cache entry is made anew", "path", path)
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // keeps it from being pruned; if that fails, it is made anew one day
	return rest[sha256.Size:], true
}

// readAtMost reads the first limit bytes of a file: an entry that is longer is not one of ours, as its checksum says.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // was only read from
	return io.ReadAll(io.LimitReader(f, limit))
}

// save keeps what a file is in a coding. That it can't is reported once; the site serves all the same.
func (c cache) save(hash [sha256.Size]byte, as coding, content []byte) {
	if c.dir == "" || c.broken.Load() {
		return
	}
	if err := c.write(cacheName(hash, as), content); err != nil && c.broken.CompareAndSwap(false, true) {
		c.log.Warn("compressed files are not kept between starts", "cache", c.dir, "error", cause(err))
	}
}

// write makes an entry appear whole or not at all. A checksum does what syncing would do, at the cost of compressing again.
func (c cache) write(name string, content []byte) error {
	f, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat([]byte(cacheMagic), checksum(name, content), content))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is left of it is pruned
	}
	return err
}

// prune removes the entries that were not used for longer than age, and of the rest the oldest until they are within limit bytes.
func (c cache) prune(limit int64, age time.Duration) {
	if c.dir == "" {
		return
	}
	listed, err := os.ReadDir(c.dir)
	if err != nil {
		c.log.Warn("the cache can't be pruned", "cache", c.dir, "error", cause(err))
		return
	}
	type entry struct {
		name string
		used time.Time
		size int64
	}
	var entries []entry
	total := int64(0)
	for _, e := range listed {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !cacheEntry.MatchString(e.Name()) {
			continue
		}
		entries = append(entries, entry{e.Name(), info.ModTime(), info.Size()})
		total += info.Size()
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		old := time.Since(e.used)
		abandoned := e.name[0] == '.' && old > time.Hour // a crash left it behind
		if total <= limit && old <= age && !abandoned {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, e.name)); err == nil {
			total -= e.size
		}
	}
}
