package action

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"golang.org/x/sys/unix"
)

// shell is a job that runs a script, and finds programs.
func shell(script string) *Actions {
	return only(config.Job{Command: "/bin/sh", Args: []string{"-c", script}, Env: map[string]string{"PATH": os.Getenv("PATH")}})
}

// witness is a pipe with a name, that a script and what it starts have open.
type witness struct {
	name string
	r    *bufio.Reader
	keep *os.File // a writer, so that reading waits for the first
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); keep.Close() })
	if err := read.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &witness{name, bufio.NewReader(read), keep}
}

// line waits for what the script says.
func (w *witness) line(t *testing.T) string {
	t.Helper()
	line, err := w.r.ReadString('\n')
	if err != nil {
		t.Fatal("the script says nothing: ", err)
	}
	w.keep.Close()
	return strings.TrimSpace(line)
}

// alone waits until nobody has the pipe open.
func (w *witness) alone(t *testing.T) {
	t.Helper()
	w.keep.Close()
	if _, err := io.Copy(io.Discard, w.r); err != nil {
		t.Error("what the command has started is still there: ", err)
	}
}

func TestACommandHasItsOwnEnvironmentAndNothingElse(t *testing.T) {
	t.Setenv("EDGE_SECRET", "x")
	env, err := exec.LookPath("env")
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	got, err := only(config.Job{Command: env, Env: map[string]string{"B": "2", "A": "1 2"}}).Run(soon(t), run)
	if want := "A=1 2\nB=2\nEDGE_RUN=nightly-2027-01-31\nEDGE_JOB=nightly\nEDGE_DUE=2027-01-31T02:00:00Z"; err != nil || got.Output != want {
		t.Errorf("%q, %v, want %q", got.Output, err, want)
	}
}

func TestACommandStandsInItsFolderLeadsAGroupAndHasNothingToRead(t *testing.T) {
	got, err := shell(`pwd; cat; echo error >&2; test "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ && echo leads; grep NoNewPrivs /proc/self/status`).Run(soon(t), run)
	if want := "/bin\nerror\nleads\nNoNewPrivs:\t1"; err != nil || strings.TrimPrefix(got.Output, "/usr") != want {
		t.Errorf("%q, %v, want %q", got.Output, err, want)
	}
}

func TestACommandFailsByItsExitStatus(t *testing.T) {
	got, err := shell("echo why; exit 3").Run(soon(t), run)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || got.Output != "why" || permanent(err) || down(err) {
		t.Errorf("%q, %v", got.Output, err)
	}
	if _, err = shell("kill -9 $$").Run(soon(t), run); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ended by a signal: %v", err)
	}
	if _, err = only(config.Job{Command: filepath.Join(t.TempDir(), "none")}).Run(soon(t), run); !errors.Is(err, os.ErrNotExist) || permanent(err) {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestACommandWhoseTimeIsOverMayTidyUp(t *testing.T) {
	w := newWitness(t)
	ctx, cancel := context.WithCancel(soon(t))
	go func() { w.line(t); cancel() }()
	got, err := shell(`exec 3>`+w.name+`; trap 'echo bye; exit 0' TERM; sleep 1000 & echo up >&3; wait`).Run(ctx, run)
	if !errors.Is(err, context.Canceled) || got.Output != "bye" {
		t.Errorf("%q, %v", got.Output, err)
	}
	w.alone(t)
}

func TestACommandThatHangsIsKilledWithItsGroup(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	ctx, cancel := context.WithCancel(soon(t))
	var begun time.Time
	go func() { w.line(t); begun = time.Now(); cancel() }()
	_, err := shell(`exec 3>`+w.name+`; trap '' TERM; (sleep 1000; echo) & echo up >&3; sleep 1000`).Run(ctx, run)
	if took := time.Since(begun); !errors.Is(err, context.Canceled) || took < graceTime || took > graceTime+5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	w.alone(t)
}

func TestWhatACommandLeavesBehindInItsGroupIsKilled(t *testing.T) {
	w := newWitness(t)
	got, err := shell(`exec 3>`+w.name+`; sleep 1000 & echo done`).Run(soon(t), run)
	if err != nil || got.Output != "done" {
		t.Errorf("%q, %v", got.Output, err)
	}
	w.alone(t)
}

func TestAProcessThatLeavesTheGroupHoldsNothingUp(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	w := newWitness(t)
	back := newWitness(t)
	go func() { _, _ = back.keep.WriteString(w.line(t) + "\n") }()
	begun := time.Now()
	got, err := shell(`setsid sh -c 'echo $$ >`+w.name+`; exec sleep 1000' & read pid <`+back.name+`; echo $pid`).Run(soon(t), run)
	took := time.Since(begun)
	pid, bad := strconv.Atoi(got.Output)
	if err != nil || bad != nil || took > 20*time.Second {
		t.Fatalf("%q, %v after %v", got.Output, err, took)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("it has left the group, and was to be left alone: %v", err)
	}
}

func TestAFloodOfOutputIsReadAndForgotten(t *testing.T) {
	got, err := shell(`yes | head -c 20000000; echo the end`).Run(soon(t), run)
	if err != nil || len(got.Output) > outputMost || len(got.Output) < outputMost-10 || !strings.HasSuffix(got.Output, "y\nthe end") {
		t.Errorf("%d bytes, %v", len(got.Output), err)
	}
}

func TestOutputIsWhatATerminalCanShow(t *testing.T) {
	got, err := shell(`printf '\033[31mred\0\377\r\n\tok \342\202\254\n'`).Run(soon(t), run)
	if want := "[31mred �\n\tok €"; err != nil || strings.TrimSpace(got.Output) != want {
		t.Errorf("%q, %v, want %q", got.Output, err, want)
	}
}

func TestNothingIsStartedWhenTheTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := filepath.Join(t.TempDir(), "file")
	if _, err := shell("touch "+w).Run(ctx, run); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(w); err == nil {
		t.Error("it was started")
	}
}

func TestACommandDiesWithEdge(t *testing.T) {
	w := newWitness(t)
	edge := exec.Command(os.Args[0])
	edge.Env = append(os.Environ(), "ACTION_TEST_SCRIPT=exec 3>"+w.name+"; echo up >&3; exec sleep 60")
	edge.Env = slices.DeleteFunc(edge.Env, func(s string) bool { return strings.HasPrefix(s, "GOCOVERDIR=") })
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	w.line(t)
	if err := edge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = edge.Wait()
	w.alone(t)
}
