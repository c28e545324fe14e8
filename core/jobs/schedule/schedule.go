// Package schedule says when a job is due: which instants the words in edge.yaml mean.
//
// In come the schedule, time zone, start and end of a job. Nothing else: there is no store here, no goroutine, and the only look at a clock is
// [Check]'s, which warns of what is near. Due times are whole seconds, in UTC.
//
// # Expressions
//
// Fields are those of cron, read by robfig/cron: minute, hour, day of month, month, weekday (0 is Sunday), with lists, ranges, steps and English
// names; a sixth, of seconds, goes first. Where day of month and weekday are both restricted it is due on days that match either; a day that is
// written */2 is restricted. @every counts from 1970-01-01T00:00:00Z, so that all hosts and all restarts agree, whatever the time zone. What can't
// ever be due, such as 30 February, is refused.
//
// # When clocks change
//
// A time zone's clock jumps forward over some times (the gap, in spring) and shows some times twice (the overlap, in autumn). What then holds
// depends on whether the expression names hours:
//
//   - Fixed times, of an expression whose hours are not all 24: each is due at the first instant at which the clock shows it or has passed it. So a
//     time in the gap is due right after the gap, and several in one gap are due there once, together with what is due there anyway; a time
//     in the overlap is due at the first of the two. Each time of each day is due exactly once, and none before one that stands earlier on the clock.
//   - Repeated times, of an expression whose hours are all 24, such as */30 * * * *: each is due whenever the clock shows it. A time in the gap is
//     not made up for, and one in the overlap is due twice, so that what is due every half hour is due every half hour all through both.
//     (Where the clock changes by half an hour, as on Lord Howe, an hourly job has one interval of half an hour more in spring; in autumn it has
//     that, or, if it is due at a minute that is shown twice, one of half an hour.)
//
// A single time, a start and an end without an offset are fixed times. @every does not look at the clock at all. A whole day that a zone has left
// out (Samoa's 30 December 2011) is a gap like any other.
package schedule

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/onehost/edge/core/config"
)

// The years that RFC 3339 can write, in seconds since 1970. Nothing is due outside of them.
const (
	firstSecond = -62135596800 // 0001-01-01T00:00:00Z
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
)

// A Schedule is when a job is due. It does not change, and may be used by many at once.
type Schedule struct {
	times times
	clock clock
	start int64 // it is not due before
	end   int64 // it is not due from then on
}

// times are due times without start and end, in seconds since 1970.
type times interface {
	next(after int64) (due int64, ok bool)                // the first that is later
	last(at int64) (due int64, ok bool)                   // the latest that is not later
	shown(from, until int64) (first, last int64, ok bool) // which times of the clock, from included and until not, it means that a change of the clock may hit
}

// Parse reads when a job is due. Its errors say what to write instead, one a line.
func Parse(j config.Job) (*Schedule, error) {
	s, mistakes := make(reader).parse(j)
	if len(mistakes) == 0 {
		return s, nil
	}
	errs := make([]error, len(mistakes))
	for i, m := range mistakes {
		errs[i] = errors.New(m.key + ": " + m.message)
	}
	return nil, errors.Join(errs...)
}

// ParseAll reads when jobs are due, by name. It costs far less time and memory than reading one after another: jobs of one time zone share it.
func ParseAll(jobs map[string]config.Job) (map[string]*Schedule, error) {
	r, all := make(reader), make(map[string]*Schedule, len(jobs))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(jobs)) {
		s, mistakes := r.parse(jobs[name])
		for _, m := range mistakes {
			errs = append(errs, errors.New("job "+name+": "+m.key+": "+m.message))
		}
		all[name] = s
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// A reader keeps what has become of time zones, by name.
type reader map[string]found

type found struct {
	zone *time.Location
	err  error
}

func (r reader) zone(name string) (*time.Location, error) {
	f, ok := r[name]
	if !ok {
		f.zone, f.err = loadZone(name)
		r[name] = f
	}
	return f.zone, f.err
}

// A mistake is in the value of one key of a job.
type mistake struct {
	key, message string
}

func (r reader) parse(j config.Job) (*Schedule, []mistake) {
	location, err := r.zone(j.Timezone)
	if err != nil {
		return nil, []mistake{{"timezone", err.Error()}}
	}
	s := &Schedule{clock: clock{location}, start: firstSecond, end: lastSecond + 1}
	var mistakes []mistake
	if s.times, err = parseTimes(j.Schedule, s.clock); err != nil {
		mistakes = append(mistakes, mistake{"schedule", err.Error()})
	}
	for _, bound := range []struct {
		key, text string
		at        *int64
	}{{"start", j.Start, &s.start}, {"end", j.End, &s.end}} {
		if bound.text == "" {
			continue
		}
		if *bound.at, err = parseBound(bound.text, s.clock); err != nil {
			mistakes = append(mistakes, mistake{bound.key, err.Error()})
		}
	}
	return s, mistakes
}

// Zone is the time zone of the schedule, to show due times in.
func (s *Schedule) Zone() *time.Location { return s.clock.zone }

// Next returns the first due time after a time, in UTC. It is the zero time, and not ok, if there is none any more.
func (s *Schedule) Next(after time.Time) (due time.Time, ok bool) {
	next, ok := s.next(after.Unix())
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(next, 0).UTC(), true
}

func (s *Schedule) next(after int64) (int64, bool) {
	due, ok := s.times.next(max(after, s.start-1))
	if !ok || due >= s.end || due > lastSecond {
		return 0, false
	}
	return due, true
}

// Between returns the due times after from, up to and including until, in UTC, the earliest first. If they are more than most, it returns the latest
// and says so. What it costs depends on how many it returns, and not on how many there are.
func (s *Schedule) Between(from, until time.Time, most int) (due []time.Time, more bool) {
	after := max(from.Unix(), s.start-1)
	at := min(until.Unix(), s.end-1, lastSecond)
	for {
		last, ok := s.times.last(at)
		if !ok || last <= after {
			break
		}
		if len(due) >= most {
			more = true
			break
		}
		due = append(due, time.Unix(last, 0).UTC())
		at = last - 1
	}
	slices.Reverse(due)
	return due, more
}
