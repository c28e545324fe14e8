package lambda

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// inPython is the function of testdata/python, on AWS's own runtime.
func inPython(t *testing.T, handler string) config.Function {
	t.Helper()
	folder, err := filepath.Abs("testdata/python")
	if err != nil {
		t.Fatal(err)
	}
	return here(func(f *config.Function) {
		f.Command, f.Args = python(t), []string{"-m", "awslambdaric", handler}
		f.Env = map[string]string{"LAMBDA_TASK_ROOT": folder, "PYTHONDONTWRITEBYTECODE": "1"}
	})
}

func TestAFunctionInPythonAnswers(t *testing.T) {
	w := running(t, inPython(t, "app.handler"))
	first := invoke(t, w.Functions, `{"do":"echo","text":"hé"}`)
	if again := invoke(t, w.Functions, `{"do":"echo"}`); first.Text != "hé" || again.PID != first.PID {
		t.Errorf("it answers %+v, then %+v", first, again)
	}
	if got := invoke(t, w.Functions, `{"do":"context"}`); got.Name != "f" || len(got.ID) != 36 || !strings.HasSuffix(got.ARN, ":function:f") {
		t.Errorf("its context is %+v", got)
	}
	result, err := w.Invoke(t.Context(), "f", []byte(`{"do":"print","text":"this"}`))
	if err != nil || result.Log != "printed this\n" {
		t.Errorf("the log is %q, %v", result.Log, err)
	}
}

func TestAFunctionInPythonFails(t *testing.T) {
	w := running(t, inPython(t, "app.handler"))
	for event, want := range map[string]struct{ kind, message string }{
		`{"do":"fail","text":"no room"}`: {"Full", "no room"},
		`{"do":"set"}`:                   {"Runtime.MarshalError", "Unable to marshal response"},
		`{"do":"exit","n":4}`:            {"Runtime.ExitError", "exit status 4"},
	} {
		if _, e := failing(t, w.Functions, event); e.Kind != Failed || e.Type != want.kind || !strings.Contains(e.Message, want.message) {
			t.Errorf("%s: %+v", event, e)
		}
	}
	if _, e := failing(t, w.Functions, `{"do":"fail","text":"x"}`); !strings.Contains(e.Trace, "app.py") {
		t.Errorf("the trace is %s", e.Trace)
	}
	w = running(t, inPython(t, "app.nothing"))
	if _, e := failing(t, w.Functions, `{}`); e.Kind != Failed || e.Type != "Runtime.HandlerNotFound" || !strings.Contains(e.Message, "nothing") {
		t.Errorf("without a handler: %+v", e)
	}
	slow := inPython(t, "app.handler")
	slow.Timeout = 200 * time.Millisecond
	w = running(t, slow)
	if _, e := failing(t, w.Functions, `{"do":"sleep","n":60000}`); e.Kind != TimedOut {
		t.Errorf("without time: %+v", e)
	}
}

func TestPythonAnswersAsUnderAWSsEmulator(t *testing.T) {
	rie := emulator(t)
	fn := inPython(t, "app.handler")
	ours := payloads(t, fn)
	for _, event := range []string{`{"do":"fail","text":"no room"}`, `{"do":"set"}`, `{"do":"exit","n":4}`} {
		if a, b := unnamed(underEmulator(t, rie, fn.Command, event, fn.Args...)), unnamed(ours(event)); a != b {
			t.Errorf("%s: the emulator says\n%s\nours\n%s", event, a, b)
		}
	}
}
