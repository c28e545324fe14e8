package input

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printed writes a value as yup's messages do: JSON in which all that is not a list or an object is a text. It is cut when it is long.
func printed(v any) string {
	if text, simple := printSimple(v); simple {
		return cut(text)
	}
	var b strings.Builder
	printInto(&b, v, 1)
	return cut(b.String())
}

func printSimple(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case string:
		return `"` + cut(v) + `"`, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case []any, map[string]any:
		return "", false
	}
	return "?", true
}

func printInto(b *strings.Builder, v any, level int) {
	if text, simple := printSimple(v); simple {
		writeText(b, text)
		return
	}
	if level > maxDepth || b.Len() > maxText {
		b.WriteString("…")
		return
	}
	indent := "\n" + strings.Repeat("  ", level)
	open, shut := "{", "}"
	n := 0
	next := func() bool {
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(indent)
		return b.Len() <= maxText
	}
	switch v := v.(type) {
	case []any:
		open, shut = "[", "]"
		b.WriteString(open)
		for _, one := range v {
			if !next() {
				break
			}
			printInto(b, one, level+1)
		}
	case map[string]any:
		b.WriteString(open)
		for _, name := range sorted(v) {
			if !next() {
				break
			}
			writeText(b, name)
			b.WriteString(": ")
			printInto(b, v[name], level+1)
		}
	}
	if n > 0 {
		b.WriteString(indent[:len(indent)-2])
	}
	b.WriteString(shut)
}

func writeText(b *strings.Builder, text string) {
	var line strings.Builder
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err == nil {
		b.WriteString(strings.TrimSuffix(line.String(), "\n"))
	}
}

// cut shortens a text that is too long to be shown.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	if last, size := utf8.DecodeLastRuneInString(text); last == utf8.RuneError {
		text = text[:len(text)-size]
	}
	return text + "…"
}
