package schedule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/robfig/cron/v3"
)

// A kind is one of the six fields.
type kind struct {
	name      string
	option    cron.ParseOption
	low, high int
	unit      string // of durations; "" if it has none
}

// kinds are the fields in their order, seconds first.
func kinds() [6]kind {
	return [6]kind{
		{"second", cron.Second, 0, 59, "s"},
		{"minute", cron.Minute, 0, 59, "m"},
		{"hour", cron.Hour, 0, 23, "h"},
		{"day of the month", cron.Dom, 1, 31, ""},
		{"month", cron.Month, 1, 12, ""},
		{"weekday", cron.Dow, 0, 6, ""},
	}
}

// check says what is wrong with a field. It is stricter than cron, which takes empty items, ends that it does not look at, and steps that lead nowhere.
func (k kind) check(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		ends, step, ok := cut(item)
		_, err := cron.NewParser(k.option).Parse(item)
		switch {
		case !ok || err != nil:
			return fmt.Errorf("%s is no %s: %s", quote(item), k.name, k.hint(ends))
		case k.beyond(step) && k.unit != "":
			return fmt.Errorf("steps of %d go beyond the %s: write @every %d%s", step, k.name, step, k.unit)
		case k.beyond(step):
			return fmt.Errorf("steps of %d go beyond the %s, which is %d at most", step, k.name, k.high)
		}
	}
	return nil
}

// beyond reports whether steps are so large that they lead nowhere.
func (k kind) beyond(step int) bool { return step > k.high-k.low+1 }

// cut takes an item of a field apart: *, ?, a value or two of them, and the step, which is 1 if none is written.
func cut(item string) (ends []string, step int, ok bool) {
	base, after, stepped := strings.Cut(item, "/")
	step = 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(after); err != nil || !plain(after) {
			return nil, 0, false
		}
	}
	if base == "*" || base == "?" {
		return nil, step, true
	}
	if plain(base) {
		return []string{base}, step, true
	}
	low, high, _ := strings.Cut(base, "-")
	return []string{low, high}, step, plain(low) && plain(high)
}

// plain reports whether a text is made of ASCII letters and digits.
func plain(text string) bool {
	for _, r := range text {
		if r >= 0x80 || (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') {
			return false
		}
	}
	return text != ""
}

// hint says what to write in a field instead of a value or a range that can't be read.
func (k kind) hint(ends []string) string {
	values := make([]int, len(ends))
	for i, end := range ends {
		value, err := strconv.Atoi(end)
		if err != nil {
			return k.usual()
		}
		values[i] = value
		switch {
		case value == k.high+1 && k.name == "weekday":
			return "Sunday is 0, or sun"
		case value == k.high+1 && k.low == 0:
			return fmt.Sprintf("it is %d to %d, and %d is 0 of the next", k.low, k.high, value)
		case value > k.high || value < k.low:
			return fmt.Sprintf("it is %d to %d", k.low, k.high)
		}
	}
	if len(values) == 2 && values[0] > values[1] {
		return fmt.Sprintf("a range does not go over the end: write %d-%d,%d-%d", values[0], k.high, k.low, values[1])
	}
	return k.usual()
}

func (k kind) usual() string {
	what := fmt.Sprintf("write %d to %d", k.low, k.high)
	switch k.name {
	case "month":
		what += " or jan to dec"
	case "weekday":
		what += " (0 is Sunday) or sun to sat"
	}
	return what + ", * for all, a range such as 1-5, a list such as 1,5, or steps such as */2; L, W and # are not known"
}
