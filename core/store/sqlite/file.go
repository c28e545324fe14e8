package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

// provide sees to it that there is a file, which may be read and written. One that is made gets its name when it is whole: so an empty file is
// never a store that was about to be made, but what is left of one.
func provide(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("the folder of the store: %w", err)
	}
	log, logErr := os.Stat(path + "-wal") // before the file: another process may be about to make it
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return fmt.Errorf("%s is empty, which a store never is: put the last backup in its place, or remove it, and the -wal and -shm beside it, to begin anew", path)
	case errors.Is(err, os.ErrNotExist) && logErr == nil && log.Size() > 0:
		return fmt.Errorf("%s is missing, and the -wal that belongs to it is there: put the file back, or remove the -wal, to begin anew", path)
	case errors.Is(err, os.ErrNotExist):
		if err := makeFile(ctx, path); err != nil {
			return fmt.Errorf("the store can't be made: %w", err)
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("the store can't be opened for reading and writing: %w", err)
	}
	return f.Close()
}

// makeFile makes a store without collections, unless another process does so first. Made by root it is its folder's owner's.
func makeFile(ctx context.Context, path string) error {
	folder := filepath.Dir(path)
	aside, err := os.MkdirTemp(folder, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(aside) }()
	made := filepath.Join(aside, filepath.Base(path))
	f, err := os.OpenFile(made, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c, err := connect(ctx, made)
	if err != nil {
		return err
	}
	if err := errors.Join(prepare(ctx, c), c.close()); err != nil { // closing brings the log into the file, synced
		return err
	}
	give(made, folder)
	if err := os.Link(made, path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

// share makes the -shm, for this user only: SQLite would make it for all to read. The -wal has the rights of the file itself, by modeof.
// It returns whether there was none.
func share(path string) bool {
	f, err := os.OpenFile(path+"-shm", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	_ = f.Close()
	give(path+"-shm", path)
	return true
}

// give has root give a file to the owner of another. Who looks at a store as root must not lock edge out of it. What has another name too, or is
// none but a link, stays whose it is: the folder's owner could have put it there.
func give(path, owners string) {
	if os.Geteuid() != 0 {
		return
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	var is, like unix.Stat_t
	err = errors.Join(unix.Fstat(int(f.Fd()), &is), unix.Stat(owners, &like))
	if err != nil || is.Mode&unix.S_IFMT != unix.S_IFREG || is.Nlink != 1 || is.Uid == like.Uid && is.Gid == like.Gid {
		return
	}
	_ = f.Chown(int(like.Uid), int(like.Gid)) // where root may not do that, nobody has an owner of his own
}

// isWrittenAhead reports whether the file's header says that it has a log (https://sqlite.org/fileformat.html, section 1.3.3).
func isWrittenAhead(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	header := make([]byte, 20)
	_, err = io.ReadFull(f, header)
	return err == nil && bytes.HasPrefix(header, []byte("SQLite format 3\x00")) && header[18] == 2 && header[19] == 2
}

// abandon closes a connection to a file that can't be used, for a reason, and removes the -shm if that was made for a file that is refused.
func (c *conn) abandon(why error) error {
	_ = c.close()
	var code sqlite3.ErrorCode
	refused := !errors.As(why, &code) || code == sqlite3.CORRUPT || code == sqlite3.NOTADB
	if info, err := os.Stat(c.path + "-shm"); c.shared && refused && err == nil && info.Size() == 0 {
		_ = os.Remove(c.path + "-shm")
	}
	return why
}

// readFrozen reads a file of which nobody has opened the log, and for which there is no space for one, as it is.
func (s *Store) readFrozen(ctx context.Context, do func(*conn) error) error {
	before, err := s.frozen()
	if err != nil {
		return err
	}
	c, err := connectAs(ctx, s.path, true)
	if err != nil {
		return err
	}
	defer func() { _ = c.close() }()
	at, err := identify(ctx, c)
	if err == nil && at != version {
		err = errFull(s.path, fmt.Errorf("its schema is still %d", at))
	}
	if err == nil {
		err = do(c)
	}
	after, changed := s.frozen()
	if changed == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		changed = errFull(s.path, errors.New("another process writes to it"))
	}
	if changed != nil {
		return changed // and what was read is worth nothing
	}
	return err
}

// frozen returns what the file is like while there is nothing in a log.
func (s *Store) frozen() (os.FileInfo, error) {
	if log, err := os.Stat(s.path + "-wal"); err == nil && log.Size() > 0 {
		return nil, errFull(s.path, errors.New("its log can't be read"))
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errFull(s.path, errors.New("there is no file yet"))
	}
	return info, err
}
