package schedule

import (
	"math/bits"
	"time"
)

const day = 24 * 60 * 60 // in seconds

// fields are what an expression lets the clock show: a bit a value.
//
// A time of the clock is written as the seconds from 1970-01-01 00:00:00 to it on a clock that never changes.
type fields struct {
	second, minute, hour, dom, month, dow uint64

	either bool // a day need match only one of dom and dow
}

// maxMonths is how far a day that matches can be away: 29 February comes once in eight years at least.
const maxMonths = 8*12 + 2

// from returns the first time of the clock, t or later, that matches. It is not ok if none ever does.
func (f *fields) from(t int64) (int64, bool) {
	today, second := split(t)
	found, ok := f.dayFrom(today)
	if !ok {
		return 0, false
	}
	if found == today {
		if s := f.secondFrom(second); s >= 0 {
			return found*day + int64(s), true
		}
		if found, ok = f.dayFrom(today + 1); !ok {
			return 0, false
		}
	}
	return found*day + int64(f.secondFrom(0)), true
}

// until returns the last time of the clock, t or earlier, that matches. It is not ok if none ever has.
func (f *fields) until(t int64) (int64, bool) {
	today, second := split(t)
	found, ok := f.dayUntil(today)
	if !ok {
		return 0, false
	}
	if found == today {
		if s := f.secondUntil(second); s >= 0 {
			return found*day + int64(s), true
		}
		if found, ok = f.dayUntil(today - 1); !ok {
			return 0, false
		}
	}
	return found*day + int64(f.secondUntil(day-1)), true
}

// split takes a time of the clock apart: the day since 1970, and the second of it.
func split(t int64) (today int64, second int) {
	today = floor(t, day)
	return today, int(t - today*day)
}

func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// secondFrom returns the first second of a day, second or later, that matches, or -1.
func (f *fields) secondFrom(second int) int {
	h, m, s := second/3600, second/60%60, second%60
	if f.hour>>h&1 == 1 {
		if f.minute>>m&1 == 1 {
			if n := atLeast(f.second, s); n >= 0 {
				return h*3600 + m*60 + n
			}
		}
		if n := atLeast(f.minute, m+1); n >= 0 {
			return h*3600 + n*60 + atLeast(f.second, 0)
		}
	}
	if n := atLeast(f.hour, h+1); n >= 0 {
		return n*3600 + atLeast(f.minute, 0)*60 + atLeast(f.second, 0)
	}
	return -1
}

// secondUntil returns the last second of a day, second or earlier, that matches, or -1.
func (f *fields) secondUntil(second int) int {
	h, m, s := second/3600, second/60%60, second%60
	if f.hour>>h&1 == 1 {
		if f.minute>>m&1 == 1 {
			if n := atMost(f.second, s); n >= 0 {
				return h*3600 + m*60 + n
			}
		}
		if n := atMost(f.minute, m-1); n >= 0 {
			return h*3600 + n*60 + atMost(f.second, 59)
		}
	}
	if n := atMost(f.hour, h-1); n >= 0 {
		return n*3600 + atMost(f.minute, 59)*60 + atMost(f.second, 59)
	}
	return -1
}

// dayFrom returns the first day, counted from 1970, that matches and is not before today.
func (f *fields) dayFrom(today int64) (int64, bool) {
	year, month, d := date(today)
	for range maxMonths {
		if f.month>>month&1 == 1 {
			first := dayOf(year, month)
			if n := atLeast(f.days(first, dayOf(year, month+1)), d); n > 0 {
				return first + int64(n) - 1, true
			}
		}
		if d, month = 1, month+1; month > 12 {
			year, month = year+1, 1
		}
	}
	return 0, false
}

// dayUntil returns the last day, counted from 1970, that matches and is not after today.
func (f *fields) dayUntil(today int64) (int64, bool) {
	year, month, d := date(today)
	for range maxMonths {
		if f.month>>month&1 == 1 {
			first := dayOf(year, month)
			if n := atMost(f.days(first, dayOf(year, month+1)), d); n > 0 {
				return first + int64(n) - 1, true
			}
		}
		if d, month = 31, month-1; month < 1 {
			year, month = year-1, 12
		}
	}
	return 0, false
}

// days returns which days of a month match: a bit a day.
func (f *fields) days(first, following int64) uint64 {
	const week = 1<<0 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	weekday := (first%7 + 4 + 7) % 7 // 1970 began on a Thursday
	dow := (f.dow>>weekday | f.dow<<(7-weekday)) & 0x7f * week << 1
	days := f.dom & dow
	if f.either {
		days = f.dom | dow
	}
	return days & (1<<(following-first+1) - 2)
}

func date(day1970 int64) (year int, month, d int) {
	y, m, d := time.Unix(day1970*day, 0).UTC().Date()
	return y, int(m), d
}

func dayOf(year, month int) int64 {
	return floor(time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC).Unix(), day)
}

// atLeast returns the lowest value in a set that is not below n, or -1.
func atLeast(set uint64, n int) int {
	if set >>= n; set == 0 {
		return -1
	}
	return n + bits.TrailingZeros64(set)
}

// atMost returns the highest value in a set that is not above n, or -1.
func atMost(set uint64, n int) int {
	return bits.Len64(set&(1<<(n+1)-1)) - 1
}
