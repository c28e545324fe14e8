//go:build systemd

package systemd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A guest is a root folder and the control groups that a systemd is booted in.
type guest struct {
	root   string
	groups []string
}

func (g *guest) path(name string) string { return filepath.Join(g.root, name) }

// newGuest builds what is tested and makes a root of it. What it made is removed when the test is over.
func newGuest(t *testing.T) *guest {
	t.Helper()
	folders := groupFolders(t)
	sweep(t, append(folders, os.TempDir())...)
	name := fmt.Sprint(groupName, os.Getpid())
	g := &guest{root: filepath.Join(os.TempDir(), name)}
	t.Cleanup(func() {
		if err := removeGroups(g.groups); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(g.root); err != nil {
			t.Error(err)
		}
	})
	for _, folder := range folders {
		group := filepath.Join(folder, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			skip(t, "no control group can be made here: %v", err)
		}
		g.groups = append(g.groups, group)
	}
	g.makeRoot(t)
	g.putProduct(t)
	g.putTests(t)
	return g
}

// makeRoot makes a small system: /usr is the host's, to be read; all else is its own, so that nothing of the host starts in it.
func (g *guest) makeRoot(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"usr", "proc", "sys", "dev", "run", "root", "home", "srv", "mnt", "tmp", "var/lib", "var/log/journal", "var/cache", "var/tmp",
		"etc/systemd/system/multi-user.target.wants", "etc/systemd/system-generators", "opt/local/bin", "opt/local/sbin", "opt/edge/bin/plugins", "opt/edge/bin/functions", "opt/edge/repo"} {
		g.must(t, os.MkdirAll(g.path(dir), 0o755))
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		g.must(t, os.Chmod(g.path(dir), 0o777|os.ModeSticky))
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if info, err := os.Lstat("/" + dir); err == nil && info.Mode().Type() == os.ModeSymlink {
			g.must(t, os.Symlink("usr/"+dir, g.path(dir)))
		}
	}
	for _, of := range []string{"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "dbus-1", "login.defs", "pam.d", "default/useradd", "ssl/certs", "ssl/openssl.cnf", "ca-certificates.conf", "passwd", "group"} {
		if _, err := os.Lstat("/etc/" + of); err == nil {
			g.must(t, os.MkdirAll(filepath.Dir(g.path("etc/"+of)), 0o755))
			run(t, "cp", "-a", "/etc/"+of, g.path("etc/"+of))
		}
	}
	for name, text := range map[string]string{
		"shadow":                             "root:*:1::::::\n",
		"gshadow":                            "root:*::\n",
		"fstab":                              "",
		"hostname":                           "edge-test\n",
		"hosts":                              "127.0.0.1 localhost\n::1 localhost\n",
		"nsswitch.conf":                      "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
		"machine-id":                         "0123456789abcdef0123456789abcdef\n", // set: at a first boot all of the host's units would be enabled
		"systemd/system.conf":                "[Manager]\nDefaultTimeoutStopSec=15s\n",
		"systemd/journald.conf":              "[Journal]\nStorage=persistent\nSystemMaxUse=200M\n", // the host reads it when something failed
		"systemd/system/edge-tests.service":  testsUnit,
		"systemd/system/default.target.text": "",
	} {
		writeFile(t, g.path("etc/"+name), text, 0o644)
	}
	g.must(t, os.Remove(g.path("etc/systemd/system/default.target.text")))
	g.must(t, os.Symlink("/usr/lib/systemd/system/multi-user.target", g.path("etc/systemd/system/default.target")))
	g.must(t, os.Symlink("../edge-tests.service", g.path("etc/systemd/system/multi-user.target.wants/edge-tests.service")))
	g.maskHosts(t)
}

// testsUnit runs this test binary in the guest, and ends the guest with it.
const testsUnit = `[Unit]
Description=edge: the tests of this guest
[Service]
Type=exec
WorkingDirectory=/opt/edge/repo/systemd
Environment=EDGE_GUEST=1 HOME=/root
EnvironmentFile=/opt/edge/environment
TimeoutStopSec=5s
LimitNOFILE=65536
ExecStart=/bin/sh -c '/opt/edge/tests -test.v -test.timeout=4m -test.run "$$GUEST_RUN" >/opt/edge/output 2>&1; echo $$? >/opt/edge/status; systemctl exit --force 0'
`

// maskHosts keeps units and generators of /usr from starting what needs a machine of its own.
func (g *guest) maskHosts(t *testing.T) {
	t.Helper()
	generators, err := filepath.Glob("/usr/lib/systemd/system-generators/*")
	g.must(t, err)
	for _, path := range generators {
		g.must(t, os.Symlink("/dev/null", g.path("etc/systemd/system-generators/"+filepath.Base(path))))
	}
	const kept = "dbus.socket dbus.service systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service systemd-journal-flush.service " +
		"systemd-tmpfiles-setup.service systemd-sysusers.service"
	for _, pattern := range []string{"sysinit.target.wants", "multi-user.target.wants", "sockets.target.wants", "local-fs.target.wants", "timers.target.wants", "getty.target.wants", "basic.target.wants"} {
		wanted, err := filepath.Glob("/usr/lib/systemd/system/" + pattern + "/*")
		g.must(t, err)
		for _, path := range wanted {
			unit := filepath.Base(path)
			place := g.path("etc/systemd/system/" + unit)
			if _, err := os.Lstat(place); err == nil || strings.HasSuffix(unit, ".target") && unit != "getty.target" || strings.Contains(kept, unit) {
				continue
			}
			g.must(t, os.Symlink("/dev/null", place))
		}
	}
}

// putProduct builds edge, what comes after it, a plugin and a function, and puts them and what installs them into the root.
func (g *guest) putProduct(t *testing.T) {
	t.Helper()
	bin := g.path("opt/edge/bin")
	for name, commit := range map[string]string{"edge": "test", "edge-next": "next"} {
		run(t, "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w -X main.commit="+commit, "-o", filepath.Join(bin, name), "../edge")
	}
	run(t, "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", filepath.Join(bin, "plugins/planner"), "../plugins/samples/planner")
	run(t, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", filepath.Join(bin, "functions/contact"), "../deploy/lambda/contact")
	g.must(t, os.MkdirAll(g.path("opt/edge/repo/deploy"), 0o755))
	run(t, "cp", "-a", ".", g.path("opt/edge/repo/systemd"))
	if _, err := os.Stat("../deploy/install"); err == nil {
		run(t, "cp", "-a", "../deploy/install", g.path("opt/edge/repo/deploy/install"))
	}
}

func (g *guest) putTests(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	g.must(t, err)
	run(t, "cp", self, g.path("opt/edge/tests"))
	g.must(t, syscall.Mkfifo(g.path("opt/edge/output"), 0o600))
	chosen := os.Getenv("GUEST_RUN")
	if chosen == "" {
		chosen = "^TestGuest"
	}
	writeFile(t, g.path("opt/edge/environment"), "GUEST_RUN='"+chosen+"'\n", 0o644)
	writeFile(t, g.path("opt/edge/console"), "", 0o644)
}

func (g *guest) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program, which must succeed, and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
