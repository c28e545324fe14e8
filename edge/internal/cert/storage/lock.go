package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"
)

// lockPoll is how often a lock is tried that somebody else holds.
const lockPoll = 25 * time.Millisecond

// Lock takes the lock of that name and waits for it until ctx ends. The kernel holds it (flock(2)) and releases it when
// the process ends, however that comes: nobody waits for the lock of one that was killed.
func (s *Storage) Lock(ctx context.Context, name string) error {
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		if ok, err := s.TryLock(ctx, name); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return s.explain(fmt.Errorf("the lock %s is held: %w", name, ctx.Err()))
		case <-poll.C:
		}
	}
}

// TryLock takes the lock of that name if nobody holds it.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	file := lockFile(name)
	if err := s.root.MkdirAll(path.Dir(file), folderMode); err != nil {
		return false, s.explain(err)
	}
	f, err := s.root.OpenFile(file, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, fileMode)
	if err != nil {
		return false, s.explain(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return false, nil
		}
		return false, s.explain(fmt.Errorf("lock %s: %w", file, err))
	}
	if !s.isAt(f, file) { // who held it removed the file before letting go
		f.Close()
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks[name] = f
	return true, nil
}

func (s *Storage) isAt(f *os.File, file string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := s.root.Stat(file)
	return err == nil && os.SameFile(mine, there)
}

// Unlock lets go of a lock that this process holds.
func (s *Storage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.locks[name]
	if !ok {
		return s.explain(fmt.Errorf("the lock %s is not held", name))
	}
	delete(s.locks, name)
	_ = s.root.Remove(lockFile(name)) // first: whoever gets the lock of a file that was removed tries again. One that stays does no harm
	return s.explain(f.Close())
}

func lockFile(name string) string {
	return path.Join("locks", certmagic.StorageKeys.Safe(name)+".lock")
}
