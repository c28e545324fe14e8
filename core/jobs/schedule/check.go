package schedule

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
)

// Check finds what only this room can judge of jobs: expressions, time zones and bounds that can't be read. It warns of jobs that are never due, or not
// any more, of expressions that are easily misread, and of changes of the clock within a year that hit a job.
func Check(cfg *config.Config) []config.Problem { return check(cfg, time.Now()) }

func check(cfg *config.Config, now time.Time) (problems []config.Problem) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Jobs)) {
		j := cfg.Jobs[name]
		s, mistakes := parse(j)
		for _, m := range mistakes {
			problems = append(problems, cfg.Problem(shown(cfg, j, name, m), "jobs", name, m.key))
		}
		if len(mistakes) > 0 {
			continue
		}
		for _, doubt := range s.doubts(j, now) {
			problems = append(problems, cfg.Warning(doubt, "jobs", name, "schedule"))
		}
	}
	return problems
}

// shown is a message without what may be a secret.
func shown(cfg *config.Config, j config.Job, name string, m mistake) string {
	value := map[string]string{"schedule": j.Schedule, "timezone": j.Timezone, "start": j.Start, "end": j.End}[m.key]
	if hidden := cfg.Show(value, "jobs", name, m.key); !strings.HasPrefix(hidden, `"`) {
		return hidden + " is no " + m.key + " of a job"
	}
	return m.message
}

// doubts are what a schedule probably does not mean.
func (s *Schedule) doubts(j config.Job, now time.Time) (doubts []string) {
	if misread := misread(strings.Fields(j.Schedule)); misread != "" {
		doubts = append(doubts, misread)
	}
	if _, ok := s.next(firstSecond - 1); !ok {
		return append(doubts, "it is never due: there is no due time from its start up to its end")
	}
	if _, ok := s.Next(now); !ok {
		return append(doubts, "it is not due any more: its last due time has passed")
	}
	shifts := s.shifts(now.Unix(), now.AddDate(1, 0, 0).Unix())
	if len(shifts) == 0 {
		return doubts
	}
	var said []string
	for _, shift := range shifts {
		said = append(said, shift.String())
	}
	return append(doubts, "in "+s.Zone().String()+", "+strings.Join(said, "; "))
}

// misread says how fields that can be read in two ways are read here.
func misread(words []string) string {
	n := len(words)
	if n < 5 || strings.HasPrefix(words[0], "@") {
		return ""
	}
	dom, dow := words[n-3], words[n-1]
	if (stepped(dom) || stepped(dow)) && restricted(dom) && restricted(dow) {
		return "it is due on days that match the day of the month or the weekday; other cron daemons want both here"
	}
	if n != 6 || !number(words[0]) || !number(words[1]) || words[2] != "*" || restricted(dow) {
		return ""
	}
	if hour, _ := strconv.Atoi(words[1]); hour > 23 || !readable(words[:5]) {
		return ""
	}
	return "six fields begin with seconds: this is due each hour, at minute " + words[1] + " and second " + words[0] +
		". Leave out the last field if the first two are the minute and the hour" + hourly(words)
}

// hourly says how six fields are written that are due each hour on purpose.
func hourly(words []string) string {
	if strings.Trim(words[0], "0") != "" {
		return ""
	}
	return ", or the first if each hour is meant"
}

func number(word string) bool { return strings.Trim(word, "0123456789") == "" }

func stepped(word string) bool { return strings.HasPrefix(word, "*/") || strings.HasPrefix(word, "?/") }

func restricted(word string) bool { return word != "*" && word != "?" }
