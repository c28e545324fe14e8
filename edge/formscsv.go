package main

import (
	"cmp"
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/edge/internal/admin"
)

const (
	mostColumns = 100     // fields that have a column of their own
	mostNames   = 100_000 // of fields that are told apart; visitors can make up as many as they like
)

// columns find out which fields of a form have a column: visitors can send any.
type columns struct{ seen map[string]int }

func newColumns() *columns { return &columns{make(map[string]int)} }

// count counts the fields of one submission.
func (c *columns) count(s admin.Submission) error {
	for _, f := range s.Fields {
		if _, known := c.seen[f.Name]; known || len(c.seen) < mostNames {
			c.seen[f.Name]++
		}
	}
	return nil
}

// header is the names of those that are there most often, sorted.
func (c *columns) header() []string {
	names := slices.SortedFunc(maps.Keys(c.seen), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.seen[b], c.seen[a]), strings.Compare(a, b))
	})
	names = names[:min(len(names), mostColumns)]
	slices.Sort(names)
	return names
}

// exportCSV writes submissions as a table, with a column for each name and one for all other fields, if there are any.
func exportCSV(names []string, all func(each func(admin.Submission) error) error, to io.Writer) error {
	at := make(map[string]int, len(names))
	head := []string{"id", "sent", "state"}
	for i, name := range names {
		at[name] = i
		head = append(head, cellCSV(name))
	}
	full := len(names) == mostColumns
	if full {
		head = append(head, "(others)")
	}
	w := csv.NewWriter(to)
	if err := w.Write(head); err != nil {
		return err
	}
	err := all(func(s admin.Submission) error {
		values := make([][]string, len(names)+1)
		for _, f := range s.Fields {
			if i, known := at[f.Name]; known {
				values[i] = append(values[i], f.Value)
			} else {
				values[len(names)] = append(values[len(names)], f.Name+": "+f.Value)
			}
		}
		row := []string{s.ID, s.At.Format(time.RFC3339), string(s.State)}
		for i := range names {
			row = append(row, cellCSV(strings.Join(values[i], ", ")))
		}
		if full {
			row = append(row, cellCSV(strings.Join(values[len(names)], "\n")))
		}
		return w.Write(row)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// cellCSV keeps a spreadsheet from taking what strangers sent for a formula (OWASP, CSV Injection), and a terminal from doing what it says.
func cellCSV(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || 0x7f <= r && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	if first, _ := utf8.DecodeRuneInString(text); text != "" && strings.ContainsRune("=+-@\t\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}
