package schedule

import (
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/robfig/cron/v3"

	"github.com/onehost/edge/core/config"
)

// patience is what one schedule may take on the busiest host: what takes longer has walked where it should have counted.
const patience = 2 * time.Second

func FuzzParseAndNext(f *testing.F) {
	for _, expression := range []string{
		"*/5 * * * *", "30 2 * * *", "0 30 2 29 2 *", "0 0 30 2 *", "0 0 13 * fri", "* * * * * *", "@every 90m", "@weekly", "2027-03-28T02:30:00",
		"60 * * * *", "22-6 * * * *", "TZ=UTC", "@evry", "cron(* * * * ? *)", "0 3 * * * root", "1-2-3/4,?/5 * * * *", "0 0 29 2 ?", "@every 36500d",
	} {
		for i, zone := range []string{"Europe/Madrid", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Nowhere"} {
			f.Add(expression, zone, "", "2040-01-01", int64(i)*400_000_000)
		}
	}
	f.Add("@daily", "", "2027-01-01", "2027-01-01T00:00:00Z", int64(-1)<<62)
	f.Add("0 3 31 * *", "Europe/Madrid", "9999-12-31", "", int64(1)<<62)
	f.Fuzz(func(t *testing.T, expression, zone, start, end string, at int64) {
		began := time.Now()
		s, err := Parse(config.Job{Schedule: expression, Timezone: zone, Start: start, End: end})
		if err != nil {
			if utf8.ValidString(expression+zone+start+end) && !utf8.ValidString(err.Error()) {
				t.Error("the message is no text:", err)
			}
			return
		}
		s.Shifts(2027)
		agree(t, s, time.Unix(at, 0))
		if took := time.Since(began); took > patience {
			t.Error("took", took)
		}
	})
}

// agree holds Next, and Between, to what they promise.
func agree(t *testing.T, s *Schedule, from time.Time) {
	var due []time.Time
	for at := from; len(due) < 20; {
		next, ok := s.Next(at)
		if !ok {
			break
		}
		if !next.After(at) || next.Unix() < s.start || next.Unix() >= s.end || next.Nanosecond() != 0 {
			t.Fatalf("%s is due after %s", next, at)
		}
		due, at = append(due, next), next
	}
	if len(due) == 0 {
		if got, _ := s.Between(from, time.Unix(lastSecond, 0), 1); len(got) > 0 {
			t.Fatalf("nothing is due after %s, but between is %s", from, got)
		}
		return
	}
	got, more := s.Between(from, due[len(due)-1], len(due))
	if !slices.Equal(got, due) || more {
		t.Fatalf("from %s next are\n%v, and between are\n%v", from, due, got)
	}
}

func FuzzNextIsThatOfCronWhereTheClockDoesNotChange(f *testing.F) {
	for _, expression := range []string{"*/5 * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 13 * fri", "5,7-9 */3 31 1-12/2 ?", "0 0 */2 * 1", "@weekly", "@monthly"} {
		f.Add(expression, int64(1_800_000_000))
		f.Add(expression, int64(-1_800_000_001))
	}
	f.Fuzz(func(t *testing.T, expression string, at int64) {
		s, err := Parse(config.Job{Schedule: expression})
		if _, once := timesIn(s).(once); err != nil || once || at < -1<<35 || at > 1<<37 {
			return
		}
		if _, every := timesIn(s).(every); every {
			return
		}
		parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
		other, err := parser.Parse(expression)
		if err != nil {
			return // white space around it
		}
		other.(*cron.SpecSchedule).Location = time.UTC
		want := other.Next(time.Unix(at, 0).UTC())
		if got, ok := s.Next(time.Unix(at, 0)); !want.IsZero() && (!ok || got != want) { // cron gives up after five years
			t.Errorf("%q after %d is %s, and cron's %s", expression, at, got, want)
		}
	})
}

func timesIn(s *Schedule) times {
	if s == nil {
		return nil
	}
	return s.times
}
