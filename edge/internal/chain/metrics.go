package chain

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// otherHost is the label of requests for hosts that aren't configured: what visitors invent is no label.
const otherHost = "_other"

// The limits that a request may meet, as edge_limited_total names them.
const (
	limitConcurrency = iota
	limitRate
	limitBody
	limitCount
)

// Metrics counts what passes the chain. It is a [prometheus.Collector]. Counting is a few atomic additions on memory that belongs to
// the host, found when the table was swapped: no label is looked up for a request.
type Metrics struct {
	hosts   atomic.Pointer[[]*hostMetrics] // those of the table, and other
	other   *hostMetrics
	refused *prometheus.CounterVec
	panics  prometheus.Counter
	fields  prometheus.Counter // dropped
	log     *AccessLog

	requests, inFlight, in, out, limited, duration, logDropped *prometheus.Desc
}

// NewMetrics makes the metrics of a chain; log is the access log that the chain writes.
func NewMetrics(log *AccessLog) *Metrics {
	host := []string{"host"}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &Metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "edge_refused_total", Help: "Requests that edge refused before a rule was chosen.",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_panics_total", Help: "Requests that ended in a panic.",
		}),
		fields: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_dropped_fields_total", Help: "Request fields dropped because of bytes in their name.",
		}),
		log:        log,
		requests:   desc("edge_requests_total", "Requests answered, by status; 460 if the visitor left before, 0 if nothing was sent.", "host", "code"),
		inFlight:   desc("edge_requests_in_flight", "Requests being answered, WebSockets among them.", host...),
		in:         desc("edge_request_bytes_total", "Bytes of request bodies.", host...),
		out:        desc("edge_response_bytes_total", "Bytes of response bodies.", host...),
		limited:    desc("edge_limited_total", "Requests refused by a limit of the host or the rule.", "host", "limit"),
		duration:   desc("edge_request_duration_seconds", "Time from a request's head to the end of its answer, without upgraded connections.", host...),
		logDropped: desc("edge_access_log_dropped_total", "Lines that the access log dropped because they could not be written in time."),
	}
	m.other = newHostMetrics(otherHost)
	m.hosts.Store(&[]*hostMetrics{m.other})
	return m
}

func newHostMetrics(name string) *hostMetrics { return &hostMetrics{name: name, since: time.Now()} }

// serve makes hosts the ones that are collected and returns their numbers in the same order. A host that was there
// before goes on counting; one that is gone is no longer collected.
func (m *Metrics) serve(hosts []string) []*hostMetrics {
	before := make(map[string]*hostMetrics)
	for _, h := range *m.hosts.Load() {
		before[h.name] = h
	}
	now := make([]*hostMetrics, 0, len(hosts)+1)
	for _, name := range append(slices.Clip(hosts), otherHost) {
		h := before[name]
		if h == nil {
			h = newHostMetrics(name)
		}
		now = append(now, h)
	}
	m.hosts.Store(&now)
	return now[:len(hosts)]
}

// Describe sends what the collector collects.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.inFlight, m.in, m.out, m.limited, m.duration, m.logDropped} {
		ch <- d
	}
	m.refused.Describe(ch)
	ch <- m.panics.Desc()
	ch <- m.fields.Desc()
}

// Collect sends all numbers.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, h := range *m.hosts.Load() {
		h.collect(m, ch)
	}
	m.refused.Collect(ch)
	ch <- m.panics
	ch <- m.fields
	ch <- prometheus.MustNewConstMetric(m.logDropped, prometheus.CounterValue, float64(m.log.Dropped()))
}
