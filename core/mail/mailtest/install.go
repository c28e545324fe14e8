package mailtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const installTimeout = 5 * time.Minute

// python returns the interpreter of a virtual environment with the packages of a list, which has hashes: nothing else is installed. It is made once for each list, in the
// user's cache folder; whoever comes while it is being made waits.
func python(ctx context.Context, name string, requirements []byte) (string, error) {
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
	folder := filepath.Join(cache, fmt.Sprintf("%s-%x", name, sha256.Sum256(requirements))[:len(name)+1+16])
	interpreter, complete := filepath.Join(folder, "bin", "python"), filepath.Join(folder, "complete")
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(complete); err == nil {
		return interpreter, nil
	}
	if err := install(ctx, folder, interpreter, requirements); err != nil {
		return "", err
	}
	return interpreter, os.WriteFile(complete, nil, 0o600)
}

func install(ctx context.Context, folder, interpreter string, requirements []byte) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	list := folder + ".txt"
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return err
	}
	defer os.Remove(list)
	for _, args := range [][]string{
		{"python3", "-m", "venv", folder},
		{interpreter, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes", "--requirement", list},
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
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for %s: %w", name, err)
		}
	}
}
