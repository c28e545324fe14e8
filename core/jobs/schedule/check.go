package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
)

// Check finds what only this room can judge of jobs: expressions, time zones and bounds that can't be read. It warns of jobs that are never due, or not
// any more, of expressions that are easily misread, and of changes of the clock within a year that hit a job.
func Check(cfg *config.Config) []config.Problem { return check(cfg, time.Now()) }

func check(cfg *config.Config, now time.Time) (problems []config.Problem) {
	r := make(reader)
	for _, name := range slices.Sorted(maps.Keys(cfg.Jobs)) {
		j := cfg.Jobs[name]
		s, mistakes := r.parse(j)
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
		return append(doubts, "it is never due: no due time is between its start and its end")
	}
	if _, ok := s.Next(now); !ok {
		last, _ := s.times.last(s.end - 1)
		return append(doubts, "it is not due any more: its last due time was "+time.Unix(last, 0).In(s.Zone()).Format(time.RFC3339))
	}
	shifts := s.shifts(now.Unix(), now.AddDate(1, 0, 0).Unix())
	if len(shifts) == 0 {
		return doubts
	}
	var said []string
	for _, shift := range shifts {
		said = append(said, shift.String())
	}
	return append(doubts, "in "+s.Zone().String()+", "+strings.Join(said, "; ")+". Another time of day avoids that")
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
	second, minute := two(words[0]), two(words[1])
	if minute > "23" || !readable(words[:5]) {
		return ""
	}
	text := fmt.Sprintf("six fields begin with seconds: this is due each hour, at minute %s and second %s. Leave out the last field if %s:%s each day is meant",
		words[1], words[0], minute, second)
	if second == "00" {
		text += ", or the first if each hour is"
	}
	return text
}

// two writes a number with two digits.
func two(number string) string {
	if len(number) == 1 {
		return "0" + number
	}
	return number
}

func number(word string) bool { return strings.Trim(word, "0123456789") == "" }

func stepped(word string) bool { return strings.HasPrefix(word, "*/") || strings.HasPrefix(word, "?/") }

func restricted(word string) bool { return word != "*" && word != "?" }
