//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A bench is one run.
type bench struct {
	options
	out, log io.Writer
	root     string // folder of the repository
	folder   string // for what is needed while it runs
	cores    cores
	products []*product // edge first
	rows     []row
	upstream int // port
	versions []string
	samples  []sample
	looks    []look
	findings []*finding
	failures []string
	missed   []string // of what must not be missed
}

// A sample is one measurement of one server.
type sample struct {
	Row      string  `json:"row"`
	Server   string  `json:"server"`
	Logged   bool    `json:"logged,omitempty"` // its access log is on
	Round    int     `json:"round"`
	Value    float64 `json:"value"`           // in the row's unit
	P50      float64 `json:"p50_ms,omitzero"` // beside a Value that is p99
	Requests int     `json:"requests,omitzero"`
	Seconds  float64 `json:"seconds,omitzero"`
	CPU      float64 `json:"cpu_seconds,omitzero"`
	Busy     float64 `json:"busy,omitzero"` // share of the time in which the server had its core
}

// failed notes what could not be measured, and says it at once.
func (b *bench) failed(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(b.log, "FAILED:", err)
		b.failures = append(b.failures, err.Error())
	}
}

// measure fills in the samples.
func (b *bench) measure(ctx context.Context) error {
	stop, err := b.startUpstream()
	if err != nil {
		return err
	}
	defer stop()
	for _, p := range b.products {
		if p.path != "" {
			b.versions = append(b.versions, b.versionOf(ctx, p))
		}
	}
	b.measureMemory(ctx)
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.name == allocsRow }) {
		b.failed(b.measureAllocs(ctx))
	}
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.load != nil }) {
		b.measureLoads(ctx)
	}
	b.measureIsolation(ctx)
	b.measureWebhooks(ctx)
	b.measureAPI(ctx)
	return ctx.Err()
}

// startUpstream serves the origin, in this process and so beside the load.
func (b *bench) startUpstream() (stop func(), err error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		return nil, err
	}
	b.upstream = ports[0]
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serveUpstream(ln) // until it is closed
	}()
	return func() { ln.Close(); <-ended }, nil
}

// A server is a running product.
type server struct {
	*product
	child *child
	port  int
	log   string // file of the access log; "": off
}

// startServer starts p on the core of servers, and returns once it answers as it should.
func (b *bench) startServer(ctx context.Context, p *product, logged bool) (*server, error) {
	folder, err := os.MkdirTemp(b.folder, p.name)
	if err != nil {
		return nil, err
	}
	return b.startIn(ctx, folder, p, logged)
}

// startIn starts p with what is in folder, as startServer does.
func (b *bench) startIn(ctx context.Context, folder string, p *product, logged bool) (*server, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &server{product: p, port: ports[0]}
	if logged {
		s.log = filepath.Join(folder, "access.log")
	}
	args, err := p.configure(place{
		Folder: folder, Port: s.port, Metrics: ports[1], Upstream: b.upstream, Log: s.log, Shared: b.folder, Hosts: hosts, Root: os.Geteuid() == 0,
	})
	if err != nil {
		return nil, err
	}
	err = b.launch(ctx, s, program{args: args, folder: folder, env: []string{"HOME=" + folder, "XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder}},
		filepath.Join(b.folder, "cert.pem"))
	return s, err
}

// launch starts s by p, whose certificate is (or will be) in trust, and waits until it serves.
func (b *bench) launch(ctx context.Context, s *server, p program, trust string) error {
	out, err := os.Create(filepath.Join(p.folder, "out.log"))
	if err != nil {
		return err
	}
	defer out.Close()
	p.out, p.cores = out, &b.cores.server
	if s.child, err = start(ctx, p); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if err := s.ready(ctx, trust); err != nil {
		s.child.stop()
		said, _ := os.ReadFile(out.Name()) // for the message only
		return fmt.Errorf("%s does not serve: %w\n%s", s.name, err, lastLines(string(said)))
	}
	return nil
}

// ready waits until the server answers on a TLS connection, 20 s at most.
func (s *server) ready(ctx context.Context, trust string) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.check(ctx, trust)
		if err == nil {
			return nil
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("it ended: %w", errors.Join(err, s.child.err))
		case <-ctx.Done():
			return fmt.Errorf("within %v: %w", patience, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) check(ctx context.Context, trust string) error {
	terms, err := trusting(trust)
	if err != nil {
		return err
	}
	c, err := connect(ctx, fmt.Sprintf("127.0.0.1:%d", s.port), terms)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = ask(c, "close")
	return err
}

// measureLoads puts all servers under all loads, round by round.
func (b *bench) measureLoads(ctx context.Context) {
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.child.stop()
		}
	}()
	for _, p := range b.products {
		for _, logged := range []bool{false, true} {
			if p.path == "" || !slices.ContainsFunc(b.rows, func(r row) bool { return r.load != nil && r.needs(p) && (!logged || r.logged) }) {
				continue
			}
			s, err := b.startServer(ctx, p, logged)
			if err != nil {
				b.failed(err)
				continue
			}
			servers = append(servers, s)
		}
	}
	clock := progress{began: time.Now()}
	for _, r := range b.rows {
		clock.all += b.reps * len(visited(r, servers))
	}
	for round := range b.reps {
		for _, r := range b.rows {
			if r.load != nil && ctx.Err() == nil {
				b.visit(ctx, r, round, servers, &clock)
			}
		}
	}
}

// visited are the servers that a row is about.
func visited(r row, servers []*server) (chosen []*server) {
	for _, s := range servers {
		if r.load != nil && r.needs(s.product) && (s.log == "" || r.logged) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// visit measures each server once, in an order that differs from round to round.
func (b *bench) visit(ctx context.Context, r row, round int, servers []*server, clock *progress) {
	chosen := visited(r, servers)
	if len(chosen) == 0 {
		return
	}
	first := round % len(chosen)
	var said strings.Builder
	for _, s := range append(slices.Clone(chosen[first:]), chosen[:first]...) {
		m, err := s.sample(ctx, r)
		clock.done++
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fmt.Fprintf(b.log, "no sample of %s, %s: %v\n", s.name, r.name, err)
			continue
		}
		m.Round = round
		b.samples = append(b.samples, m)
		fmt.Fprintf(&said, "  %s %s", s.name, r.unit.format(m.Value))
		if m.Logged {
			said.WriteString(" (log)")
		}
	}
	fmt.Fprintf(b.log, "%-11s round %d/%d  %-12s %s %s\n", clock.left(), round+1, b.reps, r.name, said.String(), r.unit.name)
}

// A progress knows how long a run will still take.
type progress struct {
	began     time.Time
	done, all int
}

func (p *progress) left() string {
	if p.done == 0 {
		return ""
	}
	left := time.Since(p.began) / time.Duration(p.done) * time.Duration(p.all-p.done)
	return left.Round(time.Second).String() + " left"
}

// sample measures the server under the row's load. A load with errors is no sample.
func (s *server) sample(ctx context.Context, r row) (sample, error) {
	m := sample{Row: r.name, Server: s.name, Logged: s.log != ""}
	if r.warm != nil {
		if _, err := r.warm(ctx, s.port); err != nil {
			return m, err
		}
	}
	before, err := cpuUsed(s.child.pid())
	if err != nil {
		return m, err
	}
	began := time.Now()
	o, err := r.load(ctx, s.port)
	wall := time.Since(began)
	if err != nil {
		return m, err
	}
	after, err := cpuUsed(s.child.pid())
	switch {
	case err != nil:
		return m, err
	case o.errors > 0 || o.requests == 0:
		return m, fmt.Errorf("%d requests went well, %d did not", o.requests, o.errors)
	}
	cpu := after.since(before)
	m.Requests, m.Seconds, m.CPU, m.Busy = o.requests, o.took.Seconds(), cpu.Seconds(), cpu.Seconds()/wall.Seconds()
	m.Value = cpu.Seconds() / float64(o.requests*max(r.per, 1)) * r.unit.scale
	if r.latency {
		m.Value, m.P50 = o.p99.Seconds()*r.unit.scale, o.p50.Seconds()*r.unit.scale
	}
	if s.log == "" {
		return m, nil
	}
	if info, err := os.Stat(s.log); err != nil || info.Size() == 0 {
		return m, errors.Join(err, errors.New("nothing is in the access log"))
	}
	return m, nil
}
