package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/plugins/host"
	"github.com/prometheus/client_golang/prometheus"
)

// webhookMatters are what needs a person of webhooks and plugins. What the store does not say in time is not known.
func (m *modules) webhookMatters() []matter {
	var all []matter
	for _, p := range m.plugins.Status() {
		if p.State == host.CrashLoop {
			all = append(all, matter{"plugin " + p.Name, fmt.Sprintf("plugin %s ends again and again: %s", p.Name, printable(p.Error, 300))})
		}
	}
	said := m.webhooks.Attention()
	for _, name := range slices.Sorted(maps.Keys(said)) {
		all = append(all, matter{"webhooks " + name, said[name]})
	}
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	sources, err := m.sources(ctx)
	if err != nil {
		return all // that the store is away is a matter of its own
	}
	for _, s := range sources {
		all = append(all, m.sourceMatters(s)...)
	}
	return all
}

func (m *modules) sourceMatters(s admin.Source) (all []matter) {
	about := "webhooks " + s.Source
	note := func(what, format string, args ...any) {
		all = append(all, matter{about + " " + what, about + ": " + fmt.Sprintf(format, args...)})
	}
	if s.Full {
		note("full", "as many are kept as may be (max_kept), and the source is told to come later: allow more, or a shorter retention")
	}
	if s.Dead > 0 {
		note("dead", "dead: %d; `edge webhooks list %s --state dead` shows why, `edge webhooks redeliver --source %s --dead` has them handled again", s.Dead, s.Source, s.Source)
	}
	if s.Quarantined > 0 {
		note("quarantined", "quarantined: %d, with which plugin %s has died again and again; `edge webhooks list %s --state quarantined`", s.Quarantined, s.Plugin, s.Source)
	}
	if s.Paused && !s.Oldest.IsZero() && time.Since(s.Oldest) > maxPending {
		note("waiting", "%s for plugin %s, the oldest for %s", count(s.Pending, "delivery waits|deliveries wait"), s.Plugin, span(time.Since(s.Oldest)))
	}
	if s.Pending > 0 && s.Plugin == "" {
		note("left", "%s, and the source has no plugin any more that would handle them: give it one again, under this name", count(s.Pending, "delivery waits|deliveries wait"))
	}
	if expect := m.expected(s.Source); expect > 0 {
		last := s.Last
		if last.Before(m.began) { // it could not have been heard while nobody listened
			last = m.began
		}
		if silent := time.Since(last); silent > expect {
			note("silent", "nothing has come for %s, and at least every %s something should: look whether the provider has turned it off", span(silent), span(expect))
		}
	}
	return all
}

// The metrics of webhooks and plugins. Only configured names are values of labels.
var (
	webhookRequests = prometheus.NewDesc("edge_webhook_requests_total", "Requests for webhooks, by what became of them.", []string{"source", "outcome"}, nil)
	webhooksPending = prometheus.NewDesc("edge_webhooks_pending", "Deliveries that wait for their plugin.", []string{"source"}, nil)
	webhooksDead    = prometheus.NewDesc("edge_webhooks_dead", "Deliveries that their plugin will not take.", []string{"source"}, nil)
	webhooksKilling = prometheus.NewDesc("edge_webhooks_quarantined", "Deliveries with which their plugin has died again and again.", []string{"source"}, nil)
	webhooksOldest  = prometheus.NewDesc("edge_webhooks_oldest_pending_seconds", "How long the oldest delivery has been waiting for its plugin; 0 if none is.", []string{"source"}, nil)
	webhooksLast    = prometheus.NewDesc("edge_webhooks_last_received_seconds", "When the last delivery was received, in seconds since 1970; 0 if none was.", []string{"source"}, nil)
	webhooksSpooled = prometheus.NewDesc("edge_webhooks_spooled", "Deliveries that wait on this host's disk for the store.", nil, nil)
	pluginUp        = prometheus.NewDesc("edge_plugin_up", "Whether a plugin runs.", []string{"plugin"}, nil)
	pluginRestarts  = prometheus.NewDesc("edge_plugin_restarts_total", "How often a plugin had to be started anew.", []string{"plugin"}, nil)
	pluginMemory    = prometheus.NewDesc("edge_plugin_memory_bytes", "Memory of a plugin's processes.", []string{"plugin"}, nil)
	pluginInFlight  = prometheus.NewDesc("edge_plugin_in_flight", "Deliveries and runs that a plugin has now.", []string{"plugin"}, nil)
)

func describeWebhooks(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{webhookRequests, webhooksPending, webhooksDead, webhooksKilling, webhooksOldest, webhooksLast, webhooksSpooled,
		pluginUp, pluginRestarts, pluginMemory, pluginInFlight} {
		ch <- d
	}
}

func (m *modules) collectWebhooks(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, p := range m.plugins.Status() {
		up := 0.0
		if p.State == host.Running {
			up = 1
		}
		gauge(pluginUp, up, p.Name)
		gauge(pluginMemory, float64(p.RSS), p.Name)
		gauge(pluginInFlight, float64(p.InFlight), p.Name)
		ch <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(p.Restarts), p.Name)
	}
	for _, c := range m.webhooks.Counts() {
		ch <- prometheus.MustNewConstMetric(webhookRequests, prometheus.CounterValue, float64(c.N), c.Source, c.Outcome.String())
	}
	spooled, _ := m.spool.Len()
	gauge(webhooksSpooled, float64(spooled))
	ctx, cancel := context.WithTimeout(context.Background(), countPatience)
	defer cancel()
	counts, err := m.inbox.Counts(ctx)
	if err != nil {
		return
	}
	for _, c := range counts {
		collectSource(gauge, c)
	}
}

func collectSource(gauge func(*prometheus.Desc, float64, ...string), c inbox.Count) {
	gauge(webhooksPending, float64(c.Pending), c.Source)
	gauge(webhooksDead, float64(c.Dead), c.Source)
	gauge(webhooksKilling, float64(c.Quarantined), c.Source)
	oldest, last := 0.0, 0.0
	if !c.Oldest.IsZero() {
		oldest = time.Since(c.Oldest).Seconds()
	}
	if !c.Last.IsZero() {
		last = float64(c.Last.Unix())
	}
	gauge(webhooksOldest, oldest, c.Source)
	gauge(webhooksLast, last, c.Source)
}
