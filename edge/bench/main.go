//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		if help := helper(os.Args[1]); help != nil {
			if err := help(ctx, os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
				os.Exit(1)
			}
			return
		}
	}
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// helper is what a process does that bench has started with one of its own words; nil: it is none of them.
func helper(word string) func(context.Context, []string) error {
	switch word {
	case floodWord:
		return flood
	case storeWord:
		return useStore
	case callsWord:
		return measureCalls
	case bareWord:
		return serveBare
	case pluginWord:
		return servePlugin
	}
	return nil
}

type options struct {
	names   []string // of rows
	peers   []string
	reps    int
	secs    int
	many    int    // deliveries of a backlog
	entries int    // of api-million
	edge    string // program
	caddy   string // program; "": the one in bin/, built if need be
	json    string // file; "": none
	keep    bool
}

// rowsHelp says what the rows are whose names do not.
const rowsHelp = `
Rows that are not about a request to a server:
  isolation-…         what a flood does to those who want something else
  webhooks-sqlite     durable acks of deliveries a second beside the store's own inserts (target: 0.7 of them), p99 at half of that
  webhooks-mongodb    the same on a mongod, which is fetched if there is none
  webhooks-plugin     a call of a plugin beside one of bare gRPC (target: 0.3 ms more)
  webhooks-backlog    with -backlog deliveries that wait: taking and settling one, and the server's memory, beside a store where nothing waits (target: twice)
  api-get, api-list   one entry, and 25 with their total, beside Strapi's CPU time a request (target: 1/30) and PocketBase's; with them, what is resident (1/5)
  api-create          new entries beside Strapi's (target: 1/20) and PocketBase's
  api-million         with -entries entries: reading one, and a filter on an index, beside a thousand, on SQLite and MongoDB (target: 1.3 times)
  go                  the repository's Go benchmarks
`

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var chosen, peers string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "bench measures edge beside other servers, and what it costs to lose nothing:")
		flags.PrintDefaults()
		fmt.Fprint(stderr, rowsHelp)
	}
	flags.StringVar(&chosen, "rows", strings.Join(rowNames(), ","), "`rows` to measure")
	flags.StringVar(&peers, "peers", strings.Join(peerNames(), ","), "`servers` to measure edge beside")
	flags.IntVar(&o.reps, "reps", 5, "rounds; the median counts")
	flags.IntVar(&o.secs, "secs", 3, "seconds of one measurement")
	flags.IntVar(&o.many, "backlog", 1_000_000, "deliveries that wait in webhooks-backlog")
	flags.IntVar(&o.entries, "entries", 1_000_000, "entries of api-million")
	flags.StringVar(&o.edge, "edge", "bin/edge", "`program` to measure")
	flags.StringVar(&o.caddy, "caddy", "", "`program` to use as Caddy (default: "+caddyVersion+", built into bin/ once)")
	flags.StringVar(&o.json, "json", "", "`file` for all samples")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder of configurations and logs")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	var err error
	if o.names, err = selection("-rows", chosen, rowNames()); err != nil {
		return o, err
	}
	if o.peers, err = selection("-peers", peers, peerNames()); err != nil {
		return o, err
	}
	if o.reps < 1 || o.reps > 100 || o.secs < 1 || o.secs > 60 {
		return o, errors.New("-reps is 1 to 100, -secs 1 to 60")
	}
	if o.many < 1000 || o.many > 10_000_000 {
		return o, errors.New("-backlog is 1000 to 10000000")
	}
	if o.entries < 2*fewEntries || o.entries > 10_000_000 {
		return o, fmt.Errorf("-entries is %d to 10000000", 2*fewEntries)
	}
	return o, nil
}

// peerNames are what -peers chooses from.
func peerNames() []string { return []string{"nginx", "haproxy", "caddy", nameStrapi, namePocketBase} }

// selection is the list in text, of what there is to choose from.
func selection(name, text string, all []string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	list := strings.Split(text, ",")
	for _, item := range list {
		if !slices.Contains(all, item) {
			return nil, fmt.Errorf("%s: there is no %q, only %s", name, item, strings.Join(all, ","))
		}
	}
	return list, nil
}

// run measures what args ask for. A missed target is no error, but for isolation; what could not be measured is one.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{options: o, out: stdout, log: stderr}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp("", "edge-bench"); err != nil {
		return err
	}
	defer func() {
		if o.keep {
			fmt.Fprintln(stderr, "kept:", b.folder)
			return
		}
		err = errors.Join(err, os.RemoveAll(b.folder))
	}()
	if err := writeMaterial(b.folder); err != nil {
		return err
	}
	b.rows = slices.DeleteFunc(rows(loads{b.folder}, b.secs), func(r row) bool { return !slices.Contains(b.names, r.name) })
	if err := b.measure(ctx); err != nil {
		return err
	}
	if err := b.report(); err != nil {
		return err
	}
	b.reportIsolation()
	b.reportWebhooks()
	b.reportAPI()
	if slices.Contains(o.names, goBenchmarks) {
		b.failed(b.goBenchmarks(ctx))
	}
	if len(b.failures) > 0 {
		return fmt.Errorf("not everything could be measured:\n  %s", strings.Join(b.failures, "\n  "))
	}
	if len(b.missed) > 0 {
		return fmt.Errorf("a flood reaches others:\n  %s", strings.Join(b.missed, "\n  "))
	}
	return ctx.Err()
}

// prepare finds programs and makes what they need, before anything is started.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	if b.edge, err = filepath.Abs(b.edge); err != nil {
		return err
	}
	if _, err := os.Stat(b.edge); err != nil {
		return fmt.Errorf("%w: run `make build` first, or name a program with -edge", err)
	}
	for tool, pkg := range map[string]string{"wrk": "wrk", "h2load": "nghttp2-client"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s makes the load and is not installed: apt-get install %s", tool, pkg)
		}
	}
	if b.cores, err = chooseCores(); err != nil {
		return err
	}
	if err := allowFiles(); err != nil {
		return err
	}
	b.findPeers(ctx)
	return ctx.Err()
}

// moduleRoot is the repository's folder.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w: bench runs within the repository, with Go at hand", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// allowFiles raises the limit of open files, for this process and its children.
func allowFiles() error {
	const need, want = 8192, 20000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < need {
		return fmt.Errorf("a process may open %d files here, %d are needed: raise it with `ulimit -Hn %d`", limit.Max, need, want)
	}
	limit.Cur = min(want, limit.Max)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
