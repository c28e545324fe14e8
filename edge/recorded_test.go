package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// recorder is a Lambda function that writes down what it is invoked with.
var recorder = builtOnce("-tags", "lambda.norpc", "./testdata/recorder")

// builtOnce builds a program for all tests that ask for it. Its arguments are those of go build.
func builtOnce(args ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "built")
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "program")
		out, err := exec.Command("go", append([]string{"build", "-o", file}, args...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return file, err
	})
}

// A recorded is a server with forms, and what its function was invoked with.
type recorded struct {
	*running
	file string
}

func serveForms(t *testing.T, body string, replace ...string) *recorded {
	t.Helper()
	binary, err := recorder()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "record")
	return &recorded{serve(t, body, append([]string{"RECORDER", binary, `"RECORD"`, strconv.Quote(file)}, replace...)...), file}
}

// events are what the function was invoked with so far.
func (r *recorded) events(t *testing.T) []events.APIGatewayV2HTTPRequest { return eventsIn(t, r.file) }

func eventsIn(t *testing.T, file string) []events.APIGatewayV2HTTPRequest {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []events.APIGatewayV2HTTPRequest
	for line := bufio.NewScanner(bytes.NewReader(text)); line.Scan(); {
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(line.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// sent are the fields of an event's form.
func sent(t *testing.T, e events.APIGatewayV2HTTPRequest) url.Values {
	t.Helper()
	if !e.IsBase64Encoded {
		t.Errorf("a form's body is not base64: %q", e.Body)
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// edge runs a command line against the server and returns what it prints.
func (r *recorded) edge(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errOut := command(t, append(args, "--admin="+r.admin.Addr().String())...)
	if status != exitDone {
		t.Fatalf("edge %q: %d %s%s", args, status, out, errOut)
	}
	return out
}

// plainAddress is where a process that serves takes plain HTTP.
func plainAddress(t *testing.T, said *safeBuffer) string {
	t.Helper()
	_, rest, ok := strings.Cut(said.String(), " http=")
	if !ok {
		t.Fatal("no address in " + said.String())
	}
	address, _, _ := strings.Cut(strings.SplitN(rest, "\n", 2)[0], " ")
	return address
}

// missing are those who were thanked and whose submission did not reach the function.
func missing(t *testing.T, record string, thanked []string) []string {
	t.Helper()
	got := map[string]bool{}
	for _, e := range eventsIn(t, record) {
		got[sent(t, e).Get("n")] = true
	}
	return slices.DeleteFunc(slices.Clone(thanked), func(n string) bool { return got[n] })
}

// burst starts edge, sends forms from several visitors at once, kills it, and returns who was thanked.
func burst(t *testing.T, file string, round int) []string {
	t.Helper()
	edge, said := process(t, file)
	address := plainAddress(t, said)
	var mu sync.Mutex
	var thanked []string
	enough := make(chan struct{})
	var visitors sync.WaitGroup
	for v := range 4 {
		visitors.Go(func() {
			client := &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			defer client.CloseIdleConnections()
			for i := 0; ; i++ {
				n := fmt.Sprintf("%d-%d-%d", round, v, i)
				request, err := http.NewRequest(http.MethodPost, "http://"+address+"/forms/open", strings.NewReader("n="+n))
				if err != nil {
					t.Error(err)
					return
				}
				request.Host = "a.test"
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer, err := client.Do(request)
				if err != nil {
					return // edge is gone
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusSeeOther {
					continue
				}
				mu.Lock()
				thanked = append(thanked, n)
				if len(thanked) == 12 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("nobody is thanked: " + said.String())
	}
	_ = edge.Process.Kill()
	_ = edge.Wait()
	visitors.Wait()
	return thanked
}
