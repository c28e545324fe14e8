package site

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bounds of a site. What is over the memory bounds is served from disk; a tree over maxFiles is refused, because it is
// then most likely not the folder that was meant.
const (
	maxFiles        = 50_000
	maxMemory       = 512 << 20 // bytes of all files held in memory, before compression
	maxPlainFile    = 1 << 20   // bytes of a file held in memory that is not worth compressing
	maxCompressible = 16 << 20  // bytes of one that is
)

// tree is a folder of files, read through an os.Root: nothing outside of it can be named, through symbolic links neither.
type tree struct {
	path string // absolute, without symbolic links
	root *os.Root
	log  *slog.Logger

	maxFiles  int
	maxMemory int64
	memory    int64
}

func openTree(path string, log *slog.Logger) (*tree, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, rootError(path, err)
	}
	if info, err := os.Stat(resolved); err == nil && !info.IsDir() {
		return nil, rootError(path, syscall.ENOTDIR) // says so before opening, which would wait for a named pipe's writer
	}
	root, err := os.OpenRoot(resolved)
	if err != nil {
		return nil, rootError(path, err)
	}
	return &tree{path: resolved, root: root, log: log, maxFiles: maxFiles, maxMemory: maxMemory}, nil
}

func (t *tree) close() { _ = t.root.Close() } // was only read from

// rootError says what is wrong with a site's root, in the words of someone who has to put it right.
func rootError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("root %s does not exist: build the web app, or correct the path", path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("root %s is not a folder", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("root %s can't be read: let the user that edge runs as read it", path)
	}
	return fmt.Errorf("root %s: %w", path, cause(err))
}

func noIndex(root string) error {
	return fmt.Errorf("root %s has no index.html, which spa: true needs", root)
}

// cause strips a PathError of its operation and path, which in an os.Root are not the ones that an operator knows.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (t *tree) fileError(name string, err error) error {
	return fmt.Errorf("%s: %w", filepath.Join(t.path, name), cause(err))
}

// read returns the files of the tree in the order of their names.
func (t *tree) read() ([]*file, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	files := make([]*file, 0, len(names))
	for _, name := range names {
		f, err := t.load(name)
		if err != nil {
			return nil, t.fileError(name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// names lists the regular files of the tree that are to be served, sorted.
func (t *tree) names() ([]string, error) {
	var names []string
	folders := []string{"."}
	for len(folders) > 0 {
		folder := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		entries, err := t.list(folder)
		if err != nil {
			return nil, t.fileError(folder, err)
		}
		for _, e := range entries {
			name := e.Name()
			if folder != "." {
				name = folder + "/" + name
			}
			switch {
			case strings.HasPrefix(e.Name(), ".") && name != ".well-known":
			case e.IsDir():
				folders = append(folders, name)
			case t.isFile(name, e):
				names = append(names, name)
			}
		}
		if len(names)+len(folders) > t.maxFiles {
			return nil, fmt.Errorf("root %s has more than %d files: name the folder that holds the built web app", t.path, t.maxFiles)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("root %s has no files to serve: build the web app first", t.path)
	}
	slices.Sort(names)
	return names, nil
}

// list returns what is in a folder, or some of it when there is more than the tree may have.
func (t *tree) list(folder string) ([]fs.DirEntry, error) {
	d, err := t.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // was only read from
	entries, err := d.ReadDir(t.maxFiles + 1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}

// isFile reports whether name is a regular file, or a symbolic link to one inside the tree.
func (t *tree) isFile(name string, e fs.DirEntry) bool {
	if e.Type().IsRegular() {
		return true
	}
	if e.Type() == fs.ModeSymlink {
		if info, err := t.root.Stat(name); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	t.log.Warn("not served: neither a regular file nor a link to one inside the root", "path", filepath.Join(t.path, name))
	return false
}

// openRegular opens a regular file without waiting, should it have become a named pipe.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file any more")
	}
	if err != nil {
		_ = f.Close() // was only read from
		return nil, nil, err
	}
	return f, info, nil
}

// errChanging says that a file was written to while it was read.
var errChanging = errors.New("changes while it is read: build into another folder and move it into place")

// load reads a file into memory, or only looks at it if it is to be served from disk.
func (t *tree) load(name string) (*file, error) {
	const attempts = 3
	for range attempts {
		opened, info, err := openRegular(t.root, name)
		if err != nil {
			return nil, err
		}
		f := newFile(name, info)
		if t.fits(f) {
			f.data = make([]byte, f.size)
			_, err = io.ReadFull(opened, f.data)
			f.hash = sha256.Sum256(f.data)
		}
		after, statErr := opened.Stat()
		_ = opened.Close() // was only read from
		switch {
		case statErr == nil && !sameVersion(info, after), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			continue
		case err == nil:
			err = statErr
		}
		if err != nil {
			return nil, err
		}
		t.memory += int64(len(f.data))
		return f, nil
	}
	return nil, errChanging
}

// fits reports whether f is to be held in memory.
func (t *tree) fits(f *file) bool {
	most := int64(maxPlainFile)
	if f.compressible {
		most = maxCompressible
	}
	return f.size <= most && t.memory+f.size <= t.maxMemory
}

// sameVersion reports whether two looks at a file saw the same content, as far as the file system can say.
func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
