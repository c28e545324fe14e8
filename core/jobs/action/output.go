package action

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const outputMost = 4 << 10 // bytes of output that are kept: the end

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = outputMost + utf8.UTFMax // a character that is cut in two goes altogether
	n := len(p)
	if n > most {
		p = p[n-most:]
	}
	if over := len(t.kept) + len(p) - most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.kept = append(t.kept, p...)
	return n, nil
}

func (t *tail) String() string { return end(string(t.kept)) }

// end is the end of a text, as one that can be shown: UTF-8, with line breaks and tabs and no other control characters.
func end(text string) string {
	if over := len(text) - outputMost - utf8.UTFMax; over > 0 {
		text = text[over:]
	}
	return last(strings.TrimSpace(printable(text)), outputMost)
}

// printable is a text without what a terminal would act on.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case !unicode.IsPrint(r) && r != unicode.ReplacementChar:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
}

// last is the end of a text of UTF-8, of so many bytes at most.
func last(text string, most int) string {
	if over := len(text) - most; over > 0 {
		for over < len(text) && !utf8.RuneStart(text[over]) {
			over++
		}
		text = text[over:]
	}
	return text
}
