// Package sample_test runs what `make run` runs, on other ports, and looks at it with a browser.
package sample_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// started is a running sample.
type started struct {
	folder string // a copy of deploy/sample
	https  string // its port
	http   string
}

// start copies the sample beside freshly built binaries, gives it free ports, and runs its script until it has said what to open.
func start(t *testing.T) started {
	t.Helper()
	root, err := os.MkdirTemp("", "sample") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	ports := freePorts(t, 3)
	s := started{folder: filepath.Join(root, "deploy", "sample"), https: ports[0], http: ports[1]}
	output(t, ".", "go", "build", "-trimpath", "-o", filepath.Join(root, "bin", "edge"), "../../edge")
	output(t, ".", "go", "build", "-trimpath", "-o", filepath.Join(root, "bin", "sample-app"), "./app")
	copyFolder(t, "../../web/app/dist", filepath.Join(root, "web", "app", "dist"))
	for _, name := range []string{"edge.yaml", "run"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("8443", s.https, "8080", s.http, "9180", ports[2], "log:\n", "log:\n  level: debug\n").Replace(string(data))
		if err := os.MkdirAll(s.folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	script := exec.Command(filepath.Join(s.folder, "run"))
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell starts a job: Ctrl-C reaches all of it
	script.Stderr = t.Output()
	said, err := script.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			fmt.Fprintln(t.Output(), lines.Text())
			if strings.Contains(lines.Text(), "Ctrl-C stops it") {
				close(ready)
			}
		}
		ended <- script.Wait()
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("the sample ended: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("the sample does not get ready")
	}
	t.Cleanup(func() {
		syscall.Kill(-script.Process.Pid, syscall.SIGINT)
		if err := <-ended; err != nil {
			t.Errorf("Ctrl-C: %v", err)
		}
		if err := syscall.Kill(-script.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Error("a process of the sample is still there")
		}
	})
	return s
}

func (s started) curl(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, s.folder, "curl", append([]string{"-sS", "--max-time", "20", "--cacert", "data/ca/root.crt"}, args...)...)
}

func TestSample(t *testing.T) {
	s := start(t)
	if got := s.curl(t, "https://localhost:"+s.https+"/"); !strings.Contains(strings.ToLower(got), "<!doctype html>") {
		t.Errorf("web app: %s", got)
	}
	if got := s.curl(t, "https://api.localhost:"+s.https+"/hello"); !strings.Contains(got, "Hello from the app behind edge") {
		t.Errorf("api: %s", got)
	}
	if got := s.curl(t, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://localhost:"+s.http+"/a?b"); got != "301 https://localhost:"+s.https+"/a?b" {
		t.Errorf("redirect: %s", got)
	}
}

// TestBrowser has Chromium open the web app: what it complains of, what it shows, and whether it is accessible.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: no chromium on this machine (apt-get install chromium)")
	}
	if _, err := os.Stat("../../web/app/node_modules"); err != nil {
		t.Skip("SKIPPED: the web app's packages are not installed (make web)")
	}
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	tests := exec.CommandContext(ctx, "npm", "run", "e2e")
	tests.Dir = "../../web/app"
	tests.Env = append(os.Environ(), "BASE_URL=https://localhost:"+s.https, "CHROMIUM="+chromium, "CA_FILE="+filepath.Join(s.folder, "data", "ca", "root.crt"))
	tests.Stdout, tests.Stderr = t.Output(), t.Output()
	if err := tests.Run(); err != nil {
		t.Error(err)
	}
}

// freePorts returns n different ports. They are held together: one that is given back at once may be the next one found.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		ln, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, ports[i], _ = net.SplitHostPort(ln.Addr().String())
	}
	return ports
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir, command.Stderr = dir, t.Output()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
