package preflight

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// kernelSynchronised asks the kernel whether something such as chrony or systemd-timesyncd keeps its clock (adjtimex(2)).
func kernelSynchronised() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

// room returns how many bytes and how many files a folder has room for.
func room(dir string) (bytes, inodes uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	if st.Files == 0 { // the file system makes them as they are needed
		st.Ffree = math.MaxUint64
	}
	return st.Bavail * uint64(st.Bsize), st.Ffree, nil
}

// writable tries a file without a name, so that nothing is left of it whatever happens.
func writable(dir string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return unix.Access(dir, unix.W_OK)
	}
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	if _, err := file.Write(make([]byte, 16<<10)); err != nil {
		return errors.Unwrap(err)
	}
	return nil
}
