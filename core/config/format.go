package config

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

const (
	maxPrinted = 50  // problems
	maxColumns = 120 // of a source line
)

// Format writes each problem with the line of the file that it is about and a caret under its column. What stands in
// the line is what stands in the file: never what a ${…} in it stands for. A line is left out if the problem is about a secret
// that stands in it. Of very many problems it writes the first.
func Format(w io.Writer, problems []Problem) error {
	out := bufio.NewWriter(w)
	sources := map[string]*source{}
	for i, p := range problems {
		if i == maxPrinted {
			fmt.Fprintf(out, "and %d more\n", len(problems)-i)
			break
		}
		fmt.Fprintln(out, p.Error())
		if p.File == "" || p.Line == 0 || p.Withheld {
			continue
		}
		src, ok := sources[p.File]
		if !ok {
			src = newSource(p.File, filepath.Dir(p.File), "")
			if text, err := readFile(p.File, maxFile); err == nil {
				src = newSource(p.File, src.dir, text)
			}
			sources[p.File] = src
		}
		if line := src.line(p.Line); line != "" {
			writeLine(out, line, p.Col)
		}
	}
	return out.Flush()
}

// writeLine writes a line, cut to what fits around the column, and a caret under the column.
func writeLine(out io.Writer, line string, col int) {
	col = min(max(col, 1), len(line)+1)
	before, after := []rune(line[:col-1]), []rune(line[col-1:])
	cutBefore, cutAfter := "", ""
	if len(before)+len(after) > maxColumns {
		if most := maxColumns * 2 / 3; len(before) > most {
			before, cutBefore = before[len(before)-most:], "…"
		}
		if most := maxColumns - len(before); len(after) > most {
			after, cutAfter = after[:most], "…"
		}
	}
	var text, caret strings.Builder
	text.WriteString(cutBefore)
	caret.WriteString(strings.Repeat(" ", len([]rune(cutBefore))))
	for _, r := range before {
		text.WriteRune(printable(r))
		caret.WriteString(blank(r))
	}
	for _, r := range after {
		text.WriteRune(printable(r))
	}
	fmt.Fprintf(out, "%s%s\n%s^\n", text.String(), cutAfter, caret.String())
}

// printable keeps a file from driving the terminal.
func printable(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// blank is space as wide as the character.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.In(r, unicode.Mn, unicode.Me):
		return ""
	}
	if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return "  "
	}
	return " "
}
