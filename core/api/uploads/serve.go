package uploads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/fault"
)

// ServeFile answers GET and HEAD /uploads/NAME. What lies in the folder is found there even when new files go into a bucket.
func (u *Uploads) ServeFile(w http.ResponseWriter, r *http.Request, name string) error {
	s := u.now.Load()
	if !isName(name) {
		return problem.NotFound()
	}
	if s.bucket != nil {
		if size, err := s.disk.size(r.Context(), name); err != nil || size < 0 {
			return s.bucket.serve(w, r, name)
		}
	}
	return s.disk.serve(w, r, name)
}

// Import keeps a file of so many bytes under its old name, unless one of that size is there. It reports whether none was.
func (u *Uploads) Import(ctx context.Context, name string, size int64, from io.Reader) (kept bool, err error) {
	s := u.now.Load()
	if !isName(name) {
		return false, fmt.Errorf("%q is no name of a file here: letters, digits, -, _ and .: %w", name, fault.Invalid)
	}
	there, err := s.place().size(ctx, name)
	if err != nil || there == size {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Join(s.Folder, incoming), ".import-*") // a name that no file has
	if err != nil {
		return false, explain(err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	n, err := io.Copy(f, io.LimitReader(from, size+1))
	if err != nil {
		return false, explain(err)
	}
	if n != size {
		return false, fmt.Errorf("%s has %d bytes and not %d: it changes, or the connection broke: %w", name, n, size, fault.Invalid)
	}
	if there >= 0 {
		if err := s.place().remove(ctx, name); err != nil {
			return false, err
		}
	}
	return true, s.place().put(ctx, name, f, size)
}
