package wire

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/store"
)

// appendName appends the name of the next value of an object, after a comma unless it is the first.
func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, name), ':')
}

// appendValue appends a value of the store as JSON.stringify writes it.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return appendTime(b, v)
	case []any:
		b = append(b, '[')
		for i, one := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, one)
		}
		return append(b, ']')
	case store.Document:
		b = append(b, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendName(b, name), v[name])
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// appendFloat appends a number as ECMAScript writes it (ECMA-262, Number::toString): the shortest digits that are read as the same number.
func appendFloat(b []byte, f float64) []byte {
	switch size := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(b, "null"...)
	case f == 0:
		return append(b, '0') // and -0
	case size >= 1e-6 && size < 1e21:
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-4] == 'e' && b[n-2] == '0' { // e-07 is e-7
		b = append(b[:n-2], b[n-1])
	}
	return b
}

// appendTime appends a time as Date.prototype.toISOString does: 2026-05-01T10:00:00.000Z.
// Every entry has three, and [time.Time.AppendFormat] takes apart the layout each time.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
	}
	hour, minute, second := t.Clock()
	b = appendDigits(append(appendDigits(append(b, '"'), year, 4), '-'), int(month), 2)
	b = appendDigits(append(appendDigits(append(b, '-'), day, 2), 'T'), hour, 2)
	b = appendDigits(append(appendDigits(append(b, ':'), minute, 2), ':'), second, 2)
	return append(appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3), 'Z', '"')
}

// appendDigits appends the last digits of n, so many.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "0000"[:digits]...)
	for at := len(b) - 1; digits > 0; digits-- {
		b[at] = '0' + byte(n%10)
		n /= 10
		at--
	}
	return b
}

// appendString appends a string as JSON.stringify does. What is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := plain(s, 0); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				b = appendEscape(append(b, s[start:i]...), c)
				start = i + 1
			}
			i = plain(s, i+1)
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[start:i]...), "\ufffd"...)
			start = i + 1
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// plain goes on from i, eight bytes at a time, as long as they are ASCII and none is to be escaped.
func plain(s string, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	has := func(x uint64) uint64 { return (x - ones) &^ x } // the high bit of a byte is set where it is 0, and of no byte where none is
	for ; i+8 <= len(s); i += 8 {
		t := s[i : i+8]
		x := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 | uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		if (x|(x-ones*' ')&^x|has(x^ones*'"')|has(x^ones*'\\'))&high != 0 {
			break
		}
	}
	return i
}

func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(append(b, `\u00`...), digits[c>>4], digits[c&15])
}
