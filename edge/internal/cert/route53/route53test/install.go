package route53test

import (
	"context"
	"crypto/sha256"
	_ "embed" // the list of packages
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// requirements are moto and all that it needs, with hashes: nothing else is installed.
//
//go:embed testdata/requirements.txt
var requirements []byte

const installTimeout = 5 * time.Minute

// python returns the interpreter of a virtual environment with moto. It is made once for each list of packages, in the user's cache folder; whoever
// comes while it is being made waits.
func python(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "onehost-edge")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	folder := filepath.Join(cache, fmt.Sprintf("moto-%x", sha256.Sum256(requirements))[:len("moto-")+16])
	interpreter, complete := filepath.Join(folder, "bin", "python"), filepath.Join(folder, "complete")
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(complete); err == nil {
		return interpreter, nil
	}
	if err := install(ctx, folder, interpreter); err != nil {
		return "", err
	}
	return interpreter, os.WriteFile(complete, nil, 0o600)
}

func install(ctx context.Context, folder, interpreter string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	list, err := os.CreateTemp("", "requirements-*.txt")
	if err != nil {
		return err
	}
	defer os.Remove(list.Name())
	if _, err := list.Write(requirements); err != nil {
		return err
	}
	if err := list.Close(); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", folder},
		{interpreter, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes", "--requirement", list.Name()},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec // no foreign input: see above
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// lock takes a lock that ends with this process at the latest.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for %s: %w", name, err)
		}
	}
}
