package sqlite

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/onehost/edge/core/store"
)

// decode is the way back from encode. It takes all JSON (RFC 8259) that stands for a document, since a sysadmin may have changed
// it with SQLite's own functions: names in any order, any spaces and escapes. It refuses what means two things or none: a name twice, what
// is not UTF-8, a whole number over 64 bits. The strings of the document are parts of text.
func decode(id, text string) (store.Document, error) {
	d := decoder{text: text}
	d.space()
	document, err := d.document(1)
	if err != nil {
		return nil, err
	}
	if d.space(); d.at != len(text) {
		return nil, d.bad("nothing more")
	}
	if _, ok := document["id"]; ok {
		return nil, fmt.Errorf("it has a second id")
	}
	if d.nulls {
		maps.DeleteFunc(document, func(_ string, v any) bool { return v == nil })
	}
	document["id"] = id
	return document, nil
}

type decoder struct {
	text  string
	at    int
	nulls bool // whether there was one, anywhere
}

// bad says what should have been where the decoder is.
func (d *decoder) bad(want string) error {
	return fmt.Errorf("at byte %d should be %s, not %.20q", d.at, want, d.text[d.at:])
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// take goes past c, if it is there, and the space after it.
func (d *decoder) take(c byte) bool {
	if d.at < len(d.text) && d.text[d.at] == c {
		d.at++
		d.space()
		return true
	}
	return false
}

func (d *decoder) document(level int) (store.Document, error) {
	if !d.take('{') {
		return nil, d.bad("{")
	}
	document := make(store.Document, d.room(level))
	if d.take('}') {
		return document, nil
	}
	for {
		name, err := d.string()
		if err != nil {
			return nil, err
		}
		if d.space(); !d.take(':') {
			return nil, d.bad(":")
		}
		before := len(document)
		if document[name], err = d.value(level + 1); err != nil {
			return nil, err
		}
		if len(document) == before {
			return nil, fmt.Errorf("%.80q is there twice", name)
		}
		if d.space(); d.take('}') {
			return document, nil
		}
		if !d.take(',') {
			return nil, d.bad(", or }")
		}
	}
}

// room is for how many fields a document gets room at once: as many as a map of one or of two groups has. A map that has to grow costs as much again, and to
// count the fields takes longer than that.
func (d *decoder) room(level int) int {
	const few, many, long = 8, 14, 160
	if level > 1 || len(d.text) < long {
		return few
	}
	return many
}

func (d *decoder) list(level int) (any, error) {
	d.take('[')
	if d.take(']') {
		return []any{}, nil
	}
	list := make([]any, 0, 4)
	for {
		v, err := d.value(level + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if d.space(); d.take(']') {
			return list, nil
		}
		if !d.take(',') {
			return nil, d.bad(", or ]")
		}
	}
}

func (d *decoder) value(level int) (any, error) {
	if level > store.MaxDepth+1 {
		return nil, fmt.Errorf("it has more than %d levels", store.MaxDepth)
	}
	if d.at == len(d.text) {
		return nil, d.bad("a value")
	}
	switch c := d.text[d.at]; {
	case c == '"':
		s, err := d.string()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(s, mark) {
			return untag(s)
		}
		return s, nil
	case c == '{':
		return d.document(level)
	case c == '[':
		return d.list(level)
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case strings.HasPrefix(d.text[d.at:], "null"):
		d.at += len("null")
		d.nulls = true
		return nil, nil
	}
	return nil, d.bad("a value")
}

// number reads as RFC 8259, section 6, has it.
func (d *decoder) number() (any, error) {
	start, whole := d.at, true
	if d.text[d.at] == '-' {
		d.at++
	}
	digits := d.digits()
	ok := digits == 1 || digits > 1 && d.text[d.at-digits] != '0'
	if d.at < len(d.text) && d.text[d.at] == '.' {
		whole = false
		d.at++
		ok = d.digits() > 0 && ok
	}
	if d.at < len(d.text) && d.text[d.at]|0x20 == 'e' {
		whole = false
		d.at++
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		ok = d.digits() > 0 && ok
	}
	text := d.text[start:d.at]
	if !ok {
		return nil, fmt.Errorf("%.40q is no number", text)
	}
	if whole {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40s is no whole number of 64 bits", text)
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%.40s is no number of 64 bits", text)
	}
	return f + 0, nil // -0 + 0 is 0
}

func (d *decoder) digits() (n int) {
	for d.at < len(d.text) && d.text[d.at] >= '0' && d.text[d.at] <= '9' {
		d.at++
		n++
	}
	return n
}

// string reads a string. Most have no escapes and are a part of the text.
func (d *decoder) string() (string, error) {
	if d.at == len(d.text) || d.text[d.at] != '"' {
		return "", d.bad("a string")
	}
	d.at++
	start, ascii := d.at, true
	d.plain()
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			s := d.text[start:d.at]
			d.at++
			if !ascii && !utf8.ValidString(s) {
				return "", fmt.Errorf("%.40q is not UTF-8", s)
			}
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.bad("no control character")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		d.at++
	}
	return "", d.bad(`"`)
}

// plain goes past eight bytes at a time as long as they are ASCII and none ends a string, begins an escape or is a control character.
func (d *decoder) plain() {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	has := func(x uint64) uint64 { return (x - ones) &^ x } // the high bit of a byte is set where it is 0, and of no byte where none is
	for ; d.at+8 <= len(d.text); d.at += 8 {
		t := d.text[d.at : d.at+8]
		x := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 | uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		control := (x - ones*' ') &^ x
		if (x|control|has(x^ones*'"')|has(x^ones*'\\'))&high != 0 {
			return
		}
	}
}

// escaped goes on with a string, which began at start, where it has its first escape.
func (d *decoder) escaped(start int) (string, error) {
	s := append(make([]byte, 0, 2*(d.at-start)+32), d.text[start:d.at]...)
	for d.at < len(d.text) {
		c := d.text[d.at]
		switch {
		case c == '"':
			d.at++
			if !utf8.Valid(s) {
				return "", fmt.Errorf("%.40q is not UTF-8", s)
			}
			return string(s), nil
		case c < ' ':
			return "", d.bad("no control character")
		case c != '\\':
			s = append(s, c)
			d.at++
			continue
		}
		var err error
		if s, err = d.escape(s); err != nil {
			return "", err
		}
	}
	return "", d.bad(`"`)
}

// escape appends what an escape stands for.
func (d *decoder) escape(to []byte) ([]byte, error) {
	if d.at+1 == len(d.text) {
		return nil, d.bad("an escape")
	}
	c := d.text[d.at+1]
	if c == 'u' {
		r, ok := d.hex(d.at)
		if !ok {
			return nil, d.bad("an escape")
		}
		d.at += 6
		if utf16.IsSurrogate(r) {
			low, _ := d.hex(d.at)
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, d.bad("the other half of a character")
			}
			d.at += 6
		}
		return utf8.AppendRune(to, r), nil
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return nil, d.bad("an escape")
	}
	d.at += 2
	return append(to, "\"\\/\b\f\n\r\t"[i]), nil
}

// hex returns the number in the \uXXXX at a place.
func (d *decoder) hex(at int) (rune, bool) {
	if at+6 > len(d.text) || d.text[at] != '\\' || d.text[at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(d.text[at+2 : at+6]) {
		digit := strings.IndexByte("0123456789abcdefABCDEF", c)
		if digit < 0 {
			return 0, false
		}
		if digit > 15 {
			digit -= 6
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}
