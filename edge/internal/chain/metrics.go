package chain

import (
	"slices"
	"strconv"
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
	hosts    atomic.Pointer[[]*hostMetrics] // those of the table, and other
	other    *hostMetrics
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	panics   prometheus.Counter
	fields   prometheus.Counter // dropped
	log      *AccessLog

	requests, inFlight, in, out, limited, logDropped *prometheus.Desc
}

// hostMetrics are the numbers of one host.
type hostMetrics struct {
	name     string
	codes    [600]atomic.Uint64
	limited  [limitCount]atomic.Uint64
	inFlight atomic.Int64
	in, out  atomic.Uint64 // bytes of bodies
	duration prometheus.Observer
}

// NewMetrics makes the metrics of a chain; log is the access log that the chain writes.
func NewMetrics(log *AccessLog) *Metrics {
	host := []string{"host"}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "edge_request_duration_seconds",
			Help:    "Time from a request's head to the end of its answer, without upgraded connections.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, host),
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
		logDropped: desc("edge_access_log_dropped_total", "Lines that the access log dropped because they could not be written in time."),
	}
	m.other = m.newHost(otherHost)
	m.hosts.Store(&[]*hostMetrics{m.other})
	return m
}

func (m *Metrics) newHost(name string) *hostMetrics {
	return &hostMetrics{name: name, duration: m.duration.WithLabelValues(name)}
}

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
			h = m.newHost(name)
		}
		delete(before, name)
		now = append(now, h)
	}
	m.hosts.Store(&now)
	for gone := range before {
		m.duration.DeleteLabelValues(gone)
	}
	return now[:len(hosts)]
}

func (h *hostMetrics) answered(status int) {
	if 0 <= status && status < len(h.codes) {
		h.codes[status].Add(1)
	}
}

// done counts a request that has been answered.
func (h *hostMetrics) done(status int, took time.Duration, in, out int64) {
	h.answered(status)
	h.in.Add(uint64(max(in, 0)))
	h.out.Add(uint64(max(out, 0)))
	if status != 101 { // how long a WebSocket was open says nothing about how fast we answer
		h.duration.Observe(took.Seconds())
	}
}

// Describe sends what the collector collects.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.inFlight, m.in, m.out, m.limited, m.logDropped} {
		ch <- d
	}
	m.duration.Describe(ch)
	m.refused.Describe(ch)
	ch <- m.panics.Desc()
	ch <- m.fields.Desc()
}

// Collect sends all numbers.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, h := range *m.hosts.Load() {
		h.collect(m, ch)
	}
	m.duration.Collect(ch)
	m.refused.Collect(ch)
	ch <- m.panics
	ch <- m.fields
	ch <- prometheus.MustNewConstMetric(m.logDropped, prometheus.CounterValue, float64(m.log.Dropped()))
}

func (h *hostMetrics) collect(m *Metrics, ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for code := range h.codes {
		if n := h.codes[code].Load(); n > 0 {
			counter(m.requests, n, h.name, strconv.Itoa(code))
		}
	}
	for limit, name := range [limitCount]string{"concurrency", "rate", "body"} {
		if n := h.limited[limit].Load(); n > 0 {
			counter(m.limited, n, h.name, name)
		}
	}
	counter(m.in, h.in.Load(), h.name)
	counter(m.out, h.out.Load(), h.name)
	ch <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(h.inFlight.Load()), h.name)
}
