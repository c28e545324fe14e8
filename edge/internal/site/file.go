package site

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// file is one file of a site.
type file struct {
	name         string // relative to the root, with slashes
	size         int64
	info         fs.FileInfo // as it was when the file was looked at
	data         []byte      // nil: served from disk
	hash         [sha256.Size]byte
	contentType  string
	compressible bool
	policy       string // Content-Security-Policy, "" for none

	have atomic.Pointer[[]variant]
}

// variant is a representation of a file (RFC 9110, section 3.2): its bytes in one content coding, and the heads of its answers.
type variant struct {
	coding       coding
	data         []byte // nil: served from disk
	length       int64
	etag         string // "" while the content of a file on disk has not been hashed
	lastModified string
	modified     time.Time       // in whole seconds, as Last-Modified says it
	fields       exchange.Fields // of a 200
	notModified  exchange.Fields // of a 304
	missing      exchange.Fields // of a 404, if the file is notFoundPage
}

func newFile(name string, info fs.FileInfo) *file {
	f := &file{name: name, size: info.Size(), info: info}
	f.contentType, f.compressible = mediaType(name)
	return f
}

// variants returns what there is of the file, the smallest first. The last one is the file as it is.
func (f *file) variants() []variant { return *f.have.Load() }

// publish adds v to the variants, in the place of one with the same coding. Not to be called by two goroutines at once.
func (f *file) publish(v variant) {
	var all []variant
	if have := f.have.Load(); have != nil {
		all = slices.DeleteFunc(slices.Clone(*have), func(old variant) bool { return old.coding == v.coding })
	}
	all = append(all, v)
	slices.SortStableFunc(all, func(a, b variant) int {
		switch {
		case a.coding == identity:
			return 1
		case b.coding == identity:
			return -1
		}
		return cmp.Compare(a.length, b.length)
	})
	f.have.Store(&all)
}

// plain returns the variant without a content coding. A zero hash means that the content is not known yet.
func (f *file) plain(length int64, hash [sha256.Size]byte) variant {
	return f.variant(identity, f.data, length, hash, f.info.ModTime())
}

// variant makes the variant of f in a coding.
//
// Its ETag is made of its own bytes, not of the file's: a newer compressor makes other bytes of the same file, and a
// strong validator has to tell them apart (RFC 9110, section 8.8.1).
func (f *file) variant(c coding, data []byte, length int64, hash [sha256.Size]byte, modified time.Time) variant {
	v := variant{coding: c, data: data, length: length}
	v.modified = modified.Truncate(time.Second)
	v.lastModified = v.modified.UTC().Format(http.TimeFormat)
	if hash != ([sha256.Size]byte{}) {
		v.etag = `"` + base64.RawURLEncoding.EncodeToString(hash[:15]) + `"`
	}

	var shared exchange.Fields
	if v.etag != "" {
		shared.Add("ETag", v.etag)
	}
	shared = append(shared, f.lasting()...)

	v.fields.Add("Content-Type", f.contentType)
	if c != identity {
		v.fields.Add("Content-Encoding", c.String())
	}
	v.fields.Add("Last-Modified", v.lastModified)
	v.fields.Add("Accept-Ranges", "bytes")
	v.fields = append(v.fields, shared...)

	// A 304 says again what a cache is to update of what it holds (RFC 9110, section 15.4.5), the policy too: a change of it
	// reaches visitors although the file is the same.
	if v.etag == "" {
		v.notModified.Add("Last-Modified", v.lastModified)
	}
	v.notModified = append(v.notModified, shared...)
	if f.name == notFoundPage {
		v.missing = missing(v.fields)
	}
	return v
}

// notFoundPage is the name of the file that answers for missing ones.
const notFoundPage = "404.html"

// missing makes the fields of a 404 of those of a 200.
func missing(found exchange.Fields) exchange.Fields {
	var fields exchange.Fields
	for _, f := range found {
		switch f.Name {
		case "ETag", "Last-Modified", "Accept-Ranges": // they are the page's, not the missing file's
		case "Cache-Control":
			fields.Add(f.Name, "no-store")
		default:
			fields.Add(f.Name, f.Value)
		}
	}
	return fields
}

// lasting are the fields that 200, 206 and 304 all have.
func (f *file) lasting() exchange.Fields {
	fields := exchange.Fields{
		{Name: "Cache-Control", Value: cacheControl(f.name)},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
	}
	if f.compressible {
		fields.Add("Vary", "Accept-Encoding")
	}
	if isDocument(f.contentType) {
		fields.Add("Referrer-Policy", "strict-origin-when-cross-origin")
		if f.policy != "" {
			fields.Add("Content-Security-Policy", f.policy)
		}
	}
	return fields
}

// isDocument reports whether a browser may run scripts that stand in a file of this type.
func isDocument(contentType string) bool {
	return strings.HasPrefix(contentType, "text/html") || contentType == "application/xhtml+xml" || contentType == "image/svg+xml"
}

// extension returns the extension of a file's name in lower case, with its dot.
func extension(name string) string { return strings.ToLower(path.Ext(name)) }
