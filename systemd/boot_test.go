//go:build systemd

// Package systemd_test boots a real systemd with edge's units and tests them there.
//
// On the host there is TestTheBootedSystem, which builds edge, makes a small root, boots it in namespaces of its own and runs this
// very test binary in it. Tests whose names begin with TestGuest run only there, as root, one after the other in the order of the
// files' names, and find the real systemctl. GUEST_RUN=REGEX chooses some of them. In comes what only a booted system shows.
package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	bootLimit  = 5 * time.Minute // all of the guest's tests
	groupName  = "edge-boot-"    // then the pid of the test that booted it
	notEntered = 99              // the exit status of a boot that never came to the tests
)

func inGuest() bool { return os.Getenv("EDGE_GUEST") == "1" }

func TestMain(m *testing.M) {
	flag.Parse()
	if !inGuest() {
		skip := "^TestGuest"
		if asked := flag.Lookup("test.skip").Value.String(); asked != "" {
			skip += "|" + asked
		}
		if err := flag.Set("test.skip", skip); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// skip says loudly why nothing is tested here. Where systemd is required that is a failure.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	why := "SKIPPED: " + fmt.Sprintf(format, args...)
	if os.Getenv("REQUIRE_SYSTEMD") == "1" {
		t.Fatal(why)
	}
	fmt.Fprintf(os.Stderr, "**********\n* %s\n**********\n", why) // seen without -v, too
	t.Skip(why)
}

// TestTheBootedSystem runs the guest's tests in it. What they print comes as they print it.
func TestTheBootedSystem(t *testing.T) {
	if inGuest() {
		t.Skip("this is the booted system")
	}
	init := needs(t)
	g := newGuest(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	started := time.Now()
	status, err := g.boot(ctx, init)
	t.Logf("the guest took %.1f s", time.Since(started).Seconds())
	switch {
	case ctx.Err() != nil:
		t.Errorf("the guest was not done after %s", bootLimit)
	case err != nil:
		t.Errorf("boot: %v", err)
	case status != 0:
		t.Errorf("the guest's tests ended with status %d", status)
	}
	if t.Failed() {
		t.Logf("its console:\n%s", tail(g.path("opt/edge/console"), 60))
		journal, _ := exec.Command("journalctl", "--no-pager", "-n", "150", "-o", "short-monotonic", "-D", g.path("var/log/journal")).CombinedOutput()
		t.Logf("the end of its journal:\n%s", journal)
	}
}

// needs returns the systemd to boot, or skips the test where none can be booted.
func needs(t *testing.T) (init string) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "booting systemd needs root: run it with sudo")
	}
	for _, path := range []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} {
		if _, err := os.Stat(path); err == nil {
			init = path
			break
		}
	}
	if init == "" {
		skip(t, "no systemd here: apt-get install systemd dbus iproute2")
	}
	for _, program := range []string{"dbus-daemon", "ip", "unshare", "setpriv", "systemctl", "systemd-analyze", "journalctl"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "no %s here: apt-get install systemd dbus iproute2 util-linux", program)
		}
	}
	if out, err := exec.Command("unshare", append(namespaces(), "true")...).CombinedOutput(); err != nil {
		skip(t, "namespaces can't be made here: %v: %s", err, bytes.TrimSpace(out))
	}
	if len(groupFolders(t)) == 0 {
		skip(t, "no control groups of version 2 are mounted here")
	}
	return init
}

func namespaces() []string {
	return []string{"--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "--propagation", "private"}
}

// groupFolders are where a control group of one's own can be made for the guest: version 2, and where that is beside version 1
// the hierarchy of the host's systemd as well, so that the guest sees itself alone in both.
func groupFolders(t *testing.T) (folders []string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 3 && (f[2] == "cgroup2" || f[2] == "cgroup" && strings.Contains(f[3], "name=systemd")) {
			folders = append(folders, f[1])
		}
	}
	return folders
}

// boot boots the guest, waits for its end and returns the status of its tests. All of its processes end with the test, however
// that ends: the kernel kills unshare with this process, its child with it, and that is the guest's PID 1.
func (g *guest) boot(ctx context.Context, init string) (status int, err error) {
	output, err := os.OpenFile(g.path("opt/edge/output"), os.O_RDWR, 0) // a FIFO, open for writing so that reading never sees its end
	if err != nil {
		return 0, err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(os.Stdout, output)
	}()
	defer func() {
		_ = output.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // what is in the pipe is read by then
		<-copied
		output.Close()
	}()

	console, err := os.OpenFile(g.path("opt/edge/console"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return 0, err
	}
	defer console.Close()
	runtime.LockOSThread() // a Pdeathsig is sent when the thread ends, not the process
	defer runtime.UnlockOSThread()
	enter := `for group in $GROUPS_OF_GUEST; do echo $$ >"$group/cgroup.procs"; done; exec unshare "$@"`
	unshare := exec.CommandContext(ctx, "/bin/sh", append(append([]string{"-euc", enter, "sh"}, namespaces()...), "testdata/boot", g.root, init)...)
	unshare.Env = append(os.Environ(), "GROUPS_OF_GUEST="+strings.Join(g.groups, " "))
	unshare.Stdout, unshare.Stderr = console, console
	unshare.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := unshare.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return 0, err
	}
	said, err := os.ReadFile(g.path("opt/edge/status"))
	if err != nil {
		return notEntered, fmt.Errorf("the guest ended before its tests did: %s", unshare.ProcessState)
	}
	return strconv.Atoi(strings.TrimSpace(string(said)))
}

// removeGroups removes the guest's control groups, which its death leaves empty.
func removeGroups(groups []string) error {
	for _, group := range groups {
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := removeGroup(group)
			if err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("control group %s: %w", group, err)
			}
			time.Sleep(20 * time.Millisecond) // its processes are dying; nothing tells when
		}
	}
	return nil
}

// removeGroup removes the group and those in it, the innermost first. Its files can't be removed and don't hinder.
func removeGroup(group string) error {
	entries, err := os.ReadDir(group)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(group)
}

// sweep removes what tests left that were killed: their guests died with them, their folders and groups did not.
func sweep(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		left, err := filepath.Glob(filepath.Join(folder, groupName+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			pid, err := strconv.Atoi(path[strings.LastIndex(path, "-")+1:])
			if err != nil || syscall.Kill(pid, 0) == nil {
				continue
			}
			if strings.HasPrefix(path, os.TempDir()) {
				err = os.RemoveAll(path)
			} else {
				err = removeGroups([]string{path})
			}
			if err != nil {
				t.Errorf("left by a test that was killed: %v", err)
			}
		}
	}
}

// tail returns the last lines of a file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
