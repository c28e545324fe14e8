package uploads

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/onehost/edge/core/api/problem"
)

// A place keeps files by their names.
type place interface {
	provider() string
	put(ctx context.Context, name string, waiting *os.File, size int64) error // not over another one
	remove(ctx context.Context, name string) error                            // or finds it gone
	size(ctx context.Context, name string) (int64, error)                     // -1: it is not there
	serve(w http.ResponseWriter, r *http.Request, name string) error
}

// disk keeps files in a folder.
type disk struct{ folder string }

func (*disk) provider() string { return "local" }

func (d *disk) path(name string) string { return filepath.Join(d.folder, name) }

func (d *disk) put(_ context.Context, name string, waiting *os.File, _ int64) error {
	if err := waiting.Sync(); err != nil {
		return explain(err)
	}
	if err := os.Link(waiting.Name(), d.path(name)); err != nil {
		return explain(err)
	}
	return explain(syncFolder(d.folder))
}

func (d *disk) remove(_ context.Context, name string) error {
	if err := os.Remove(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *disk) size(_ context.Context, name string) (int64, error) {
	info, err := os.Lstat(d.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s is no file", d.path(name))
	}
	return info.Size(), nil
}

func (d *disk) serve(w http.ResponseWriter, r *http.Request, name string) error {
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
		return problem.NotFound()
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return problem.NotFound()
	}
	setHeaders(w.Header(), name)
	w.Header().Set("Etag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

// syncFolder has the names in a folder outlast the loss of power.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// explain says it when there is no space.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", full(), err)
	}
	return err
}
