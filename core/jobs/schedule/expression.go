package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/onehost/edge/core/config"
)

const (
	maxExpression = 1000    // bytes: all minutes, hours and days as lists are half of it
	star          = 1 << 63 // the bit that cron sets in a field that was written as *
	allHours      = 1<<24 - 1
)

// parseTimes reads the value of schedule.
func parseTimes(text string, c clock) (times, error) {
	text = strings.TrimSpace(text)
	upper := strings.ToUpper(text)
	switch {
	case text == "":
		return nil, errors.New("it is empty: write five fields such as 0 3 * * * (each day at 03:00)")
	case len(text) > maxExpression:
		return nil, fmt.Errorf("it has %d bytes, and %d is the most", len(text), maxExpression)
	case strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ="):
		zone, _, _ := strings.Cut(text[strings.IndexByte(text, '=')+1:], " ")
		return nil, fmt.Errorf("a time zone has a key of its own: write timezone: %s", clip(zone))
	case strings.HasPrefix(text, "@"):
		return parseDescriptor(text, c)
	case strings.HasPrefix(upper, "CRON(") || strings.HasPrefix(upper, "RATE(") || strings.HasPrefix(upper, "AT("):
		return nil, errors.New("this is how EventBridge writes it: write the first five fields of cron(…) alone, @every 6h for rate(6 hours), the time alone for at(…)")
	case isTime(text):
		return parseOnce(text, c)
	}
	return parseFields(strings.Fields(text), c)
}

// descriptors are the words that stand for fields, and @every.
func descriptors() []string {
	return []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@every"}
}

func parseDescriptor(text string, c clock) (times, error) {
	words := strings.Fields(text)
	if words[0] == "@every" {
		return parseEvery(strings.Join(words[1:], " "))
	}
	spec, err := cron.NewParser(cron.Descriptor).Parse(text)
	if err == nil {
		return timesOf(spec.(*cron.SpecSchedule), c)
	}
	if len(words) == 1 && strings.HasPrefix(text, "@every") {
		return nil, fmt.Errorf("write a space: @every %s", clip(text[len("@every"):]))
	}
	if near := nearest(words[0], descriptors()); near != "" && near != words[0] {
		return nil, fmt.Errorf("there is no %s; did you mean %s?", quote(words[0]), near)
	}
	return nil, fmt.Errorf("there is no %s: it is one of %s 6h", quote(text), strings.Join(descriptors(), ", "))
}

func parseEvery(text string) (times, error) {
	d, err := config.ParseDuration(text)
	switch {
	case err != nil && text != "" && number(text):
		return nil, fmt.Errorf("@every needs a unit: write @every %ss, @every %sm or @every %sh", clip(text), clip(text), clip(text))
	case err != nil:
		return nil, fmt.Errorf("@every takes a duration such as 30s, 5m, 6h or 7d, and %s is none: %w", quote(text), err)
	case d < time.Second || d%time.Second != 0:
		return nil, fmt.Errorf("@every takes whole seconds, one at least, and %s is not that", quote(text))
	}
	return every(d / time.Second), nil
}

// parseFields reads five fields, or six with seconds first.
func parseFields(words []string, c clock) (times, error) {
	if len(words) != 5 && len(words) != 6 {
		return nil, fmt.Errorf("it has five fields (minute hour day month weekday), or six with seconds first, and this has %d", len(words))
	}
	all := words
	if len(words) == 5 {
		all = append([]string{"0"}, words...)
	}
	spec, err := cron.NewParser(everyField).Parse(strings.Join(all, " "))
	if err == nil && tidy(all) {
		return timesOf(spec.(*cron.SpecSchedule), c)
	}
	for i, k := range kinds() {
		if err := k.check(all[i]); err != nil {
			if len(words) == 6 && readable(words[:5]) {
				err = fmt.Errorf("six fields begin with seconds, and so %w. The first five alone are a schedule: leave out %s if they are meant", err, quote(words[5]))
			}
			return nil, err
		}
	}
	return nil, err
}

const everyField = cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow

// tidy reports whether six fields have only items that make sense, if cron takes them.
func tidy(words []string) bool {
	for i, k := range kinds() {
		for item := range strings.SplitSeq(words[i], ",") {
			if _, step, ok := cut(item); !ok || k.beyond(step) {
				return false
			}
		}
	}
	return true
}

// readable reports whether five fields can be read.
func readable(words []string) bool {
	for i, k := range kinds() {
		if i > 0 && k.check(words[i-1]) != nil {
			return false
		}
	}
	return true
}

func timesOf(spec *cron.SpecSchedule, c clock) (times, error) {
	f := fields{
		second: spec.Second &^ star, minute: spec.Minute &^ star, hour: spec.Hour &^ star,
		dom: spec.Dom &^ star, month: spec.Month &^ star, dow: spec.Dow &^ star,
		either: (spec.Dom|spec.Dow)&star == 0,
	}
	if _, ok := f.from(0); !ok {
		return nil, fmt.Errorf("it is never due: no month that it names has a day %d", bits.TrailingZeros64(f.dom))
	}
	if f.hour == allHours {
		return &repeated{f, c}, nil
	}
	return &fixed{f, c}, nil
}

// isTime reports whether a text begins as a date does.
func isTime(text string) bool {
	return len(text) > 4 && text[4] == '-' && strings.Trim(text[:4], "0123456789") == ""
}

const (
	localTime = "2006-01-02T15:04:05"
	localDate = "2006-01-02"
)

func parseOnce(text string, c clock) (times, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil && t.Nanosecond() == 0 {
		return once{due: t.Unix()}, nil
	}
	if t, err := time.Parse(localTime, text); err == nil && t.Nanosecond() == 0 {
		return once{due: c.reached(t.Unix()), clock: t.Unix(), local: true}, nil
	}
	return nil, fmt.Errorf("a single time is written as 2027-01-31T12:00:00Z, or without Z in the job's time zone, and %s is not", quote(text))
}

// parseBound reads the value of start or end.
func parseBound(text string, c clock) (int64, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(localDate, text); err == nil {
		return c.reached(t.Unix()), nil
	}
	t, err := parseOnce(text, c)
	if err != nil {
		return 0, fmt.Errorf("it is a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z, and %s is neither", quote(text))
	}
	return t.(once).due, nil
}

func quote(text string) string { return strconv.Quote(clip(text)) }

// clip shortens a text for a message.
func clip(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
