package action

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if script := os.Getenv("ACTION_TEST_SCRIPT"); script != "" { // an edge that is about to be killed
		_, _ = shell(script).Run(context.Background(), run)
		return
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

var run = jobs.Run{
	ID: "nightly-2027-01-31", Job: "nightly", Due: time.Date(2027, 1, 31, 3, 0, 0, 0, time.FixedZone("", 3600)), Attempt: 2,
	Trigger: jobs.Scheduled, RequestID: "req-1",
}

// only returns Actions with one job, which run belongs to.
func only(j config.Job) *Actions {
	a := New(Options{Log: quiet})
	a.Use(map[string]config.Job{"nightly": j})
	return a
}

// permanent and down tell what an error means to the jobs.
func permanent(err error) bool { _, ok := errors.AsType[*jobs.Permanent](err); return ok }
func down(err error) bool      { _, ok := errors.AsType[*jobs.Down](err); return ok }

func after(err error) time.Duration {
	if l, ok := errors.AsType[*Later](err); ok {
		return l.After
	}
	return 0
}

// soon is a context that ends a test that hangs.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAJobThatIsGoneIsNotTriedAgain(t *testing.T) {
	a := New(Options{Log: quiet})
	if _, err := a.Run(t.Context(), run); !permanent(err) {
		t.Errorf("a job that is not configured: %v", err)
	}
	a.Use(map[string]config.Job{"nightly": {}})
	if _, err := a.Run(t.Context(), run); !permanent(err) {
		t.Errorf("a job with nothing to do: %v", err)
	}
}
