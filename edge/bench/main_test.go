//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be what it starts: a process that burns time, the whole command.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "burn":
		burn(os.Args[2:])
	case os.Getenv("BENCH_MAIN") != "":
		main()
	default:
		goleak.VerifyTestMain(m)
	}
}

// burn uses the CPU, prints how many nanoseconds it used in all, and stays for a while or ends. It starts what args name first.
func burn(args []string) {
	if len(args) > 1 {
		other := exec.Command(os.Args[0], append([]string{"burn"}, args[1:]...)...)
		other.Stdout = os.Stdout
		if err := other.Start(); err != nil {
			panic(err)
		}
		if args[1] == "end" {
			other.Wait()
		}
	}
	var used unix.Timespec
	for used.Nano() < int64(200*time.Millisecond) {
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
			panic(err)
		}
	}
	fmt.Println(used.Nano())
	if args[0] == "stay" {
		time.Sleep(time.Minute) // it is ended before
	}
}

// tools skips a test that needs programs which are not installed.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: %s is not installed", name)
		}
	}
}

func TestTheWholeCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	t.Parallel()
	tools(t, "wrk", "h2load", "go")
	program := filepath.Join(t.TempDir(), "edge")
	if out, err := exec.Command("go", "build", "-o", program, "../../edge").CombinedOutput(); err != nil {
		t.Fatalf("edge does not build: %v\n%s", err, out)
	}
	t.Run("fills the column of edge", func(t *testing.T) { fillsTheColumnOfEdge(t, program) })
	t.Run("measures the content API", func(t *testing.T) { measuresTheContentAPI(t, program) })
	t.Run("leaves nothing behind when it is interrupted", func(t *testing.T) { leavesNothingBehind(t, program) })
}

// command is the whole command, measuring program, and with a folder for temporary files of its own.
func command(t *testing.T, program string, args ...string) (run *exec.Cmd, temporary string) {
	t.Helper()
	temporary, err := os.MkdirTemp("", "b") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temporary) })
	run = exec.CommandContext(t.Context(), os.Args[0], append([]string{"-edge", program, "-peers", ""}, args...)...)
	run.Env = append(os.Environ(), "BENCH_MAIN=1", "TMPDIR="+temporary)
	run.WaitDelay = 10 * time.Second
	return run, temporary
}

func empty(t *testing.T, folder string) {
	t.Helper()
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func fillsTheColumnOfEdge(t *testing.T, program string) {
	run, temporary := command(t, program, "-rows", "access-log,h2-2000", "-reps", "1", "-secs", "1")
	var out, log bytes.Buffer
	run.Stdout, run.Stderr = &out, &log
	if err := run.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	empty(t, temporary)
	rows := 0
	for line := range strings.Lines(out.String()) {
		cells := strings.Split(line, "|")
		if len(cells) < 10 || strings.Contains(line, "---") || strings.Contains(line, "× nginx |") {
			continue
		}
		rows++
		var figure float64
		if _, err := fmt.Sscan(cells[2], &figure); err != nil || figure == 0 {
			t.Errorf("no figure in %s", line)
		}
	}
	if rows != 2 {
		t.Errorf("%d rows:\n%s%s", rows, out.String(), log.String())
	}
}

func leavesNothingBehind(t *testing.T, program string) {
	run, temporary := command(t, program, "-rows", "h1-proxy", "-reps", "9")
	log, err := run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	var started []process
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if started == nil && strings.Contains(lines.Text(), "round 1/9") {
			if started, err = tree(run.Process.Pid); err != nil {
				t.Fatal(err)
			}
			run.Process.Signal(os.Interrupt)
		}
	}
	if err := run.Wait(); err == nil {
		t.Error("an interrupted run ends with 0")
	}
	if len(started) < 2 {
		t.Errorf("the run had %d processes: no server?", len(started))
	}
	for _, p := range started {
		if syscall.Kill(p.pid, 0) == nil {
			t.Errorf("process %d is still there", p.pid)
		}
	}
	empty(t, temporary)
}

func TestFlagsThatMeanNothingAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-rows", "h3"}, {"-peers", "iis"}, {"-reps", "0"}, {"-secs", "61"}, {"-backlog", "10"}, {"-entries", "10"}, {"h1-proxy"}, {"-fast"}} {
		var log strings.Builder
		if _, err := parseOptions(args, &log); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	o, err := parseOptions(nil, os.Stderr)
	if err != nil || len(o.names) != len(rowNames()) || len(o.peers) != len(peerNames()) {
		t.Errorf("without flags: %+v, %v", o, err)
	}
}

func TestAMissingEdgeIsSaidBeforeAnythingIsStarted(t *testing.T) {
	err := run(t.Context(), []string{"-edge", "/nowhere/edge"}, os.Stdout, os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Error(err)
	}
}

func TestAChildEndsWithItsDescendants(t *testing.T) {
	for name, end := range map[string]func(*child, func()){"stop": func(c *child, _ func()) { c.stop() }, "context": func(c *child, cancel func()) { cancel(); <-c.done }} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c, err := start(ctx, program{args: []string{"sh", "-c", "trap '' TERM; sleep 60 & trap 'exit 0' TERM; echo $!; wait"}, out: write})
		if err != nil {
			t.Fatal(err)
		}
		write.Close()
		read.SetReadDeadline(time.Now().Add(20 * time.Second))
		var pid int
		if _, err := fmt.Fscan(read, &pid); err != nil {
			t.Fatal(name, err)
		}
		end(c, cancel)
		if _, err := read.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) { // the pipe ends when the last who has it has ended
			t.Errorf("%s: %d, which takes no notice of SIGTERM, is still there: %v", name, pid, err)
		}
		read.Close()
	}
}
