package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	countPatience = 2 * time.Second  // how long the store is asked what the forms have
	maxPending    = 15 * time.Minute // how long a submission may wait for its function before a person is told
)

// matters are what needs a person of functions and forms. What the store does not say in time is not known.
func (m *modules) matters() []matter {
	var all []matter
	for _, f := range m.functions.Status() {
		if f.NeedsPerson {
			all = append(all, matter{"function " + f.Name, printable(f.LastError, 300)})
		}
	}
	captchas := m.forms.Attention()
	for _, name := range slices.Sorted(maps.Keys(captchas)) {
		all = append(all, matter{"captcha of " + name, captchas[name]})
	}
	all = append(all, m.content.matters()...)
	all = append(all, m.webhookMatters()...)
	all = append(all, m.jobMatters()...)
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	counts, err := m.submissions.Counts(ctx)
	if err != nil {
		return all // that the store is away is a matter of its own
	}
	for _, c := range counts {
		about := "form " + c.Form
		if c.Full {
			all = append(all, matter{about + " full", about + ": it keeps as many submissions as it may (max_kept), and takes no more: delete old ones by a shorter retention, or allow more"})
		}
		switch {
		case c.Pending > 0 && c.Paused:
			all = append(all, matter{about, fmt.Sprintf("%s: %s, and it has no function any more", about, count(c.Pending, "submission waits|submissions wait"))})
		case c.Pending > 0 && time.Since(c.Oldest) > maxPending:
			all = append(all, matter{about, fmt.Sprintf("%s: %s for its function, the oldest for %s", about, count(c.Pending, "submission waits|submissions wait"), span(time.Since(c.Oldest)))})
		}
		if c.Dead > 0 {
			all = append(all, matter{about + " dead", fmt.Sprintf("%s: dead: %d; `edge forms list %s --state dead` shows why: resend them, or make spam of them", about, c.Dead, c.Form)})
		}
	}
	return all
}

// The metrics of modules. Only configured names are values of labels.
var (
	invocations    = prometheus.NewDesc("edge_function_invocations_total", "Invocations of functions, by what became of them: ok, or the kind of error.", []string{"function", "outcome"}, nil)
	inFlight       = prometheus.NewDesc("edge_function_in_flight", "Invocations under way.", []string{"function"}, nil)
	processes      = prometheus.NewDesc("edge_function_processes", "Processes of functions of this host.", []string{"function"}, nil)
	formRequests   = prometheus.NewDesc("edge_form_requests_total", "Requests for forms, by what became of them.", []string{"form", "outcome"}, nil)
	submissionsNow = prometheus.NewDesc("edge_form_submissions", "Submissions that the store has, by state.", []string{"form", "state"}, nil)
	oldestPending  = prometheus.NewDesc("edge_form_oldest_pending_seconds", "How long the oldest submission has been waiting for its function; 0 if none is.", []string{"form"}, nil)
)

// Describe and Collect make modules a prometheus.Collector.
func (m *modules) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{invocations, inFlight, processes, formRequests, submissionsNow, oldestPending} {
		ch <- d
	}
	describeWebhooks(ch)
	describeJobs(ch)
	describeContent(ch)
}

// Collect reports what functions and forms do. Without the store what it keeps is left out.
func (m *modules) Collect(ch chan<- prometheus.Metric) {
	for _, f := range m.functions.Status() {
		ch <- prometheus.MustNewConstMetric(invocations, prometheus.CounterValue, float64(f.Invocations-f.Failed()), f.Name, "ok")
		for kind, n := range f.Errors {
			ch <- prometheus.MustNewConstMetric(invocations, prometheus.CounterValue, float64(n), f.Name, string(kind))
		}
		ch <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(f.InFlight), f.Name)
		ch <- prometheus.MustNewConstMetric(processes, prometheus.GaugeValue, float64(f.Processes), f.Name)
	}
	for _, c := range m.forms.Counts() {
		ch <- prometheus.MustNewConstMetric(formRequests, prometheus.CounterValue, float64(c.N), c.Form, c.Outcome.String())
	}
	m.collectWebhooks(ch)
	m.collectJobs(ch)
	m.collectContent(ch)
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	counts, err := m.submissions.Counts(ctx)
	if err != nil {
		return
	}
	for _, c := range counts {
		for state, n := range map[string]int{"pending": c.Pending, "done": c.Done, "dead": c.Dead, "spam": c.Spam} {
			ch <- prometheus.MustNewConstMetric(submissionsNow, prometheus.GaugeValue, float64(n), c.Form, state)
		}
		oldest := 0.0
		if !c.Oldest.IsZero() {
			oldest = time.Since(c.Oldest).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(oldestPending, prometheus.GaugeValue, oldest, c.Form)
	}
}
