//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Rows about what webhooks cost.
const (
	webhooksSQLite  = "webhooks-sqlite"
	webhooksMongoDB = "webhooks-mongodb"
	webhooksPlugin  = "webhooks-plugin"
	webhooksBacklog = "webhooks-backlog"
)

// A finding is one figure of a row beside what it is compared with, round by round.
type finding struct {
	Row    string `json:"row"`
	What   string `json:"what"`
	Beside string `json:"beside"` // what it is compared with; "": nothing
	Unit   string `json:"unit"`
	Aim    aim    `json:"aim"`
	Pairs  []pair `json:"pairs"`

	decimals int
}

// A pair is one measurement of both.
type pair struct {
	Value  float64 `json:"value"`
	Beside float64 `json:"beside,omitzero"`
}

// An aim is what a finding should be: at least or at most so many times what it is beside, or at most so much more. Zero: no aim.
type aim struct {
	Least float64 `json:"least,omitzero"`
	Most  float64 `json:"most,omitzero"`
	More  float64 `json:"more,omitzero"`
}

// find notes one measurement of what f is about.
func (b *bench) find(f finding, value, beside float64) {
	at := slices.IndexFunc(b.findings, func(g *finding) bool { return g.Row == f.Row && g.What == f.What && g.Beside == f.Beside })
	if at < 0 {
		at = len(b.findings)
		b.findings = append(b.findings, &f)
	}
	b.findings[at].Pairs = append(b.findings[at].Pairs, pair{value, beside})
}

// A keeper is where a server keeps deliveries: the folder of its data, and the URI of its store.
type keeper struct{ folder, uri string }

// place is how the store is opened beside the server.
func (k keeper) place() string {
	if k.uri == embedded {
		return filepath.Join(k.folder, "data", "edge.db")
	}
	return k.uri
}

const embedded = "sqlite"

// measureWebhooks measures the rows that are asked for. A mongod runs on the core of servers for as long as it is needed: the server pays for what its store does,
// whether that is in its own process or not, and so does who inserts without it.
func (b *bench) measureWebhooks(ctx context.Context) {
	wanted := func(row string) bool { return slices.Contains(b.names, row) && ctx.Err() == nil }
	if wanted(webhooksPlugin) {
		b.failed(b.measurePlugin(ctx))
	}
	uri := ""
	if wanted(webhooksMongoDB) || wanted(webhooksBacklog) {
		set, err := b.startMongoDB(ctx)
		if err != nil {
			b.failed(fmt.Errorf("webhooks on MongoDB: %w", err))
		} else {
			defer set.stop()
			uri = set.uri
		}
	}
	if wanted(webhooksSQLite) {
		b.failed(b.measureAcks(ctx, webhooksSQLite, embedded))
	}
	if wanted(webhooksMongoDB) && uri != "" {
		b.failed(b.measureAcks(ctx, webhooksMongoDB, database(uri, "acks")))
	}
	if wanted(webhooksBacklog) {
		uris := []string{embedded}
		if uri != "" {
			uris = append(uris, uri)
		}
		b.failed(b.measureBacklogs(ctx, uris))
	}
}

// database is a database of its own at uri.
func database(uri, name string) string {
	if uri == "" || uri == embedded {
		return uri
	}
	before, options, _ := strings.Cut(uri, "?")
	return strings.TrimSuffix(before, "/") + "/" + name + "?" + options
}

// webhooksConfig is edge as an operator would write it, with a source that is kept, or handled by a plugin.
const webhooksConfig = `data_dir: {{.Folder}}/data
listen: {http: [], https: "127.0.0.1:{{.Port}}", h3: off, metrics: "127.0.0.1:{{.Metrics}}"}
log: {access: off}
store: {uri: "STORE"KEY}
target_groups:
  upstream: {targets: ["http://127.0.0.1:{{.Upstream}}"], health: off}
webhooks:
  github: {verify: github, secret: "SECRET", max_kept: 100000000HANDLED}
PLUGINS
hosts:
  localhost:
    tls: {cert: {{.Shared}}/cert.pem, key: {{.Shared}}/key.pem}
    rules:
      - {path: /hooks/*, webhooks: true}
    default: {forward: upstream}
`

// startReceiving starts edge with the deliveries of k, which a plugin that does nothing handles, or nobody.
func (b *bench) startReceiving(ctx context.Context, k keeper, handled bool) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	key, handler, plugins := "", "", ""
	if k.uri != embedded {
		key = `, key: "` + strings.Repeat("A", 43) + `="`
	}
	if handled {
		handler, plugins = ", plugin: nothing", fmt.Sprintf("plugins:\n  nothing: {command: %q, args: [%s]}", self, pluginWord)
	}
	p := *products(b.edge)[0]
	p.config = strings.NewReplacer("STORE", k.uri, "KEY", key, "SECRET", webhookSecret, "HANDLED", handler, "PLUGINS", plugins).Replace(webhooksConfig)
	if err := os.MkdirAll(k.folder, 0o700); err != nil {
		return nil, err
	}
	return b.startIn(ctx, k.folder, &p, false)
}

// measureAcks has deliveries come as fast as they are acknowledged, and writes the same documents straight into the same store, in turns. Then deliveries come half as fast.
func (b *bench) measureAcks(ctx context.Context, row, uri string) error {
	k := keeper{filepath.Join(b.folder, row), uri}
	if err := b.firstAck(ctx, k); err != nil {
		return fmt.Errorf("%s: %w", row, err)
	}
	for round := range b.reps {
		var acks, inserts speed
		var half quality
		steps := []func() error{
			func() (err error) { acks, half, err = b.acks(ctx, k); return err },
			func() (err error) { inserts, err = b.inserts(ctx, k); return err },
		}
		for i := range steps {
			if err := steps[(i+round)%len(steps)](); err != nil {
				return fmt.Errorf("%s: %w", row, err)
			}
		}
		b.find(finding{Row: row, What: fmt.Sprintf("acks over %d connections", ackLines), Beside: "inserts", Unit: "/s", Aim: aim{Least: 0.7}}, acks.Rate, inserts.Rate)
		b.find(finding{Row: row, What: "CPU time of an ack", Beside: "of an insert", Unit: "µs"}, acks.CPU, inserts.CPU)
		b.find(finding{Row: row, What: "p50 of acks at half of that", Unit: "ms", decimals: 2}, half.P50.Seconds()*1e3, 0)
		b.find(finding{Row: row, What: "p99 of acks at half of that", Unit: "ms", decimals: 2}, half.P99.Seconds()*1e3, 0)
		fmt.Fprintf(b.log, "round %d/%d  %-16s %.0f acks/s by %.0f µs each, %.0f inserts/s by %.0f µs; p99 %v at half\n", round+1, b.reps, row,
			acks.Rate, acks.CPU, inserts.Rate, inserts.CPU, half.P99.Round(time.Microsecond))
	}
	return nil
}

// ackLines is how many connections there are, and how many writers beside them: with twice as many neither does more.
const ackLines = 128

const warming = 300 * time.Millisecond

// firstAck has one delivery be in the store of k: one to copy.
func (b *bench) firstAck(ctx context.Context, k keeper) error {
	s, err := b.startReceiving(ctx, k, false)
	if err != nil {
		return err
	}
	defer s.child.stop()
	l, err := b.deliveries(s)
	if err != nil {
		return err
	}
	_, err = l.saturate(ctx, 1, warming)
	return err
}

// acks is how many deliveries a second edge acknowledges, and how it does with half as many.
func (b *bench) acks(ctx context.Context, k keeper) (did speed, half quality, err error) {
	s, err := b.startReceiving(ctx, k, false)
	if err != nil {
		return did, half, err
	}
	defer s.child.stop()
	l, err := b.deliveries(s)
	if err != nil {
		return did, half, err
	}
	if _, err := l.saturate(ctx, ackLines, warming); err != nil {
		return did, half, err
	}
	before, err1 := cpuUsed(s.child.pid())
	did.Rate, err = l.saturate(ctx, ackLines, b.span())
	after, err2 := cpuUsed(s.child.pid())
	if err := errors.Join(err, err1, err2); err != nil {
		return did, half, err
	}
	did.CPU = after.since(before).Seconds() / b.span().Seconds() / did.Rate * 1e6
	half, err = l.pace(ctx, did.Rate/2, b.span())
	return did, half, err
}

// A speed is how many a second were done, and the CPU time of the process for each, in µs.
type speed struct{ Rate, CPU float64 }

func (b *bench) span() time.Duration { return time.Duration(b.secs) * time.Second }

// inserts is how many documents a second are inserted into the store of k, by as many writers as there were connections.
func (b *bench) inserts(ctx context.Context, k keeper) (did speed, err error) {
	err = b.ask(ctx, &did, b.span(), storeWord, "insert", k.place(), fmt.Sprint(ackLines), b.span().String())
	return did, err
}

// ask has this program do something in a process of its own on the core of servers, and reads what it says.
func (b *bench) ask(ctx context.Context, answer any, should time.Duration, args ...string) error {
	return b.askOn(ctx, program{args: args, cores: &b.cores.server}, answer, should)
}

func (b *bench) askOn(ctx context.Context, p program, answer any, should time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.args, p.folder = append([]string{self}, p.args...), b.folder
	text, err := output(ctx, should+time.Minute, p)
	if err != nil {
		return err
	}
	said := strings.TrimSpace(text)
	if err := json.Unmarshal([]byte(said[strings.LastIndexByte(said, '\n')+1:]), answer); err != nil { // warnings may come before
		return fmt.Errorf("%s: %w: %s", p.args[1], err, lastLines(text))
	}
	return nil
}
