//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A row is one line of the table: what is measured, and how much of it edge may need.
type row struct {
	name    string // as -rows has it
	title   string
	unit    unit
	warm    load // before a measurement; nil: nothing
	load    load // what is measured; nil: the row is not about a load
	per     int  // units of work a request; 0 is 1
	files   bool // whether the server serves files for it
	logged  bool // the difference that an access log makes
	latency bool // p50 and p99 instead of CPU time
	targets []target
}

// A unit is how values of a row are told.
type unit struct {
	name     string
	scale    float64 // how many of them are in a second of CPU time
	decimals int
}

var (
	micros   = unit{"µs", 1e6, 1}
	perMiB   = unit{"ms/MiB", 1e3, 2}
	millis   = unit{"ms", 1e3, 2}
	kibibyte = unit{"KiB", 0, 1}
	mebibyte = unit{"MiB", 0, 1}
	pieces   = unit{"", 0, 0}
)

func (u unit) format(value float64) string { return strconv.FormatFloat(value, 'f', u.decimals, 64) }

// A target is what edge may need at most.
type target struct {
	peer  string  // whose share it is of; "": none's, most is in the unit of the row
	most  float64 //
	exact bool    // whether the figure has no noise to speak of
}

// noise is how much more may be noise: differences below are not resolved.
const noise = 1.15

func (t target) verdict(value float64) verdict {
	switch {
	case value <= t.most:
		return met
	case !t.exact && value <= t.most*noise:
		return withinNoise
	default:
		return over
	}
}

func (t target) text(u unit) string {
	switch {
	case t.peer != "":
		return fmt.Sprintf("≤ %.2f × %s", t.most, t.peer)
	default:
		return strings.TrimSpace(fmt.Sprintf("≤ %g %s", t.most, u.name))
	}
}

// Names of the rows that are not about a load.
const (
	idleRow      = "idle"
	startRow     = "rss"
	allocsRow    = "allocs"
	goBenchmarks = "go" // no row: all benchmarks, after the table
)

// rows are all rows, each measured for secs.
func rows(l loads, secs int) []row {
	mib := 10
	seconds := fmt.Sprintf("-D%d", secs)
	times := func(each int) string { return fmt.Sprintf("-n%d", each*secs) } // for large bodies, so that none is cut off
	nginx := []target{{peer: "nginx", most: 1}}
	h2 := func(path string) (warm, load load) {
		return l.h2load(path, "-c16", "-m10", "-n3000"), l.h2load(path, "-c16", "-m10", seconds, "--warm-up-time=0")
	}
	proxyWarm, proxy := h2("/")
	staticWarm, static := h2("/static/1k.txt")
	return []row{
		{name: "h1-proxy", title: "h1 proxy 1 KiB", unit: micros, warm: l.wrk("/", 1), load: l.wrk("/", secs),
			targets: []target{{peer: "nginx", most: 1}, {peer: "caddy", most: 0.25}}},
		{name: "h2-proxy", title: "h2 proxy 1 KiB", unit: micros, warm: proxyWarm, load: proxy, targets: []target{{peer: "caddy", most: 0.4}}},
		{name: "h1-static-1k", title: "static 1 KiB h1", unit: micros, files: true, warm: l.wrk("/static/1k.txt", 1), load: l.wrk("/static/1k.txt", secs),
			targets: []target{{peer: "nginx", most: 0.85}}},
		{name: "h2-static-1k", title: "static 1 KiB h2", unit: micros, files: true, warm: staticWarm, load: static, targets: []target{{peer: "caddy", most: 0.4}}},
		{name: "h1-static-1m", title: "static 1 MiB h1", unit: perMiB, files: true, targets: nginx,
			warm: l.h2load("/static/1m.bin", "--h1", "-c8", "-n20"), load: l.h2load("/static/1m.bin", "--h1", "-c8", times(700))},
		{name: "h2-static-1m", title: "static 1 MiB h2", unit: perMiB, files: true,
			warm: l.h2load("/static/1m.bin", "-c8", "-m4", "-n40"), load: l.h2load("/static/1m.bin", "-c8", "-m4", times(400))},
		{name: "h1-down", title: "body 10 MiB down h1", unit: perMiB, per: mib, targets: nginx,
			warm: l.h2load("/big", "--h1", "-c4", "-n4"), load: l.h2load("/big", "--h1", "-c4", times(60))},
		{name: "h2-down", title: "body 10 MiB down h2", unit: perMiB, per: mib,
			warm: l.h2load("/big", "-c4", "-n4"), load: l.h2load("/big", "-c4", times(40))},
		{name: "h1-up", title: "body 10 MiB up h1", unit: perMiB, per: mib, targets: nginx,
			warm: l.h2load("/up", "--h1", "-c4", "-n4", "--data=upload"), load: l.h2load("/up", "--h1", "-c4", times(30), "--data=upload")},
		{name: "handshake", title: "full handshake + request", unit: micros, targets: nginx, warm: l.handshakes(1), load: l.handshakes(secs)},
		{name: idleRow, title: "idle TLS connection", unit: kibibyte, targets: []target{{most: 32, exact: true}}},
		{name: startRow, title: "RSS at start, edge with the sample", unit: mebibyte, targets: []target{{most: 40, exact: true}}},
		{name: "access-log", title: "access log on, more a request", unit: micros, logged: true, warm: l.wrk("/", 1), load: l.wrk("/", secs),
			targets: []target{{most: 3}}},
		{name: "h1-2000", title: "h1 at 2,000/s, p50 / p99", unit: millis, latency: true, load: l.rate(secs, "--h1")},
		{name: "h2-2000", title: "h2 at 2,000/s, p50 / p99", unit: millis, latency: true, load: l.rate(secs, "-m10")},
		{name: allocsRow, title: "allocations, h1 forward", unit: pieces, targets: []target{{most: 0, exact: true}}},
	}
}

// rowNames are what -rows chooses from.
func rowNames() []string {
	var names []string
	for _, r := range rows(loads{}, 1) {
		names = append(names, r.name)
	}
	return append(names, isolationForms, isolationHandshakes, webhooksSQLite, webhooksMongoDB, webhooksPlugin, webhooksBacklog, apiGet, apiList, apiCreate, apiMillion,
		goBenchmarks)
}

// needs says whether the row is measured for p.
func (r row) needs(p *product) bool {
	switch {
	case r.name == allocsRow:
		return p.name == "edge"
	case r.logged:
		return p.name == "edge" || p.name == "nginx" // HAProxy logs to syslog; Caddy's line costs tens of µs and proves nothing
	default:
		return !r.files || p.static
	}
}
