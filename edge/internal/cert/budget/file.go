package budget

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockTimeout is how long a change waits for another process, as one that is handing over. A change takes milliseconds.
const lockTimeout = 5 * time.Second

// fileOf returns where the ledger of the CA with that directory is kept.
func fileOf(dir, directory string) string {
	host := "ca"
	if u, err := url.Parse(directory); err == nil && u.Hostname() != "" {
		host = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return '_'
		}, strings.ToLower(u.Hostname()))
	}
	sum := sha256.Sum256([]byte(directory))
	return filepath.Join(dir, fmt.Sprintf("%.100s-%x", strings.TrimLeft(host, "."), sum[:4]))
}

// damagedError says that what stands in a ledger's place is none.
type damagedError string

func (e damagedError) Error() string { return string(e) }

// readFile returns what is in file, nil if it is not there. The error is a damagedError when what is there can be no
// ledger. It is safe beside a writer: files are only ever replaced whole.
func readFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0) // opening a pipe would wait for its writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENXIO):
		return nil, damagedError("it is no regular file")
	case err != nil:
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, damagedError("it is no regular file")
	case info.Size() > maxFile:
		return nil, damagedError("it is too large")
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// writeFile replaces file by data, whole or not at all, on the disk when it returns. What stood in its place and is no
// ledger goes to aside, if that is not empty. Only who holds the lock may call it.
func writeFile(file string, data []byte, aside string) error {
	fresh := file + ".new" // always the same: what a killed process left is overwritten
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && aside != "" {
		err = setAside(file, aside)
	}
	if err == nil {
		err = os.Rename(fresh, file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncDir(filepath.Dir(file))
}

// setAside moves what is in file out of the way. It replaces what was set aside before.
func setAside(file, aside string) error {
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(file, aside)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir takes dir for this process alone; the kernel lets go of it when the process ends, however it ends.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { d.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: dir, Err: err}, d.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process has held %s for %s", dir, lockTimeout), d.Close())
		case <-poll.C:
		}
	}
}
