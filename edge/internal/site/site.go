// Package site serves the static files of one web app, prepared in memory.
//
// A [Site] is a snapshot: [Open] walks the root once, reads and hashes the files, compresses what is worth it and
// makes every answer's head. What changes on disk afterwards shows after the next Open, which is what a reload does;
// only files too large for memory are read from disk for each answer, and an answer is always of one version of one file.
//
// In comes what it takes to answer GET and HEAD for a tree of files: lookup, content coding, validators, ranges, and the
// fields that keep a browser out of trouble. Who gets to the site, and under which path, is decided by rules.
package site

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// patience is how long Open compresses before it leaves the rest to Run. A usual web app is done within it, so that it
// never serves an answer uncompressed; a huge one does not hold up the start.
const patience = time.Second

// Options are what a site needs besides its configuration.
type Options struct {
	// Cache is a folder in which compressed files are kept between starts. Sites may share it; "" keeps none.
	Cache string
	// Log says what an operator should know: a file that was skipped or changed, a cache that can't be used. nil: nothing.
	Log *slog.Logger
}

// Site answers with the files of one web app. It is an [exchange.Handler], safe for any number of exchanges at once.
type Site struct {
	root     string // without symbolic links, so that it stays the same folder when the link to it is moved
	log      *slog.Logger
	cache    cache
	entries  map[string]entry // by decoded path
	fallback *file            // of an SPA: index.html
	notFound *file            // 404.html, if there is one

	chunks sync.Pool // see disk

	mu   sync.Mutex
	jobs []job // what is still to compress or hash, cheapest first
}

// entry is what a path leads to.
type entry struct {
	file   *file
	folder string // "" for none: a relative reference to the path with a slash at its end
}

// Open reads the site's files. Files that are still to be compressed when it returns are served as they are until [Site.Run]
// gets to them.
//
// Its error says which path is wrong and what to do about it.
func Open(name string, cfg config.Site, o Options) (*Site, error) {
	s, err := load(name, cfg, o)
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.work(ctx, runtime.GOMAXPROCS(0))
	return s, nil
}

// load reads the site's files and compresses none.
func load(name string, cfg config.Site, o Options) (*Site, error) {
	s := &Site{log: o.Log, entries: make(map[string]entry)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("site", name)
	s.cache = openCache(o.Cache, s.log)

	t, err := openTree(cfg.Root, s.log)
	if err != nil {
		return nil, err
	}
	defer t.close()
	s.root = t.path
	files, err := t.read()
	if err != nil {
		return nil, err
	}
	newPolicy(cfg.CSP, files).apply(files)
	for _, f := range files {
		s.add(f)
	}
	if cfg.SPA {
		if s.fallback = s.entries["/index.html"].file; s.fallback == nil {
			return nil, noIndex(cfg.Root)
		}
	}
	s.notFound = s.entries["/"+notFoundPage].file
	sortJobs(s.jobs)
	return s, nil
}

// add makes f reachable and notes what is to be done for it. An index.html also answers for its folder.
func (s *Site) add(f *file) {
	at := "/" + f.name
	s.entries[at] = entry{file: f}
	if folder, ok := strings.CutSuffix(at, "/index.html"); ok {
		s.entries[folder+"/"] = entry{file: f}
		if folder != "" {
			s.entries[folder] = entry{folder: "./" + url.PathEscape(folder[strings.LastIndexByte(folder, '/')+1:]) + "/"}
		}
	}
	f.publish(f.plain(f.size, f.hash))
	s.jobs = append(s.jobs, jobsOf(f)...)
}

// ServeExchange answers with the file that the path names.
//
// The fallback of an SPA answers for a path whose last segment has no extension when the visitor takes HTML. It never
// answers below a dot folder: that a missing /.well-known/ resource is a 404 is what its readers rely on (RFC 8615).
func (s *Site) ServeExchange(x *exchange.Exchange) {
	e := s.find(x.Path)
	reads := x.Method == http.MethodGet || x.Method == http.MethodHead
	switch {
	case !reads && (e.file != nil || e.folder != ""):
		x.Response.Fields.Add("Allow", "GET, HEAD")
		reply.Error(x, 405, "method_not_allowed")
	case e.file != nil:
		s.serve(x, e.file)
	case e.folder != "":
		redirectToFolder(x, e.folder)
	case reads && s.fallback != nil && isRoute(x.Path) && accepts(x.Fields, "text", "html"):
		s.serve(x, s.fallback)
	default:
		s.missing(x)
	}
}

// find looks a normalised, percent-encoded path up. An encoded slash is no separator, so it names nothing.
func (s *Site) find(path string) entry {
	if strings.IndexByte(path, '%') < 0 {
		return s.entries[path]
	}
	var room [512]byte // keeps a usual path from allocating
	decoded := room[:0]
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return entry{}
			}
			high, low := unhex(path[i+1]), unhex(path[i+2])
			if c = high<<4 | low; high > 15 || low > 15 || c == '/' || c == 0 {
				return entry{}
			}
			i += 2
		}
		decoded = append(decoded, c)
	}
	return s.entries[string(decoded)]
}

// unhex returns the value of a hexadecimal digit, 255 for anything else.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// isRoute reports whether path may be a page that an SPA makes up: no extension at its end, no dot folder on its way.
// Dots are unreserved, so that a normalised path has none in an encoded form.
func isRoute(path string) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	return strings.IndexByte(last, '.') < 0 && !strings.Contains(path, "/.")
}

// redirectToFolder adds the slash that relative links in the folder's index.html rely on. The location is relative too,
// because a rule may have rewritten the path: only its last segment is surely the visitor's.
func redirectToFolder(x *exchange.Exchange, folder string) {
	if x.HasQuery {
		folder += "?" + x.RawQuery
	}
	x.Response.Fields.Add("X-Content-Type-Options", "nosniff")
	reply.Redirect(x, folder, 301)
}

// missing answers 404, with the site's own page if there is one and the visitor takes HTML. It is never stored: the
// file may be there a moment later, with the next release.
func (s *Site) missing(x *exchange.Exchange) {
	f := s.notFound
	if f == nil || f.data == nil || !accepts(x.Fields, "text", "html") {
		reply.Error(x, 404, "no_such_file")
		return
	}
	q := questionOf(x.Fields)
	v := choose(f.variants(), &q)
	if v == nil {
		reply.Error(x, 404, "no_such_file")
		return
	}
	x.Record.ErrorReason = "no_such_file"
	x.Response.Status, x.Response.Length = 404, v.length
	x.Response.Fields = append(x.Response.Fields, v.missing...)
	_, _ = x.Write(v.data) // the front knows
}

// filePath is where f lies, for messages to the operator.
func (s *Site) filePath(f *file) string { return filepath.Join(s.root, filepath.FromSlash(f.name)) }
