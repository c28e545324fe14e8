// Package functiontest runs functions for tests: their real programs as edge runs functions of its host, several processes at once, and with each of the databases.
// Only tests import it.
package functiontest

import (
	"context"
	"encoding/json"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// Both runs a test with each of the databases, of which it gets the one variable of the environment.
func Both(t *testing.T, shared *mongodbtest.Shared, test func(t *testing.T, variable, value string)) {
	t.Run("MongoDB", func(t *testing.T) {
		set := shared.Set(t)
		test(t, "MONGODB_URI", mongodbtest.In(t, set.URI(), set.Database(t)))
	})
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

// Function is a running function.
type Function struct {
	End func() // ends it; what its processes printed is complete then

	functions *lambda.Functions
	places    chan struct{} // one value is one invocation under way: as many as there may be processes, so that none is refused
	log       log
}

// Start runs a program in so many processes at most, with an environment of its own. They end with the test at the latest.
func Start(t testing.TB, program string, processes int, env map[string]string) *Function {
	t.Helper()
	f := &Function{places: make(chan struct{}, processes)}
	f.functions = lambda.New(lambda.Options{Log: slog.New(slog.NewJSONHandler(&f.log, nil))})
	plan, err := f.functions.Plan(&config.Config{Functions: map[string]config.Function{
		"test": {Command: program, Env: env, Concurrency: processes, Timeout: 20 * time.Second},
	}})
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f.functions.Run(ctx) }()
	f.End = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		f.End()
		if t.Failed() {
			t.Logf("what the function printed:\n%s", f.Output())
		}
	})
	return f
}

// Invoke has one of the processes handle an event.
func (f *Function) Invoke(t testing.TB, event []byte) ([]byte, *lambda.Error) {
	f.places <- struct{}{}
	defer func() { <-f.places }()
	result, err := f.functions.Invoke(context.WithoutCancel(t.Context()), "test", event)
	if err != nil {
		return nil, err.(*lambda.Error) //nolint:errorlint // it is no other
	}
	return result.Payload, nil
}

// Output is what the processes printed before they answered.
func (f *Function) Output() string {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	return strings.Join(f.log.lines, "\n")
}

// log takes edge's log, and keeps the lines that functions print.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Write(p []byte) (int, error) {
	var entry struct{ Line string }
	if err := json.Unmarshal(p, &entry); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry.Line != "" {
		l.lines = append(l.lines, entry.Line)
	}
	return len(p), nil
}
