package sqlite

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/store"
)

// What JSON has no word for is a string that begins with U+10FFFF, as no string of a document does, and a letter for its kind. So the
// order of json_extract's values in SQLite (null, numbers, texts by their bytes) is the one of store.CompareValues.
const (
	mark      = "\U0010FFFF"
	bytesMark = mark + "x" // then 8 hexadecimal digits of how many there are, then they in base64
	boolMark  = mark + "y" // then 0 or 1
	timeMark  = mark + "z" // then timeLayout

	timeLayout = "2006-01-02T15:04:05.000Z" // of one width, so that texts compare as times do
)

// base64Sorted has its letters in the order of their bytes, so that texts of one length compare as what they stand for.
var base64Sorted = base64.NewEncoding("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz").WithPadding(base64.NoPadding).Strict()

// encode writes a normal document as JSON, its names sorted, without its id: that is a column of its own.
func encode(d store.Document) []byte {
	return appendDocument(make([]byte, 0, 512), d, true)
}

func appendDocument(to []byte, d store.Document, outermost bool) []byte {
	to = append(to, '{')
	first := true
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if outermost && name == "id" {
			continue
		}
		if !first {
			to = append(to, ',')
		}
		first = false
		to = append(appendString(to, name), ':')
		to = appendValue(to, d[name])
	}
	return append(to, '}')
}

func appendValue(to []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(to, "null"...)
	case int64:
		return strconv.AppendInt(to, v, 10)
	case float64:
		return appendFloat(to, v)
	case string:
		return appendString(to, v)
	case []any:
		to = append(to, '[')
		for i, e := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = appendValue(to, e)
		}
		return append(to, ']')
	case store.Document:
		return appendDocument(to, v, false)
	}
	to = append(to, '"')
	to = appendTagged(to, v)
	return append(to, '"')
}

// appendTagged appends bytes, a bool or a time: none needs escaping.
func appendTagged(to []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(to, boolMark+"1"...)
		}
		return append(to, boolMark+"0"...)
	case time.Time:
		return v.AppendFormat(append(to, timeMark...), timeLayout)
	case []byte:
		to = fmt.Appendf(append(to, bytesMark...), "%08x", len(v))
		return base64Sorted.AppendEncode(to, v)
	}
	panic(fmt.Sprintf("a %T in a normal document", v))
}

// appendFloat appends the shortest number that is v, always with a dot or an exponent: a whole number has neither.
func appendFloat(to []byte, v float64) []byte {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	start := len(to)
	to = strconv.AppendFloat(to, v, format, -1, 64)
	if !slices.ContainsFunc(to[start:], func(c byte) bool { return c == '.' || c == 'e' }) {
		to = append(to, ".0"...)
	}
	return to
}

const hex = "0123456789abcdef"

// appendString escapes what RFC 8259, section 7, says must be, and nothing else.
func appendString(to []byte, s string) []byte {
	to = append(to, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		to = append(to, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, '\\', 'n')
		case '\t':
			to = append(to, '\\', 't')
		case '\r':
			to = append(to, '\\', 'r')
		default:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(to, s[start:]...), '"')
}

// operand returns what a normal value that is no list or document is for SQLite: equal to what json_extract returns for it.
func operand(v any) any {
	switch v.(type) {
	case nil, int64, float64, string:
		return v
	}
	return string(appendTagged(nil, v))
}

// untag turns a string that begins with the mark back into what it stands for.
func untag(s string) (any, error) {
	rest := s[len(bytesMark)-1:]
	switch {
	case strings.HasPrefix(rest, "x"):
		return untagBytes(rest[1:])
	case rest == "y0", rest == "y1":
		return rest == "y1", nil
	case strings.HasPrefix(rest, "z"):
		return untagTime(rest[1:])
	}
	return nil, fmt.Errorf("%.40q begins with U+10FFFF and is no value", s)
}

// untagTime is what time.Parse is, for one layout and at a tenth of its cost.
func untagTime(s string) (any, error) {
	var numbers [7]int
	field := 0
	ok := len(s) == len(timeLayout)
	for i := 0; ok && i < len(s); i++ {
		switch c := s[i]; {
		case timeLayout[i] >= '0' && timeLayout[i] <= '9':
			ok = c >= '0' && c <= '9'
			numbers[field] = numbers[field]*10 + int(c-'0')
		default:
			ok = c == timeLayout[i]
			field++
		}
	}
	y, month, day, h, m, sec, ms := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]
	at := time.Date(y, time.Month(month), day, h, m, sec, ms*1e6, time.UTC)
	ok = ok && y >= 1 && month >= 1 && month <= 12 && day >= 1 && h <= 23 && m <= 59 && sec <= 59
	if !ok || day > 28 && at.Day() != day { // the 31st of a month of 30 days is the first of the next
		return nil, fmt.Errorf("%.40q is no time", s)
	}
	return at, nil
}

func untagBytes(s string) (any, error) {
	if len(s) < 8 || !utf8.ValidString(s) {
		return nil, fmt.Errorf("%.40q are no bytes", s)
	}
	length, err := strconv.ParseUint(s[:8], 16, 32)
	if err != nil || fmt.Sprintf("%08x", length) != s[:8] {
		return nil, fmt.Errorf("%.40q are no bytes", s)
	}
	v, err := base64Sorted.AppendDecode([]byte{}, []byte(s[8:]))
	if err != nil || uint64(len(v)) != length || base64Sorted.EncodedLen(len(v)) != len(s)-8 { // it skips the ends of lines
		return nil, fmt.Errorf("%.40q are not %d bytes", s, length)
	}
	return v, nil
}
