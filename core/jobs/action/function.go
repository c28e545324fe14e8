package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/lambda"
)

// Functions invoke functions: a [*lambda.Functions].
type Functions interface {
	Invoke(ctx context.Context, name string, event []byte) (lambda.Result, error)
}

func (a *Actions) function(ctx context.Context, j config.Job, r jobs.Run) (jobs.Result, error) {
	event := []byte(j.Input)
	if j.Input == "" {
		var err error
		if event, err = scheduledEvent(r); err != nil {
			return jobs.Result{}, &jobs.Permanent{Err: err}
		}
	}
	got, err := a.functions.Invoke(ctx, j.Function, event)
	said := jobs.Result{Output: end(got.Log), RequestID: got.RequestID}
	failed, ok := errors.AsType[*lambda.Error](err)
	switch {
	case !ok:
		return said, err
	case failed.Kind == lambda.Throttled:
		return said, &jobs.Down{Err: later(err, failed.RetryAfter)}
	case !failed.Retry():
		return said, &jobs.Permanent{Err: err}
	}
	return said, later(err, failed.RetryAfter)
}

// What stands where EventBridge names the account and the region, which edge has none of.
const (
	account = "000000000000"
	region  = "edge"
)

// scheduled is the event of an EventBridge rule with a schedule (https://docs.aws.amazon.com/eventbridge/latest/userguide/event-reference.html, "Scheduled Event").
type scheduled struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     struct{} `json:"detail"`
}

// scheduledEvent is what a function is told of a run: the due time for the time, the job for the rule, and an id that is the same in each attempt at the run, by which
// the function recognises a repeat.
func scheduledEvent(r jobs.Run) ([]byte, error) {
	event, err := json.Marshal(scheduled{
		Version: "0", ID: runUUID(r.ID), DetailType: "Scheduled Event", Source: "aws.events", Account: account,
		Time: r.Due.UTC().Format(time.RFC3339), Region: region,
		Resources: []string{"arn:aws:events:" + region + ":" + account + ":rule/" + r.Job},
	})
	if err != nil {
		return nil, fmt.Errorf("the event of the run %s: %w", r.ID, err)
	}
	return event, nil
}

// runUUID is the UUID of a run for those who want one: version 5 (RFC 9562, section 5.5), so the same for the same run on all hosts.
func runUUID(id string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:edge:run:"+id)).String()
}
