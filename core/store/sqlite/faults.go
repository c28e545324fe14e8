package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"golang.org/x/sys/unix"
)

func isBusy(err error) bool { return errors.Is(err, sqlite3.BUSY) }

// isDisk reports whether err is what a disk or the rights to it bring about.
func isDisk(err error) bool {
	var code sqlite3.ErrorCode
	return errors.As(err, &code) && slices.Contains([]sqlite3.ErrorCode{sqlite3.FULL, sqlite3.IOERR, sqlite3.READONLY, sqlite3.CANTOPEN, sqlite3.PERM}, code)
}

// conflict turns a failed unique index into a duplicate. The error names it; making one does not, which is what making is for.
func (col *collection) conflict(err error, making string) error {
	switch {
	case errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY):
		return &store.Duplicate{Collection: col.Name}
	case errors.Is(err, sqlite3.CONSTRAINT_UNIQUE):
		for name, index := range col.indexes {
			if name == making || strings.HasSuffix(err.Error(), "index '"+name+"'") {
				return &store.Duplicate{Collection: col.Name, Fields: append([]string{}, index.Fields...)}
			}
		}
	}
	return err
}

// explain gives what SQLite says a code and words that say what to do. Other errors stay as they are.
func (s *Store) explain(err error) error {
	if isFull(err) && fault.CodeOf(err) == "" {
		return errFull(s.path, err)
	}
	var code sqlite3.ErrorCode
	if err == nil || fault.CodeOf(err) != "" || !errors.As(err, &code) {
		return err
	}
	switch code { //nolint:exhaustive // of the others there is no more to be said than SQLite does
	case sqlite3.BUSY, sqlite3.LOCKED:
		return fmt.Errorf("%s: another process has been writing for all the time that there was: %w: %w", s.path, fault.Unavailable, err)
	case sqlite3.INTERRUPT:
		return fmt.Errorf("the time given was not enough: %w: %w", fault.Unavailable, err)
	case sqlite3.NOMEM:
		return fmt.Errorf("%s: there is not enough memory: %w: %w", s.path, fault.Unavailable, err)
	case sqlite3.TOOBIG:
		return fmt.Errorf("%s: %w: %w", s.path, fault.TooLarge, err)
	case sqlite3.CORRUPT:
		return fmt.Errorf("%s is damaged: stop edge, keep a copy of the file and of the -wal beside it, see what edge store check says, and put the last backup in its place: %w", s.path, err)
	case sqlite3.NOTADB:
		return fmt.Errorf("%s is no store, or its beginning is damaged: put the last backup in its place, or move it away to begin anew: %w", s.path, err)
	}
	if isDisk(err) {
		return s.explainDisk(code, err)
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

// explainDisk finds out what SQLite doesn't say: what is wrong with the disk.
func (s *Store) explainDisk(code sqlite3.ErrorCode, err error) error {
	why := probe(s.path)
	switch {
	case code == sqlite3.FULL || errors.Is(why, syscall.ENOSPC) || errors.Is(why, syscall.EDQUOT):
		return errFull(s.path, err)
	case errors.Is(why, syscall.EROFS):
		return errReadOnly(s.path, err)
	case errors.Is(why, os.ErrPermission):
		return fmt.Errorf("%s: edge has to be allowed to read and write this file, those beside it that end in -wal and -shm, and their folder: %w: %w", s.path, why, err)
	case why != nil:
		return fmt.Errorf("%s: the disk has a fault, see the kernel's log: %w: %w", s.path, why, err)
	}
	return fmt.Errorf("%s: the disk or the file has a fault, see the kernel's log: %w", s.path, err)
}

// probe writes a little beside the file and returns what is wrong with that.
func probe(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		_ = f.Close()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".probe-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(make([]byte, 64<<10))
	err = errors.Join(err, f.Sync(), f.Close())
	var disk unix.Statfs_t
	if err == nil && unix.Statfs(filepath.Dir(path), &disk) == nil && full(disk) {
		return syscall.ENOSPC
	}
	return err
}
