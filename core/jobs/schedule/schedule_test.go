package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func parsed(t testing.TB, expression, zone string) *Schedule {
	t.Helper()
	s, err := Parse(config.Job{Schedule: expression, Timezone: zone})
	if err != nil {
		t.Fatalf("%q in %s: %v", expression, zone, err)
	}
	return s
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// following lists the next n due times, as the clock of the schedule's zone shows them.
func following(s *Schedule, after time.Time, n int) string {
	var shown []string
	for range n {
		due, ok := s.Next(after)
		if !ok {
			return strings.Join(append(shown, "never"), " ")
		}
		shown = append(shown, due.In(s.Zone()).Format("01-02T15:04:05-07:00"))
		after = due
	}
	return strings.Join(shown, " ")
}

func TestDueTimesAroundChangesOfTheClock(t *testing.T) {
	for _, c := range []struct{ why, expression, zone, after, want string }{
		{"a time in the gap is due right after it", "30 2 * * *", "Europe/Madrid", "2027-03-27T12:00:00Z", "03-28T03:00:00+02:00 03-29T02:30:00+02:00"},
		{"several in one gap are due once", "*/5 2 * * *", "Europe/Madrid", "2027-03-27T12:00:00Z", "03-28T03:00:00+02:00 03-29T02:00:00+02:00"},
		{"one after the gap coincides with those in it", "30 2 * * *", "Europe/Madrid", "2027-03-28T01:00:00Z", "03-29T02:30:00+02:00"},
		{"two and three are one then", "0 2,3 * * *", "Europe/Madrid", "2027-03-27T12:00:00Z", "03-28T03:00:00+02:00 03-29T02:00:00+02:00"},
		{"a time in the overlap is due at the first", "30 2 * * *", "Europe/Madrid", "2027-10-30T12:00:00Z", "10-31T02:30:00+02:00 11-01T02:30:00+01:00"},
		{"the end of the overlap is shown once", "0 3 * * *", "Europe/Madrid", "2027-10-30T12:00:00Z", "10-31T03:00:00+01:00 11-01T03:00:00+01:00"},
		{"the start of the overlap is shown twice", "0 2 * * *", "Europe/Madrid", "2027-10-30T12:00:00Z", "10-31T02:00:00+02:00 11-01T02:00:00+01:00"},
		{"each half hour goes on through the gap", "*/30 * * * *", "Europe/Madrid", "2027-03-28T00:15:00Z", "03-28T01:30:00+01:00 03-28T03:00:00+02:00 03-28T03:30:00+02:00"},
		{"each half hour goes on through the overlap", "*/30 * * * *", "Europe/Madrid", "2027-10-31T00:15:00Z", "10-31T02:30:00+02:00 10-31T02:00:00+01:00 10-31T02:30:00+01:00 10-31T03:00:00+01:00"},
		{"each hour too", "@hourly", "America/New_York", "2027-11-07T05:30:00Z", "11-07T01:00:00-05:00 11-07T02:00:00-05:00"},
		{"New York's gap", "30 2 * * *", "America/New_York", "2027-03-13T12:00:00Z", "03-14T03:00:00-04:00 03-15T02:30:00-04:00"},
		{"Lord Howe's gap is half an hour", "15 2 * * *", "Australia/Lord_Howe", "2027-10-02T00:00:00Z", "10-03T02:30:00+11:00 10-04T02:15:00+11:00"},
		{"Lord Howe's overlap too", "45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", "04-04T01:45:00+11:00 04-05T01:45:00+10:30"},
		{"a midnight that is not there", "@daily", "America/Santiago", "2026-09-05T12:00:00Z", "09-06T01:00:00-03:00 09-07T00:00:00-03:00"},
		{"a midnight that is not there and the day of it", "0 0 6 9 *", "America/Santiago", "2026-09-05T12:00:00Z", "09-06T01:00:00-03:00 09-06T00:00:00-03:00"},
		{"the day that Samoa left out", "0 9 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", "12-31T00:00:00+14:00 12-31T09:00:00+14:00"},
		{"Morocco's month of fasting", "30 2 * * *", "Africa/Casablanca", "2025-02-22T12:00:00Z", "02-23T02:30:00+01:00 02-24T02:30:00+00:00"},
		{"a zone whose clock does not change", "30 2 * * *", "Asia/Kolkata", "2027-03-27T12:00:00Z", "03-28T02:30:00+05:30 03-29T02:30:00+05:30"},
		{"a single time in the gap", "2027-03-28T02:30:00", "Europe/Madrid", "2027-01-01T00:00:00Z", "03-28T03:00:00+02:00 never"},
		{"a single time in the overlap", "2027-10-31T02:30:00", "Europe/Madrid", "2027-01-01T00:00:00Z", "10-31T02:30:00+02:00 never"},
		{"@every does not look at the clock", "@every 8h", "Europe/Madrid", "2027-03-27T22:00:00Z", "03-28T01:00:00+01:00 03-28T10:00:00+02:00"},
	} {
		s := parsed(t, c.expression, c.zone)
		if got := following(s, instant(t, c.after), strings.Count(c.want, " ")+1); got != c.want {
			t.Errorf("%s: %s in %s after %s is due\n%s, want\n%s", c.why, c.expression, c.zone, c.after, got, c.want)
		}
	}
}

func TestDueTimesOfEachForm(t *testing.T) {
	for _, c := range []struct{ expression, zone, after, want string }{
		{"0 3 * * *", "Europe/Madrid", "2027-06-01T00:00:00Z", "06-01T03:00:00+02:00 06-02T03:00:00+02:00"},
		{"15 30 3 * * *", "", "2027-06-01T00:00:00Z", "06-01T03:30:15+00:00 06-02T03:30:15+00:00"},
		{"*/20 * * * * *", "UTC", "2027-06-01T00:00:00Z", "06-01T00:00:20+00:00 06-01T00:00:40+00:00 06-01T00:01:00+00:00"},
		{"0 9 * jan-feb mon-fri", "UTC", "2027-02-25T12:00:00Z", "02-26T09:00:00+00:00 01-03T09:00:00+00:00"},
		{"0 0 13 * 5", "UTC", "2027-08-07T00:00:00Z", "08-13T00:00:00+00:00 08-20T00:00:00+00:00 08-27T00:00:00+00:00 09-03T00:00:00+00:00 09-10T00:00:00+00:00 09-13T00:00:00+00:00"},
		{"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", "02-29T00:00:00+00:00"},
		{"0 0 31 * *", "UTC", "2027-01-31T00:00:00Z", "03-31T00:00:00+00:00 05-31T00:00:00+00:00"},
		{"@hourly", "", "2027-06-01T00:00:00Z", "06-01T01:00:00+00:00"},
		{"@daily", "", "2027-06-01T00:00:00Z", "06-02T00:00:00+00:00"},
		{"@midnight", "", "2027-06-01T00:00:00Z", "06-02T00:00:00+00:00"},
		{"@weekly", "", "2027-06-01T00:00:00Z", "06-06T00:00:00+00:00"},
		{"@monthly", "", "2027-06-01T00:00:00Z", "07-01T00:00:00+00:00"},
		{"@yearly", "", "2027-06-01T00:00:00Z", "01-01T00:00:00+00:00"},
		{"@annually", "", "2027-06-01T00:00:00Z", "01-01T00:00:00+00:00"},
		{"@every 7d", "", "1970-01-01T00:00:00Z", "01-08T00:00:00+00:00 01-15T00:00:00+00:00"},
		{"@every 7s", "", "1969-12-31T23:59:50Z", "12-31T23:59:53+00:00 01-01T00:00:00+00:00"},
		{"2027-01-31T12:00:00+02:00", "Europe/Madrid", "2027-01-01T00:00:00Z", "01-31T11:00:00+01:00 never"},
		{"2027-01-31T12:00:00", "Europe/Madrid", "2027-01-01T00:00:00Z", "01-31T12:00:00+01:00 never"},
	} {
		s := parsed(t, c.expression, c.zone)
		if got := following(s, instant(t, c.after), strings.Count(c.want, " ")+1); got != c.want {
			t.Errorf("%s in %s after %s is due\n%s, want\n%s", c.expression, c.zone, c.after, got, c.want)
		}
	}
}

func TestAFractionOfASecondIsAfterTheSecond(t *testing.T) {
	s := parsed(t, "* * * * * *", "UTC")
	at := instant(t, "2027-06-01T00:00:00Z").Add(time.Nanosecond)
	if due, _ := s.Next(at); due != instant(t, "2027-06-01T00:00:01Z") {
		t.Error("next is", due)
	}
	if due, _ := s.Between(at, at.Add(time.Second), 5); len(due) != 1 || due[0] != instant(t, "2027-06-01T00:00:01Z") {
		t.Error("between are", due)
	}
}

func TestStartAndEndBoundDueTimes(t *testing.T) {
	s, err := Parse(config.Job{Schedule: "0 */6 * * *", Timezone: "America/Santiago", Start: "2026-09-06", End: "2026-09-07"})
	if err != nil {
		t.Fatal(err)
	}
	// Midnight of the 6th is not there; that of the 7th is the end, and no due time.
	if got, want := following(s, time.Time{}, 9), "09-06T01:00:00-03:00 09-06T06:00:00-03:00 09-06T12:00:00-03:00 09-06T18:00:00-03:00 never"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	due, more := s.Between(time.Time{}, instant(t, "2999-01-01T00:00:00Z"), 3)
	if len(due) != 3 || !more || due[0] != instant(t, "2026-09-06T09:00:00Z") || due[2] != instant(t, "2026-09-06T21:00:00Z") {
		t.Error("between are", due, more)
	}
}

func TestBetweenReturnsTheLatest(t *testing.T) {
	s := parsed(t, "@daily", "UTC")
	from, until := instant(t, "2027-06-01T00:00:00Z"), instant(t, "2027-06-04T00:00:00Z")
	for _, c := range []struct {
		most int
		want []int
		more bool
	}{{5, []int{2, 3, 4}, false}, {3, []int{2, 3, 4}, false}, {2, []int{3, 4}, true}, {0, nil, true}} {
		due, more := s.Between(from, until, c.most)
		var days []int
		for _, d := range due {
			days = append(days, d.Day())
		}
		if !slices.Equal(days, c.want) || more != c.more {
			t.Errorf("at most %d are the days %v, %t; want %v, %t", c.most, days, more, c.want, c.more)
		}
	}
	if due, more := s.Between(until, from, 5); len(due) != 0 || more {
		t.Error("between an end and a start are", due, more)
	}
}

// counted counts how often its times are asked for.
type counted struct {
	times
	asked int
}

func (c *counted) last(at int64) (int64, bool) { c.asked++; return c.times.last(at) }

func TestBetweenDoesNotWalkTheYear(t *testing.T) {
	s := parsed(t, "* * * * * *", "Europe/Madrid")
	c := &counted{times: s.times}
	s.times = c
	until := instant(t, "2027-12-31T00:00:00Z")
	due, more := s.Between(until.AddDate(-1, 0, 0), until, 10)
	if len(due) != 10 || !more || due[9] != until || c.asked != 11 {
		t.Error(len(due), more, due[9], "asked", c.asked)
	}
}

func TestDueTimesEndWithTheYear9999(t *testing.T) {
	for _, expression := range []string{"0 3 * * *", "* * * * *", "@every 100s", "@every 36500d"} {
		s := parsed(t, expression, "Europe/Madrid")
		if due, ok := s.Next(time.Unix(1<<40, 0)); ok {
			t.Error(expression, "is due in", due)
		}
		if due, ok := s.Next(time.Time{}.AddDate(-300, 0, 0)); !ok || due.Year() > 101 {
			t.Error(expression, "is first due in", due, ok)
		}
		if due, _ := s.Between(time.Unix(0, 0), time.Unix(1<<40, 0), 2); len(due) != 2 || due[1].Year() < 9899 {
			t.Error(expression, "is last due in", due)
		}
	}
}

func TestJitterIsEvenAndAlwaysTheSame(t *testing.T) {
	const most, parts, n = time.Minute, 10, 20_000
	due := instant(t, "2027-06-01T00:00:00Z")
	var counts [parts]int
	for i := range n {
		j := Jitter("sweep", due.Add(time.Duration(i)*time.Second), most)
		if j < 0 || j >= most {
			t.Fatal(j)
		}
		counts[j*parts/most]++
	}
	for part, count := range counts {
		if count < n/parts*9/10 || count > n/parts*11/10 {
			t.Errorf("%d of %d are in part %d of %d", count, n, part, parts)
		}
	}
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	// The value is fixed: hosts of different versions have to agree.
	if a, b := Jitter("sweep", due, most), Jitter("sweep", due.In(madrid), most); a != b || a != 23297555574 {
		t.Error("got", a, b)
	}
	if Jitter("sweep", due, most) == Jitter("tweet", due, most) || Jitter("sweep", due, 0) != 0 || Jitter("sweep", due, 1) != 0 {
		t.Error("jobs, or bounds, are not told apart")
	}
}

func TestParseAllSharesZonesAndNamesJobs(t *testing.T) {
	all, err := ParseAll(map[string]config.Job{"a": {Schedule: "@daily", Timezone: "Europe/Madrid"}, "b": {Schedule: "@hourly", Timezone: "Europe/Madrid"}})
	if err != nil || len(all) != 2 || all["a"].Zone() != all["b"].Zone() {
		t.Error(all, err)
	}
	_, err = ParseAll(map[string]config.Job{"b": {Schedule: "@dayly"}, "a": {Timezone: "Nowhere"}})
	want := "job a: timezone: there is no time zone \"Nowhere\": write one such as Europe/Madrid, or UTC\njob b: schedule: there is no \"@dayly\"; did you mean @daily?"
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestWhatIsNeverDueAgainIsDueAtNoTime(t *testing.T) {
	for _, j := range []config.Job{{Schedule: "2020-01-01T00:00:00Z"}, {Schedule: "@daily", End: "2020-01-01"}} {
		s, err := Parse(j)
		if err != nil {
			t.Fatal(err)
		}
		if due, ok := s.Next(instant(t, "2026-11-24T00:00:00Z")); ok || !due.IsZero() {
			t.Errorf("%s: %v, %v", j.Schedule, due, ok)
		}
	}
}
