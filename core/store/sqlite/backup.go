package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/onehost/edge/core/fault"
)

// Backup writes a copy of the store as it is at one moment, which others may go on writing to meanwhile. The copy is complete and on disk, under
// its name and in the place of what had it, or there is none. It takes the time that ctx gives. To go back to it, stop edge, remove the -wal
// and -shm beside the store's file, and put the copy in its place.
func (s *Store) Backup(ctx context.Context, path string) error {
	if own, err := os.Stat(s.path); err == nil {
		if info, err := os.Stat(path); err == nil && os.SameFile(own, info) {
			return fmt.Errorf("%s is the store itself: name another file: %w", path, fault.Invalid)
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*") // for this user only
	if err != nil {
		return fmt.Errorf("a backup: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = s.copyTo(ctx, f.Name())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("a backup to %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("a backup: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

func (s *Store) copyTo(ctx context.Context, path string) error {
	c, err := connect(ctx, s.path)
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = c.close() }()
	if err := c.exec(ctx, "VACUUM INTO ?", path); err != nil {
		if !isDisk(err) {
			return s.explain(err)
		}
		return (&Store{path: path}).explain(err) // it is the copy's disk
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
