package schedule

import (
	"fmt"
	"time"
)

// A Shift is a change of the clock that hits times of a schedule: it jumps over them, or shows them twice.
type Shift struct {
	At time.Time     // when it happens, in the schedule's time zone
	By time.Duration // how far the clock is put: forward over the times, or, below 0, back, so that it shows them again

	First, Last time.Time // the times of the clock that are hit, the first and the last of them, as if the clock were UTC's
	Due         time.Time // when First is due, in the schedule's time zone
}

// Shifts returns the changes of the clock in a year that hit times of the schedule, and that it is not the end or not yet the start of.
func (s *Schedule) Shifts(year int) []Shift {
	from := time.Date(year, 1, 1, 0, 0, 0, 0, s.Zone())
	return s.shifts(from.Unix(), from.AddDate(1, 0, 0).Unix())
}

// shifts returns those from an instant, included, to another, not included.
func (s *Schedule) shifts(from, until int64) (found []Shift) {
	for at := s.clock.segment(from - 1); at.to < until; {
		following := s.clock.segment(at.to)
		if shift, ok := s.shift(at, following); ok {
			found = append(found, shift)
		}
		at = following
	}
	return found
}

// shift returns how a change of the clock hits the schedule.
func (s *Schedule) shift(before, after segment) (Shift, bool) {
	at := before.to
	low, high := at+min(before.ahead, after.ahead), at+max(before.ahead, after.ahead)
	first, last, ok := s.times.shown(low, high)
	if !ok {
		return Shift{}, false
	}
	due := s.clock.reached(first)
	if due < s.start || due >= s.end {
		return Shift{}, false
	}
	return Shift{
		At: time.Unix(at, 0).In(s.Zone()), By: time.Duration(after.ahead-before.ahead) * time.Second,
		First: time.Unix(first, 0).UTC(), Last: time.Unix(last, 0).UTC(), Due: time.Unix(due, 0).In(s.Zone()),
	}, true
}

// String says what will happen, such as: on 2027-03-28 the clock goes from 02:00 to 03:00, and what is due at 02:30 is due at 03:00.
func (s Shift) String() string {
	was := s.was()
	what, single := "at "+clockTime(s.First), s.First == s.Last
	if !single {
		what = "from " + clockTime(s.First) + " to " + clockTime(s.Last)
	}
	text := fmt.Sprintf("on %s the clock goes from %s to %s, and what is due %s is due ", was.Format(localDate), clockTime(was), s.at(s.At), what)
	switch {
	case s.By < 0 && single:
		return text + "at the first of the two (" + clockTime(s.Due.UTC()) + " UTC)"
	case s.By < 0:
		return text + "at the first of each two (from " + clockTime(s.Due.UTC()) + " UTC)"
	case single:
		return text + "at " + s.at(s.Due)
	}
	return text + "once, at " + s.at(s.Due)
}

// was is what the clock would have shown at the change without it, as if it were UTC's.
func (s Shift) was() time.Time {
	_, ahead := s.At.Zone()
	return s.At.UTC().Add(time.Duration(ahead)*time.Second - s.By)
}

// at shows the time of a day, with the day if it is a later one than that of the change: a zone may leave out a whole one.
func (s Shift) at(t time.Time) string {
	if date := t.Format(localDate); s.By >= 24*time.Hour && date > s.was().Format(localDate) {
		return date + " " + clockTime(t)
	}
	return clockTime(t)
}

// clockTime shows the time of a day, with seconds if there are any.
func clockTime(t time.Time) string {
	if t.Second() != 0 {
		return t.Format(time.TimeOnly)
	}
	return t.Format("15:04")
}
