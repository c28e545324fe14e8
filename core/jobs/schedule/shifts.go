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
	at := after.from
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
	times := clockTime(s.First)
	if s.Last != s.First {
		times = "from " + times + " to " + clockTime(s.Last)
	}
	before := s.At.Add(-time.Nanosecond) // in the offset that was
	change := fmt.Sprintf("on %s the clock goes from %s to %s", before.Format(localDate), clockTime(s.wasAt()), clockTime(s.At))
	switch {
	case s.By < 0 && s.Last != s.First:
		return fmt.Sprintf("%s, and what is due %s is due at the first of each two (%s UTC on)", change, times, clockTime(s.Due.UTC()))
	case s.By < 0:
		return fmt.Sprintf("%s, and what is due at %s is due at the first of the two (%s UTC)", change, times, clockTime(s.Due.UTC()))
	case s.Last != s.First:
		return fmt.Sprintf("%s, and what is due %s is due once, at %s", change, times, clockTime(s.Due))
	}
	return fmt.Sprintf("%s, and what is due at %s is due at %s", change, times, clockTime(s.Due))
}

// wasAt is what the clock would have shown at the change without it.
func (s Shift) wasAt() time.Time {
	_, ahead := s.At.Zone()
	return s.At.UTC().Add(time.Duration(ahead)*time.Second - s.By)
}

// clockTime shows the time of a day, with seconds if there are any.
func clockTime(t time.Time) string {
	if t.Second() != 0 {
		return t.Format(time.TimeOnly)
	}
	return t.Format("15:04")
}
