package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/plugins/host"
)

// outpostHosts has timeouts that are short: what was under way when edge was killed is due again when they and twenty seconds are over.
const outpostHosts = `
data_dir: ./data
listen: {http: 127.0.0.1:0, https: [], metrics: ""}
shutdown: 5s
store: "STORE"
webhooks:
  github: {verify: github, secret: s3cret, plugin: witness, timeout: 2s, concurrency: 16, retries: [200ms, 200ms, 1s, 1s, 1s, 1s, 1s]}
plugins:
  witness: {command: "COMMAND", env: {RECORD: "RECORD", BUILD: "1"}}
hosts:
  hooks.test: {tls: off, default: {webhooks: true}}
`

// An outpost is edge as a process of its own, with a plugin that writes down what it was given.
type outpost struct {
	t                     *testing.T
	folder, file          string
	store, record, plugin string
	records               []string // all that its plugin writes to
	process               *exec.Cmd
	said                  *safeBuffer
}

// newOutpost configures one. store is where it keeps deliveries; pairs of strings in the configuration are replaced first.
func newOutpost(t *testing.T, store string, replace ...string) *outpost {
	t.Helper()
	built, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	folder := shortDir(t)
	o := &outpost{t: t, folder: folder, file: filepath.Join(folder, "edge.yaml"), store: store, record: filepath.Join(folder, "record"), plugin: filepath.Join(folder, "plugin")}
	o.records = []string{o.record}
	o.build(built, "")
	o.configure(replace...)
	return o
}

// configure writes the configuration.
func (o *outpost) configure(replace ...string) {
	o.t.Helper()
	replace = append(replace, "STORE", o.store, `"RECORD"`, strconv.Quote(o.record), "COMMAND", o.plugin)
	if err := os.WriteFile(o.file, []byte(strings.NewReplacer(replace...).Replace(outpostHosts)), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// build overwrites the plugin's program, in its place, with a file and what is added to it.
func (o *outpost) build(file, more string) {
	o.t.Helper()
	program, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(o.plugin, append(program, more...), 0o700)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// start starts edge and returns where it takes deliveries.
func (o *outpost) start() string {
	o.t.Helper()
	o.process, o.said = process(o.t, o.file)
	return plainAddress(o.t, o.said)
}

// kill ends edge as a power failure would, and holds that its plugin ends with it.
func (o *outpost) kill() {
	o.t.Helper()
	_ = o.process.Process.Kill()
	_ = o.process.Wait()
	await(o.t, "the plugin's end", func() bool { return len(o.plugins()) == 0 })
}

// plugins are the processes of its plugin, also those that nobody watches over.
func (o *outpost) plugins() (pids []int) {
	o.t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(environments) == 0 {
		o.t.Fatal("no processes are seen: ", err)
	}
	for _, file := range environments {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "RECORD="+o.folder+"/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// edge runs a command that has to succeed.
func (o *outpost) edge(args ...string) string {
	o.t.Helper()
	status, out, errOut := asProcess(o.t, o.folder, args...)
	if status != exitDone {
		o.t.Fatalf("edge %q: %d %s%s", args, status, out, errOut)
	}
	return out
}

func (o *outpost) client() *admin.Client {
	return admin.NewClient(filepath.Join(o.folder, "data", "admin.sock"))
}

// pid waits until another process of the plugin than before is of service, and returns it.
func (o *outpost) pid(before int) (pid int) {
	o.t.Helper()
	awaitFor(o.t, time.Minute, "a plugin that runs", func() bool {
		all, err := o.client().Plugins(o.t.Context())
		if err == nil && len(all) == 1 && all[0].State == host.Running && all[0].PID != before {
			pid = all[0].PID
		}
		return pid != 0
	})
	return pid
}

// inbox returns what is there of a source.
func (o *outpost) inbox(state inbox.State) (all []inbox.Delivery) {
	o.t.Helper()
	f := inbox.Filter{Source: "github", State: state, Limit: 500}
	for {
		page, err := o.client().Deliveries(o.t.Context(), f)
		if err != nil {
			o.t.Fatal(err)
		}
		if all = append(all, page...); len(page) < f.Limit {
			return all
		}
		f.After = page[len(page)-1].ID
	}
}

// A provider sends deliveries, each with an id of its own, and each again and again until it is acknowledged, as providers do. Some it sends once more although they were.
type provider struct {
	t       *testing.T
	client  *http.Client
	edges   atomic.Pointer[[]string] // that may be reached now
	over    chan struct{}            // closed when nothing new is sent
	senders sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string]int // the status, by event id
	tally        map[int]int    // of statuses, and of answers that did not come: 0
	more         chan struct{}  // closed at the next one that is acknowledged
}

// provide has a provider send to one or more edges until its end.
func provide(t *testing.T, edges ...string) *provider {
	p := &provider{t: t, client: &http.Client{Transport: &http.Transport{}, Timeout: 15 * time.Second}, over: make(chan struct{}),
		acknowledged: make(map[string]int), tally: make(map[int]int), more: make(chan struct{})}
	p.to(edges...)
	for sender := range 4 {
		p.senders.Go(func() { p.send(sender) })
	}
	t.Cleanup(func() {
		p.senders.Wait() // they end with the test's context
		p.client.CloseIdleConnections()
	})
	return p
}

// to says where edges are from now on: nowhere, if there is none.
func (p *provider) to(edges ...string) { p.edges.Store(&edges) }

// pause is a sender's, between two deliveries: all of them together send fewer than a plugin handles.
const pause = 20 * time.Millisecond

// send is one sender.
func (p *provider) send(sender int) {
	for n := 0; ; n++ {
		select {
		case <-p.over:
			return
		case <-p.t.Context().Done():
			return
		case <-time.After(pause):
		}
		id := fmt.Sprintf("%d-%d", sender, n)
		for tries := n; !p.deliver(id, "linger", tries); tries++ {
			select {
			case <-p.t.Context().Done():
				return
			case <-time.After(pause):
			}
		}
		if n%5 == 0 {
			p.deliver(id, "linger", n)
		}
	}
}

// deliver sends one delivery to one of the edges, and reports whether it was acknowledged.
func (p *provider) deliver(id, body string, n int) bool {
	edges := *p.edges.Load()
	if len(edges) == 0 {
		return false
	}
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+edges[n%len(edges)]+"/github", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return false
	}
	request.Host = "hooks.test"
	for name, value := range map[string]string{"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": id, "X-Hub-Signature-256": "sha256=" + keyed(body)} {
		request.Header.Set(name, value)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		p.note(id, 0)
		return false // edge is gone
	}
	_, err = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if err != nil {
		p.note(id, 0)
		return false
	}
	return p.note(id, answer.StatusCode)
}

func (p *provider) note(id string, status int) (acknowledged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally[status]++
	if status/100 != 2 {
		return false
	}
	p.acknowledged[id] = cmp.Or(p.acknowledged[id], status)
	close(p.more)
	p.more = make(chan struct{})
	return true
}

// forget has a delivery not be looked for.
func (p *provider) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.acknowledged, id)
}

// await waits until n more answers with one of these statuses were given.
func (p *provider) await(n int, statuses ...int) {
	p.t.Helper()
	enough, first := time.After(time.Minute), -1
	for {
		p.mu.Lock()
		got, more, tally := 0, p.more, maps.Clone(p.tally)
		p.mu.Unlock()
		for _, status := range statuses {
			got += tally[status]
		}
		if first < 0 {
			first = got
		}
		if got-first >= n {
			return
		}
		select {
		case <-more:
		case <-enough:
			p.t.Fatalf("%d of %d answers with %d; all: %v", got-first, n, statuses, tally)
		}
	}
}

// end has what was begun be acknowledged, and nothing more be sent.
func (p *provider) end() {
	p.t.Helper()
	close(p.over)
	ended := make(chan struct{})
	go func() { p.senders.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		p.t.Fatal("what was begun is not acknowledged")
	}
	p.t.Log("answers by status:", p.tally)
}

// handled waits until what was acknowledged is done, and holds that it was given to a plugin of the outposts, which share an inbox, and is in the inbox once. It returns how often each was given.
func (p *provider) handled(outposts ...*outpost) (given map[string]int) {
	p.t.Helper()
	var all []inbox.Delivery
	var open []string
	began := time.Now()
	awaitFor(p.t, 90*time.Second, "all are handled", func() bool {
		if sources, err := outposts[0].client().Sources(p.t.Context()); err != nil || sources[0].Pending > 0 && time.Since(began) < time.Minute {
			return false
		}
		all = outposts[0].inbox("")
		open = p.unhandled(all)
		if len(open) > 0 && time.Since(began) > time.Minute {
			p.t.Fatalf("%d of %d that were acknowledged are not handled: %q", len(open), len(p.acknowledged), open[:min(len(open), 10)])
		}
		return len(open) == 0
	})
	p.t.Logf("%d acknowledged, %d in the inbox; all done after %v", len(p.acknowledged), len(all), time.Since(began).Round(time.Second))
	given = make(map[string]int)
	for _, o := range outposts {
		for _, record := range o.records {
			for _, id := range linesOf(p.t, record) {
				given[id]++
			}
		}
	}
	there := make(map[string]int)
	for _, d := range all {
		there[d.EventID]++
	}
	for id, status := range p.acknowledged {
		if given[id] == 0 || there[id] != 1 {
			p.t.Errorf("%s was acknowledged with %d, is in the inbox %d times, and was given %d times", id, status, there[id], given[id])
		}
	}
	for id, n := range there {
		if n != 1 {
			p.t.Errorf("%s is in the inbox %d times", id, n)
		}
	}
	return given
}

// unhandled are those that were acknowledged and are not done, and those that are pending for any other reason.
func (p *provider) unhandled(all []inbox.Delivery) (open []string) {
	done := make(map[string]bool)
	for _, d := range all {
		if d.State == inbox.Done {
			done[d.EventID] = true
		} else if d.State != inbox.Quarantined {
			said, _ := json.Marshal(d)
			open = append(open, string(said))
		}
	}
	for id := range p.acknowledged {
		if !done[id] {
			open = append(open, id)
		}
	}
	return open
}

// once holds that nothing was given twice.
func once(t *testing.T, given map[string]int) {
	t.Helper()
	var twice []string
	for _, id := range slices.Sorted(maps.Keys(given)) {
		if given[id] > 1 {
			twice = append(twice, fmt.Sprintf("%s: %d", id, given[id]))
		}
	}
	if len(twice) > 0 {
		t.Errorf("%d were given more than once: %q", len(twice), twice[:min(len(twice), 10)])
	}
}

// soaking says that a test is a long one.
func soaking(t *testing.T) {
	t.Helper()
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a soak: set EDGE_SOAK=1")
	}
}
