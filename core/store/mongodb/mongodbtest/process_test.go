package mongodbtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// roleVariable, when set, makes the test binary a process that starts a set in its folder, says its pid, and stays until it is killed.
const roleVariable = "MONGODBTEST_BE_KILLED"

func runAsRole() {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	mongod, err := Mongod(ctx)
	if err != nil {
		panic(err)
	}
	set, err := start(ctx, mongod, ".", Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(set.members[0].process.pid)
	<-ctx.Done()
	os.Exit(1)
}

func TestAKilledTestLeavesNoMongodBehind(t *testing.T) {
	t.Parallel()
	forOwnProcesses(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"=1")
	child.Dir = t.TempDir()
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	line, _, err := bufio.NewReader(output).ReadLine()
	if err != nil {
		t.Fatal("the child started no mongod: ", err)
	}
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	mongod, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(mongod)

	child.Process.Kill()
	wait := []unix.PollFd{{Fd: int32(mongod), Events: unix.POLLIN}} // readable once the process is gone (pidfd_open(2))
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Poll(wait, int(endWithin.Milliseconds()))
	}
	if err != nil || wait[0].Revents == 0 {
		unix.Kill(pid, unix.SIGKILL)
		t.Errorf("mongod runs still, %v after its test was killed (%v)", endWithin, err)
	}
}

func TestAProcessThatEndsIsNotWaitedFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	p, err := startProcess(filepath.Join(t.TempDir(), "log"), "false")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.until(ctx, func() error { return os.ErrNotExist }); err == nil || ctx.Err() != nil {
		t.Errorf("waited until the end, for %v", err)
	}
}

func TestAHeldPortIsGivenToNobodyElse(t *testing.T) {
	port, release, err := holdPort()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	if err := unix.Bind(other, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		t.Error("a socket without SO_REUSEADDR was bound to it")
	}
}

func BenchmarkStart(b *testing.B) {
	for _, members := range []int{1, 3} {
		b.Run(fmt.Sprint("of ", members), func(b *testing.B) {
			for b.Loop() {
				set := Start(b, Options{Members: members})
				b.StopTimer()
				for _, m := range set.Members() {
					b.ReportMetric(resident(b, m.process.pid), "MiB-resident")
					m.Kill(b)
				}
				b.StartTimer()
			}
		})
	}
}

// resident is the memory of a process that is in RAM, in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)) // proc(5): pages
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}
