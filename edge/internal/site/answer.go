package site

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// serve answers with a file that is there.
func (s *Site) serve(x *exchange.Exchange, f *file) {
	v := choose(f.variants(), x.Fields)
	if v == nil {
		reply.Error(x, 406, "no_acceptable_coding")
		return
	}
	if v.data != nil || v.length == 0 {
		answer(x, v, nil)
		return
	}
	s.serveFromDisk(x, f, v)
}

// errFileChanged says that a file changed while it was being sent. The visitor gets a broken answer, not a mixed one.
var errFileChanged = errors.New("file changed while it was being sent")

// serveFromDisk answers with a file that is too large for memory. If it is no longer the version that was hashed, the new
// one is served, with no other validator than its time.
func (s *Site) serveFromDisk(x *exchange.Exchange, f *file, v *variant) {
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
	answer(x, v, &disk{File: opened, info: info})
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

// disk is a file that is being sent.
type disk struct {
	*os.File
	info fs.FileInfo // when it was opened
}

// changed reports whether it was written to since.
func (d *disk) changed() bool {
	info, err := d.Stat()
	return err != nil || !sameVersion(info, d.info)
}

// answer sends v, or what of it the request's conditions and ranges leave. d is where its bytes are if not in v.data.
//
// Ranges are those of the variant that was chosen, compressed or not, as nginx does with precompressed files: its strong
// ETag keeps ranges of different codings apart. Browsers ask for ranges of the plain file.
func answer(x *exchange.Exchange, v *variant, d *disk) {
	switch precondition(x.Fields, v) {
	case 304:
		x.Response.Status = 304
		x.Response.Fields = append(x.Response.Fields, v.notModified...)
		return
	case 412:
		reply.Error(x, 412, "precondition_failed")
		return
	}
	if value, sent := x.Fields.Lookup("Range"); sent && x.Method == http.MethodGet && rangeHolds(x.Fields, v) {
		parts, verdict := parseRange(value, v.length)
		switch verdict {
		case whole:
		case unsatisfiable:
			x.Response.Fields.Add("Content-Range", "bytes */"+strconv.FormatInt(v.length, 10))
			reply.Error(x, 416, "range_not_satisfiable")
			return
		case partial:
			answerParts(x, v, d, parts.all())
			return
		}
	}
	x.Response.Status, x.Response.Length = 200, v.length
	x.Response.Fields = append(x.Response.Fields, v.fields...)
	send(x, v, d, span{0, v.length})
}

// answerParts sends one range as it is, several in a multipart body.
func answerParts(x *exchange.Exchange, v *variant, d *disk, parts []span) {
	x.Response.Fields = append(x.Response.Fields, v.fields...)
	if len(parts) == 1 {
		addRange(x, parts[0], v.length)
		send(x, v, d, parts[0])
		return
	}
	m := newMultipart(parts, v)
	x.Response.Status, x.Response.Length = 206, m.length
	x.Response.Fields.Set("Content-Type", m.contentType)
	for i, p := range parts {
		if _, err := io.WriteString(x, m.heads[i]); err != nil || !send(x, v, d, p) {
			return
		}
	}
	_, _ = io.WriteString(x, m.end) // the front knows
}

// chunkSize is how much of a file on disk is sent at once, in bytes.
const chunkSize = 64 << 10

// send writes a part of v and reports whether the answer may go on.
func send(x *exchange.Exchange, v *variant, d *disk, part span) bool {
	if x.Method == http.MethodHead {
		return true
	}
	if d == nil {
		_, err := x.Write(v.data[part.from : part.from+part.length])
		return err == nil
	}
	buffer := make([]byte, min(chunkSize, part.length))
	for end := part.from + part.length; part.from < end; {
		n, err := d.ReadAt(buffer[:min(int64(len(buffer)), end-part.from)], part.from)
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
		if _, err := x.Write(buffer[:n]); err != nil {
			return false
		}
	}
	return true
}
