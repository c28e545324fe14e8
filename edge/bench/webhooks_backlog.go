//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// backlogRate is how many deliveries a second come while the memory of a server is looked at.
const backlogRate = 100

// A backlogged is a store where nothing waits, and one of the same engine where very much does.
type backlogged struct {
	name        string
	empty, full keeper
}

// measureBacklogs fills the stores of all engines at the same time, which takes the longest, and then measures one after the other. uris are those of stores.
func (b *bench) measureBacklogs(ctx context.Context, uris []string) error {
	var all []backlogged
	var filling errgroup.Group
	for _, uri := range uris {
		l := backlogged{name: "MongoDB"}
		if uri == embedded {
			l.name = "SQLite"
		}
		folder := filepath.Join(b.folder, webhooksBacklog+"-"+l.name)
		l.empty, l.full = keeper{filepath.Join(folder, "empty"), database(uri, "empty")}, keeper{filepath.Join(folder, "full"), database(uri, "full")}
		filling.Go(func() error { return errors.Join(b.fill(ctx, l.empty, 1), b.fill(ctx, l.full, b.many)) })
		all = append(all, l)
	}
	if err := filling.Wait(); err != nil {
		return fmt.Errorf("%s: %w", webhooksBacklog, err)
	}
	for _, l := range all {
		if err := b.measureBacklog(ctx, l); err != nil {
			return fmt.Errorf("%s on %s: %w", webhooksBacklog, l.name, err)
		}
	}
	return nil
}

// fill has so many deliveries wait in a store. It may use all cores, as nothing is measured.
func (b *bench) fill(ctx context.Context, k keeper, n int) error {
	began := time.Now()
	var filled int
	err := b.askOn(ctx, program{args: []string{storeWord, "fill", k.place(), strconv.Itoa(n)}, cores: &b.cores.all}, &filled, 15*time.Minute)
	if err == nil {
		fmt.Fprintf(b.log, "%s: %d deliveries written in %v\n", webhooksBacklog, filled, time.Since(began).Round(time.Second))
	}
	return err
}

// measureBacklog compares what taking and settling a delivery costs where nothing waits and where very much does, and the server that has it.
func (b *bench) measureBacklog(ctx context.Context, l backlogged) error {
	name, empty, full := l.name, l.empty, l.full
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
	if err := l.untilKept(ctx); err != nil {
		return 0, q, err
	}
	if q, err = l.pace(ctx, backlogRate, 2*b.span()); err != nil {
		return 0, q, err
	}
	used, err := memoryOfProcess(s.child.pid())
	return used.rss, q, err
}
