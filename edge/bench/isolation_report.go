//go:build linux

package main

import (
	"fmt"
	"time"
)

// reportIsolation prints what floods did, and notes what they must not do: slow the api host down too much, or lose one of its requests.
func (b *bench) reportIsolation() {
	if len(b.looks) == 0 {
		return
	}
	table := [][]string{{"flood", "limits", "quiet p50 / p99, ms", "during p50 / p99, ms", "× quiet p99", "lost", "newcomers p50 / p99, ms", "lost", "offered", "taken", "accepted", "refused", "silent", "server busy"}}
	for _, s := range sieges {
		for _, limits := range []bool{true, false} {
			if of := b.looksOf(s.name, limits); len(of) > 0 {
				table = append(table, siegeLine(s, limits, of))
				b.judge(s, limits, of)
			}
		}
	}
	fmt.Fprintf(b.out, "\nThe api host under floods at %d × capacity: %d requests/s over connections that stay, %d newcomers/s. Medians of %d × %d s; counts are of one.\n"+
		"Offered is what came, taken what the server's kernel took of it. The load has its own core, and the flood only what the api host's visitors leave of that.\n\n%s\n",
		floodTimes, probeLines*probeEach, newcomersEach, b.reps, b.secs, markdown(table))
	fmt.Fprintf(b.out, "The server wanted its core and others had it for %.0f %% of the quiet time.\n\n", 100*middle(b.looks, func(l look) float64 { return l.Robbed }))
}

func (b *bench) looksOf(row string, limits bool) (of []look) {
	for _, l := range b.looks {
		if l.Row == row && l.Limits == limits {
			of = append(of, l)
		}
	}
	return of
}

// middle is the median of a figure.
func middle(of []look, figure func(look) float64) float64 {
	values := make([]float64, 0, len(of))
	for _, l := range of {
		values = append(values, figure(l))
	}
	return median(values)
}

func siegeLine(s siege, limits bool, of []look) []string {
	ms := func(figure func(look) time.Duration) string {
		return fmt.Sprintf("%.2f", middle(of, func(l look) float64 { return figure(l).Seconds() * 1e3 }))
	}
	count := func(figure func(look) int) string {
		return fmt.Sprintf("%.0f", middle(of, func(l look) float64 { return float64(figure(l)) }))
	}
	word := "on"
	if !limits {
		word = "off"
	}
	return []string{
		s.title, word,
		ms(func(l look) time.Duration { return l.Quiet.Staying.P50 }) + " / " + ms(func(l look) time.Duration { return l.Quiet.Staying.P99 }),
		ms(func(l look) time.Duration { return l.During.Staying.P50 }) + " / " + ms(func(l look) time.Duration { return l.During.Staying.P99 }),
		fmt.Sprintf("%.2f", middle(of, func(l look) float64 { return l.ratio() })),
		fmt.Sprint(lost(of)),
		ms(func(l look) time.Duration { return l.During.New.P50 }) + " / " + ms(func(l look) time.Duration { return l.During.New.P99 }),
		count(func(l look) int { return l.During.New.Lost }),
		count(func(l look) int { return l.Flood.Offered }),
		count(func(l look) int { return l.Flood.Taken }),
		count(func(l look) int { return l.Flood.Accepted }),
		count(func(l look) int { return l.Flood.Refused }),
		count(func(l look) int { return l.Flood.Silent }),
		fmt.Sprintf("%.0f %%", 100*middle(of, func(l look) float64 { return l.Busy })),
	}
}

func lost(of []look) (n int) {
	for _, l := range of {
		n += l.During.Staying.Lost
	}
	return n
}

// judge notes what has been missed. Without limits anything may happen.
func (b *bench) judge(s siege, limits bool, of []look) {
	if !limits {
		return
	}
	if ratio := middle(of, func(l look) float64 { return l.ratio() }); ratio > mostSlower {
		b.missed = append(b.missed, fmt.Sprintf("%s: the api host's p99 is %.2f times the quiet one, %g are allowed", s.name, ratio, mostSlower))
	}
	if n := lost(of); n > 0 {
		why := ""
		for _, l := range of {
			if l.During.Staying.Why != "" {
				why = l.During.Staying.Why
			}
		}
		b.missed = append(b.missed, fmt.Sprintf("%s: the api host lost %d requests: %s", s.name, n, why))
	}
}
