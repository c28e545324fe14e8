package lambda

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestAFunctionOfThisHostAnswersAndStaysWarm(t *testing.T) {
	w := running(t, here())
	first := invoke(t, w.Functions, `{"do":"pid"}`)
	for range 20 {
		if again := invoke(t, w.Functions, `{"do":"pid"}`); again.PID != first.PID {
			t.Fatalf("the process is %d, then %d: it should be one", first.PID, again.PID)
		}
	}
	if got := w.Status()[0]; got.Processes != 1 || got.Invocations != 21 || got.Kind != "command" || got.InFlight != 0 || got.LastDuration <= 0 {
		t.Errorf("the status is %+v", got)
	}
}

func TestAFunctionHasLambdasEnvironmentAndNothingOfOurs(t *testing.T) {
	t.Setenv("SECRET_OF_EDGE", "x")
	w := running(t, here(func(f *config.Function) { f.Env = map[string]string{"COLOUR": "blue", "TZ": "Europe/Paris"} }))
	before := time.Now()
	result, err := w.Invoke(t.Context(), "f", []byte(`{"do":"context"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := invoke(t, w.Functions, `{"do":"context"}`)
	var names []string
	for _, v := range got.Env {
		name, _, _ := strings.Cut(v, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	want := "AWS_DEFAULT_REGION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME " +
		"AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API AWS_REGION COLOUR LAMBDA_TASK_ROOT LANG PATH PWD TZ _HANDLER _X_AMZN_TRACE_ID"
	if have := strings.ReplaceAll(strings.Join(names, " "), "PWD ", ""); have != strings.ReplaceAll(want, "PWD ", "") {
		t.Errorf("it has %s\nwant   %s", have, want)
	}
	if !slices.Contains(got.Env, "TZ=Europe/Paris") || got.Dir != filepath.Dir(program) || got.Name != "f" || got.ARN != "arn:aws:lambda:us-east-1:000000000000:function:f" {
		t.Errorf("it has %+v", got)
	}
	if left := time.UnixMilli(got.Deadline).Sub(before); left < 15*time.Second || left > 40*time.Second {
		t.Errorf("its deadline is in %v, want about 20 s", left)
	}
	if !strings.Contains(string(result.Payload), result.RequestID) || len(result.RequestID) != 36 {
		t.Errorf("the request id is %q, and the function had another", result.RequestID)
	}
}

func TestWhatAFunctionsFailuresAre(t *testing.T) {
	for name, tt := range map[string]struct {
		event, kind, message string
		want                 Kind
		change               func(*config.Function)
	}{
		"an error":           {event: `{"do":"fail","text":"no such list"}`, want: Failed, kind: "errorString", message: "no such list"},
		"an error of a type": {event: `{"do":"custom","text":"full"}`, want: Failed, kind: "custom", message: "full"},
		"a panic":            {event: `{"do":"panic","text":"boom"}`, want: Failed, kind: "string", message: "boom"},
		"an exit":            {event: `{"do":"exit","n":7}`, want: Failed, kind: "Runtime.ExitError", message: "Runtime exited with error: exit status 7"},
		"an exit with 0":     {event: `{"do":"exit"}`, want: Failed, kind: "Runtime.ExitError", message: "Runtime exited without providing a reason"},
		"a long answer":      {event: `{"do":"big","n":7000000}`, want: Failed, kind: "Function.ResponseSizeTooLarge", message: "exceeded maximum allowed payload size (6291556 bytes)"},
		"a slow one":         {event: `{"do":"sleep","n":60000}`, want: TimedOut, kind: "Sandbox.Timedout", message: "Task timed out after 0.30 seconds", change: func(f *config.Function) { f.Timeout = 300 * time.Millisecond }},
		"no program":         {event: `{}`, want: Broken, kind: "Runtime.InvalidEntrypoint", message: "no such file", change: func(f *config.Function) { f.Command = "/nonexistent/bootstrap" }},
		"an exit at start":   {event: `{}`, want: Failed, kind: "Runtime.ExitError", message: "exit status 3", change: func(f *config.Function) { f.Env = map[string]string{"INIT": "exit"} }},
		"a panic at start":   {event: `{}`, want: Failed, kind: "Runtime.ExitError", message: "exit status 2", change: func(f *config.Function) { f.Env = map[string]string{"INIT": "panic"} }},
		"an event cut short": {event: `{"do":`, want: Broken, kind: "InvalidRequestContentException"},
	} {
		t.Run(name, func(t *testing.T) {
			f := here()
			if tt.change != nil {
				tt.change(&f)
			}
			w := running(t, f)
			_, e := failing(t, w.Functions, tt.event)
			if e.Kind != tt.want || e.Type != tt.kind || !strings.Contains(e.Message, tt.message) || e.RequestID == "" {
				t.Errorf("got %+v", e)
			}
			if got := w.Status()[0]; got.Errors[tt.want] != 1 || got.LastErrorAt.IsZero() || got.LastError != e.Error() {
				t.Errorf("the status is %+v", got)
			}
			if tt.change == nil {
				invoke(t, w.Functions, `{"do":"pid"}`) // the next one finds it well
			}
		})
	}
}

func TestWhatItStartedEndsWithAFunctionThatIsTooSlow(t *testing.T) {
	w := running(t, here(func(f *config.Function) { f.Timeout = 500 * time.Millisecond }))
	result, e := failing(t, w.Functions, `{"do":"child"}`)
	if e.Kind != TimedOut {
		t.Fatal(e)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(result.Log, "child ")))
	if err != nil {
		t.Fatalf("the log is %q", result.Log)
	}
	eventually(t, "the child is gone", func() bool { return gone(pid) })
}

// gone reports whether a process has ended: a zombie, which who is to reap it may leave for a while, has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestWhatAFunctionPrintsIsLoggedAndComesWithTheAnswer(t *testing.T) {
	w := running(t, here())
	result, err := w.Invoke(t.Context(), "f", []byte(`{"do":"print","n":3,"text":"of many"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := "line 0 of many\nline 1 of many\nline 2 of many\nthe end"; result.Log != want {
		t.Errorf("the log is %q, want %q", result.Log, want)
	}
	for _, want := range []string{`"line":"line 1 of many"`, `"line":"the end"`, `"request_id":"` + result.RequestID, `"function":"f"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("our log has no %s:\n%s", want, w.log)
		}
	}
	result, err = w.Invoke(t.Context(), "f", []byte(`{"do":"print","n":100000,"text":"of very many"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Log) != 4096 || !strings.HasSuffix(result.Log, "\nthe end") {
		t.Errorf("the log has %d bytes and ends with %q", len(result.Log), result.Log[max(0, len(result.Log)-20):])
	}
	if n := strings.Count(w.log.String(), result.RequestID); n != 1001 {
		t.Errorf("%d lines are logged, want 1000 and one that says that there were more", n)
	}
}

func TestNoMoreProcessesThanTheConcurrency(t *testing.T) {
	w := running(t, here(func(f *config.Function) { f.Concurrency = 3 }))
	var mu sync.Mutex
	seen := make(map[int]bool)
	var all sync.WaitGroup
	for range 12 { // 3 under way, 9 wait
		all.Go(func() {
			pid := invoke(t, w.Functions, `{"do":"sleep","n":30}`).PID
			mu.Lock()
			defer mu.Unlock()
			seen[pid] = true
		})
	}
	all.Wait()
	if len(seen) != 3 || w.Status()[0].Processes != 3 {
		t.Errorf("%d processes did it, and there are %d; want 3", len(seen), w.Status()[0].Processes)
	}
}

func TestWhoFindsTheQueueFullIsTurnedAwayAtOnce(t *testing.T) {
	w := running(t, here(func(f *config.Function) { f.Concurrency = 1 }))
	var all sync.WaitGroup
	var mu sync.Mutex
	throttled := 0
	for range 8 { // 1 under way, 4 wait
		all.Go(func() {
			_, err := w.Invoke(t.Context(), "f", []byte(`{"do":"sleep","n":300}`))
			if e, ok := err.(*Error); ok && e.Kind == Throttled && e.RetryAfter > 0 && e.Status() == 429 {
				mu.Lock()
				defer mu.Unlock()
				throttled++
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if throttled != 3 {
		t.Errorf("%d were turned away, want 3", throttled)
	}
}

func TestAProgramThatEndsAtOnceIsNotStartedAgainAndAgain(t *testing.T) {
	marks := t.TempDir()
	w := running(t, here(func(f *config.Function) { f.Env = map[string]string{"INIT": "exit", "MARKS": marks} }))
	begun := time.Now()
	n := 0
	for ; time.Since(begun) < 700*time.Millisecond; n++ {
		failing(t, w.Functions, `{}`)
	}
	starts, err := os.ReadDir(marks)
	if err != nil {
		t.Fatal(err)
	}
	if len(starts) > 4 || n < 20 { // at 0, 100, 300 and 700 ms at the earliest
		t.Errorf("%d invocations were %d starts", n, len(starts))
	}
}

func TestAProgramThatWasBuiltAgainIsTheOneThatAnswers(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "bootstrap")
	install := func() {
		content, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+".new", content, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(copied+".new", copied); err != nil {
			t.Fatal(err)
		}
	}
	install()
	w := running(t, here(func(f *config.Function) { f.Command = copied }))
	first := invoke(t, w.Functions, `{"do":"pid"}`)
	if again := invoke(t, w.Functions, `{"do":"pid"}`); again.PID != first.PID {
		t.Fatal("it was started twice")
	}
	install()
	if again := invoke(t, w.Functions, `{"do":"pid"}`); again.PID == first.PID {
		t.Error("the old one answered")
	}
	eventually(t, "the old one is gone", func() bool { return gone(first.PID) })
}

func TestAReloadKeepsWhatDidNotChangeAndLosesNothing(t *testing.T) {
	w := running(t, here(func(f *config.Function) { f.Concurrency = 4 }))
	first := invoke(t, w.Functions, `{"do":"pid"}`)
	use(t, w.Functions, map[string]config.Function{"f": here(func(f *config.Function) { f.Concurrency = 4 }), "g": here()})
	if again := invoke(t, w.Functions, `{"do":"pid"}`); again.PID != first.PID {
		t.Error("a function that did not change was started again")
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					invoke(t, w.Functions, `{"do":"sleep","n":1}`)
				}
			}
		})
	}
	for i := range 8 {
		use(t, w.Functions, map[string]config.Function{"f": here(func(f *config.Function) { f.Concurrency, f.Env = 4, map[string]string{"N": fmt.Sprint(i)} })})
		invoke(t, w.Functions, `{"do":"pid"}`)
	}
	close(stop)
	load.Wait()
	eventually(t, "the first process is gone", func() bool { return gone(first.PID) })
	if got := w.Status()[0]; len(got.Errors) != 0 || got.Invocations < 16 {
		t.Errorf("the status is %+v", got)
	}
	use(t, w.Functions, nil)
	if _, e := failing(t, w.Functions, `{}`); e.Kind != Missing {
		t.Errorf("a function that is gone: %v", e)
	}
}

func TestProcessesAreToldThatTheyEnd(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	w := running(t, here(func(f *config.Function) { f.Env = map[string]string{"SIGTERM": told} }))
	pid := invoke(t, w.Functions, `{"do":"pid"}`).PID
	if strings.Contains(w.log.String(), "WARNING") {
		t.Errorf("aws-lambda-go misses something: %s", w.log)
	}
	w.end()
	if !gone(pid) {
		t.Error("the process is still there after Run")
	}
	if _, err := os.Stat(told); err != nil {
		t.Error("it got no SIGTERM")
	}
	if _, e := failing(t, w.Functions, `{}`); e.Kind != Unavailable {
		t.Errorf("after the end: %v", e)
	}
}

func TestNothingOutlivesEdgeThatIsKilled(t *testing.T) {
	cmd, pids := startChild(t)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range pids {
		eventually(t, "the function is gone", func() bool { return gone(pid) })
	}
}
