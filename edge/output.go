package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a head in columns. Colour changes nothing of their width.
type table struct {
	rows [][]cell
}

type cell struct {
	text  string
	paint string // an SGR parameter (ECMA-48), "" for none
}

// SGR parameters for what is good, to be looked at, and bad.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	bold   = "1"
)

func (t *table) head(names ...string) {
	row := make([]cell, len(names))
	for i, n := range names {
		row[i] = cell{n, bold}
	}
	t.rows = append(t.rows, row)
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

func plain(format string, args ...any) cell { return cell{text: fmt.Sprintf(format, args...)} }

func (t *table) print(w io.Writer) {
	colour := colourful(w)
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(c.text)))
		}
	}
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			text := c.text
			if colour && c.paint != "" {
				text = "\x1b[" + c.paint + "m" + text + "\x1b[0m"
			}
			if i < len(row)-1 {
				text += strings.Repeat(" ", widths[i]-len([]rune(c.text))+2)
			}
			line += text
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// colourful reports whether w is a terminal whose user has nothing against colour (no-color.org).
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// patience is how long a command may take before it says that it is still at it.
const patience = 2 * time.Second

// progress says every patience that what is still going on, until the returned function is called.
func (c *cli) progress(what string) (done func()) {
	return c.progressing(func() string { return what })
}

// progressing is progress for what changes on the way.
func (c *cli) progressing(what func() string) (done func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		started, tick := time.Now(), time.NewTicker(patience)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				fmt.Fprintf(c.err, "%s… %s\n", what(), time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// ago says how long ago t was, in the largest unit that fits.
func ago(t time.Time) string { return span(time.Since(t)) + " ago" }

// span says a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	}
}

// count is "1 host" or "2 hosts". A word has its plural beside it where that is another than with an s: delivery|deliveries.
func count(n int, words string) string {
	one, many, ok := strings.Cut(words, "|")
	if !ok {
		many = one + "s"
	}
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
