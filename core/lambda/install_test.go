package lambda

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// samWheel is a package for Python that carries AWS's runtime interface emulator.
	samWheel     = "aws-sam-cli==1.170.0"
	samWheelHash = "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf"
	installTime  = 3 * time.Minute
)

// fetched returns a folder in the user's cache that make has filled once, or skips the test. Other processes that want it wait.
func fetched(t *testing.T, name string, fill func(ctx context.Context, folder string) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("NOT TESTED: there is no cache folder: %v", err)
	}
	folder := filepath.Join(cache, "onehost-edge", name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	lock, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	complete := filepath.Join(folder, "complete")
	if _, err := os.Stat(complete); err == nil {
		return folder
	}
	if err := fill(ctx, folder); err != nil {
		t.Skipf("NOT TESTED: python3 with venv, and the network the first time, are needed to fetch %s: %v", name, err)
	}
	if err := os.WriteFile(complete, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}

// python returns an interpreter that has awslambdaric, AWS's own runtime for Python.
func python(t *testing.T) string {
	t.Helper()
	const list = "testdata/python/requirements.txt"
	content, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	folder := fetched(t, fmt.Sprintf("awslambdaric-%x", sha256.Sum256(content))[:len("awslambdaric-")+16], func(ctx context.Context, folder string) error {
		if err := run(ctx, "python3", "-m", "venv", "--clear", filepath.Join(folder, "venv")); err != nil {
			return err
		}
		return run(ctx, filepath.Join(folder, "venv", "bin", "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
			"--only-binary", ":all:", "--require-hashes", "--requirement", list)
	})
	return filepath.Join(folder, "venv", "bin", "python")
}

// emulator returns AWS's runtime interface emulator.
func emulator(t *testing.T) string {
	t.Helper()
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	folder := fetched(t, "aws-lambda-rie-"+arch+"-"+samWheelHash[:16], func(ctx context.Context, folder string) error {
		work := t.TempDir()
		list := filepath.Join(work, "requirements.txt")
		if err := os.WriteFile(list, []byte(samWheel+" --hash=sha256:"+samWheelHash+"\n"), 0o600); err != nil {
			return err
		}
		if err := run(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
			"--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", work, "--requirement", list); err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(work, "*.whl"))
		if err != nil || len(wheels) != 1 {
			return fmt.Errorf("pip brought %v", wheels)
		}
		return unzip(wheels[0], "samcli/local/rapid/aws-lambda-rie-"+arch, filepath.Join(folder, "rie"))
	})
	return filepath.Join(folder, "rie")
}

func unzip(archive, name, to string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	from, err := reader.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, from); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
