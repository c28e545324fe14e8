//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A siege is a row about what a flood does to those who want something else: quiet visitors of the api host.
type siege struct {
	name, title string
	kind        string           // of flood
	open        func(*isolation) // takes away the limits that are to help
}

const (
	isolationForms      = "isolation-forms"
	isolationHandshakes = "isolation-handshakes"
)

var sieges = []siege{
	{isolationForms, "forms", "forms", func(i *isolation) { i.limits = "{rate: 1000000/s, burst: 1000000, concurrency: 1000000}" }},
	{isolationHandshakes, "handshakes", "handshakes", func(i *isolation) { i.doorless = true }},
}

// Of the api host: 1,000 requests a second over 20 connections that stay, and 20 visitors a second who come for the first time.
const (
	probeLines, probeEach = 20, 50
	newcomersEach         = 20
	opening               = 500 * time.Millisecond

	floodTimes = 10  // the capacity
	mostSlower = 2.0 // × the quiet p99
)

// newcomersNetwork is none of the flood's.
var newcomersNetwork = net.IPv4(127, 0, 9, 9)

// A calm is what the api host's visitors saw.
type calm struct {
	Staying quality `json:"staying"`
	New     quality `json:"new"`
}

// A look is one at the api host, without a flood and then with it.
type look struct {
	Row      string   `json:"row"`
	Limits   bool     `json:"limits"`
	Round    int      `json:"round"`
	Capacity int      `json:"capacity"` // of what is flooded, a second
	Quiet    calm     `json:"quiet"`
	During   calm     `json:"during"`
	Flood    flooding `json:"flood"`
	Busy     float64  `json:"busy"`   // share of its core that the server had during the flood
	Robbed   float64  `json:"robbed"` // share of the time in which it wanted that core and others had it, before the flood
}

func (l *look) ratio() float64 {
	return l.During.Staying.P99.Seconds() / max(l.Quiet.Staying.P99, time.Microsecond).Seconds()
}

// An isolation is one server of a siege.
type isolation struct {
	siege
	limits   string // of the form
	doorless bool
	server   *server
}

// measureIsolation looks at edge with its limits and at edge without them, round by round.
func (b *bench) measureIsolation(ctx context.Context) {
	for _, s := range sieges {
		if !slices.Contains(b.names, s.name) || ctx.Err() != nil {
			continue
		}
		if err := b.besiege(ctx, s); err != nil {
			b.failed(fmt.Errorf("%s: %w", s.name, err))
		}
	}
}

func (b *bench) besiege(ctx context.Context, s siege) error {
	limited, unlimited := &isolation{siege: s, limits: "{}"}, &isolation{siege: s, limits: "{}"}
	s.open(unlimited)
	both := []*isolation{limited, unlimited}
	for _, i := range both {
		if err := b.startIsolated(ctx, i); err != nil {
			return err
		}
		defer i.server.child.stop()
	}
	capacity, err := b.capacity(ctx, unlimited)
	if err != nil {
		return err
	}
	for round := range b.reps {
		for _, i := range both {
			l, err := b.look(ctx, i, capacity*floodTimes)
			if err != nil {
				return err
			}
			l.Row, l.Round, l.Capacity, l.Limits = s.name, round, capacity, i == limited
			b.looks = append(b.looks, l)
			fmt.Fprintf(b.log, "round %d/%d  %-20s limits %-5v p99 %v → %v, %d lost of %d\n", round+1, b.reps, s.name, l.Limits,
				l.Quiet.Staying.P99.Round(time.Microsecond), l.During.Staying.P99.Round(time.Microsecond), l.During.Staying.Lost, l.During.Staying.Asked)
		}
	}
	return nil
}

// isolationConfig is edge as an operator would write it, with a host for programs and one with a form that is kept in the store.
const isolationConfig = `data_dir: {{.Folder}}/data
listen: {http: [], https: "127.0.0.1:{{.Port}}", h3: off, metrics: "127.0.0.1:{{.Metrics}}"}
log: {access: off}
target_groups:
  upstream: {targets: ["http://127.0.0.1:{{.Upstream}}"], health: off}
forms:
  contact: {origins: ["https://a.localhost"], fields: {email: {type: email}}, limits: LIMITS}
hosts:
  localhost:
    tls: {cert: {{.Shared}}/cert.pem, key: {{.Shared}}/key.pem}
    default: {forward: upstream}
  a.localhost:
    tls: {cert: {{.Shared}}/cert.pem, key: {{.Shared}}/key.pem}
    rules:
      - {path: /forms/*, forms: true}
    default: {forward: upstream}
`

func (b *bench) startIsolated(ctx context.Context, i *isolation) (err error) {
	p := *products(b.edge)[0]
	p.config = strings.ReplaceAll(isolationConfig, "LIMITS", i.limits)
	if i.doorless {
		if p.path, err = b.buildDoorless(ctx); err != nil {
			return err
		}
	}
	i.server, err = b.startServer(ctx, &p, false)
	return err
}

// buildDoorless makes an edge that computes all handshakes at once, as no configuration can say.
func (b *bench) buildDoorless(ctx context.Context) (string, error) {
	path := filepath.Join(b.folder, "edge-doorless")
	fmt.Fprintln(b.log, "building an edge without a bound on handshakes")
	_, err := output(ctx, 10*time.Minute, program{
		args: []string{"go", "build", "-tags", "edge_nodoor", "-o", path, "./edge"}, folder: b.root, cores: &b.cores.all,
	})
	return path, err
}

// capacity is how many a second of what is flooded the server has when nobody asks for anything else: of handshakes by the time
// that each takes of its core, since who makes them takes as much; of forms by the clock, since they wait for the disk.
func (b *bench) capacity(ctx context.Context, i *isolation) (int, error) {
	const should = 2 * time.Second
	before, err := cpuUsed(i.server.child.pid())
	if err != nil {
		return 0, err
	}
	if i.kind == "forms" {
		did, err := b.flood(ctx, i, 0, should)
		return int(float64(did.Accepted) / did.Seconds), errors.Join(err, enough(did.Accepted))
	}
	terms, err := trusting(filepath.Join(b.folder, "cert.pem"))
	if err != nil {
		return 0, err
	}
	o := handshakes(ctx, fmt.Sprintf("127.0.0.1:%d", i.server.port), terms, should)
	after, err := cpuUsed(i.server.child.pid())
	if err != nil {
		return 0, err
	}
	return int(float64(o.requests) / after.since(before).Seconds()), enough(o.requests)
}

func enough(n int) error {
	if n < 100 { //nolint:mnd // a server that does fifty a second has some trouble
		return fmt.Errorf("only %d went well when nothing was limited", n)
	}
	return nil
}

// flood floods i at a rate, 0 for as fast as it answers.
func (b *bench) flood(ctx context.Context, i *isolation, rate int, should time.Duration) (did flooding, err error) {
	self, err := os.Executable()
	if err != nil {
		return did, err
	}
	a := floodArgs{kind: i.kind, port: i.server.port, rate: rate, should: should, folder: b.folder}
	text, err := output(ctx, should+30*time.Second, program{args: append([]string{self}, a.strings()...), folder: b.folder})
	if err != nil {
		return did, err
	}
	return did, json.Unmarshal([]byte(text), &did)
}

// look looks at the api host, without a flood and then with it.
func (b *bench) look(ctx context.Context, i *isolation, rate int) (l look, err error) {
	should := time.Duration(b.secs)*time.Second + opening
	pid := i.server.child.pid()
	waited, began := waitedForCore(pid), time.Now()
	if l.Quiet, err = b.watch(ctx, i, should); err != nil {
		return l, err
	}
	l.Robbed = (waitedForCore(pid) - waited).Seconds() / time.Since(began).Seconds()
	flooded := make(chan error, 1)
	go func() {
		var err error
		l.Flood, err = b.flood(ctx, i, rate, should+opening)
		flooded <- err
	}()
	before, err1 := cpuUsed(pid)
	began = time.Now()
	l.During, err = b.watch(ctx, i, should)
	after, err2 := cpuUsed(pid)
	l.Busy = after.since(before).Seconds() / time.Since(began).Seconds()
	return l, errors.Join(err, err1, err2, <-flooded, sleep(ctx, opening))
}

// watch is what the api host's visitors see now.
func (b *bench) watch(ctx context.Context, i *isolation, should time.Duration) (c calm, err error) {
	terms, err := trusting(filepath.Join(b.folder, "cert.pem"))
	if err != nil {
		return c, err
	}
	p := probe{address: fmt.Sprintf("127.0.0.1:%d", i.server.port), host: hosts[0], terms: terms, lines: probeLines, each: probeEach}
	newly := make(chan quality, 1)
	go func() { newly <- newcomers(ctx, p.address, terms, newcomersNetwork, newcomersEach, should-opening) }()
	c.Staying = p.run(ctx, should, opening)
	c.New = <-newly
	return c, ctx.Err()
}
