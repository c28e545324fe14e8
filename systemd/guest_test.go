//go:build systemd

package systemd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What every test in the guest uses.

const (
	configFile = "/etc/edge/edge.yaml"
	product    = "/opt/edge/bin/edge"
	installer  = "/opt/edge/repo/deploy/install"
)

// units are edge's, as they lie in the repository.
var units = []string{"edge.service", "edge-http.socket", "edge-https.socket", "edge-quic.socket"}

// systemctl runs it, which must succeed, and returns what it printed.
func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := trySystemctl(t, args...)
	if err != nil {
		t.Fatalf("systemctl %s: %v\n%s\njournal:\n%s", strings.Join(args, " "), err, out, lastLines(journal(t, "edge.service"), 30))
	}
	return out
}

// trySystemctl runs it and returns what it printed, and its error.
func trySystemctl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", append([]string{"--no-pager", "--no-ask-password"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// property returns what systemd says of a unit, such as property(t, "edge.service", "NRestarts").
func property(t *testing.T, unit, name string) string {
	t.Helper()
	return systemctl(t, "show", unit, "--property="+name, "--value")
}

// journal returns what a unit has logged since the boot, without the times.
func journal(t *testing.T, unit string) string {
	t.Helper()
	_ = exec.Command("journalctl", "--sync").Run()
	out, err := exec.Command("journalctl", "--no-pager", "--output=cat", "--unit="+unit).CombinedOutput()
	if err != nil {
		t.Fatalf("journalctl: %v\n%s", err, out)
	}
	return string(out)
}

func lastLines(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// eventually asks until the answer is yes. It fails the test when that takes longer than 20 s.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !yes() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s\njournal:\n%s", what, lastLines(journal(t, "edge.service"), 30))
		}
		time.Sleep(20 * time.Millisecond) // systemd is asked, it does not tell
	}
}

// writeFile writes a file and the folders that it is in.
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // WriteFile's is less the umask, and an old file keeps its own
		t.Fatal(err)
	}
}

// installed has edge installed and running, with a configuration that serves app.test.
func installed(t *testing.T) {
	t.Helper()
	if !inGuest() {
		t.Fatal("installed is for the guest")
	}
	if _, err := os.Stat("/etc/systemd/system/edge.service"); errors.Is(err, os.ErrNotExist) {
		install(t)
	}
	if _, err := os.Stat(configFile); err != nil || property(t, "edge.service", "ActiveState") != "active" {
		configure(t, plainConfig)
	}
}

// plainConfig is the least that serves: one host with an answer of its own.
const plainConfig = `
listen: {http: ":80", https: ":443", admin: "unix:/run/edge/admin.sock"}
tls: {issuers: [local]}
hosts:
  app.test:
    default: {respond: {type: text/plain, body: hello}}
`

// install runs deploy/install, or where the repository has none does what has to be done for a unit to start.
func install(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(installer); err == nil {
		run(t, installer, product)
		return
	}
	run(t, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/edge", "--shell", "/usr/sbin/nologin", "edge")
	run(t, "install", "-m", "755", product, "/usr/local/bin/edge")
	run(t, "install", "-d", "-m", "750", "-o", "root", "-g", "edge", "/etc/edge")
	run(t, "install", "-d", "-m", "700", "/etc/edge/credentials")
	for _, unit := range units {
		run(t, "install", "-m", "644", "/opt/edge/repo/systemd/"+unit, "/etc/systemd/system/"+unit)
	}
	systemctl(t, "daemon-reload")
	systemctl(t, append([]string{"enable"}, units...)...)
	systemctl(t, "start", "edge-http.socket", "edge-https.socket", "edge-quic.socket")
}

// configure has edge run with this configuration: by a reload where it is running and takes it, else by a restart.
func configure(t *testing.T, yaml string) {
	t.Helper()
	writeFile(t, configFile, yaml, 0o640)
	run(t, "chgrp", "edge", configFile)
	if property(t, "edge.service", "ActiveState") == "active" {
		if _, err := trySystemctl(t, "reload", "edge.service"); err == nil {
			return
		}
	}
	_, _ = trySystemctl(t, append([]string{"reset-failed"}, units...)...)
	systemctl(t, "restart", "edge.service")
}

// mainPID is that of the edge which runs now.
func mainPID(t *testing.T) string {
	t.Helper()
	return property(t, "edge.service", "MainPID")
}

// failedUnits are those that systemd calls failed.
func failedUnits(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(strings.Split(systemctl(t, "list-units", "--failed", "--plain", "--no-legend"), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
}
