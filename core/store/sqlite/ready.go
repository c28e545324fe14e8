package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/onehost/edge/core/fault"
	"golang.org/x/sys/unix"
)

// scarce is how many bytes of space on its disk a store needs to be ready: room for a few transactions.
const scarce = 256 << 10

// Ready implements [store.Store]. It asks the disk for its space, and writes only when the last write has failed for want of the disk or of a
// turn: so a store that nobody uses lets the disk sleep, and one that failed becomes ready again by itself.
func (s *Store) Ready(ctx context.Context) error {
	select {
	case <-s.closing:
		return errClosed()
	default:
	}
	if ctx.Err() != nil {
		return late(ctx)
	}
	if err := s.space(); err != nil {
		return err
	}
	if !s.ailing.Load() {
		return nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.submit(ctx, 0, func(t *tx) error {
		return t.conn.exec(ctx, "UPDATE _state SET checked=?", t.now.UnixMilli())
	})
}

// space returns an error when the disk says that nothing can be written.
func (s *Store) space() error {
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(s.path), &disk); err != nil {
		return fmt.Errorf("%s: its folder can't be looked at: %w", s.path, err)
	}
	switch {
	case disk.Flags&unix.ST_RDONLY != 0:
		return errReadOnly(s.path, syscall.EROFS)
	case full(disk):
		return errFull(s.path, syscall.ENOSPC)
	}
	return nil
}

// full reports whether a disk has no space. One that doesn't know how much it has is not.
func full(disk unix.Statfs_t) bool {
	return disk.Blocks > 0 && disk.Bavail*uint64(disk.Bsize) < scarce
}

// isFull reports whether an error is errFull's, or what the system says of a full disk.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func errFull(path string, err error) error {
	if !isFull(err) {
		err = fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return fmt.Errorf("%s: the disk is full: make space, and it goes on by itself; nothing that was acknowledged is lost: %w: %w", path, fault.Unavailable, err)
}

func errReadOnly(path string, err error) error {
	return fmt.Errorf("%s: the disk is read-only: see the kernel's log, and mount it to be written to: %w", path, err)
}

// note keeps whether nothing could be written, for a reason that lies in the disk, the file's rights or another process.
func (s *Store) note(err error) {
	if isDisk(err) || isBusy(err) || isFull(err) {
		s.ailing.Store(true)
	}
}
