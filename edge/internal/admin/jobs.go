package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/jobs"
	"github.com/uptrace/bunrouter"
)

// Jobs is what the API asks of the clock.
type Jobs interface {
	Jobs(ctx context.Context) ([]Job, error)
	JobHistory(ctx context.Context, f jobs.Filter) ([]jobs.Record, error)
	// JobRun has a job run now, and returns the run's id.
	JobRun(ctx context.Context, name string) (id string, err error)
	PauseJob(ctx context.Context, name string) error
	ResumeJob(ctx context.Context, name string) error
}

// Job is a job, and how it does.
type Job struct {
	jobs.Status
	Schedule string `json:"schedule"`
	Timezone string `json:"timezone"`
	Runs     string `json:"runs"` // what: "plugin planner", "function tweet", "POST", "command"
}

func jobRoutes(router *bunrouter.Router, o Operations) {
	router.GET("/v1/jobs", answer(func(r bunrouter.Request) (any, error) { return o.Jobs(r.Context()) }))
	router.GET("/v1/jobs/:name/history", answer(func(r bunrouter.Request) (any, error) { return jobHistory(o, r) }))
	router.POST("/v1/jobs/:name/:order", answer(func(r bunrouter.Request) (any, error) { return orderJob(o, r) }))
}

func jobHistory(o Operations, r bunrouter.Request) ([]jobs.Record, error) {
	name, err := named(r, "name")
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	f := jobs.Filter{Job: name, After: query.Get("after")}
	if limit := query.Get("limit"); limit != "" {
		if f.Limit, err = strconv.Atoi(limit); err != nil {
			return nil, &Error{fault.Invalid, "limit: " + err.Error()}
		}
	}
	found, err := o.JobHistory(r.Context(), f)
	return found, coded(err)
}

func orderJob(o Operations, r bunrouter.Request) (id string, err error) {
	name, err := named(r, "name")
	if err != nil {
		return "", err
	}
	switch order := r.Param("order"); order {
	case "run":
		id, err = o.JobRun(r.Context(), name)
	case "pause":
		err = o.PauseJob(r.Context(), name)
	case "resume":
		err = o.ResumeJob(r.Context(), name)
	default:
		return "", &Error{fault.NotFound, "a job can be run, paused and resumed; not " + strconv.Quote(order)}
	}
	return id, coded(err)
}

// Jobs returns the jobs.
func (c *Client) Jobs(ctx context.Context) (all []Job, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/jobs", nil, &all)
}

// JobHistory returns the runs of a job, the latest due first.
func (c *Client) JobHistory(ctx context.Context, f jobs.Filter) (found []jobs.Record, err error) {
	query := url.Values{}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.After != "" {
		query.Set("after", f.After)
	}
	return found, c.call(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(f.Job)+"/history?"+query.Encode(), nil, &found)
}

// RunJob has a job run now, and returns the run's id.
func (c *Client) RunJob(ctx context.Context, name string) (id string, err error) {
	return id, c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(name)+"/run", nil, &id)
}

// PauseJob has a job not be due any more.
func (c *Client) PauseJob(ctx context.Context, name string) (id string, err error) {
	return id, c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(name)+"/pause", nil, &id)
}

// ResumeJob has a job be due again.
func (c *Client) ResumeJob(ctx context.Context, name string) (id string, err error) {
	return id, c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(name)+"/resume", nil, &id)
}
