package schedule

import (
	"slices"
	"testing"
	"time"
)

// shows reports whether fields match a time of the clock, read in the plainest way.
func shows(f fields, shown int64) bool {
	has := func(set uint64, n int64) bool { return set&(1<<n) != 0 }
	second := shown - floor(shown, day)*day
	if !has(f.minute, second/60%60) || !has(f.hour, second/3600) || !has(f.second, second%60) {
		return false
	}
	t := time.Unix(shown, 0).UTC()
	dom, dow := has(f.dom, int64(t.Day())), has(f.dow, int64(t.Weekday()))
	return has(f.month, int64(t.Month())) && (dom && dow || f.either && (dom || dow))
}

// A view is what a clock shows at each minute from an instant on.
type view struct {
	from   time.Time
	minute []int64
}

func watch(zone *time.Location, from, until time.Time) view {
	v := view{from: from}
	for at := from; !at.After(until); at = at.Add(time.Minute) {
		_, ahead := at.In(zone).Zone()
		v.minute = append(v.minute, at.Unix()+int64(ahead))
	}
	return v
}

func (v view) until() time.Time { return v.from.Add(time.Duration(len(v.minute)-1) * time.Minute) }

// walk finds due times by looking at the clock each minute after the first, as the package comment defines them.
func (v view) walk(s *Schedule) (due []time.Time) {
	latest := v.minute[0]
	for i, now := range v.minute[1:] {
		is := false
		switch times := s.times.(type) {
		case *repeated:
			is = shows(times.fields, now)
		case *fixed:
			for shown := latest + 60; shown <= now; shown += 60 {
				is = is || shows(times.fields, shown)
			}
		}
		latest = max(latest, now)
		if is {
			due = append(due, v.from.Add(time.Duration(i+1)*time.Minute))
		}
	}
	return due
}

// changes are the days around which clocks of a zone change in some years.
func changes(c clock, years ...int) (found []time.Time) {
	for _, year := range years {
		until := time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for s := c.segment(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix()); s.to < until; s = c.segment(s.to) {
			found = append(found, time.Unix(s.to, 0).UTC().Truncate(24*time.Hour))
		}
	}
	return found
}

func TestDueTimesAreThoseThatAWalkFinds(t *testing.T) {
	expressions := []string{
		"30 2 * * *", "0 0 * * *", "*/5 2 * * *", "45 1,2 * * *", "0 */2 * * *", "59 23 * * *", "*/20 0-3 * * 0", "0 2 29-31 3,10 *",
		"15 */6 30 12 *", "*/30 * * * *", "0 * * * *", "15 * * * 0", "* * 1-7 * 0",
	}
	zones := []string{
		"Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Pacific/Apia", "Asia/Kolkata",
		"America/St_Johns", "Asia/Tehran", "Antarctica/Troll", "Europe/Dublin", "UTC",
	}
	found := 0
	for _, zone := range zones {
		c := parsed(t, "@daily", zone).clock
		around := append(changes(c, 2011, 2026, 2087), time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC), time.Date(2040, 12, 31, 0, 0, 0, 0, time.UTC))
		for _, change := range around {
			v := watch(c.zone, change.AddDate(0, 0, -1), change.AddDate(0, 0, 2))
			for _, expression := range expressions {
				found += compare(t, parsed(t, expression, zone), expression, v)
			}
		}
	}
	if found < 10_000 {
		t.Error("only", found, "due times were compared")
	}
}

// compare holds Next and Between against a walk, and returns how many due times it saw.
func compare(t *testing.T, s *Schedule, expression string, v view) int {
	t.Helper()
	from, until, want := v.from, v.until(), v.walk(s)
	var got []time.Time
	for at := from; ; {
		due, ok := s.Next(at)
		if !ok || due.After(until) {
			break
		}
		if !due.After(at) {
			t.Fatalf("%s in %s: %s is not after %s", expression, s.Zone(), due, at)
		}
		got, at = append(got, due), due
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s in %s from %s: next are\n%v, want\n%v", expression, s.Zone(), from, got, want)
	}
	between, more := s.Between(from, until, len(want)+1)
	if !slices.Equal(between, want) || more {
		t.Errorf("%s in %s from %s: between are\n%v, %t, want\n%v", expression, s.Zone(), from, between, more, want)
	}
	// After each time, due or not, the next is the first of the rest.
	for at := from; at.Before(until); at = at.Add(59*time.Minute + time.Second) {
		n, _ := slices.BinarySearchFunc(want, at.Add(1), time.Time.Compare)
		due, ok := s.Next(at)
		if n < len(want) && (!ok || due != want[n]) || n == len(want) && ok && !due.After(until) {
			t.Fatalf("%s in %s: next after %s is %s", expression, s.Zone(), at, due)
		}
		if latest, _ := s.Between(from, at, 1); n > 0 != (len(latest) == 1) || n > 0 && latest[0] != want[n-1] {
			t.Fatalf("%s in %s: last up to %s is %v", expression, s.Zone(), at, latest)
		}
	}
	return len(want)
}

func TestEachTimeOfEachDayIsDueOnce(t *testing.T) {
	from, until := time.Date(2005, 1, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	days := int(until.Sub(from) / (24 * time.Hour))
	for _, zone := range []string{"Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Pacific/Apia", "Asia/Kolkata", "America/Havana"} {
		for _, expression := range []string{"15 2 * * *", "30 0 * * *", "0 0 * * *", "45 1 * * *"} {
			s := parsed(t, expression, zone)
			due, _ := s.Between(from, until, 2*days)
			want := days
			if zone == "Pacific/Apia" && expression != "0 0 * * *" {
				want++ // 30 December 2011 took no time: what was due then was due at the midnight after it
			}
			if len(due) != want {
				t.Errorf("%s in %s is due %d times in %d days", expression, zone, len(due), want)
			}
		}
	}
}
