// Package childtest has a test binary be a process of its own, to be killed or to have disks that nobody else sees. Only
// tests import it, and a package that does looks in its TestMain what it is to be:
//
//	func TestMain(m *testing.M) {
//		switch childtest.Role() {
//		case "order and be killed":
//			…
//		}
//		os.Exit(m.Run())
//	}
package childtest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const variable = "EDGE_TEST_CHILD"

// Role returns what this process is to be, "" for the tests themselves.
func Role() string { return os.Getenv(variable) }

// Command is this test binary in a role, in the folder dir. It is killed when the test ends.
func Command(t testing.TB, role, dir string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // the test itself
	cmd.Env = append(os.Environ(), variable+"="+role)
	cmd.Dir = dir
	return cmd
}

// RunWithOwnMounts runs a role in an empty folder, as a process that may mount disks, until it ends: well, or the test fails.
func RunWithOwnMounts(t testing.TB, role string) {
	t.Helper()
	cmd := Command(t, role, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("SKIPPED: this machine permits no user namespaces: ", err)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
