package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what the kernel allows for the name of a unix socket, in bytes (unix(7)).
const maxSocketPath = 107

// Listen opens the unix socket at path: 0600, or 0660 for group if that is not "". A socket that a killed server left
// behind is replaced; one that answers is not.
func Listen(path, group string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("admin socket %s: a socket's path has at most %d bytes: set listen.admin to a shorter one", path, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket { // connecting to it is refused as to a dead socket
		return nil, fmt.Errorf("admin socket %s: something else than a socket is there: set listen.admin to another path", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("admin socket %s: another edge is running with it", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) }) // Linux's bind(2) gives the file the socket's mode: private from its first moment
	}}
	ln, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if group != "" {
		if err := openTo(path, group); err != nil {
			ln.Close()
			return nil, fmt.Errorf("admin socket: %w", err)
		}
	}
	return ln, nil
}

func openTo(path, group string) error {
	g, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}

// explainDial says what a sysadmin can do about a socket that can't be reached.
func explainDial(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no edge is running with the admin socket %s; start one with `edge run`, or name its socket with --admin", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission for the admin socket %s: use sudo, or join the group that listen.admin_group names", path)
	default:
		return err
	}
}
