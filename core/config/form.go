package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A form is how a scalar of one kind is written. Decoding and the schema both follow it.
type form struct {
	wants   string   // what it is, after "should be": "a duration such as 30s"
	tags    []string // the YAML types that it may be written as
	words   []string // the only texts that it may have; nil: any
	pattern string   // what the text must match, in what RE2 and ECMAScript's regular expressions share
	matches *regexp.Regexp
	min     *int // bounds of a number
	max     *int
	secret  bool // no message shows the text

	// parse makes a value of the text. Its error is the reason alone: it must not repeat the text, which may be a secret.
	parse func(text string, src *source) (any, error)
}

// The YAML types of scalars (https://yaml.org/type/), as the forms name them.
const (
	yamlText  = "!!str"
	yamlInt   = "!!int"
	yamlFloat = "!!float"
	yamlBool  = "!!bool"
	yamlNull  = "!!null"
)

func newForm(t reflect.Type, is string) (form, bool) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return durationForm(is == "positive"), true
	case reflect.TypeFor[Size]():
		return sizeForm(), true
	case reflect.TypeFor[Rate]():
		return rateForm(), true
	case reflect.TypeFor[slog.Level]():
		return levelForm(), true
	case reflect.TypeFor[netip.Prefix]():
		return prefixForm(), true
	case reflect.TypeFor[[]StatusRange]():
		return statusForm(), true
	}
	if t.Kind() == reflect.Bool {
		return boolForm(), true
	}
	if t.Kind() == reflect.Int {
		return intForm(is), true
	}
	if t.Kind() == reflect.Float64 {
		return shareForm(), true
	}
	if t.Kind() == reflect.String {
		return stringForm(is), true
	}
	return form{}, false
}

// read makes a value of a scalar's text. If it is not what the form wants, why says why, as far as that can be told.
func (f form) read(text string, src *source) (v any, why string, ok bool) {
	if f.words != nil && !slices.Contains(f.words, text) {
		if near := nearest(text, f.words); near != "" {
			why = "did you mean " + near + "?"
		}
		return nil, why, false
	}
	if f.matches != nil && !f.matches.MatchString(text) {
		return nil, f.hint(text), false
	}
	if f.parse == nil {
		return text, "", true
	}
	v, err := f.parse(text, src)
	if err != nil {
		return nil, err.Error(), false
	}
	return v, "", true
}

// hint says what is wrong with a text that does not match the pattern, where that can be told.
func (f form) hint(text string) string {
	switch {
	case text == "":
		return "it is empty"
	case f.min != nil && *f.min == 0 && strings.HasPrefix(text, "-"):
		return "it can't be negative"
	case f.max != nil && *f.max == 0:
		if _, err := strconv.Atoi(text); err == nil {
			return "it needs a unit"
		}
	case strings.HasPrefix(text, "http:") && f.matches.MatchString("https"+text[4:]):
		return "it has to be https"
	case strings.TrimSpace(text) != text:
		return "it has space around it"
	}
	return ""
}

func boolForm() form {
	return form{
		wants: "on or off",
		tags:  []string{yamlBool, yamlText},
		words: []string{"true", "false", "on", "off", "yes", "no"},
		parse: func(text string, _ *source) (any, error) {
			return text == "true" || text == "on" || text == "yes", nil
		},
	}
}

// intForm reads FROM..TO, FROM.. or ONE|OTHER.
func intForm(is string) form {
	f := form{
		tags:    []string{yamlInt},
		pattern: `^(0|-?[1-9][0-9]*)$`,
		parse:   func(text string, _ *source) (any, error) { return parseInt(text) },
	}
	if strings.Contains(is, "|") {
		f.words = strings.Split(is, "|")
		f.wants = list(f.words, "or")
		return f
	}
	from, to, _ := strings.Cut(is, "..")
	if least, err := strconv.Atoi(from); err == nil {
		f.min, f.wants = &least, "a whole number from "+from
	}
	if most, err := strconv.Atoi(to); err == nil {
		f.max = &most
		f.wants += " to " + to
	}
	f.parse = func(text string, _ *source) (any, error) {
		n, err := parseInt(text)
		if err == nil && (f.min != nil && n < *f.min || f.max != nil && n > *f.max) {
			err = errOutOfRange
		}
		return n, err
	}
	return f
}

// shareForm reads a number from 0 to 1.
func shareForm() form {
	return form{
		wants:   "a number from 0 to 1, such as 0.5",
		tags:    []string{yamlInt, yamlFloat},
		pattern: `^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$`,
		parse:   func(text string, _ *source) (any, error) { return strconv.ParseFloat(text, 64) },
	}
}

var errOutOfRange = errors.New("it is out of range")

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n > 1<<31-1 || n < -1<<31 {
		return 0, errOutOfRange
	}
	return n, nil
}

func durationForm(positive bool) form {
	return form{
		wants:   "a duration such as 30s, 5m or 30d",
		tags:    []string{yamlText, yamlInt},
		pattern: `^(0|([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*)$`,
		min:     new(int), // a bare number may only be 0
		max:     new(int),
		parse: func(text string, _ *source) (any, error) {
			d, err := ParseDuration(text)
			if err == nil && positive && d == 0 {
				err = errors.New("it must be more than 0")
			}
			return d, err
		},
	}
}

// ParseDuration reads a Go duration that may begin with days: 30d, 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, errors.New("it is empty")
	}
	var total time.Duration
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n > int64(maxDuration/(24*time.Hour)) {
			return 0, errOutOfRange
		}
		total, text = time.Duration(n)*24*time.Hour, rest
	}
	if text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d > maxDuration-total {
			return 0, errOutOfRange
		}
		total += d
	}
	return total, nil
}

// maxDuration keeps sums of a few durations from overflowing.
const maxDuration = 100 * 365 * 24 * time.Hour

func sizeForm() form {
	return form{
		wants:   "a size such as 65536, 64KiB or 10MiB",
		tags:    []string{yamlText, yamlInt},
		pattern: `^(0|[1-9][0-9]*)(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$`,
		min:     new(int),
		parse:   func(text string, _ *source) (any, error) { return parseSize(text) },
	}
}

func parseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "BKMGTi")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errOutOfRange
	}
	unit := int64(1)
	switch suffix := text[len(digits):]; {
	case len(suffix) == 3:
		unit = 1 << (10 * (1 + strings.Index("KMGT", suffix[:1])))
	case len(suffix) == 2:
		for range 1 + strings.Index("KMGT", suffix[:1]) {
			unit *= 1000
		}
	}
	if n > (1<<62)/unit {
		return 0, errOutOfRange
	}
	return Size(n * unit), nil
}

func rateForm() form {
	return form{
		wants:   "a rate such as 50/s, 300/m or 1000/h",
		tags:    []string{yamlText},
		pattern: `^[1-9][0-9]{0,8}/[smh]$`,
		parse: func(text string, _ *source) (any, error) {
			digits, per, _ := strings.Cut(text, "/")
			n, err := strconv.Atoi(digits)
			units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
			return Rate{N: n, Per: units[per]}, err
		},
	}
}

func levelForm() form {
	return form{
		wants: "debug, info, warn or error",
		tags:  []string{yamlText},
		words: []string{"debug", "info", "warn", "error"},
		parse: func(text string, _ *source) (any, error) {
			var level slog.Level
			err := level.UnmarshalText([]byte(text))
			return level, err
		},
	}
}

func prefixForm() form {
	return form{
		wants:   "an IP address or a network such as 10.0.0.0/8",
		tags:    []string{yamlText},
		pattern: `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`,
		parse: func(text string, _ *source) (any, error) {
			if addr, err := netip.ParseAddr(text); err == nil {
				return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
			}
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, errors.New("it can't be read as one")
			}
			if p != p.Masked() {
				return nil, fmt.Errorf("it has bits set after the first %d", p.Bits())
			}
			if p.Addr().Is4In6() && p.Bits() >= 96 { // visitors' addresses are looked at as IPv4
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			return p, nil
		},
	}
}

func statusForm() form {
	return form{
		wants:   `status codes such as 200, 200-299 or "200,302"`,
		tags:    []string{yamlText, yamlInt},
		pattern: `^[1-5][0-9][0-9](-[1-5][0-9][0-9])?(, *[1-5][0-9][0-9](-[1-5][0-9][0-9])?)*$`,
		parse: func(text string, _ *source) (any, error) {
			var ranges []StatusRange
			for part := range strings.SplitSeq(text, ",") {
				first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
				if !isRange {
					last = first
				}
				from, _ := strconv.Atoi(first) // the pattern lets only digits through
				to, _ := strconv.Atoi(last)
				if from > to {
					return nil, errors.New("a range goes from the lower to the higher")
				}
				ranges = append(ranges, StatusRange{from, to})
			}
			return ranges, nil
		},
	}
}
