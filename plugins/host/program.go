package host

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-plugin"
)

// version is what changes in a program's file when it is built again; none if there is no file.
type version struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

func versionOf(path string) (version, bool) {
	var s syscall.Stat_t
	if err := syscall.Stat(path, &s); err != nil {
		return version{}, false
	}
	return version{s.Dev, s.Ino, s.Size, s.Mtim}, s.Mode&syscall.S_IFMT == syscall.S_IFREG && s.Mode&0o111 != 0
}

// program is what processes of a plugin are started from: a private copy of the file, or the file itself. It is held by those that use it, and its copy is removed when nobody does.
type program struct {
	command string // the file
	path    string // what is run
	copied  bool
	sha256  string // that path has to have; "": any
	version version
	holders atomic.Int32
}

// take makes a program of a file as it is now, for its first holder. folder is where the copy goes.
func take(folder, command, sum string) (*program, error) {
	p := &program{command: command, path: command, sha256: sum}
	p.holders.Store(1)
	v, runs := versionOf(command)
	if !runs {
		if v == (version{}) {
			return nil, fmt.Errorf("the program %s is not there: build it", command)
		}
		return nil, fmt.Errorf("%s is not a program: chmod +x it", command)
	}
	p.version = v
	private, err := copyable(command, sum != "")
	if err != nil {
		return nil, fmt.Errorf("the program %s: %w", command, err)
	}
	if private {
		p.copied = true
		if p.path, err = copyProgram(folder, command); err != nil {
			return nil, fmt.Errorf("copying the program %s: %w", command, err)
		}
	}
	if err := p.check(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// check compares what is run with its SHA-256. What has one is a private copy, which nobody else can change: what is checked is what is run.
func (p *program) check() error {
	if p.sha256 == "" {
		return nil
	}
	want, err := hex.DecodeString(p.sha256)
	if err != nil {
		return fmt.Errorf("sha256 is no SHA-256 in hex: %w", err)
	}
	ok, err := (&plugin.SecureConfig{Checksum: want, Hash: sha256.New()}).Check(p.path)
	if err != nil {
		return fmt.Errorf("the checksum of %s: %w", p.command, err)
	}
	if !ok {
		return fmt.Errorf("the program %s is not the one of sha256 in the configuration: it is not started; if it is meant to have changed, change sha256 (sha256sum %s)", p.command, p.command)
	}
	return nil
}

// hold is one more who uses it.
func (p *program) hold() *program {
	p.holders.Add(1)
	return p
}

// release is one less.
func (p *program) release() {
	if p.holders.Add(-1) == 0 && p.copied {
		_ = os.Remove(p.path) // the folder is removed in the end
	}
}

// copyable reports whether a program runs elsewhere than where it is. A script finds its modules from where it is, and a program may find its libraries that way ($ORIGIN, ld.so(8)).
// What is checked is copied all the same: otherwise it could be changed in between.
func copyable(path string, checked bool) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) && !checked {
		return false, nil // it may be another user's to read
	}
	if err != nil {
		return false, unwrapped(err)
	}
	defer f.Close()
	head := make([]byte, len(elf.ELFMAG))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, errors.New("it is empty")
	}
	if checked {
		return true, nil
	}
	if !bytes.Equal(head, []byte(elf.ELFMAG)) {
		return false, nil
	}
	file, err := elf.NewFile(f)
	if err != nil {
		return false, nil // the kernel will say what is wrong with it
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := file.DynString(tag)
		if err == nil && strings.Contains(strings.Join(paths, ":"), "ORIGIN") {
			return false, nil
		}
	}
	return true, nil
}

// copyProgram copies a program into a folder. While the copy is open to be written, no process may be started: it would inherit the open file, and what is open to be written
// can't be run (ETXTBSY).
func copyProgram(folder, command string) (string, error) {
	from, err := os.Open(command)
	if err != nil {
		return "", unwrapped(err)
	}
	defer from.Close()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.CreateTemp(folder, filepath.Base(command)+"-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(0o555), to.Close()); err != nil {
		return "", errors.Join(err, os.Remove(to.Name()))
	}
	return to.Name(), nil
}
