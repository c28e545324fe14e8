//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// A verdict is how edge does in a row.
type verdict int

// From good to bad: of several targets the worst counts.
const (
	untold verdict = iota // there is no target
	met
	withinNoise
	unknown // something is missing
	over
)

func (v verdict) String() string {
	return [...]string{"–", "met", "met (noise)", "unknown", "over"}[v]
}

// A line is a row with its figures.
type line struct {
	Row     string             `json:"row"`
	Unit    string             `json:"unit"`
	Figures map[string]float64 `json:"figures"` // medians, by server
	Target  string             `json:"target"`
	Verdict string             `json:"verdict"`

	cells []string
}

// report prints the table, and writes all samples if they are wanted.
func (b *bench) report() error {
	header := []string{"row"}
	for _, p := range b.products {
		header = append(header, p.name)
	}
	table := [][]string{append(header, "× nginx", "× caddy", "target", "verdict")}
	var lines []line
	for _, r := range b.rows {
		l := b.line(r)
		lines, table = append(lines, l), append(table, l.cells)
	}
	if len(lines) > 0 {
		b.printTable(table)
	}
	if b.json == "" {
		return nil
	}
	data, err := json.MarshalIndent(map[string]any{
		"versions": b.versions, "rounds": b.reps, "seconds": b.secs, "rows": lines, "samples": b.samples, "isolation": b.looks, "webhooks": b.found("webhooks-"), "api": b.found("api-"), "failures": b.failures,
	}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.json, append(data, '\n'), 0o644) //nolint:gosec // a report is for everybody
}

func (b *bench) printTable(table [][]string) {
	fmt.Fprintf(b.out, "\n%s\n\nCPU time of the server a request or MiB, unless the row says otherwise; medians of %d × %d s, one core for the server.\n"+
		"Up to %.0f %% over a target is noise and counts as met, but for memory and allocations. × is of p99 where there are two figures.\n\n",
		strings.Join(b.versions, "\n"), b.reps, b.secs, (noise-1)*100)
	fmt.Fprintln(b.out, markdown(table))
	if list := b.waiting(); len(list) > 0 {
		fmt.Fprintf(b.out, "Busy for less than 70 %% of the time, and so dearer a request than under full load: %s.\n\n", strings.Join(list, ", "))
	}
}

// line puts a row's figures together.
func (b *bench) line(r row) line {
	l := line{Row: r.name, Unit: r.unit.name, Figures: map[string]float64{}, cells: []string{strings.TrimSuffix(r.title+", "+r.unit.name, ", ")}}
	for _, p := range b.products {
		text := "–"
		switch values := b.values(r, p.name); {
		case len(values) > 0:
			l.Figures[p.name] = median(values)
			text = r.unit.format(median(values))
			if r.logged { // a small difference of large figures
				text += fmt.Sprintf(" (%s…%s)", r.unit.format(slices.Min(values)), r.unit.format(slices.Max(values)))
			}
			if r.latency {
				text = r.unit.format(median(b.p50s(r, p.name))) + " / " + text
			}
		case !r.needs(p):
		case p.path != "":
			text = "failed"
			b.failed(fmt.Errorf("%s of %s: no sample", r.name, p.name))
		case slices.Contains(b.peers, p.name):
			text = "missing"
		}
		l.cells = append(l.cells, text)
	}
	worst := untold
	var targets []string
	for _, t := range r.targets {
		targets = append(targets, t.text(r.unit))
		value, ok := l.Figures["edge"]
		if t.peer != "" {
			value, ok = l.ratio(t.peer)
		}
		if !ok {
			worst = max(worst, unknown)
			continue
		}
		worst = max(worst, t.verdict(value))
	}
	l.Target, l.Verdict = strings.Join(targets, ", "), worst.String()
	if l.Target == "" {
		l.Target = "–"
	}
	for _, peer := range []string{"nginx", "caddy"} {
		text := "–"
		if ratio, ok := l.ratio(peer); ok && !r.logged {
			text = fmt.Sprintf("%.2f", ratio)
		}
		l.cells = append(l.cells, text)
	}
	l.cells = append(l.cells, l.Target, l.Verdict)
	return l
}

// ratio is edge's figure in peer's.
func (l line) ratio(peer string) (float64, bool) {
	ours, ok1 := l.Figures["edge"]
	theirs, ok2 := l.Figures[peer]
	return ours / theirs, ok1 && ok2 && theirs > 0
}

// values are a server's samples in a row; the differences, round by round, where the row is about what a log makes.
func (b *bench) values(r row, server string) (values []float64) {
	for _, s := range b.samples {
		if s.Row != r.name || s.Server != server || s.Logged != r.logged {
			continue
		}
		if !r.logged {
			values = append(values, s.Value)
			continue
		}
		for _, without := range b.samples {
			if without.Row == s.Row && without.Server == server && !without.Logged && without.Round == s.Round {
				values = append(values, s.Value-without.Value)
			}
		}
	}
	return values
}

func (b *bench) p50s(r row, server string) (values []float64) {
	for _, s := range b.samples {
		if s.Row == r.name && s.Server == server {
			values = append(values, s.P50)
		}
	}
	return values
}

// waiting names who waited much for its load: a server that is not busy costs more a request than one that is.
func (b *bench) waiting() (list []string) {
	for _, r := range b.rows {
		for _, p := range b.products {
			var shares []float64
			for _, s := range b.samples {
				if s.Row == r.name && s.Server == p.name && !r.latency {
					shares = append(shares, s.Busy)
				}
			}
			if share := median(shares); 0 < share && share < 0.7 { // 0: no load, NaN: no sample
				list = append(list, fmt.Sprintf("%s %s %.0f %%", r.name, p.name, share*100))
			}
		}
	}
	return list
}

// median is NaN of nothing.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// markdown is a table with columns as wide as their cells, so that a terminal shows it well, too.
func markdown(table [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	rule := slices.Repeat([]string{"---"}, len(table[0]))
	for _, cells := range slices.Insert(slices.Clone(table), 1, rule) {
		fmt.Fprintf(w, "| %s\t|\n", strings.Join(cells, "\t| ")) // into memory
	}
	_ = w.Flush()
	return text.String()
}
