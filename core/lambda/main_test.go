package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
)

// program is the function in testdata, built.
var program string

func TestMain(m *testing.M) {
	if os.Getenv("EDGE_LAMBDA_CHILD") != "" {
		child()
	}
	folder, err := os.MkdirTemp("", "lambda-*")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(folder, "bootstrap")
	build := exec.Command("go", "build", "-o", program, "./testdata/function")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the function: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// here is a function of this host.
func here(change ...func(*config.Function)) config.Function {
	f := config.Function{Command: program, Timeout: 20 * time.Second, Concurrency: 2}
	for _, c := range change {
		c(&f)
	}
	return f
}

type world struct {
	*Functions
	log *logged
	end func()
}

// logged is a log that can be looked at.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// running has a function f, which runs until the test ends.
func running(t testing.TB, f config.Function) world {
	t.Helper()
	w := world{log: new(logged)}
	w.Functions = New(Options{Log: slog.New(slog.NewJSONHandler(w.log, nil))})
	use(t, w.Functions, map[string]config.Function{"f": f})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.end)
	return w
}

func use(t testing.TB, f *Functions, all map[string]config.Function) {
	t.Helper()
	plan, err := f.Plan(&config.Config{Functions: all})
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
}

// answers is what the function in testdata answers.
type answers struct {
	Text      string
	PID       int
	Env       []string
	Dir       string
	ARN       string
	Name      string
	ID        string
	Deadline  int64
	ErrorType string
}

func invoke(t testing.TB, f *Functions, event string) answers {
	t.Helper()
	result, err := f.Invoke(t.Context(), "f", []byte(event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	var a answers
	if err := json.Unmarshal(result.Payload, &a); err != nil {
		t.Fatalf("%s: %s: %v", event, result.Payload, err)
	}
	return a
}

// failing invokes what fails.
func failing(t testing.TB, f *Functions, event string) (Result, *Error) {
	t.Helper()
	result, err := f.Invoke(t.Context(), "f", []byte(event))
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("%s: got %s and %v, want an error", event, result.Payload, err)
	}
	return result, e
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
