package schedule

import "time"

// A clock is what the people of a time zone see: times of the clock (see fields) at instants, both in seconds.
type clock struct {
	zone *time.Location
}

// A segment is a time, from included and to not, in which a clock is the same number of seconds ahead of UTC. What follows may be as far ahead.
type segment struct {
	from, to, ahead int64
}

// forever is later, and its negative earlier, than all that is due.
const forever = 1 << 60

// mostApart is more than the clock of a zone has ever been changed by.
const mostApart = 2 * day

func (c clock) segment(at int64) segment {
	t := time.Unix(at, 0).In(c.zone)
	_, ahead := t.Zone()
	start, end := t.ZoneBounds()
	s := segment{-forever, forever, int64(ahead)}
	if !start.IsZero() {
		s.from = start.Unix()
	}
	if !end.IsZero() {
		s.to = end.Unix()
	}
	if s.to <= at {
		s.to = (floor(at, day) + 1) * day // ZoneBounds takes years for 365 days where a rule goes on for ever: 31 December of a leap year is beyond its end
	}
	return s
}

// latest returns the latest time that the clock has shown up to an instant.
func (c clock) latest(at int64) int64 {
	s := c.segment(at)
	latest := at + s.ahead
	for s.from > at-mostApart {
		s = c.segment(s.from - 1)
		latest = max(latest, s.to-1+s.ahead)
	}
	return latest
}

// reached returns the first instant at which the clock shows a time or has passed it.
func (c clock) reached(shown int64) int64 {
	s := c.segment(shown - mostApart)
	for s.to+s.ahead <= shown {
		s = c.segment(s.to)
	}
	return max(s.from, shown-s.ahead)
}
