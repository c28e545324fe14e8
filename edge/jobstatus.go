package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/jobs/action"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/plugins/host"
	"github.com/prometheus/client_golang/prometheus"
)

// pluginJobs has plugins run jobs.
type pluginJobs struct{ plugins *host.Host }

// RunJob has a plugin run a job.
func (p pluginJobs) RunJob(ctx context.Context, plugin string, r jobs.Run) (action.Outcome, error) {
	o, err := p.plugins.RunJob(ctx, plugin, host.Run{ID: r.ID, Job: r.Job, Due: r.Due, Attempt: r.Attempt})
	if down, ok := errors.AsType[*dispatch.Down](err); ok {
		return action.Outcome{}, &jobs.Down{Err: down.Err}
	}
	return action.Outcome{Kind: action.Kind(o.Kind), Reason: o.Reason, After: o.After}, err
}

// jobMatters are what needs a person of jobs. What the store does not say in time is not known.
func (m *modules) jobMatters() (all []matter) {
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	found, err := m.jobs.Status(ctx)
	if err != nil {
		return nil // that the store is away is a matter of its own
	}
	for _, j := range found {
		about := "job " + j.Job
		switch {
		case j.Silent && j.LastSuccess.IsZero():
			all = append(all, matter{about, about + ": it has never succeeded" + failure(j)})
		case j.Silent:
			all = append(all, matter{about, fmt.Sprintf("%s: it succeeded last %s%s", about, ago(j.LastSuccess), failure(j))})
		case j.Last != nil && (j.Last.Outcome == jobs.Dead || j.Last.Outcome == jobs.Lost):
			all = append(all, matter{about + " " + string(j.Last.Outcome), fmt.Sprintf("%s: its last run is %s%s", about, j.Last.Outcome, failure(j))})
		}
		if j.Late {
			all = append(all, matter{about + " late", fmt.Sprintf("%s: it should have started %s ago", about, span(j.LateBy))})
		}
	}
	return all
}

// failure says why the last run failed, if it did.
func failure(j jobs.Status) string {
	if j.Last == nil || j.Last.Error == "" {
		return ""
	}
	return ": " + printable(j.Last.Error, 300)
}

// The metrics of jobs. Only configured names are values of labels.
var (
	jobRuns        = prometheus.NewDesc("edge_job_runs_total", "Runs that have ended on this host, by outcome.", []string{"job", "outcome"}, nil)
	jobMissed      = prometheus.NewDesc("edge_job_missed_total", "Due times that were missed, as this host has found.", []string{"job"}, nil)
	jobLastSuccess = prometheus.NewDesc("edge_job_last_success_seconds", "When a job succeeded last, in seconds since 1970; 0 if it never has.", []string{"job"}, nil)
	jobLate        = prometheus.NewDesc("edge_job_late", "Whether a job should have started and has not.", []string{"job"}, nil)
)

func describeJobs(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobRuns, jobMissed, jobLastSuccess, jobLate} {
		ch <- d
	}
}

func (m *modules) collectJobs(ch chan<- prometheus.Metric) {
	for _, c := range m.jobs.Counts() {
		for outcome, n := range c.Runs {
			ch <- prometheus.MustNewConstMetric(jobRuns, prometheus.CounterValue, float64(n), c.Job, string(outcome))
		}
		ch <- prometheus.MustNewConstMetric(jobMissed, prometheus.CounterValue, float64(c.Missed), c.Job)
	}
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	found, err := m.jobs.Status(ctx)
	if err != nil {
		return
	}
	for _, j := range found {
		ch <- prometheus.MustNewConstMetric(jobLastSuccess, prometheus.GaugeValue, sinceEpoch(j.LastSuccess), j.Job)
		late := 0.0
		if j.Late {
			late = 1
		}
		ch <- prometheus.MustNewConstMetric(jobLate, prometheus.GaugeValue, late, j.Job)
	}
}

// sinceEpoch is a time in seconds since 1970, 0 for the zero time.
func sinceEpoch(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
