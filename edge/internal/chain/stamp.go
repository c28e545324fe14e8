package chain

import (
	"strconv"
	"time"
)

// A stamp writes times as time.RFC3339Nano in UTC does. All but the fraction it keeps from the time before, which mostly
// was in the same second.
type stamp struct {
	second int64  // since 1970
	text   []byte // that second without a zone; nil at first
}

func (s *stamp) append(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != s.second || s.text == nil {
		s.second, s.text = second, t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
	}
	b = append(b, s.text...)
	if nanos := t.Nanosecond(); nanos != 0 {
		b = append(b, '.')
		b = appendDigits(b, uint32(nanos), 9)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z')
}

// appendSeconds appends d as a JSON number of seconds with six decimals. It has no negative ones.
func appendSeconds(b []byte, d time.Duration) []byte {
	micros := uint64(max(d, 0) / time.Microsecond)
	b = strconv.AppendUint(b, micros/1e6, 10)
	b = append(b, '.')
	return appendDigits(b, uint32(micros%1e6), 6)
}

// appendDigits appends n in so many digits, at most nine.
func appendDigits(b []byte, n uint32, digits int) []byte {
	var room [9]byte
	for i := digits - 1; i >= 0; i-- {
		room[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, room[:digits]...)
}
