package budget

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/childtest"
)

func TestMain(m *testing.M) {
	switch childtest.Role() {
	case "order and be killed":
		if _, err := New("budget", slog.Default()).Order(le, "www.example.com", First); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "full disk":
		os.Exit(onFullDisk())
	}
	os.Exit(m.Run())
}

func TestAnOrderCountsThoughItsProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	for range 5 {
		out, err := childtest.Command(t, "order and be killed", dir).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := childtest.Command(t, "order and be killed", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "letsencrypt allows 5 certificates for exactly www.example.com in 7 days") {
		t.Fatalf("the sixth order: %v: %s", err, out)
	}
}

func TestOnAFullDiskNothingIsOrdered(t *testing.T) { childtest.RunWithOwnMounts(t, "full disk") }

// onFullDisk fills a tiny disk of its own and orders: what was spent before must go on counting, nothing more may be
// ordered, nothing may be left behind, and all goes on when there is space again.
func onFullDisk() int {
	check := func(ok bool, message ...any) {
		if !ok {
			slog.Error("on a full disk", "problem", message)
			os.Exit(1)
		}
	}
	check(os.Mkdir("disk", 0o700) == nil && syscall.Mount("tmpfs", "disk", "tmpfs", 0, "size=64k") == nil, "mount")
	b := New("disk/budget", slog.Default())
	for range 4 {
		_, err := b.Order(le, "www.example.com", First)
		check(err == nil, err)
	}
	before, err := os.ReadFile(fileOf(b.dir, letsEncrypt))
	check(err == nil, err)

	filling, err := os.Create("disk/filling")
	check(err == nil, err)
	for err == nil {
		_, err = filling.Write(make([]byte, 512))
	}
	check(errors.Is(err, syscall.ENOSPC), err)
	for range 20 {
		_, err := b.Order(le, "www.example.com", First)
		check(errors.Is(err, syscall.ENOSPC), err)
		check(strings.Contains(err.Error(), "so it isn't asked"), err)
	}
	after, err := os.ReadFile(fileOf(b.dir, letsEncrypt))
	check(err == nil && bytes.Equal(before, after), "the ledger changed", err)
	entries, err := os.ReadDir(b.dir)
	check(err == nil && len(entries) == 1, entries, err)

	check(os.Remove(filling.Name()) == nil && filling.Close() == nil, "making space")
	_, err = b.Order(le, "www.example.com", First)
	check(err == nil, err)
	_, err = b.Order(le, "www.example.com", First)
	_, spent := errors.AsType[*Spent](err)
	check(spent, err)
	return 0
}

func TestADamagedLedgerIsSetAsideAndHalfCountsAsSpent(t *testing.T) {
	ledgerOf := func(t *testing.T, issuer Issuer) []byte {
		b, _ := newBudget(t)
		order(t, b, issuer, "www.example.com", First)
		data, err := os.ReadFile(fileOf(b.dir, issuer.Directory))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := ledgerOf(t, le)
	write := func(data []byte) func(string) error {
		return func(file string) error { return os.WriteFile(file, data, 0o600) }
	}
	for name, damage := range map[string]func(file string) error{
		"empty":             write(nil),
		"cut off":           write(good[:len(good)/2]),
		"a digit changed":   write(bytes.Replace(good, []byte("2026-11"), []byte("2025-11"), 1)),
		"something after":   write(append(bytes.Clone(good), '\n')),
		"of another CA":     write(ledgerOf(t, own)),
		"another program's": write([]byte("{}\n")),
		"enormous":          func(file string) error { return errors.Join(write(nil)(file), os.Truncate(file, maxFile+1)) },
		"a folder":          func(file string) error { return os.Mkdir(file, 0o700) },
		"a pipe":            func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"a link":            func(file string) error { return os.Symlink("/dev/zero", file) },
	} {
		t.Run(name, func(t *testing.T) {
			b, c := newBudget(t)
			file := fileOf(b.dir, letsEncrypt)
			if err := errors.Join(os.MkdirAll(b.dir, 0o700), damage(file)); err != nil {
				t.Fatal(err)
			}
			if err := b.Check(le, "www.example.com", First); err != nil {
				t.Errorf("Check: %v", err)
			}
			if _, err := os.Lstat(file + ".damaged"); err == nil {
				t.Error("Check changed something")
			}
			for range 3 { // of five, two count as spent
				b, _ = reopen(t, b.dir, c)
				order(t, b, le, "www.example.com", First)
			}
			refused(t, b, le, "www.example.com", First)
			if _, err := os.Lstat(file + ".damaged"); err != nil {
				t.Error(err)
			}
			order(t, b, le, "other.example.com", First)
			c.at = c.at.Add(week)
			for range 5 {
				order(t, b, le, "www.example.com", First)
			}
		})
	}
}

func TestALedgerThatMayNotBeReadIsNotReplaced(t *testing.T) {
	b, _ := newBudget(t)
	order(t, b, le, "www.example.com", First)
	file := fileOf(b.dir, letsEncrypt)
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(file); err == nil {
		f.Close()
		t.Skip("SKIPPED: root may read everything")
	}
	if _, err := b.Order(le, "www.example.com", First); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "right to read") {
		t.Error(err)
	}
}

func TestReadersBesideAWriterSeeWholeLedgersAndWriteNothing(t *testing.T) {
	b, c := newBudget(t)
	order(t, b, own, "www.example.com", First)
	done := make(chan struct{})
	readers := make(chan error)
	for range 2 {
		go func() {
			reader := New(b.dir, slog.New(slog.DiscardHandler))
			reader.now = func() time.Time { return start }
			for {
				select {
				case <-done:
					readers <- nil
					return
				default:
					g, damage, err := reader.read(fileOf(b.dir, own.Directory), own.Directory, version{})
					if err != nil || damage != "" || len(g.buckets) == 0 {
						readers <- errors.Join(err, errors.New(damage))
						return
					}
					if err := reader.Check(own, "new.example.com", First); err != nil {
						readers <- err
						return
					}
				}
			}
		}()
	}
	for range 50 {
		settle(t, order(t, b, own, "www.example.com", Renewal).Issued(c.at.Add(time.Minute)))
		c.at = c.at.Add(12 * time.Second)
	}
	close(done)
	for range 2 {
		if err := <-readers; err != nil {
			t.Error(err)
		}
	}
	nowhere := New(filepath.Join(t.TempDir(), "missing"), slog.Default())
	if err := nowhere.Check(own, "www.example.com", First); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(nowhere.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a reader made the folder")
	}
}

func FuzzDecode(f *testing.F) {
	g := newLedger(letsEncrypt)
	f.Add(g.encode())
	g.at(start)
	for _, l := range le.limits() {
		g.spend(&l, "www.example.com", 1)
	}
	g.damaged = start
	f.Add(g.encode())
	f.Add([]byte(header + letsEncrypt + "\nname x 2026-11-24T10:00:00.000Z 1h0m0s\nend 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := decode(data, letsEncrypt)
		if err != nil {
			return
		}
		once := g.encode()
		if again, err := decode(once, letsEncrypt); err != nil || !bytes.Equal(again.encode(), once) {
			t.Errorf("%q was read and is written as %q, and that is not read (%v)", data, once, err)
		}
		g.at(start)
		for _, l := range le.limits() {
			if until, window := g.next(&l, "www.example.com"); until.Sub(start) > window {
				t.Errorf("%s: locked out for %s", l.id, until.Sub(start))
			}
		}
	})
}
