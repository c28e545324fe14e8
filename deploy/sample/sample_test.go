// Package sample_test runs what `make run` runs, on other ports, and looks at it with a browser.
package sample_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var bin string // a folder for the programs

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "sample-bin"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// build builds the programs as `make build` does, once for all tests.
var build = sync.OnceValue(func() error {
	for file, pkg := range map[string]string{
		"edge": "../../edge", "sample-app": "./app", "sample-seed": "./seed", "plugins/planner": "../../plugins/samples/planner",
		"functions/subscribe": "../lambda/subscribe", "functions/contact": "../lambda/contact", "functions/tweet": "../lambda/tweet",
	} {
		out, err := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", filepath.Join(bin, file), pkg).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", pkg, err, out)
		}
	}
	return nil
})

// sample is a copy of all that `make run` uses.
type sample struct {
	root   string
	folder string // deploy/sample in it
	https  string // a port
	http   string
}

// prepare copies the sample beside its programs, and gives it free ports. Tests ask more of its forms than visitors may.
func prepare(t *testing.T) sample {
	t.Helper()
	root, err := os.MkdirTemp("", "sample") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := build(); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, bin, filepath.Join(root, "bin"))
	copyFolder(t, "../../web/app/dist", filepath.Join(root, "web", "app", "dist"))
	ports := freePorts(t, 3)
	s := sample{root: root, folder: filepath.Join(root, "deploy", "sample"), https: ports[0], http: ports[1]}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, "api", filepath.Join(s.folder, "api"))
	for _, name := range []string{"edge.yaml", "run", "tweets.txt"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("8443", s.https, "8080", s.http, "9180", ports[2], "log:\n", "log:\n  level: debug\n",
			"    token:", "    limits: {rate: 100/s, burst: 100}\n    token:").Replace(string(data))
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start runs the script of `make run` until it has said what to open.
func start(t *testing.T) sample {
	t.Helper()
	s := prepare(t)
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

func (s sample) curl(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, s.folder, "curl", append([]string{"-sS", "--max-time", "20", "--cacert", "data/ca/root.crt"}, args...)...)
}

func TestSample(t *testing.T) {
	s := start(t)
	if got := s.curl(t, "https://localhost:"+s.https+"/"); !strings.Contains(strings.ToLower(got), "<!doctype html>") {
		t.Errorf("web app: %s", got)
	}
	s.ownsAGoal(t)
	if got := s.curl(t, "https://api.localhost:"+s.https+"/hello"); !strings.Contains(got, "Hello from the app behind edge") {
		t.Errorf("api: %s", got)
	}
	if got := s.curl(t, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://localhost:"+s.http+"/a?b"); got != "301 https://localhost:"+s.https+"/a?b" {
		t.Errorf("redirect: %s", got)
	}
}

// TestBrowser has Chromium open the web app and send its forms: what it complains of, what it shows, which mail comes, and whether all of it is
// accessible.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: no chromium on this machine (apt-get install chromium)")
	}
	if _, err := os.Stat("../../web/app/node_modules"); err != nil {
		t.Skip("SKIPPED: the web app's packages are not installed (make web)")
	}
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	tests := exec.CommandContext(ctx, "npm", "run", "e2e")
	tests.Dir = "../../web/app"
	tests.Env = append(os.Environ(), "BASE_URL=https://localhost:"+s.https, "CHROMIUM="+chromium, "CA_FILE="+filepath.Join(s.folder, "data", "ca", "root.crt"),
		"MAIL_FOLDER="+filepath.Join(s.folder, "data", "mail"))
	tests.Stdout, tests.Stderr = t.Output(), t.Output()
	if err := tests.Run(); err != nil {
		t.Error(err)
	}
}

// TestWhoWasThankedIsNotForgotten has the function of a form missing, and the server killed, between the thanks and the mail.
func TestWhoWasThankedIsNotForgotten(t *testing.T) {
	s := prepare(t)
	function := filepath.Join(s.root, "bin", "functions", "contact")
	if err := os.Rename(function, function+".away"); err != nil {
		t.Fatal(err)
	}
	edge := s.serve(t)
	form := "https://localhost:" + s.https + "/forms/contact"
	var page struct{ Token, Field string }
	if err := json.Unmarshal([]byte(s.curl(t, form+"/token")), &page); err != nil {
		t.Fatal(err)
	}
	// This is quicker than people are, so somebody has to say that it is no spam.
	got := s.curl(t, form, "-H", "Accept: application/json", "-d", page.Field+"="+page.Token, "-d", "email=ann@example.org", "-d", "message=remember me")
	var thanks struct {
		OK bool
		ID string
	}
	if err := json.Unmarshal([]byte(got), &thanks); err != nil || !thanks.OK {
		t.Fatalf("%s %v", got, err)
	}
	s.edge(t, "forms", "ham", thanks.ID)
	await(t, "it was tried in vain", func() bool { return strings.Contains(s.edge(t, "forms", "show", thanks.ID, "--json"), `"attempts": 1`) })
	if err := edge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = edge.Wait()
	if err := os.Rename(function+".away", function); err != nil {
		t.Fatal(err)
	}
	s.serve(t)
	await(t, "the mail comes", func() bool {
		letters, _ := filepath.Glob(filepath.Join(s.folder, "data", "mail", "*.eml"))
		for _, letter := range letters {
			if text, err := os.ReadFile(letter); err == nil && strings.Contains(string(text), "remember me") {
				return true
			}
		}
		return false
	})
}

// serve runs edge alone, until it serves.
func (s sample) serve(t *testing.T) *exec.Cmd {
	t.Helper()
	edge := exec.Command("../../bin/edge", "run", "-c", "edge.yaml")
	edge.Dir, edge.Stdout, edge.Stderr = s.folder, t.Output(), t.Output()
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if edge.ProcessState == nil {
			_ = edge.Process.Kill()
			_ = edge.Wait()
		}
	})
	await(t, "edge serves", func() bool {
		status := exec.Command("../../bin/edge", "status", "-c", "edge.yaml")
		status.Dir = s.folder
		return status.Run() == nil
	})
	return edge
}

// edge is what a command to the running server prints.
func (s sample) edge(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, s.folder, "../../bin/edge", append(args, "-c", "edge.yaml")...)
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
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

// ownsAGoal does what the README says of the content API: an account, and a goal that nobody else sees.
func (s sample) ownsAGoal(t *testing.T) {
	t.Helper()
	api, json := "https://api.localhost:"+s.https+"/api", "Content-Type: application/json"
	said := s.curl(t, api+"/auth/local/register", "-H", json, "-d", `{"username": "ann", "email": "ann@example.org", "password": "Secret123"}`)
	_, rest, _ := strings.Cut(said, `"jwt":"`)
	jwt, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatal("no account: " + said)
	}
	token := "Authorization: Bearer " + jwt
	s.curl(t, api+"/goals", "-H", token, "-H", json, "-d", `{"data": {"title": "Run a marathon", "due": "2027-05-01"}}`)
	if got := s.curl(t, api+"/goals?sort=due", "-H", token); !strings.Contains(got, `"title":"Run a marathon"`) {
		t.Errorf("the goal is %s", got)
	}
	if got := s.curl(t, api+"/goals"); !strings.Contains(got, `"status":403`) {
		t.Errorf("who is not logged in gets %s", got)
	}
}
