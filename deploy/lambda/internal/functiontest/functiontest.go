// Package functiontest runs functions for tests as Lambda does: their real programs, on the Lambda Runtime API
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), several processes at once. Only tests import it.
package functiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Both runs a test with each of the databases, of which it gets the one variable of the environment.
func Both(t *testing.T, mongo func(t *testing.T) (uri string), test func(t *testing.T, variable, value string)) {
	t.Run("MongoDB", func(t *testing.T) { test(t, "MONGODB_URI", mongo(t)) })
	t.Run("SQLite", func(t *testing.T) { test(t, "SQLITE_FILE", filepath.Join(t.TempDir(), "function.db")) })
}

// Build compiles the function in the folder of the test.
func Build(t testing.TB) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "function")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the function: %v\n%s", err, out)
	}
	return program
}

// Runtime is a Runtime API with processes that serve invocations from it.
type Runtime struct {
	server      *httptest.Server
	invocations chan *invocation
	initError   chan Failure
	ended       chan struct{} // closed once all processes have ended
	closing     chan struct{}
	output      output

	mu   sync.Mutex
	next int
	open map[string]*invocation
}

// Failure is an error of a function.
type Failure struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

type invocation struct {
	event   []byte
	payload []byte
	failure *Failure
	done    chan struct{}
}

// Timeout is what each invocation may take.
const Timeout = 20 * time.Second

// Start starts so many processes of a program, with an environment of its own. They end with the test.
func Start(t testing.TB, program string, processes int, env map[string]string) *Runtime {
	t.Helper()
	r := &Runtime{
		invocations: make(chan *invocation), initError: make(chan Failure, processes), ended: make(chan struct{}), closing: make(chan struct{}),
		open: make(map[string]*invocation),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", r.hand)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{how}", r.take)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", r.takeInitError)
	r.server = httptest.NewServer(mux)
	var running sync.WaitGroup
	var all []*exec.Cmd
	for range processes {
		cmd := exec.Command(program)
		cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(r.server.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=test", "HOME=" + os.TempDir()}
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Stdout, cmd.Stderr = &r.output, &r.output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
		running.Go(func() { _ = cmd.Wait() })
	}
	go func() {
		running.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		for _, cmd := range all {
			_ = cmd.Process.Kill()
		}
		<-r.ended
		close(r.closing)
		r.server.CloseClientConnections()
		r.server.Close()
		if t.Failed() {
			t.Logf("what the function logged:\n%s", r.Output())
		}
	})
	return r
}

// Output is what the processes wrote.
func (r *Runtime) Output() string { return r.output.String() }

// Invoke has one of the processes handle an event.
func (r *Runtime) Invoke(t testing.TB, event []byte) ([]byte, *Failure) {
	t.Helper()
	i := &invocation{event: event, done: make(chan struct{})}
	late := time.NewTimer(Timeout)
	defer late.Stop()
	select {
	case r.invocations <- i:
	case <-r.ended:
		t.Error("no process serves: they have ended")
		return nil, &Failure{Type: "Runtime.ExitError"}
	case <-late.C:
		t.Error("no process asked for the event")
		return nil, &Failure{Type: "Sandbox.Timedout"}
	}
	select {
	case <-i.done:
		return i.payload, i.failure
	case <-r.ended:
		return nil, &Failure{Type: "Runtime.ExitError"}
	case <-late.C:
		return nil, &Failure{Type: "Sandbox.Timedout"}
	}
}

// InitError is what the first process that did not start said.
func (r *Runtime) InitError(t testing.TB) Failure {
	t.Helper()
	late := time.NewTimer(Timeout)
	defer late.Stop()
	select {
	case f := <-r.initError:
		return f
	case <-late.C:
		t.Fatal("there was no init error")
		return Failure{}
	}
}

func (r *Runtime) hand(w http.ResponseWriter, q *http.Request) {
	select {
	case i := <-r.invocations:
		r.mu.Lock()
		r.next++
		id := "invocation-" + strconv.Itoa(r.next)
		r.open[id] = i
		r.mu.Unlock()
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(Timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:test")
		_, _ = w.Write(i.event)
	case <-q.Context().Done():
	case <-r.closing:
	}
}

func (r *Runtime) take(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(q.Body, 6<<20))
	r.mu.Lock()
	i := r.open[q.PathValue("id")]
	delete(r.open, q.PathValue("id"))
	r.mu.Unlock()
	if i == nil {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	if i.payload = body; q.PathValue("how") == "error" {
		i.failure = &Failure{}
		_ = json.Unmarshal(body, i.failure)
	}
	close(i.done)
	w.WriteHeader(http.StatusAccepted)
}

func (r *Runtime) takeInitError(w http.ResponseWriter, q *http.Request) {
	var f Failure
	_ = json.NewDecoder(io.LimitReader(q.Body, 64<<10)).Decode(&f)
	r.initError <- f
	w.WriteHeader(http.StatusAccepted)
}

// output keeps what several processes write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
