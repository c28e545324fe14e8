package site

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// errFileChanged says that a file changed while it was being sent. The visitor gets a broken answer, not a mixed one.
var errFileChanged = errors.New("file changed while it was being sent")

// serveFromDisk answers with a file that is too large for memory. If it is no longer the version that was hashed, the new
// one is served, with no other validator than its time.
func (s *Site) serveFromDisk(x *exchange.Exchange, q *question, f *file, v *variant) {
	root, err := os.OpenRoot(s.root)
	if err != nil {
		s.diskError(x, f, err)
		return
	}
	defer func() { _ = root.Close() }() // was only read from
	opened, info, err := openRegular(root, f.name)
	if err != nil {
		s.diskError(x, f, err)
		return
	}
	defer func() { _ = opened.Close() }() // was only read from
	if !sameVersion(info, f.info) {
		changed := f.variant(identity, nil, info.Size(), [32]byte{}, info.ModTime())
		v = &changed
	}
	answer(x, q, v, &disk{File: opened, info: info, chunks: &s.chunks})
}

// diskError answers for a file that was there when the site was opened.
func (s *Site) diskError(x *exchange.Exchange, f *file, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		s.missing(x)
		return
	}
	s.log.Error("a file of the site can't be read", "path", s.filePath(f), "error", cause(err))
	reply.Error(x, 500, "site_file_error")
}

// chunkSize is how much of a file on disk is sent at once, in bytes: four TLS records. With less the system calls show, and
// more does not stay in a processor's cache between being read and being encrypted.
const chunkSize = 64 << 10

// disk is a file that is being sent.
type disk struct {
	*os.File
	info   fs.FileInfo // when it was opened
	chunks *sync.Pool  // of *[chunkSize]byte
}

// changed reports whether it was written to since.
func (d *disk) changed() bool {
	info, err := d.Stat()
	return err != nil || !sameVersion(info, d.info)
}

// send writes a part of the file and reports whether the answer may go on.
func (d *disk) send(x *exchange.Exchange, part span) bool {
	chunk, ok := d.chunks.Get().(*[chunkSize]byte)
	if !ok {
		chunk = new([chunkSize]byte)
	}
	for end := part.from + part.length; part.from < end; {
		n, err := d.ReadAt(chunk[:min(chunkSize, end-part.from)], part.from)
		part.from += int64(n)
		last := part.from == end
		if n == 0 || last && d.changed() { // looked at before the last byte is out: then the visitor sees that it is broken
			x.Record.ErrorReason = "site_file_error"
			if err == nil || errors.Is(err, io.EOF) {
				x.Record.ErrorReason, err = "site_file_changed", errFileChanged
			}
			x.Abort(err)
			return false
		}
		if _, err := x.Write(chunk[:n]); err != nil {
			return false // without the chunk: x/net/http2 may still read it, for a stream that was reset
		}
	}
	d.chunks.Put(chunk)
	return true
}
