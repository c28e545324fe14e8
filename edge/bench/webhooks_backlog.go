//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// backlogRate is how many deliveries a second come while the memory of a server is looked at.
const backlogRate = 100

// measureBacklog compares a store where nothing waits with one where very much does: what taking and settling a delivery costs, and the server that has it.
func (b *bench) measureBacklog(ctx context.Context, uri string) error {
	name := "MongoDB"
	if uri == embedded {
		name = "SQLite"
	}
	folder := filepath.Join(b.folder, webhooksBacklog+"-"+name)
	empty, full := keeper{filepath.Join(folder, "empty"), database(uri, "empty")}, keeper{filepath.Join(folder, "full"), database(uri, "full")}
	for k, n := range map[keeper]int{empty: 1, full: b.many} {
		var filled int
		began := time.Now()
		if err := b.ask(ctx, &filled, 15*time.Minute, storeWord, "fill", k.place(), fmt.Sprint(n)); err != nil {
			return fmt.Errorf("%s on %s: %w", webhooksBacklog, name, err)
		}
		fmt.Fprintf(b.log, "%s %s: %d wait, written in %v\n", webhooksBacklog, name, filled, time.Since(began).Round(time.Second))
	}
	for round := range b.reps {
		var c claiming
		if err := b.ask(ctx, &c, b.span(), storeWord, "claims", empty.place(), full.place(), b.span().String()); err != nil {
			return err
		}
		b.find(finding{Row: webhooksBacklog, What: "taking and settling one on " + name, Beside: "nothing waits", Unit: "µs", Aim: aim{Most: 2}}, c.Full, c.Empty)
		fmt.Fprintf(b.log, "round %d/%d  %s %s: %.0f µs to take and settle, %.0f µs when nothing waits\n", round+1, b.reps, webhooksBacklog, name, c.Full, c.Empty)
	}
	without, calm, err := b.underWay(ctx, empty)
	if err != nil {
		return err
	}
	with, busy, err := b.underWay(ctx, full)
	if err != nil {
		return err
	}
	b.find(finding{Row: webhooksBacklog, What: "memory of the server on " + name, Beside: "nothing waits", Unit: "MiB", Aim: aim{Most: 2}, decimals: 1}, with/1024, without/1024)
	b.find(finding{Row: webhooksBacklog, What: fmt.Sprintf("p99 of acks at %d/s on %s", backlogRate, name), Beside: "nothing waits", Unit: "ms", decimals: 2},
		busy.P99.Seconds()*1e3, calm.P99.Seconds()*1e3)
	fmt.Fprintf(b.log, "%s %s: RSS %.1f MiB, %.1f MiB when nothing waits\n", webhooksBacklog, name, with/1024, without/1024)
	return nil
}

// underWay is the memory of a server (RSS, KiB, without its plugin) that receives deliveries while a plugin handles those that wait, and how quick it is with them.
func (b *bench) underWay(ctx context.Context, k keeper) (rss float64, q quality, err error) {
	s, err := b.startReceiving(ctx, k, true)
	if err != nil {
		return 0, q, err
	}
	defer s.child.stop()
	l, err := b.deliveries(s)
	if err != nil {
		return 0, q, err
	}
	if q, err = l.pace(ctx, backlogRate, 2*b.span()); err != nil {
		return 0, q, err
	}
	used, err := memoryOfProcess(s.child.pid())
	return used.rss, q, err
}
