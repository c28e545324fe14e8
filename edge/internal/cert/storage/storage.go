// Package storage keeps what certmagic keeps, in the files that certmagic's own FileStorage would use, so that neither
// kill -9 nor a full disk costs a certificate or an account: files are replaced whole and are on the disk when Store
// returns, a certificate is replaced together with its key or not at all, and locks end with their process.
//
// In come keys ("certificates/ISSUER/NAME/NAME.crt") and small values. It knows nothing of what they mean but which
// three belong together.
package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	maxValue = 1 << 20 // bytes; a chain of ten certificates has about 20 KiB
	maxKey   = 1024    // bytes
	maxList  = 200_000 // keys in one answer

	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600
)

// fresh is the folder in which files are written before they take their place. What a killed process left there is
// removed once it is older than freshAge.
const (
	fresh    = ".new"
	freshAge = 10 * time.Minute
)

// Storage is a folder of keys and values. It is safe for concurrent use, also by several processes.
type Storage struct {
	dir  string
	root *os.Root

	mu    sync.Mutex
	parts map[string][]byte   // by key: of certificates that are not complete yet
	locks map[string]*os.File // by name: held by this process
}

var (
	_ certmagic.Storage   = (*Storage)(nil)
	_ certmagic.TryLocker = (*Storage)(nil)
)

// Open opens the storage in dir, and makes the folder if it is missing. A disk that can only be read is no error before
// something is stored. Close gives back what Open took.
func Open(dir string) (*Storage, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &Storage{dir: dir, root: root, parts: make(map[string][]byte), locks: make(map[string]*os.File)}
	s.removeLeftovers()
	return s, nil
}

// Close lets go of the folder. Locks that are still held are released.
func (s *Storage) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.locks {
		f.Close()
	}
	clear(s.locks)
	return s.root.Close()
}

// removeLeftovers removes what was being written when a process was killed. What can't be removed does no harm.
func (s *Storage) removeLeftovers() {
	entries, _ := fs.ReadDir(s.root.FS(), fresh)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > freshAge {
			_ = s.root.RemoveAll(path.Join(fresh, entry.Name()))
		}
	}
}

// explain adds where the storage is: os.Root's errors only know the way below it.
func (s *Storage) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("certificate storage %s: %w", s.dir, err)
}

// check says whether key can be one: a way below the folder, through nothing hidden.
func check(key string) error {
	if !fs.ValidPath(key) || key == "." || len(key) > maxKey || strings.HasPrefix(key, ".") || strings.Contains(key, "/.") ||
		strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) {
		return fmt.Errorf("%.100q is no key: it would leave the storage", key)
	}
	return nil
}

// Store puts value in place of what is at key, whole or not at all; it is on the disk when Store returns. The parts of
// a certificate take their place together when the last one is stored; see siteOf. What the CA gave is kept even when
// ctx has ended.
func (s *Storage) Store(_ context.Context, key string, value []byte) error {
	err := check(key)
	if err == nil && len(value) > maxValue {
		err = fmt.Errorf("%s: more than %d KiB", key, maxValue>>10)
	}
	if err != nil {
		return s.explain(err)
	}
	if site, ok := siteOf(key); ok {
		return s.explain(s.storePart(site, key, value))
	}
	return s.explain(s.replace(key, value))
}

// replace writes a file beside and has it take the place of the one at key.
func (s *Storage) replace(key string, value []byte) (err error) {
	if err := errors.Join(s.root.MkdirAll(fresh, folderMode), s.root.MkdirAll(path.Dir(key), folderMode)); err != nil {
		return err
	}
	name := path.Join(fresh, rand.Text())
	defer func() {
		if err != nil {
			_ = s.root.Remove(name)
		}
	}()
	if err := s.write(name, value, true); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if err := s.root.Rename(name, key); err != nil {
		return err
	}
	return s.sync(path.Dir(key))
}

// write makes a file, which is on the disk when write returns, or later.
func (s *Storage) write(name string, value []byte, now bool) error {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	if now {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

// sync brings the entries of a folder, and of those above it, to the disk.
func (s *Storage) sync(folder string) error {
	f, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil || folder == "." {
		return err
	}
	return s.sync(path.Dir(folder))
}

// Load returns the value at key, fs.ErrNotExist if there is none. Parts of a certificate that is not complete are no value.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := errors.Join(ctx.Err(), check(key)); err != nil {
		return nil, s.explain(err)
	}
	data, err := s.read(key)
	return data, s.explain(err)
}

// read reads a regular file of at most maxValue bytes: a pipe could block for ever, a device never end.
func (s *Storage) read(key string) ([]byte, error) {
	f, err := s.root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file: move it away", key)
	case info.Size() > maxValue:
		return nil, fmt.Errorf("%s has more than %d KiB: it is none of edge's, move it away", key, maxValue>>10)
	}
	return io.ReadAll(io.LimitReader(f, maxValue))
}

// Delete removes key and all below it. What was stored of a certificate that is not complete is only forgotten: the one
// before stays.
func (s *Storage) Delete(_ context.Context, key string) error {
	if err := check(key); err != nil {
		return s.explain(err)
	}
	if s.forgetPart(key) {
		return nil
	}
	return s.explain(s.root.RemoveAll(key))
}

// Exists reports whether there is something at key. What can't be looked at counts as there: who is told that there is
// no certificate orders one.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	if ctx.Err() != nil || check(key) != nil {
		return false
	}
	_, err := s.root.Stat(key)
	return !errors.Is(err, fs.ErrNotExist)
}

// Stat returns what is known of key, fs.ErrNotExist if there is nothing.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if err := errors.Join(ctx.Err(), check(key)); err != nil {
		return certmagic.KeyInfo{}, s.explain(err)
	}
	info, err := s.root.Stat(key)
	if err != nil {
		return certmagic.KeyInfo{}, s.explain(err)
	}
	return certmagic.KeyInfo{Key: key, Modified: info.ModTime(), Size: info.Size(), IsTerminal: !info.IsDir()}, nil
}

// List returns the keys below prefix ("" is all), fs.ErrNotExist if there is nothing there.
func (s *Storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if prefix == "" {
		prefix = "."
	} else if err := check(prefix); err != nil {
		return nil, s.explain(err)
	}
	var keys []string
	err := fs.WalkDir(s.root.FS(), prefix, func(key string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case key == prefix:
			return nil
		case len(keys) == maxList:
			return fmt.Errorf("more than %d files", maxList)
		case check(key) == nil:
			keys = append(keys, key)
		}
		if entry.IsDir() && (!recursive || check(key) != nil) {
			return fs.SkipDir
		}
		return nil
	})
	return keys, s.explain(err)
}

func (s *Storage) String() string { return "edge's files in " + s.dir }
