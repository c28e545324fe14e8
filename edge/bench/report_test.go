//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMedianIsInTheMiddle(t *testing.T) {
	for want, values := range map[float64][]float64{3: {9, 3, 1}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %v", values, got)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestUpToFifteenPerCentOverIsNoise(t *testing.T) {
	share, size := target{peer: "nginx", most: 0.8}, target{most: 32, exact: true}
	for _, c := range []struct {
		target
		value float64
		want  verdict
	}{
		{share, 0.5, met}, {share, 0.8, met}, {share, 0.9, withinNoise}, {share, 0.93, over},
		{size, 32, met}, {size, 32.1, over},
		{target{most: 0, exact: true}, 0, met}, {target{most: 0, exact: true}, 1, over},
	} {
		if got := c.verdict(c.value); got != c.want {
			t.Errorf("%v of %+v: %v, want %v", c.value, c.target, got, c.want)
		}
	}
}

// reported is the report of samples, row by row, without the spaces.
func reported(t *testing.T, b *bench, samples ...sample) map[string]string {
	t.Helper()
	var out, log bytes.Buffer
	b.out, b.log, b.samples = &out, &log, samples
	if err := b.report(); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for text := range strings.Lines(out.String()) {
		cells := strings.Split(strings.TrimSpace(text), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) > 2 {
			lines[cells[1]] = strings.Join(cells[2:len(cells)-1], "|")
		}
	}
	return lines
}

func TestTheReportHasFiguresRatiosAndVerdicts(t *testing.T) {
	all := products("/edge")
	all[1].path, all[2].path = "/nginx", "" // Caddy was not asked for
	b := &bench{options: options{peers: []string{"nginx", "haproxy"}, json: filepath.Join(t.TempDir(), "report.json")}, products: all, rows: rows(loads{}, 1)}
	got := reported(t, b,
		sample{Row: "h1-proxy", Server: "edge", Value: 20}, sample{Row: "h1-proxy", Server: "edge", Value: 22}, sample{Row: "h1-proxy", Server: "edge", Value: 90},
		sample{Row: "h1-proxy", Server: "nginx", Value: 20},
		sample{Row: "h1-static-1k", Server: "edge", Value: 10}, sample{Row: "h1-static-1k", Server: "nginx", Value: 20},
		sample{Row: "handshake", Server: "edge", Value: 500}, sample{Row: "handshake", Server: "nginx", Value: 400},
		sample{Row: idleRow, Server: "edge", Value: 33},
		sample{Row: "access-log", Server: "edge", Value: 20, Round: 0}, sample{Row: "access-log", Server: "edge", Value: 22, Round: 0, Logged: true},
		sample{Row: "access-log", Server: "edge", Value: 40, Round: 1}, sample{Row: "access-log", Server: "edge", Value: 42.5, Round: 1, Logged: true},
		sample{Row: "h1-2000", Server: "edge", Value: 3, P50: 0.5}, sample{Row: "h1-2000", Server: "nginx", Value: 4, P50: 0.25},
		sample{Row: allocsRow, Server: "edge", Value: 0},
	)
	for row, want := range map[string]string{
		"h1 proxy 1 KiB, µs":                "22.0|20.0|missing|–|1.10|–|≤ 1.00 × nginx, ≤ 0.25 × caddy|unknown",
		"static 1 KiB h1, µs":               "10.0|20.0|–|–|0.50|–|≤ 0.85 × nginx|met",
		"full handshake + request, µs":      "500.0|400.0|missing|–|1.25|–|≤ 1.00 × nginx|over",
		"idle TLS connection, KiB":          "33.0|failed|missing|–|–|–|≤ 32 KiB|over",
		"access log on, more a request, µs": "2.2 (2.0…2.5)|failed|–|–|–|–|≤ 3 µs|met",
		"h1 at 2,000/s, p50 / p99, ms":      "0.50 / 3.00|0.25 / 4.00|missing|–|0.75|–|–|–",
		"allocations, h1 forward":           "0|–|–|–|–|–|≤ 0|met",
		"static 1 MiB h1, ms/MiB":           "failed|failed|–|–|–|–|≤ 1.00 × nginx|unknown",
	} {
		if got[row] != want {
			t.Errorf("%s:\n got %s\nwant %s", row, got[row], want)
		}
	}
	if len(b.failures) == 0 {
		t.Error("a row without samples is no failure")
	}
	data, err := os.ReadFile(b.json)
	var raw struct{ Samples []sample }
	if err != nil || json.Unmarshal(data, &raw) != nil || len(raw.Samples) != len(b.samples) {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestAServerThatWaitedIsNamed(t *testing.T) {
	b := &bench{products: products("/edge"), rows: rows(loads{}, 1), samples: []sample{
		{Row: "h1-proxy", Server: "edge", Busy: 0.5}, {Row: "h2-proxy", Server: "edge", Busy: 0.9}, {Row: "h1-2000", Server: "edge", Busy: 0.1}, {Row: idleRow, Server: "edge"},
	}}
	if got := strings.Join(b.waiting(), ","); got != "h1-proxy edge 50 %" {
		t.Error(got)
	}
}

func TestEveryRowHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range rowNames() {
		if seen[name] {
			t.Error("two rows are named", name)
		}
		seen[name] = true
	}
}
