//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rows about what the content API costs.
const (
	apiGet     = "api-get"
	apiList    = "api-list"
	apiCreate  = "api-create"
	apiMemory  = "api-memory" // no row to choose: what those above have used
	apiMillion = "api-million"
)

const (
	apiLines  = 16  // connections, on each of which one request follows another
	apiWarmed = 500 // requests of each kind that nothing is measured of: Node.js compiles what it has run often
)

// A work is what is asked of every server that can do it.
type work struct {
	row, what string
	strapi    float64  // how much of Strapi's CPU time edge may need
	pocket    float64  // of PocketBase's; 0: there is no target
	recorded  recorded // what Strapi needed elsewhere
	path      func(*backend) string
	body      func(s *backend, n int) string // nil: a GET
}

// recorded is what a Strapi 5.54.0 was seen to need on another machine with two cores, at its best: CPU time in µs, requests a second, p99 in ms. 0: that was not seen.
type recorded struct{ cpu, rate, p99 float64 }

const (
	recordedIdle = 244 // MiB
	recordedPeak = 555
)

// works are reads, and then what makes what is read more.
func works() []work {
	run := fmt.Sprint(time.Now().UnixNano())
	made := func(s *backend, n int) string { return s.entry(fmt.Sprintf("made %s %d", run, n), n) }
	return []work{
		{row: apiGet, what: "one entry", strapi: 1.0 / 30, pocket: 1.5, recorded: recorded{cpu: 1700, rate: 606},
			path: func(s *backend) string { return s.one() }},
		{row: apiList, what: "list of 25 and the total", strapi: 1.0 / 30, recorded: recorded{cpu: 4400, rate: 243, p99: 147},
			path: func(s *backend) string { return s.list }},
		{row: apiCreate, what: "create, published with its draft", strapi: 1.0 / 20, recorded: recorded{cpu: 16_000, rate: 64}, body: made,
			path: func(s *backend) string { return s.published }},
		{row: apiCreate, what: "create, without drafts", strapi: 1.0 / 20, recorded: recorded{cpu: 10_000}, body: made,
			path: func(s *backend) string { return s.plain }},
	}
}

// measureAPI measures the rows that are asked for.
func (b *bench) measureAPI(ctx context.Context) {
	chosen := slices.DeleteFunc(works(), func(w work) bool { return !slices.Contains(b.names, w.row) })
	if len(chosen) > 0 && ctx.Err() == nil {
		b.failed(b.measureWorks(ctx, chosen))
	}
	if slices.Contains(b.names, apiMillion) && ctx.Err() == nil {
		b.failed(b.measureMillion(ctx))
	}
}

// measureWorks puts edge and the peers under one load after the other, in turns. Nothing is created until all rounds of reading are over, as the quicker one
// would have more to read.
func (b *bench) measureWorks(ctx context.Context, all []work) error {
	servers, err := b.startBackends(ctx)
	defer func() {
		for _, s := range servers {
			s.child.stop()
		}
	}()
	if err != nil {
		return err
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // until what they do at their start is done
		return err
	}
	idle, err := memories(servers, memoryOf)
	if err != nil {
		return err
	}
	reads := func(w work) bool { return w.body == nil }
	for _, part := range [][]work{choose(all, reads), choose(all, func(w work) bool { return !reads(w) })} {
		if err := b.warm(ctx, part, servers); err != nil {
			return err
		}
		for round := range b.reps {
			for _, w := range part {
				if err := b.visitBackends(ctx, w, round, servers); err != nil {
					return err
				}
			}
		}
	}
	peak, err := memories(servers, peakOf)
	if err != nil {
		return err
	}
	b.noteMemory("resident, idle", idle, recordedIdle)
	b.noteMemory("resident, at its peak", peak, recordedPeak)
	return nil
}

func choose(all []work, f func(work) bool) (chosen []work) {
	for _, w := range all {
		if f(w) {
			chosen = append(chosen, w)
		}
	}
	return chosen
}

// warm has every server do everything often enough for it to be as quick as it gets.
func (b *bench) warm(ctx context.Context, all []work, servers []*backend) error {
	const patience = time.Minute
	for _, w := range all {
		for _, s := range servers {
			if w.path(s) == "" {
				continue
			}
			c := s.callers(w)
			c.most = s.made.Load() + apiWarmed
			if _, err := c.run(ctx, apiLines, patience); err != nil {
				return fmt.Errorf("%s: %s of %s: %w", w.row, w.what, s.name, err)
			}
		}
	}
	return nil
}

// visitBackends measures each server once, in an order that differs from round to round.
func (b *bench) visitBackends(ctx context.Context, w work, round int, servers []*backend) error {
	costs := map[string]cost{}
	for i := range servers {
		s := servers[(i+round)%len(servers)]
		if w.path(s) == "" {
			continue // it knows no drafts
		}
		c, err := b.costOf(ctx, s, w)
		if err != nil {
			return fmt.Errorf("%s: %s of %s: %w", w.row, w.what, s.name, err)
		}
		costs[s.name] = c
	}
	b.noteCosts(w, costs)
	var said strings.Builder
	for _, s := range servers {
		if c, ok := costs[s.name]; ok {
			fmt.Fprintf(&said, "  %s %.0f µs, %.0f/s, p99 %.1f ms, busy %.0f %%", s.name, c.cpu, c.rate, c.p99, c.busy*100)
		}
	}
	fmt.Fprintf(b.log, "round %d/%d  %-10s %s:%s\n", round+1, b.reps, w.row, w.what, said.String())
	return nil
}

// A cost is what a request took of a server: CPU time in µs, its rate a second, p99 in ms, and the share of the time in which the server had its core.
type cost struct{ cpu, rate, p99, busy float64 }

func (b *bench) costOf(ctx context.Context, s *backend, w work) (cost, error) {
	return s.callers(w).cost(ctx, b.span(), s.child.pid())
}

// cost is what requests cost the trees of processes, after some that warm them up.
func (c callers) cost(ctx context.Context, should time.Duration, pids ...int) (cost, error) {
	if o, err := c.run(ctx, apiLines, warming); err != nil || o.requests == 0 {
		return cost{}, errors.Join(err, o.check())
	}
	before, err1 := cpuOfAll(pids)
	began := time.Now()
	o, err := c.run(ctx, apiLines, should)
	wall := time.Since(began)
	after, err2 := cpuOfAll(pids)
	if err := errors.Join(err, err1, err2, o.check()); err != nil {
		return cost{}, err
	}
	used := after.since(before)
	return cost{
		cpu: used.Seconds() / float64(o.requests) * 1e6, rate: float64(o.requests) / o.took.Seconds(), p99: o.p99.Seconds() * 1e3, busy: used.Seconds() / wall.Seconds(),
	}, nil
}

func cpuOfAll(pids []int) (sum usage, err error) {
	for _, pid := range pids {
		used, err := cpuUsed(pid)
		if err != nil {
			return sum, err
		}
		sum.ticks, sum.fine = sum.ticks+used.ticks, sum.fine+used.fine
	}
	return sum, nil
}

// noteCosts notes edge's figures beside those of each peer, or what was recorded of Strapi.
func (b *bench) noteCosts(w work, costs map[string]cost) {
	ours := costs[nameEdge]
	note := func(peer string, theirs cost, most float64) {
		b.find(finding{Row: w.row, What: w.what + ": CPU time", Beside: peer, Unit: "µs", Aim: aim{Most: most}}, ours.cpu, theirs.cpu)
		if theirs.rate > 0 {
			b.find(finding{Row: w.row, What: w.what + ": requests", Beside: peer, Unit: "/s"}, ours.rate, theirs.rate)
		}
		if theirs.p99 > 0 {
			b.find(finding{Row: w.row, What: w.what + ": p99", Beside: peer, Unit: "ms", decimals: 1}, ours.p99, theirs.p99)
		}
	}
	if theirs, ok := costs[nameStrapi]; ok {
		note(nameStrapi, theirs, w.strapi)
	} else {
		note(recordedStrapi, cost{cpu: w.recorded.cpu, rate: w.recorded.rate, p99: w.recorded.p99}, 0)
	}
	if theirs, ok := costs[namePocketBase]; ok {
		note(namePocketBase, theirs, w.pocket)
	}
}

// recordedStrapi marks figures of another machine, which is why nothing is judged by them.
const recordedStrapi = "Strapi, RECORDED on another machine"

func (b *bench) noteMemory(what string, of map[string]float64, recorded float64) {
	note := func(peer string, theirs, most float64) {
		b.find(finding{Row: apiMemory, What: what, Beside: peer, Unit: "MiB", Aim: aim{Most: most}, decimals: 1}, of[nameEdge]/1024, theirs)
	}
	if theirs, ok := of[nameStrapi]; ok {
		note(nameStrapi, theirs/1024, 1.0/5)
	} else {
		note(recordedStrapi, recorded, 0)
	}
	if theirs, ok := of[namePocketBase]; ok {
		note(namePocketBase, theirs/1024, 0)
	}
}

// memories is how much each server holds, in KiB.
func memories(servers []*backend, of func(pid int) (memory, error)) (map[string]float64, error) {
	held := map[string]float64{}
	for _, s := range servers {
		m, err := of(s.child.pid())
		if err != nil {
			return nil, fmt.Errorf("memory of %s: %w", s.name, err)
		}
		held[s.name] = m.rss
	}
	return held, nil
}
