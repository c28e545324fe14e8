package chain

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hostMetrics are the numbers of one host: 8 KiB. Those that each request changes are in shards, over which connections are
// spread, lest all cores wait for the same lines of cache.
type hostMetrics struct {
	shards  [hostShards]hostShard
	name    string
	since   time.Time
	codes   [600]atomic.Uint64 // but for usualCodes
	limited [limitCount]atomic.Uint64
}

const (
	hostShardBits = 3
	hostShards    = 1 << hostShardBits
)

type hostShard struct {
	inFlight  atomic.Int64
	in, out   atomic.Uint64 // bytes of bodies
	codes     [len(usualCodes)]atomic.Uint64
	took      atomic.Uint64                          // nanoseconds, of all
	durations [len(durationBounds) + 1]atomic.Uint64 // how many were within each of the bounds and not within the one before
	_         [8]byte                                // to a multiple of 64
}

// usualCodes are the statuses that nearly all answers have.
var usualCodes = [...]int{101, 200, 201, 204, 206, 301, 302, 304, 308, 400, 401, 403, 404, 429, 500, 502, 503, 504}

// usualCode is where a status stands among the usual ones, or noUsualCode. It is never changed.
var usualCode = func() (index [600]uint8) {
	for code := range index {
		index[code] = noUsualCode
	}
	for i, code := range usualCodes {
		index[code] = uint8(i)
	}
	return index
}()

const noUsualCode = 255

// durationBounds are inclusive.
var durationBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// shard returns where the requests of a connection are counted, which is told from others by the visitor's port.
func (h *hostMetrics) shard(port uint16) *hostShard {
	return &h.shards[uint32(port)*0x9E3779B1>>(32-hostShardBits)] // Fibonacci hashing
}

// done counts a request that has been answered in s, which is one of h's.
func (h *hostMetrics) done(s *hostShard, status int, took time.Duration, in, out int64) {
	h.answered(s, status)
	if in > 0 {
		s.in.Add(uint64(in))
	}
	if out > 0 {
		s.out.Add(uint64(out))
	}
	if status == 101 { // how long a WebSocket was open says nothing about how fast we answer
		return
	}
	i := 0
	for i < len(durationBounds) && took > durationBounds[i] {
		i++
	}
	s.durations[i].Add(1)
	s.took.Add(uint64(max(took, 0)))
}

// answered counts the status of an answer in s, which is one of h's.
func (h *hostMetrics) answered(s *hostShard, status int) {
	switch {
	case status < 0 || status >= len(h.codes):
	case usualCode[status] != noUsualCode:
		s.codes[usualCode[status]].Add(1)
	default:
		h.codes[status].Add(1)
	}
}

// answers returns how many answers had a status.
func (h *hostMetrics) answers(status int) uint64 {
	n := h.codes[status].Load()
	if i := usualCode[status]; i != noUsualCode {
		for s := range h.shards {
			n += h.shards[s].codes[i].Load()
		}
	}
	return n
}

func (h *hostMetrics) collect(m *Metrics, ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for code := range h.codes {
		if n := h.answers(code); n > 0 {
			counter(m.requests, n, h.name, strconv.Itoa(code))
		}
	}
	for limit, name := range [limitCount]string{"concurrency", "rate", "body"} {
		if n := h.limited[limit].Load(); n > 0 {
			counter(m.limited, n, h.name, name)
		}
	}
	var inFlight int64
	var in, out uint64
	for i := range h.shards {
		s := &h.shards[i]
		inFlight += s.inFlight.Load()
		in += s.in.Load()
		out += s.out.Load()
	}
	counter(m.in, in, h.name)
	counter(m.out, out, h.name)
	ch <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(inFlight), h.name)
	ch <- h.durations(m.duration)
}

// durations returns the histogram of all shards.
func (h *hostMetrics) durations(d *prometheus.Desc) prometheus.Metric {
	var count, took uint64
	within := make(map[float64]uint64, len(durationBounds))
	for bound := range len(durationBounds) + 1 {
		for i := range h.shards {
			count += h.shards[i].durations[bound].Load()
		}
		if bound < len(durationBounds) {
			within[durationBounds[bound].Seconds()] = count
		}
	}
	for i := range h.shards {
		took += h.shards[i].took.Load()
	}
	return prometheus.MustNewConstHistogramWithCreatedTimestamp(d, count, float64(took)/float64(time.Second), within, h.since, h.name)
}
