package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	longestSocket = 107 // bytes of a socket's path (unix(7))
	socketName    = 40  // bytes of what go-plugin appends to a folder: /plugin-dir0123456789/plugin0123456789
)

// room is a folder of this process's own, with copies of programs and sockets. What a process left behind that was killed is removed by the next one.
type room struct {
	parent string

	mu   sync.Mutex
	path string // "" until it is made
	temp bool   // it is not below parent
}

func newRoom(parent string) *room { return &room{parent: parent} }

// open returns the folder, and makes it at first.
func (r *room) open() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path != "" {
		return r.path, nil
	}
	parent, err := filepath.Abs(r.parent)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("the folder for plugins: %w", err)
	}
	r.sweep(parent)
	path := filepath.Join(parent, strconv.Itoa(os.Getpid()))
	if len(path)+socketName > longestSocket { // no socket fits below it
		if path, err = os.MkdirTemp("", "edge"); err != nil {
			return "", fmt.Errorf("the folder for plugins: %w", err)
		}
		r.temp = true
	} else if err := errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)); err != nil {
		return "", fmt.Errorf("the folder for plugins: %w", err)
	}
	r.path = path
	return path, nil
}

// sweep removes the folders of processes that are no more.
func (r *room) sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = os.RemoveAll(filepath.Join(parent, e.Name())) // what stays is in nobody's way
		}
	}
}

// admit lets another user pass through the folder, to what is its own in there. It can't list it.
func (r *room) admit(path string, name string, uid, gid uint32) error {
	r.mu.Lock()
	temp := r.temp
	r.mu.Unlock()
	if err := os.Chmod(path, 0o711); err != nil {
		return err
	}
	if temp {
		return nil
	}
	if err := os.Chmod(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if !passable(info, uid, gid) {
			return fmt.Errorf("the user %s can't pass through the folder %s, where its sockets are: chmod o+x it", name, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// passable reports whether a user may go through a folder.
func passable(info fs.FileInfo, uid, gid uint32) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case uid == 0 || !ok:
		return true
	case owner.Uid == uid:
		return mode&0o100 != 0
	case owner.Gid == gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// close removes the folder.
func (r *room) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.path
	r.path = ""
	if path == "" {
		return nil
	}
	return os.RemoveAll(path)
}
