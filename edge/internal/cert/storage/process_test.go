package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/childtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	ctx := context.Background()
	switch childtest.Role() {
	case "store until killed":
		s, err := Open("store")
		for i := 0; err == nil; i++ {
			err = storeCertificate(ctx, s, strconv.Itoa(i%10), 3000)
			err = errors.Join(err, s.Store(ctx, "acme/ca/account.key", fmt.Appendf(nil, "%d%05000d", i%10, i%10)))
			if i == 0 {
				fmt.Println("storing")
			}
		}
		expect(false, err)
	case "hold a lock until killed":
		s, err := Open("store")
		expect(err == nil, err)
		expect(s.Lock(ctx, "issue") == nil, "lock")
		fmt.Println("locked")
		select {}
	case "count under a lock":
		countUnderALock(ctx)
		os.Exit(0)
	case "full disk":
		onFullDisk(ctx)
		os.Exit(0)
	case "read-only disk":
		onReadOnlyDisk(ctx)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func expect(ok bool, problem ...any) {
	if !ok {
		slog.Error("in a process of its own", "problem", problem)
		os.Exit(1)
	}
}

// startUntil starts a process and waits for its first line. The function returned kills it.
func startUntil(t *testing.T, cmd *exec.Cmd, line string) (kill func()) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	cmd.Stderr = t.Output()
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	read := make([]byte, len(line))
	if _, err := out.Read(read); err != nil || string(read) != line {
		kill()
		t.Fatalf("%q, %v", read, err)
	}
	return kill
}

func TestKillingAProcessThatStoresLosesNothing(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		kill := startUntil(t, childtest.Command(t, "store until killed", dir), "storing")
		timer := time.NewTimer(time.Duration(3*i) * time.Millisecond) // another moment each time
		<-timer.C
		kill()
		s := open(t, filepath.Join(dir, "store"))
		certificate(t, s)
		account, err := s.Load(t.Context(), "acme/ca/account.key")
		if err != nil || len(account) != 5001 {
			t.Fatalf("account: %d bytes, %v", len(account), err)
		}
	}
}

func TestNobodyWaitsForTheLockOfAProcessThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	kill := startUntil(t, childtest.Command(t, "hold a lock until killed", dir), "locked")
	s := open(t, filepath.Join(dir, "store"))
	if ok, err := s.TryLock(t.Context(), "issue"); ok || err != nil {
		t.Errorf("a lock is held twice (%v)", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 2*lockPoll)
	defer cancel()
	if err := s.Lock(short, "issue"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a lock: %v", err)
	}
	kill()
	began := time.Now()
	if err := s.Lock(t.Context(), "issue"); err != nil {
		t.Fatal(err)
	}
	t.Logf("the lock of a killed process was there after %s", time.Since(began))
	if err := s.Unlock(t.Context(), "issue"); err != nil {
		t.Error(err)
	}
	if s.Unlock(t.Context(), "issue") == nil {
		t.Error("a lock is released twice")
	}
	if entries, err := os.ReadDir(filepath.Join(s.dir, "locks")); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestALockFileThatCertmagicLeftIsNoLock(t *testing.T) {
	s := open(t, t.TempDir())
	for _, content := range []string{"", "{", `{"created":"2026-11-23T10:00:00Z","updated":"2126-11-23T10:00:00Z"}`} {
		if err := errors.Join(os.MkdirAll(filepath.Join(s.dir, "locks"), 0o700), os.WriteFile(filepath.Join(s.dir, "locks", "issue.lock"), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.TryLock(t.Context(), "issue"); !ok || err != nil {
			t.Errorf("%q: %v, %v", content, ok, err)
		}
		if err := s.Unlock(t.Context(), "issue"); err != nil {
			t.Error(err)
		}
	}
}

const counted = 40

// countUnderALock reads a number and writes the next, which only adds up if nobody else does so meanwhile.
func countUnderALock(ctx context.Context) {
	s, err := Open("store")
	expect(err == nil, err)
	for range counted {
		expect(s.Lock(ctx, "issue") == nil, "lock")
		data, err := os.ReadFile("count")
		expect(err == nil, err)
		n, err := strconv.Atoi(string(data))
		expect(err == nil, err)
		expect(os.WriteFile("count", []byte(strconv.Itoa(n+1)), 0o600) == nil, "count")
		expect(s.Unlock(ctx, "issue") == nil, "unlock")
	}
}

func TestOneProcessAtATimeHoldsALock(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "count"), []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	var processes []*exec.Cmd
	for range 3 {
		cmd := childtest.Command(t, "count under a lock", dir)
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, cmd)
	}
	for _, cmd := range processes {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "count")); string(data) != strconv.Itoa(3*counted) {
		t.Errorf("counted %s, want %d (%v)", data, 3*counted, err)
	}
}

func mount(options string, flags uintptr) {
	expect(os.Mkdir("disk", 0o700) == nil && syscall.Mount("tmpfs", "disk", "tmpfs", flags, options) == nil, "mount")
}

func TestAFullDiskCostsNeitherACertificateNorAnAccount(t *testing.T) {
	childtest.RunWithOwnMounts(t, "full disk")
}

func onFullDisk(ctx context.Context) {
	mount("size=128k", 0)
	s, err := Open("disk/certificates")
	expect(err == nil, err)
	expect(storeCertificate(ctx, s, "1", 5000) == nil, "store")
	expect(s.Store(ctx, "acme/ca/account.key", []byte("1")) == nil, "store the account")

	filling, err := os.Create("disk/filling")
	expect(err == nil, err)
	for err == nil {
		_, err = filling.Write(make([]byte, 512))
	}
	info, err := filling.Stat()
	expect(err == nil, err)
	// Whatever part of a certificate has space, it is the whole or none.
	for pages := range 9 {
		expect(filling.Truncate(info.Size()/4096*4096-int64(4096*pages)) == nil, "making space")
		before := stored(ctx, s)
		err := storeCertificate(ctx, s, "2", 5000)
		expect(pages < 6 == (err != nil), pages, err)
		expect(err == nil || errors.Is(err, syscall.ENOSPC) && strings.Contains(err.Error(), site), err)
		after := stored(ctx, s)
		expect(err == nil && after == "222" || err != nil && after == before, pages, before, after, err)
		entries, err := os.ReadDir("disk/certificates/" + fresh)
		expect(err == nil && len(entries) == 0, entries, err)
	}
	for err = nil; err == nil; {
		_, err = filling.WriteAt(make([]byte, 512), info.Size())
		info, _ = filling.Stat()
	}
	_ = s.Store(ctx, "acme/ca/account.key", make([]byte, 100_000))
	account, err := s.Load(ctx, "acme/ca/account.key")
	expect(err == nil && string(account) == "1", account, err)
}

func stored(ctx context.Context, s *Storage) (versions string) {
	for _, ext := range []string{keyPart, certPart, lastPart} {
		data, err := s.Load(ctx, part(ext))
		expect(err == nil && len(data) == 5000, len(data), err)
		versions += string(data[:1])
	}
	return versions
}

func TestAReadOnlyDiskServesWhatIsThere(t *testing.T) {
	childtest.RunWithOwnMounts(t, "read-only disk")
}

func onReadOnlyDisk(ctx context.Context) {
	mount("size=128k", 0)
	s, err := Open("disk/certificates")
	expect(err == nil, err)
	expect(storeCertificate(ctx, s, "1", 5000) == nil && s.Close() == nil, "store")
	expect(syscall.Mount("", "disk", "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "") == nil, "remount")
	s, err = Open("disk/certificates")
	expect(err == nil, err)
	expect(stored(ctx, s) == "111", "load")
	for _, err := range []error{storeCertificate(ctx, s, "2", 5000), s.Store(ctx, "acme/ca/account.key", nil), s.Lock(ctx, "issue"), s.Delete(ctx, site)} {
		expect(errors.Is(err, syscall.EROFS) && strings.Contains(err.Error(), "disk/certificates"), err)
	}
	expect(stored(ctx, s) == "111", "load again")
}
