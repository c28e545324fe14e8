//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// reportWebhooks prints what was found of webhooks.
func (b *bench) reportWebhooks() {
	found := b.found("webhooks-")
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(b.out, "\nWebhooks: deliveries of %d bytes, signed as GitHub's, over TLS connections that stay. Medians of %d × %d s. Server and mongod have one core together, as has who inserts.\n\n%s\n",
		webhookBody, b.reps, b.secs, findingsTable(found))
}

// found is what was found of rows whose names begin so.
func (b *bench) found(prefix string) (found []*finding) {
	for _, f := range b.findings {
		if strings.HasPrefix(f.Row, prefix) {
			found = append(found, f)
		}
	}
	return found
}

func findingsTable(found []*finding) string {
	table := [][]string{{"row", "figure", "is", "beside", "×", "target", "verdict"}}
	for _, f := range found {
		table = append(table, f.line())
	}
	return markdown(table)
}

func (f *finding) line() []string {
	value, beside, ratio, more := f.medians()
	figure := func(v float64) string { return strconv.FormatFloat(v, 'f', f.decimals, 64) + " " + f.Unit }
	cells := []string{f.Row, f.What, figure(value), "–", "–"}
	if f.Beside != "" {
		cells[3], cells[4] = figure(beside)+" "+f.Beside, times(ratio)
	}
	target := "–"
	switch a := f.Aim; {
	case a.Least > 0:
		target = fmt.Sprintf("≥ %.2f ×", a.Least)
	case a.Most > 0:
		target = "≤ " + timesAim(a.Most) + " ×"
	case a.More > 0:
		target = fmt.Sprintf("≤ %g %s more", a.More, f.Unit)
		cells[4] = "+" + figure(more)
	}
	return append(cells, target, f.verdict().String())
}

// medians are the figure, what it is beside, and the ratio and the difference of the two within a round.
func (f *finding) medians() (value, beside, ratio, more float64) {
	var values, besides, ratios, differences []float64
	for _, p := range f.Pairs {
		values, besides = append(values, p.Value), append(besides, p.Beside)
		ratios, differences = append(ratios, p.Value/p.Beside), append(differences, p.Value-p.Beside)
	}
	return median(values), median(besides), median(ratios), median(differences)
}

func (f *finding) verdict() verdict {
	_, _, ratio, more := f.medians()
	switch a := f.Aim; {
	case a.Least > 0:
		return target{most: 1 / a.Least}.verdict(1 / ratio)
	case a.Most > 0:
		return target{most: a.Most}.verdict(ratio)
	case a.More > 0:
		return target{most: a.More}.verdict(more)
	}
	return untold
}
