package schedule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestMistakesSayWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		job  config.Job
		want string
	}{
		{config.Job{}, "schedule: it is empty: write five fields such as 0 3 * * *"},
		{config.Job{Schedule: "60 * * * *"}, `schedule: "60" is no minute: it is 0 to 59, and 60 is 0 of the next`},
		{config.Job{Schedule: "0 24 * * *"}, `schedule: "24" is no hour: it is 0 to 23, and 24 is 0 of the next`},
		{config.Job{Schedule: "0 0 0 * *"}, `schedule: "0" is no day of the month: it is 1 to 31`},
		{config.Job{Schedule: "0 0 * 13 *"}, `schedule: "13" is no month: it is 1 to 12`},
		{config.Job{Schedule: "0 0 * foo *"}, `schedule: "foo" is no month: write 1 to 12 or jan to dec`},
		{config.Job{Schedule: "0 0 * * monday"}, `schedule: "monday" is no weekday: write 0 to 6 (0 is Sunday) or sun to sat`},
		{config.Job{Schedule: "0 0 * * 5-7"}, `schedule: "5-7" is no weekday: Sunday is 0, or sun`},
		{config.Job{Schedule: "0 22-6 * * *"}, `schedule: "22-6" is no hour: a range does not go over the end: write 22-23,0-6`},
		{config.Job{Schedule: "0 0 L * *"}, `L, W and # are not known`},
		{config.Job{Schedule: "*/90 * * * *"}, "schedule: steps of 90 go beyond the minute: write @every 90m"},
		{config.Job{Schedule: "0 0 */40 * *"}, "schedule: steps of 40 go beyond the day of the month, which is 31 at most"},
		{config.Job{Schedule: "1,,2 * * * *"}, `schedule: "" is no minute`},
		{config.Job{Schedule: "*-5 * * * *"}, `schedule: "*-5" is no minute`},
		{config.Job{Schedule: "+5 * * * *"}, `schedule: "+5" is no minute`},
		{config.Job{Schedule: "*/0 * * * *"}, `schedule: "*/0" is no minute`},
		{config.Job{Schedule: "0 3 * *"}, "schedule: it has five fields (minute hour day month weekday), or six with seconds first, and this has 4"},
		{config.Job{Schedule: "0 3 * * * root"}, `The first five alone are a schedule: leave out "root" if they are meant`},
		{config.Job{Schedule: "0 3 * * * 2027"}, `leave out "2027" if they are meant`},
		{config.Job{Schedule: "0 0 30 2 *"}, "schedule: it is never due: no month that it names has a day 30"},
		{config.Job{Schedule: "0 0 31 4,6,9,11 *"}, "no month that it names has a day 31"},
		{config.Job{Schedule: "@evry 6h"}, `schedule: there is no "@evry"; did you mean @every?`},
		{config.Job{Schedule: "@Daily"}, `did you mean @daily?`},
		{config.Job{Schedule: "@reboot"}, `schedule: there is no "@reboot": it is one of @hourly, @daily`},
		{config.Job{Schedule: "@every6h"}, "schedule: write a space: @every 6h"},
		{config.Job{Schedule: "@every"}, "schedule: @every takes a duration such as 30s"},
		{config.Job{Schedule: "@every 6"}, "schedule: @every needs a unit: write @every 6s, @every 6m or @every 6h"},
		{config.Job{Schedule: "@every 500ms"}, "schedule: @every takes whole seconds, one at least"},
		{config.Job{Schedule: "@every 1500ms"}, "schedule: @every takes whole seconds, one at least"},
		{config.Job{Schedule: "TZ=Europe/Madrid 0 3 * * *"}, "schedule: a time zone has a key of its own: write timezone: Europe/Madrid"},
		{config.Job{Schedule: "CRON_TZ=Europe/Madrid"}, "write timezone: Europe/Madrid"},
		{config.Job{Schedule: "cron(0 3 * * ? *)"}, "schedule: this is how EventBridge writes it"},
		{config.Job{Schedule: "2027-01-31"}, "schedule: a single time is written as 2027-01-31T12:00:00Z"},
		{config.Job{Schedule: "2027-01-31 12:00:00"}, "schedule: a single time is written as 2027-01-31T12:00:00Z"},
		{config.Job{Schedule: strings.Repeat("1,", 600) + "1 * * * *"}, "and 1000 is the most"},
		{config.Job{Schedule: "@daily", Timezone: "Europe/Madird"}, `timezone: there is no time zone "Europe/Madird"; did you mean Europe/Madrid?`},
		{config.Job{Schedule: "@daily", Timezone: "europe/madrid"}, "did you mean Europe/Madrid?"},
		{config.Job{Schedule: "@daily", Timezone: "Madrid"}, "did you mean Europe/Madrid?"},
		{config.Job{Schedule: "@daily", Timezone: "new york"}, "did you mean America/New_York?"},
		{config.Job{Schedule: "@daily", Timezone: "Local"}, `there is no time zone "Local": write one such as Europe/Madrid, or UTC`},
		{config.Job{Schedule: "@daily", Timezone: "../../etc/passwd"}, "there is no time zone"},
		{config.Job{Schedule: "@daily", Timezone: "right/Europe/Madrid"}, "there is no time zone"},
		{config.Job{Schedule: "@daily", Start: "tomorrow"}, `start: it is a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z, and "tomorrow" is neither`},
		{config.Job{Schedule: "@daily", Start: "x", End: "2027-02-30"}, `end: it is a date`},
	} {
		if s, err := Parse(c.job); err == nil || !strings.Contains(err.Error(), c.want) || s != nil {
			t.Errorf("%+v: got %v, %v, want %q", c.job, s, err, c.want)
		}
	}
}

// checked is what check says of jobs, a line each.
func checked(t *testing.T, jobs string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	text := "tls: {issuers: [local]}\nhosts: {example.com: {default: {respond: {}}}}\njobs:\n" + jobs
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, config.Env{LookupEnv: func(string) (string, bool) { return "0 60 * * *", true }})
	if config.Failed(problems) {
		t.Fatal(problems)
	}
	var lines []string
	for _, p := range check(cfg, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)) {
		what := "problem"
		if p.Warning {
			what = "warning"
		}
		lines = append(lines, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, what, p.Message))
	}
	return strings.Join(lines, "\n")
}

func TestCheckNamesThePlace(t *testing.T) {
	got := checked(t, `  a: {schedule: "0 25 * * *", start: soon, command: /bin/true}
  b: {schedule: "@daily", timezone: Mars/Olympus, command: /bin/true}
  c: {schedule: "${SECRET}", command: /bin/true}
  d: {schedule: "0 3 * * *", timezone: Europe/Madrid, command: /bin/true}`)
	want := `4:17 problem: "25" is no hour: it is 0 to 23
4:38 problem: it is a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z, and "soon" is neither
5:37 problem: there is no time zone "Mars/Olympus": write one such as Europe/Madrid, or UTC
6:17 problem: the value of ${…} is no schedule of a job`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckWarnsOncePerJobOfChangesOfTheClock(t *testing.T) {
	got := checked(t, `  a: {schedule: "30 2 * * *", timezone: Europe/Madrid, command: /bin/true}`)
	want := "4:17 warning: in Europe/Madrid, on 2027-03-28 the clock goes from 02:00 to 03:00, and what is due at 02:30 is due at 03:00; " +
		"on 2027-10-31 the clock goes from 03:00 to 02:00, and what is due at 02:30 is due at the first of the two (00:30 UTC). Another time of day avoids that"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckWarnsOfWhatIsProbablyNotMeant(t *testing.T) {
	for job, want := range map[string]string{
		`{schedule: "0 3 * * *", start: "2027-06-01", end: "2027-05-01"}`: "it is never due: no due time is between its start and its end",
		`{schedule: "2027-01-31T12:00:00Z", end: "2027-01-31"}`:           "it is never due: no due time is between its start and its end",
		`{schedule: "2025-01-31T12:00:00Z"}`:                              "it is not due any more: its last due time was 2025-01-31T12:00:00Z",
		`{schedule: "@daily", end: "2026-01-01", timezone: Asia/Tokyo}`:   "it is not due any more: its last due time was 2025-12-31T00:00:00+09:00",
		`{schedule: "0 0 */2 * 1"}`:                                       "it is due on days that match the day of the month or the weekday; other cron daemons want both here",
		`{schedule: "30 3 * * * *"}`:                                      "six fields begin with seconds: this is due each hour, at minute 3 and second 30. Leave out the last field if 03:30 each day is meant",
		`{schedule: "0 3 * * ? *"}`:                                       "six fields begin with seconds: this is due each hour, at minute 3 and second 0. Leave out the last field if 03:00 each day is meant, or the first if each hour is",
		`{schedule: "*/30 3 * * * *"}`:                                    "",
		`{schedule: "0 */5 * * * *"}`:                                     "",
		`{schedule: "0 30 3 * * *"}`:                                      "",
		`{schedule: "0 0 13 * 5"}`:                                        "",
		`{schedule: "@every 6h"}`:                                         "",
	} {
		got := checked(t, "  a: "+strings.TrimSuffix(job, "}")+", command: /bin/true}")
		if want != "" {
			want = "4:17 warning: " + want
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", job, got, want)
		}
	}
}
