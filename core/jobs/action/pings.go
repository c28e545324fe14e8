package action

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
)

var _ jobs.Pinger = (*Pings)(nil)

const (
	waitingMost = 1000             // pings that wait, of all jobs together
	jobsMost    = 20               // of one job
	atOnce      = 32               // that are sent
	pingWithin  = 10 * time.Second // each try
	pingsEnd    = 5 * time.Second  // what waits when Run has to end
)

// PingOptions are what Pings need.
type PingOptions struct {
	Client *http.Client // nil: as that of Options
	Log    *slog.Logger
}

// Pings tell outside watchers of runs, by the protocol of healthchecks.io (https://healthchecks.io/docs/http_api/): POST to the job's URL after a success, to URL/start and URL/fail at the others, with
// the run as rid (a UUID made of its id) and what it said as the body. A job's pings are sent in the background in their order, each up to three times. Of those that wait, 20 of one
// job and 1,000 in all, the job's oldest is given up for a new one. A watcher that can't be told, or does not know the job, is logged once until it can. The URL is the
// secret of whoever may ping it, and never logged.
type Pings struct {
	client *http.Client
	log    *slog.Logger
	pauses []time.Duration // before the second try, and so on
	jobs   atomic.Pointer[map[string]config.Job]
	places chan struct{} // one for each that is being sent
	woken  chan struct{} // holds one when there are lines to begin with

	mu      sync.Mutex
	lines   map[string]*pingLine // of jobs with pings that wait or are being sent
	begin   []*pingLine          // that nobody is at
	waiting int
	lost    map[string]bool // jobs whose watcher could not be told
}

// pingLine is the pings of a job that wait. What is being sent is not among them.
type pingLine struct {
	job   string
	pings []ping
}

// ping is one thing to tell a watcher.
type ping struct {
	url, rid string
	path     string // "", start or fail
	body     string
}

// NewPings returns Pings that know no watcher.
func NewPings(o PingOptions) *Pings {
	p := &Pings{
		client: careful(o.Client), log: o.Log, pauses: []time.Duration{time.Second, 5 * time.Second},
		places: make(chan struct{}, atOnce), woken: make(chan struct{}, 1),
		lines: make(map[string]*pingLine), lost: make(map[string]bool),
	}
	p.Use(nil)
	return p
}

// Use makes these the jobs from now on. The map must not change any more.
func (p *Pings) Use(configured map[string]config.Job) {
	p.jobs.Store(&configured)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.lost {
		if configured[name].Ping == "" {
			delete(p.lost, name)
		}
	}
}

// Started tells of a run's beginning.
func (p *Pings) Started(r jobs.Run) { p.add(r, "start", "") }

// Succeeded tells of a success. How long it took the watcher knows by itself.
func (p *Pings) Succeeded(r jobs.Run, _ time.Duration, output string) { p.add(r, "", output) }

// Failed tells of a failure.
func (p *Pings) Failed(r jobs.Run, err error, output string) {
	body := err.Error()
	if output != "" {
		body += "\n\n" + output
	}
	p.add(r, "fail", body)
}

// add puts a ping at the end of its job's line.
func (p *Pings) add(r jobs.Run, path, body string) {
	url := (*p.jobs.Load())[r.Job].Ping
	if url == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[r.Job]
	if full := p.waiting >= waitingMost; full && (l == nil || len(l.pings) == 0) {
		return // all others came before
	} else if l != nil && (full || len(l.pings) >= jobsMost) {
		l.pings = l.pings[1:]
		p.waiting--
	}
	if l == nil {
		l = &pingLine{job: r.Job}
		p.lines[r.Job] = l
		p.begin = append(p.begin, l)
		select {
		case p.woken <- struct{}{}:
		default:
		}
	}
	l.pings = append(l.pings, ping{url: url, rid: runUUID(r.ID), path: path, body: shortened(body)})
	p.waiting++
}

// next takes the first ping of a line. When there is none the line is gone.
func (p *Pings) next(l *pingLine) (ping, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(l.pings) == 0 {
		delete(p.lines, l.job)
		return ping{}, false
	}
	first := l.pings[0]
	l.pings = l.pings[1:]
	p.waiting--
	return first, true
}

// Run sends pings until ctx ends, and then what waits, for five seconds at most and without trying again. It should outlive the jobs' own Run.
// Without Run, pings wait.
func (p *Pings) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var sending sync.WaitGroup
	for ctx.Err() == nil {
		p.sendAll(ctx, work, &sending)
		select {
		case <-ctx.Done():
		case <-p.woken:
		}
	}
	p.sendAll(ctx, work, &sending)
	late := time.AfterFunc(pingsEnd, cut)
	defer late.Stop()
	sending.Wait()
	return nil
}

// sendAll begins with the lines that nobody is at.
func (p *Pings) sendAll(ending, work context.Context, sending *sync.WaitGroup) {
	p.mu.Lock()
	lines := p.begin
	p.begin = nil
	p.mu.Unlock()
	for _, l := range lines {
		sending.Go(func() {
			for one, ok := p.next(l); ok; one, ok = p.next(l) {
				p.tell(l.job, p.send(ending, work, one, p.isLost(l.job)))
			}
		})
	}
}
