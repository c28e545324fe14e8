package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// role says in the environment what this test binary is to be, as a process of its own. Its folder is the test's.
const role = "STORE_TEST_ROLE"

func process(t *testing.T, as, dir string) *exec.Cmd {
	itself, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), itself)
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Dir = dir
	cmd.Stderr = t.Output()
	return cmd
}

// expect ends a process of its own when something is not so.
func expect(ok bool, problem ...any) {
	if !ok {
		slog.Error("in a process of its own", "problem", problem)
		os.Exit(1)
	}
}

func openHere(path string) *Store {
	s, err := Open(context.Background(), path, slog.Default())
	expect(err == nil, err)
	err = s.Ensure(context.Background(), store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}, Feed: time.Hour})
	expect(err == nil, err)
	return s
}

// insertUntilKilled writes the id of each document to its output once it is acknowledged, and never one that isn't.
func insertUntilKilled() {
	s := openHere("store.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				id := store.NewID()
				_, err := s.Apply(context.Background(), store.Insert{Collection: "a", Document: store.Document{"id": id, "u": id, "s": strings.Repeat("x", 500)}})
				expect(err == nil, err)
				_, err = os.Stdout.WriteString(id + "\n")
				expect(err == nil, err)
			}
		})
	}
	all.Wait()
}

func TestKillingAProcessThatInsertsLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acknowledged := make(map[string]bool)
	for range 10 {
		cmd := process(t, "insert until killed", dir)
		out, err := cmd.StdoutPipe()
		if err = errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		enough := len(acknowledged) + 100
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if len(lines.Text()) == 36 { // the last may be cut off
				acknowledged[lines.Text()] = true
			}
			if len(acknowledged) == enough {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if len(acknowledged) < enough {
			t.Fatal("it ended too early")
		}
	}
	s := open(t, filepath.Join(dir, "store.db"))
	found, err := s.Find(t.Context(), store.Query{Collection: "a", Limit: store.MaxFind, Fields: []string{"u"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		delete(acknowledged, d.String("u"))
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d of more than 1000 acknowledged are gone", len(acknowledged))
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.writer.number(t.Context(), "SELECT count(*) FROM _events"); err != nil || int(n) != len(found) {
		t.Errorf("%d events of %d documents, %v", n, len(found), err)
	}
}

func insertBeside() {
	s := openHere("store.db")
	for range 150 {
		_, err := s.Apply(context.Background(), insert("a", store.NewID()), store.Update{Collection: "a", Filter: store.ID("counter"), Change: store.Change{Add: map[string]int64{"n": 1}}, Must: 1})
		expect(err == nil, err)
	}
	expect(s.Close() == nil, "close")
}

func TestTwoProcessesWriteAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "store.db"))
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), insert("a", "counter")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := process(t, "insert beside another", dir).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d, err := s.Get(t.Context(), "a", "counter")
	n, failed := s.Count(t.Context(), "a", nil)
	if err != nil || failed != nil || d.Int("n") != 301 || n != 301 {
		t.Errorf("%v, %d, %v, %v", d, n, err, failed)
	}
	// What the others have described is known.
	u := store.Insert{Collection: "a", Document: store.Document{"id": "u1", "u": 1}}
	v := store.Insert{Collection: "a", Document: store.Document{"id": "u2", "u": 1}}
	if _, err := s.Apply(t.Context(), u, v); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("a unique index of another process: %v", err)
	}
}

func TestAProcessThatWaitsForAnothersTransactionSaysSo(t *testing.T) {
	s := open(t, filled(t))
	other, err := connect(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.close() }()
	if err := other.exec(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := s.Apply(ctx, insert("a", "x")); fault.CodeOf(err) != fault.Unavailable || time.Since(start) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if _, err := s.Get(t.Context(), "a", "7"); err != nil {
		t.Errorf("a read waits: %v", err)
	}
	if err := s.Ready(ctx); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("it is ready, which it can't know: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := s.Apply(t.Context(), insert("a", "x"))
		done <- err
	}()
	if err := other.exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAStoreIsFoundReadyWithoutAWrite(t *testing.T) {
	s := open(t, filled(t))
	before := s.commits.Load()
	for range 3 {
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := s.commits.Load() - before; n != 0 {
		t.Errorf("%d writes", n)
	}
	s.ailing.Store(true)
	if err := errors.Join(s.Ready(t.Context()), s.Ready(t.Context())); err != nil {
		t.Error(err)
	}
	if n := s.commits.Load() - before; n != 1 {
		t.Errorf("%d writes to find that it has recovered", n)
	}
}

// withOwnMounts runs a role as a process that may mount disks, in an empty folder.
func withOwnMounts(t *testing.T, as string) {
	cmd := process(t, as, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	err := cmd.Run()
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("SKIPPED: this machine permits no user namespaces: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskIsUnavailableUntilThereIsSpace(t *testing.T) { withOwnMounts(t, "full disk") }

func onFullDisk() {
	expect(os.Mkdir("disk", 0o700) == nil, "mkdir")
	err := syscall.Mount("tmpfs", "disk", "tmpfs", 0, "size=6m")
	expect(err == nil, "mount", err)
	s := openHere("disk/store.db")
	ctx := context.Background()
	kept := 0
	big := func(id string) store.Write {
		return store.Insert{Collection: "a", Document: store.Document{"id": id, "b": make([]byte, 50_000)}}
	}
	for ; err == nil; kept++ {
		_, err = s.Apply(ctx, big(fmt.Sprint(kept)))
	}
	kept--
	expect(s.ailing.Load(), "the next Ready tries to write")
	expect(fault.CodeOf(s.Ready(ctx)) == fault.Unavailable, "ready")
	expect(fault.CodeOf(err) == fault.Unavailable && strings.Contains(err.Error(), "the disk is full"), err)
	for range 3 {
		_, err = s.Apply(ctx, big("more"))
		expect(fault.CodeOf(err) == fault.Unavailable && strings.Contains(err.Error(), "the disk is full"), "again", err)
	}
	n, err := s.Count(ctx, "a", nil)
	expect(n == kept && err == nil, "what is there can be read", n, kept, err)
	expect(s.Ensure(ctx, store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}, Feed: time.Hour}) == nil, "nothing is new")
	err = syscall.Mount("tmpfs", "disk", "tmpfs", syscall.MS_REMOUNT, "size=60m")
	expect(err == nil, "remount", err)
	expect(s.Ready(ctx) == nil && !s.ailing.Load(), "ready by itself", s.Ready(ctx))
	_, err = s.Apply(ctx, big("after"))
	expect(err == nil, "it goes on", err)
	err = os.WriteFile("disk/other", make([]byte, 59<<20), 0o600)
	expect(err != nil && fault.CodeOf(s.Ready(ctx)) == fault.Unavailable, "another has filled the disk", err, s.Ready(ctx))
	expect(os.Remove("disk/other") == nil && s.Ready(ctx) == nil, "and made space")
	n, err = s.Count(ctx, "a", nil)
	expect(n == kept+1 && err == nil && s.Ready(ctx) == nil && s.Check(ctx) == nil, n, kept, err, s.Check(ctx))
	expect(s.Close() == nil, "close")
	openOnFullDisk(kept + 1)
}

func openOnFullDisk(kept int) {
	ctx := context.Background()
	expect(os.WriteFile("disk/other", make([]byte, 60<<20), 0o600) != nil, "the disk is not full")
	s := openHereOn("disk/store.db")
	n, err := s.Count(ctx, "a", nil)
	expect(n == kept && err == nil, "what is there can be read", n, kept, err)
	_, err = s.Apply(ctx, insert("a", "x"))
	expect(fault.CodeOf(err) == fault.Unavailable && strings.Contains(err.Error(), "the disk is full"), err)
	none := openHereOn("disk/data/none.db")
	err = none.Ensure(ctx, store.Collection{Name: "b"})
	expect(fault.CodeOf(err) == fault.Unavailable, "there is no file", err)
	_, err = none.Get(ctx, "b", "x")
	expect(fault.CodeOf(err) == fault.Unavailable, "there is no file", err)
	expect(os.Remove("disk/other") == nil, "remove")
	for collection, s := range map[string]*Store{"a": s, "b": none} {
		expect(s.Ready(ctx) == nil, "ready by itself", s.Ready(ctx))
		_, err = s.Apply(ctx, insert(collection, "x"))
		expect(err == nil, err)
		n, err := s.Count(ctx, collection, nil)
		expect(n == 1 || n == kept+1 && err == nil, n, err)
		expect(s.Check(ctx) == nil && s.Close() == nil, "close")
	}
	expect(os.WriteFile("disk/other", make([]byte, 60<<20), 0o600) != nil, "the disk is not full")
	expect(os.Truncate("disk/store.db", 5000) == nil, "truncate")
	_, err = Open(ctx, "disk/store.db", slog.Default())
	expect(err != nil && fault.CodeOf(err) == "", "damaged, on a full disk", err)
}

// openHereOn opens a store on a full disk.
func openHereOn(path string) *Store {
	s, err := Open(context.Background(), path, slog.Default())
	expect(err == nil, err)
	err = s.Ready(context.Background())
	expect(fault.CodeOf(err) == fault.Unavailable && strings.Contains(err.Error(), "the disk is full"), err)
	return s
}

func TestAReadOnlyDiskIsSaidToBeOne(t *testing.T) { withOwnMounts(t, "read-only disk") }

func onReadOnlyDisk() {
	expect(os.Mkdir("disk", 0o700) == nil, "mkdir")
	err := syscall.Mount("tmpfs", "disk", "tmpfs", 0, "size=20m")
	expect(err == nil, "mount", err)
	s := openHere("disk/store.db")
	ctx := context.Background()
	_, err = s.Apply(ctx, insert("a", "1"))
	expect(err == nil && s.Close() == nil, err)
	err = syscall.Mount("tmpfs", "disk", "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	expect(err == nil, "remount", err)
	_, err = Open(ctx, "disk/store.db", slog.Default())
	expect(err != nil && fault.CodeOf(err) == "" && strings.Contains(err.Error(), "read-only"), err)
	_, err = Open(ctx, "disk/other/store.db", slog.Default())
	expect(err != nil && strings.Contains(err.Error(), "read-only"), err)
}
