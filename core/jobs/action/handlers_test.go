package action

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/lambda"
)

var _ Functions = (*lambda.Functions)(nil)

type plugins func(ctx context.Context, plugin string, r jobs.Run) (Outcome, error)

func (p plugins) RunJob(ctx context.Context, plugin string, r jobs.Run) (Outcome, error) {
	return p(ctx, plugin, r)
}

type functions func(ctx context.Context, name string, event []byte) (lambda.Result, error)

func (f functions) Invoke(ctx context.Context, name string, event []byte) (lambda.Result, error) {
	return f(ctx, name, event)
}

// meaning is what an error means to the jobs.
func meaning(err error) string {
	switch {
	case err == nil:
		return "done"
	case permanent(err):
		return "never"
	case down(err):
		return "down"
	}
	return "failed"
}

func TestAPluginSaysWhatBecomesOfARun(t *testing.T) {
	for name, c := range map[string]struct {
		Outcome
		err   error
		want  string
		after time.Duration
	}{
		"ok":      {Outcome{Kind: OK, Reason: "5 mended"}, nil, "done", 0},
		"skip":    {Outcome{Kind: Skip}, nil, "done", 0},
		"fail":    {Outcome{Kind: Fail, Reason: "bad"}, nil, "never", 0},
		"retry":   {Outcome{Kind: Retry}, nil, "failed", 0},
		"after":   {Outcome{Kind: Retry, After: time.Hour}, nil, "failed", time.Hour},
		"unknown": {Outcome{Kind: "x"}, nil, "failed", 0},
		"down":    {Outcome{}, &jobs.Down{Err: errors.New("not there")}, "down", 0},
		"died":    {Outcome{}, errors.New("it ended"), "failed", 0},
	} {
		a := New(Options{Log: quiet, Plugins: plugins(func(_ context.Context, plugin string, r jobs.Run) (Outcome, error) {
			if plugin != "planner" || r != run {
				t.Errorf("%s got %+v", plugin, r)
			}
			return c.Outcome, c.err
		})})
		a.Use(map[string]config.Job{"nightly": {Plugin: "planner"}})
		got, err := a.Run(t.Context(), run)
		if meaning(err) != c.want || after(err) != c.after || got.Output != c.Reason {
			t.Errorf("%s: %s %q (%v), want %s", name, meaning(err), got.Output, err, c.want)
		}
	}
}

func TestAFunctionGetsAScheduledEvent(t *testing.T) {
	var got string
	a := New(Options{Log: quiet, Functions: functions(func(_ context.Context, name string, event []byte) (lambda.Result, error) {
		got = name + " " + string(event)
		return lambda.Result{RequestID: "lambda-1", Log: "START\nEND\n"}, nil
	})})
	a.Use(map[string]config.Job{"nightly": {Function: "tweet"}})
	result, err := a.Run(t.Context(), run)
	want := `tweet {"version":"0","id":"` + runUUID(run.ID) + `","detail-type":"Scheduled Event","source":"aws.events","account":"000000000000",` +
		`"time":"2027-01-31T02:00:00Z","region":"edge","resources":["arn:aws:events:edge:000000000000:rule/nightly"],"detail":{}}`
	if err != nil || got != want || result != (jobs.Result{Output: "START\nEND", RequestID: "lambda-1"}) {
		t.Errorf("%s, %+v, %v", got, result, err)
	}
	a.Use(map[string]config.Job{"nightly": {Function: "tweet", Input: `{"dry": true}`}})
	if _, err = a.Run(t.Context(), run); err != nil || got != `tweet {"dry": true}` {
		t.Errorf("its own input: %s, %v", got, err)
	}
}

func TestTheEventsIDIsAUUIDThatStaysTheSame(t *testing.T) {
	id, err := uuid.Parse(runUUID("a"))
	if err != nil || id.Version() != 5 || runUUID("a") != id.String() || runUUID("b") == id.String() {
		t.Error(id, err)
	}
	var event map[string]any
	text, err := scheduledEvent(jobs.Run{Job: "it's \"odd\""})
	if err != nil || json.Unmarshal(text, &event) != nil {
		t.Errorf("%s, %v", text, err)
	}
}

func TestAnErrorOfAFunctionSaysWhatBecomesOfARun(t *testing.T) {
	for kind, want := range map[lambda.Kind]string{
		lambda.Failed: "failed", lambda.TimedOut: "failed", lambda.Missing: "failed", lambda.Denied: "failed", lambda.Broken: "failed", lambda.Unavailable: "failed",
		lambda.Throttled: "down", lambda.TooLarge: "never",
	} {
		a := New(Options{Log: quiet, Functions: functions(func(context.Context, string, []byte) (lambda.Result, error) {
			return lambda.Result{RequestID: "lambda-1", Log: "log"}, &lambda.Error{Kind: kind, RetryAfter: time.Minute}
		})})
		a.Use(map[string]config.Job{"nightly": {Function: "tweet"}})
		got, err := a.Run(t.Context(), run)
		if meaning(err) != want || want != "never" && after(err) != time.Minute || got.Output != "log" || got.RequestID != "lambda-1" {
			t.Errorf("%s: %s %+v (%v), want %s", kind, meaning(err), got, err, want)
		}
	}
}
