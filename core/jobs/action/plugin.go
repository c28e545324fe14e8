package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
)

// Kind is what a plugin says of a run.
type Kind string

// Kinds of outcomes.
const (
	OK    Kind = "ok"    // done
	Skip  Kind = "skip"  // nothing to do: done
	Retry Kind = "retry" // to be tried again
	Fail  Kind = "fail"  // never to be tried again
)

// Outcome is what came of a run in a plugin.
type Outcome struct {
	Kind   Kind
	Reason string        // for the operator
	After  time.Duration // of Retry: not before that. 0: as the job's backoff says
}

// Plugins run jobs.
type Plugins interface {
	// RunJob has a plugin run a job. It returns soon after ctx has ended. Its error is a *jobs.Down when nothing has happened because the plugin is not there; with
	// any other one, also when the plugin's process ended, the run has failed.
	RunJob(ctx context.Context, plugin string, r jobs.Run) (Outcome, error)
}

func (a *Actions) plugin(ctx context.Context, j config.Job, r jobs.Run) (jobs.Result, error) {
	o, err := a.plugins.RunJob(ctx, j.Plugin, r)
	if err != nil {
		return jobs.Result{}, err
	}
	said := jobs.Result{Output: end(o.Reason)}
	reason := errors.New(cmp.Or(said.Output, "the plugin "+j.Plugin+" gives no reason"))
	switch o.Kind {
	case OK, Skip:
		return said, nil
	case Fail:
		return said, &jobs.Permanent{Err: reason}
	case Retry:
		return said, later(reason, o.After)
	}
	return said, fmt.Errorf("the plugin %s answered with an outcome that nobody knows, %.40q: %w", j.Plugin, o.Kind, reason)
}
