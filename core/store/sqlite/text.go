package sqlite

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
	"github.com/onehost/edge/core/store"
)

// text writes a condition on a string. Strings lie between the empty one and the mark. What SQLite's own functions on texts take for the end
// of one, U+0000, is a character here: so beginnings are ranges, and ends are compared as bytes.
func (c *condition) text(f field, t store.Text) {
	x := f.expression
	if t.Op == store.Whole && !t.Fold {
		c.compare(f, store.Equal, t.Value)
		return
	}
	c.WriteByte('(')
	first, after := "", mark
	if t.Op == store.Prefix && !t.Fold && t.Value != "" {
		first, after = t.Value, t.Value+"\xff" // a byte that comes after all that are in a string
	}
	c.WriteString(x + ">=")
	c.bind(first)
	c.WriteString(" AND " + x + "<")
	c.bind(after)
	c.plainly(f)
	switch {
	case t.Value == "" && t.Op != store.Whole:
	case t.Fold:
		c.WriteString(" AND has_text(" + x + ",")
		c.bind(string(t.Op))
		c.WriteByte(',')
		c.bind(appendFolded(nil, []byte(t.Value)))
		c.WriteByte(')')
	case t.Op == store.Contains:
		c.WriteString(" AND instr(" + x + ",")
		c.bind(t.Value)
		c.WriteByte(')')
	case t.Op == store.Suffix:
		c.WriteString(" AND substr(CAST(" + x + " AS BLOB),")
		c.bind(-len(t.Value))
		c.WriteString(")=CAST(")
		c.bind(t.Value)
		c.WriteString(" AS BLOB)")
	}
	c.WriteByte(')')
}

// hasText is the SQL function has_text(string, where, folded): whether the string, once it is folded, has another one there.
func hasText(ctx sqlite3.Context, args ...sqlite3.Value) {
	folded := appendFolded(nil, args[0].RawText())
	other := args[2].RawText()
	switch store.TextOp(args[1].RawText()) {
	case store.Whole:
		ctx.ResultBool(bytes.Equal(folded, other))
	case store.Contains:
		ctx.ResultBool(bytes.Contains(folded, other))
	case store.Prefix:
		ctx.ResultBool(bytes.HasPrefix(folded, other))
	case store.Suffix:
		ctx.ResultBool(bytes.HasSuffix(folded, other))
	}
}

// appendFolded appends s with every letter replaced by the first of those that are the same in simple case folding.
func appendFolded(to, s []byte) []byte {
	if to == nil {
		to = make([]byte, 0, len(s)+utf8.UTFMax)
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			to = append(to, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		to = utf8.AppendRune(to, least)
		i += size
	}
	return to
}
