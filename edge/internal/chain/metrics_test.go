package chain

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/front"
)

// gather returns what a scrape would show, by name and labels. Of a histogram it is the count.
func gather(t testing.TB, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
		if x.Request.Upgrade != "" {
			c, err := x.Upgrade()
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
			return
		}
		_, _ = x.Request.Body.Read(make([]byte, 10))
		_, _ = x.Write([]byte("hello"))
	})
	h.askAs("POST", "/", exchangetest.Body("abc"))
	h.ask("/")
	h.ask("/", exchangetest.Upgrade("websocket"))
	h.ask("http://evil.example/")
	h.ask("http://worse.example/")
	got := gather(t, h.metrics)
	for name, want := range map[string]float64{
		`edge_requests_total{code="200",host="example.com"}`: 2,
		`edge_requests_total{code="101",host="example.com"}`: 1,
		`edge_requests_total{code="404",host="_other"}`:      2,
		`edge_request_duration_seconds{host="example.com"}`:  2,
		`edge_request_duration_seconds{host="_other"}`:       2,
		`edge_request_bytes_total{host="example.com"}`:       3,
		`edge_response_bytes_total{host="example.com"}`:      10,
		`edge_requests_in_flight{host="example.com"}`:        0,
		`edge_refused_total{reason="unknown_host"}`:          2,
		`edge_access_log_dropped_total`:                      0,
		`edge_panics_total`:                                  0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for name := range got {
		if strings.Contains(name, "evil") {
			t.Errorf("a visitor made %s", name)
		}
	}
}

func TestMetricsOverASwap(t *testing.T) {
	var during map[string]float64
	var h *house
	h = newHouse(t, map[string]config.Host{"stays.example": {}, "goes.example": {}}, func(*exchange.Exchange) {
		during = gather(t, h.metrics)
	})
	h.ask("https://stays.example/")
	h.ask("https://goes.example/")
	if during[`edge_requests_in_flight{host="goes.example"}`] != 1 {
		t.Error(during)
	}
	h.swap(map[string]config.Host{"stays.example": {}, "comes.example": {}})
	got := gather(t, h.metrics)
	if got[`edge_requests_total{code="200",host="stays.example"}`] != 1 || got[`edge_request_duration_seconds{host="stays.example"}`] != 1 {
		t.Error("a host that stays lost its numbers")
	}
	if _, ok := got[`edge_request_duration_seconds{host="comes.example"}`]; !ok {
		t.Error("a new host has none")
	}
	for name := range got {
		if strings.Contains(name, "goes.example") {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestServeKeepsTheOrder(t *testing.T) {
	m := NewMetrics(NewAccessLog(nil, nil))
	names := []string{"b", "a", "c"}
	for i, h := range m.serve(slices.Clone(names)) {
		if h.name != names[i] {
			t.Errorf("%d is %s", i, h.name)
		}
	}
}

// What a scrape shows, to the byte: dashboards and alarms are built on it.
func TestScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []struct {
			status int
			after  time.Duration
			body   string
		}{
			{200, 0, "hello"}, {200, 500 * time.Microsecond, ""}, {200, 500*time.Microsecond + 1, "more"}, {204, time.Second, ""}, {206, 250 * time.Millisecond, "part"},
			{418, 125 * time.Millisecond, ""}, {500, 60 * time.Second, ""}, {599, 60*time.Second + 1, ""}, {999, 0, ""}, {404, 2 * time.Second, "none"},
		}
		var h *house
		next := 0
		h = newHouse(t, hostWith(config.Limits{Body: 3, Concurrency: 1}), func(x *exchange.Exchange) {
			time.Sleep(answers[next].after)
			x.Response.Status = answers[next].status
			_, _ = x.Write([]byte(answers[next].body))
		})
		for next = range answers {
			h.ask("/", func(x *exchange.Exchange) { x.Peer = netip.AddrPortFrom(x.Peer.Addr(), uint16(next)) })
		}
		h.askAs("POST", "/", exchangetest.Body("toolong"))
		h.ask("https://elsewhere.example/")
		h.ask("http://elsewhere.example/")
		h.Refused(&front.Refusal{Status: 400, Reason: "bad_request"})
		h.metrics.panics.Inc()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(h.metrics)
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		want, err := os.ReadFile("testdata/scrape.txt")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Body.String(); got != string(want) {
			t.Errorf("got\n%s", got)
		}
	})
}

func TestConnectionsAreSpreadOverShards(t *testing.T) {
	if size := unsafe.Sizeof(hostShard{}); size%64 != 0 {
		t.Errorf("a shard of %d bytes shares a line of cache with the next one", size)
	}
	if size := unsafe.Sizeof(hostMetrics{}); size > 8<<10 {
		t.Errorf("%d bytes for a host", size)
	}
	var h hostMetrics
	for port := 32768; port < 60999; port += 2 { // as Linux chooses them
		h.shard(uint16(port)).inFlight.Add(1)
	}
	for i := range h.shards {
		if n := h.shards[i].inFlight.Load(); n < 1500 || n > 2000 {
			t.Errorf("%d connections in shard %d", n, i)
		}
	}
}

func TestRequestsInFlightOfAllConnectionsAreCounted(t *testing.T) {
	const connections = 20
	var h *house
	var deepest float64
	h = newHouse(t, oneHost(), func(x *exchange.Exchange) {
		deepest = max(deepest, gather(t, h.metrics)[`edge_requests_in_flight{host="example.com"}`])
		if port := x.Peer.Port(); port < connections {
			h.ask("/", func(x *exchange.Exchange) { x.Peer = netip.AddrPortFrom(x.Peer.Addr(), port+1) })
		}
	})
	h.ask("/", func(x *exchange.Exchange) { x.Peer = netip.AddrPortFrom(x.Peer.Addr(), 1) })
	got := gather(t, h.metrics)
	if deepest != connections || got[`edge_requests_in_flight{host="example.com"}`] != 0 || got[`edge_requests_total{code="200",host="example.com"}`] != connections {
		t.Error(deepest, got)
	}
}
