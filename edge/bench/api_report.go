//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// reportAPI prints what was found of the content API.
func (b *bench) reportAPI() {
	found := b.found("api-")
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(b.out, "\nContent API beside Strapi %s and PocketBase %s: %d published articles with tags, %d plain connections that stay, each with one request after the other. "+
		"CPU time is of the server's processes a request (and of the mongod, where there is one); p99 is at full load. Medians of %d × %d s, one core for the servers.\n\n%s\n",
		strapiVersion, strings.TrimPrefix(pocketVersion, "v"), articles-articles/10, apiLines, b.reps, b.secs, findingsTable(found))
}

// times is a ratio as a person reads it: 0.75, 1/40.
func times(ratio float64) string {
	if 0 < ratio && ratio < 0.2 {
		return fmt.Sprintf("1/%.1f", 1/ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

// timesAim is what a ratio should be.
func timesAim(ratio float64) string {
	if 0 < ratio && ratio <= 0.2 {
		return fmt.Sprintf("1/%.0f", 1/ratio)
	}
	return strconv.FormatFloat(ratio, 'g', -1, 64)
}

// peakOf is the most that a process tree has held at a time, each of its processes for itself.
func peakOf(pid int) (sum memory, err error) {
	processes, err := tree(pid)
	if err != nil {
		return sum, err
	}
	for _, p := range processes {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		if err != nil {
			return sum, err
		}
		peak, err := parsePeak(string(data))
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", p.pid, err)
		}
		sum.rss += peak
	}
	return sum, nil
}

// parsePeak reads the greatest resident size, in KiB, of proc_pid_status(5).
func parsePeak(text string) (kib float64, err error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, err := fmt.Sscanf(value, "%f kB", &kib)
			return kib, err
		}
	}
	return 0, fmt.Errorf("there is no VmHWM")
}
