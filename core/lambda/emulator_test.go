package lambda

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda/local"
)

// TestTheSameProgramAnswersAsUnderAWSsEmulator compares payloads. The emulator has no X-Amz-Function-Error, which AWS has; and it says plain text where AWS
// says JSON when the time is over.
func TestTheSameProgramAnswersAsUnderAWSsEmulator(t *testing.T) {
	rie := emulator(t)
	fn := here(func(f *config.Function) { f.Timeout = 2 * time.Second })
	ours := payloads(t, fn)
	for name, tt := range map[string]struct{ event, theirs string }{
		"an answer":          {event: `{"do":"echo","text":"hé <b> & \u2028"}`},
		"null":               {event: `{"do":"null"}`},
		"a string":           {event: `{"do":"big","n":100}`},
		"an error":           {event: `{"do":"fail","text":"no such \"list\""}`},
		"an error of a type": {event: `{"do":"custom","text":"full"}`},
		"a panic":            {event: `{"do":"panic","text":"boom"}`},
		"an exit":            {event: `{"do":"exit","n":7}`},
		"an exit with 0":     {event: `{"do":"exit"}`},
		"7 MB":               {event: `{"do":"big","n":7000000}`},
		"6291554 bytes":      {event: `{"do":"big","n":6291554}`},
		"6291555 bytes":      {event: `{"do":"big","n":6291555}`},
		"no time":            {event: `{"do":"sleep","n":10000}`, theirs: "Task timed out after 2.00 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			theirs := underEmulator(t, rie, program, tt.event)
			got := ours(tt.event)
			if tt.theirs != "" {
				if theirs != tt.theirs || !strings.Contains(got, tt.theirs) {
					t.Errorf("the emulator says %s, ours %s", theirs, got)
				}
				return
			}
			if a, b := unnamed(theirs), unnamed(got); a != b {
				t.Errorf("the emulator says\n%.500s\nours\n%.500s", a, b)
			}
		})
	}
}

var requestID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func unnamed(payload string) string { return requestID.ReplaceAllString(payload, "ID") }

// payloads are what a function sends, whether it fails or not.
func payloads(t *testing.T, fn config.Function) func(event string) string {
	t.Helper()
	w := running(t, fn)
	f := w.Functions.byName["f"].process
	return func(event string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/2015-03-31/functions/f/invocations", strings.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := inProcess{f}.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode, err)
		}
		return string(body)
	}
}

// underEmulator invokes a program in an emulator of its own: two invocations at once crash it, and one that ended badly is remembered.
func underEmulator(t *testing.T, rie, command, event string, args ...string) string {
	t.Helper()
	addr, runtimeAddr := freeAddr(t), freeAddr(t)
	cmd := exec.Command(rie, append([]string{"--log-level", "error", "--runtime-interface-emulator-address", addr, "--runtime-api-address", runtimeAddr, command}, args...)...)
	cmd.Env = []string{"AWS_LAMBDA_FUNCTION_TIMEOUT=2", "PATH=" + os.Getenv("PATH")}
	cmd.Dir = filepath.Dir(command)
	if len(args) > 0 {
		cmd.Dir = "testdata/python"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var resp *http.Response
	eventually(t, "the emulator listens", func() bool {
		var err error
		resp, err = client.Post("http://"+addr+"/2015-03-31/functions/function/invocations", "", strings.NewReader(event))
		return err == nil || !errors.Is(err, syscall.ECONNREFUSED)
	})
	if resp == nil {
		t.Fatal("the emulator hung up")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 2*local.MaxPayload))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
