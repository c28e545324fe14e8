package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/onehost/edge/core/fault"
)

// childOf is the variable that makes this test binary a process of its own, in the role that it names.
const childOf = "EDGE_TEST_SPOOL_ROLE"

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	switch os.Getenv(childOf) {
	case "":
		return
	case "stream":
		stream("spool")
	case "full disk":
		onFullDisk()
		os.Exit(0)
	}
	os.Exit(1)
}

func process(t *testing.T, role, folder string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childOf+"="+role)
	cmd.Stderr = t.Output()
	cmd.Dir = folder
	return cmd
}

func expect(ok bool, what ...any) {
	if !ok {
		fmt.Fprintln(os.Stderr, append([]any{"not so:"}, what...)...)
		os.Exit(1)
	}
}

// stream puts and drains until it is killed: "put ID" is written when Put has returned, "drained ID" before a record is taken.
func stream(folder string) {
	s, err := Open(folder, quiet)
	expect(err == nil, err)
	tell := func(word, id string) error {
		_, err := os.Stdout.WriteString(word + " " + id + "\n")
		return err
	}
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d.", os.Getpid(), writer, n)
				err := s.Put(context.Background(), fmt.Sprint(writer), []byte(id+strings.Repeat("x", 3000)))
				expect(errors.Join(err, tell("put", id)) == nil, err)
			}
		})
	}
	all.Go(func() {
		for {
			err := s.Drain(context.Background(), func(_ context.Context, _ string, record []byte) error {
				id, _, _ := strings.Cut(string(record), ".")
				return tell("drained", id+".")
			})
			expect(err == nil, err)
		}
	})
	all.Wait()
}

func TestKillingTheProcessLosesNothing(t *testing.T) {
	folder := t.TempDir()
	acknowledged, taken := make(map[string]bool), make(map[string]bool)
	for round := range 10 {
		cmd := process(t, "stream", folder)
		out, err := cmd.StdoutPipe()
		if err = errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for enough := len(acknowledged) + 30 + 17*round; lines.Scan(); {
			word, id, _ := strings.Cut(lines.Text(), " ")
			if !strings.HasSuffix(id, ".") {
				continue // the last may be cut off
			}
			map[string]map[string]bool{"put": acknowledged, "drained": taken}[word][id] = true
			if len(acknowledged) == enough {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
	}
	folder = filepath.Join(folder, "spool")
	s := opened(t, folder)
	t.Log(len(acknowledged), "acknowledged,", length(s), "left")
	for _, r := range drained(t, s, "") {
		id, _, _ := strings.Cut(strings.SplitN(r, ":", 2)[1], ".")
		taken[id+"."] = true
	}
	for id := range acknowledged {
		if !taken[id] {
			t.Error("lost:", id)
		}
	}
	if aside := asideFiles(t, folder); len(aside) != 0 {
		t.Error("damaged by a kill:", len(aside))
	}
}

func TestAFullDiskRefusesAndKeepsWhatItHas(t *testing.T) {
	cmd := process(t, "full disk", t.TempDir())
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

func onFullDisk() {
	ctx := context.Background()
	expect(os.Mkdir("disk", 0o700) == nil && syscall.Mount("tmpfs", "disk", "tmpfs", 0, "size=2m") == nil, "mount")
	s, err := Open(filepath.Join("disk", "spool"), quiet)
	expect(err == nil, err)
	n, record := 0, make([]byte, 10_000)
	for ; err == nil; n++ {
		err = s.Put(ctx, "a", record)
	}
	n--
	expect(fault.CodeOf(err) == fault.Unavailable && strings.Contains(err.Error(), "left to others"), err)
	free, least, err := s.disk()
	expect(err == nil && free >= least && free < 2*least, "a tenth stays free", free, least, err)
	expect(s.Trouble() != "", "a person is told")

	expect(os.WriteFile("disk/other", make([]byte, 2<<20), 0o600) != nil, "the disk is not full")
	err = s.Put(ctx, "a", []byte("more"))
	expect(fault.CodeOf(err) == fault.Unavailable, err)
	s.max = 1 << 40 // as if it did not look
	count := 0
	err = s.Drain(ctx, func(_ context.Context, _ string, r []byte) error {
		expect(len(r) == len(record), len(r))
		count++
		return nil
	})
	left, _ := s.Len()
	expect(err == nil && count == n && left == 0, "it is drained though the disk is full", count, n, left, err)
	expect(os.Remove("disk/other") == nil && s.Put(ctx, "a", record) == nil && s.Trouble() == "", "it goes on", s.Trouble())

	// A write that the disk ends in the middle leaves nothing of it behind.
	seg := s.active
	expect(os.WriteFile("disk/other", make([]byte, 2<<20), 0o600) != nil, "the disk is not full")
	_, err = seg.file.WriteAt(make([]byte, 1<<20), seg.end)
	expect(errors.Is(err, syscall.ENOSPC), err)
	expect(s.Close() == nil, "close")
	s, err = Open(filepath.Join("disk", "spool"), quiet)
	expect(err == nil, "it opens on a full disk", err)
	left, _ = s.Len()
	expect(left == 1, left)
	expect(s.Close() == nil, "close")
}
