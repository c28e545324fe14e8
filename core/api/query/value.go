package query

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
)

// kindOf is the kind of a path's value.
func kindOf(p Path) schema.Kind {
	switch p.System {
	case ID:
		return schema.Integer
	case DocumentID, Locale:
		return schema.String
	case CreatedAt, UpdatedAt, PublishedAt:
		return schema.DateTime
	}
	return p.Last.Kind
}

// numbers and texts are the kinds whose values a store keeps as such.
var (
	numbers = []schema.Kind{schema.Integer, schema.BigInteger, schema.Float, schema.Decimal}
	texts   = []schema.Kind{schema.String, schema.Text, schema.RichText, schema.Email, schema.UID, schema.Enumeration, schema.Date, schema.Time}
)

// textual reports whether a store keeps values of the kind as strings.
func textual(k schema.Kind) bool {
	return slices.Contains(texts, k)
}

// convert makes of a text what a store keeps for the kind.
func convert(text string, k schema.Kind, path string) (any, error) {
	switch {
	case slices.Contains(numbers, k):
		text = strings.TrimSpace(text)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && (k == schema.Integer || k == schema.BigInteger) {
			return n, nil
		}
		if f, ok := float(text); ok {
			return f, nil
		}
		return nil, invalidValue("filters", path, "Invalid value %s at %s. Expected a number", shown(text), path)
	case k == schema.Boolean:
		return truth(text), nil
	case k == schema.Date:
		return date(text)
	case k == schema.Time:
		return clock(text)
	case k == schema.DateTime:
		if at, ok := moment(strings.TrimSpace(text)); ok {
			return at, nil
		}
		return nil, problem.Validation("Invalid format, expected a timestamp or an ISO date")
	}
	return text, nil
}

// float reads a decimal number.
func float(text string) (float64, bool) {
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// truth is how Strapi reads a boolean: what is not false is true.
func truth(text string) bool {
	switch text {
	case "", "false", "f", "0":
		return false
	}
	return true
}

// date reads the day that a text begins with.
func date(text string) (any, error) {
	if len(text) < 10 || !shaped(text[:10], "dddd-dd-dd") {
		return nil, problem.Validation("Invalid format, expected yyyy-MM-dd")
	}
	if _, err := time.Parse(time.DateOnly, text[:10]); err != nil {
		return nil, problem.Validation("Invalid date")
	}
	return text[:10], nil
}

// clock reads a time of day, with a fraction of up to three digits.
func clock(text string) (any, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	_, err := time.Parse(time.TimeOnly, whole)
	valid := len(text) != len(whole)+1 && len(fraction) <= 3 && shaped(fraction, "ddd"[:min(len(fraction), 3)])
	if err != nil || !shaped(whole, "dd:dd:dd") || !valid {
		return nil, problem.Validation("Invalid time format, expected HH:mm:ss.SSS")
	}
	return whole + "." + (fraction + "000")[:3], nil
}

// shaped reports whether a text has digits where the shape has d, and else what the shape has.
func shaped(text, shape string) bool {
	if len(text) != len(shape) {
		return false
	}
	for i := range len(text) {
		if shape[i] == 'd' && (text[i] < '0' || text[i] > '9') || shape[i] != 'd' && text[i] != shape[i] {
			return false
		}
	}
	return true
}

// days and clocks are the forms of ISO 8601 that are read, and that Go can say.
var (
	days   = []string{"2006-01-02", "20060102", "2006-01", "2006"}
	clocks = []string{"15:04:05.999999999", "15:04", "150405.999999999", "1504", "15"}
)

// moment reads a day and perhaps a time, in UTC when no zone is said, or milliseconds since 1970.
func moment(text string) (time.Time, bool) {
	day, rest := text, ""
	if at := strings.IndexAny(text, "T "); at >= 0 {
		day, rest = text[:at], text[at+1:]
		if rest == "" {
			return time.Time{}, false
		}
	}
	for _, form := range days {
		if len(day) != len(form) {
			continue
		}
		if at, err := time.Parse(form, day); err == nil {
			return onDay(at, rest)
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > -8.64e15 && ms < 8.64e15 {
		return time.UnixMilli(ms).UTC(), true
	}
	return time.Time{}, false
}

// onDay adds a time of day, with its zone.
func onDay(day time.Time, text string) (time.Time, bool) {
	if text == "" {
		return day, true
	}
	zone := ""
	if at := strings.IndexAny(text, "Z+-"); at >= 0 {
		text, zone = text[:at], text[at:]
	}
	away, ok := offset(zone)
	if !ok {
		return time.Time{}, false
	}
	for _, form := range clocks {
		at, err := time.Parse(form, strings.Replace(text, ",", ".", 1))
		if err == nil {
			since := at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))
			return day.Add(since - away).Truncate(time.Millisecond), true
		}
	}
	return time.Time{}, false
}

// offset reads Z, +02, +0200 or +02:00.
func offset(zone string) (time.Duration, bool) {
	if zone == "" || zone == "Z" {
		return 0, true
	}
	for _, form := range []string{"-07:00", "-0700", "-07"} {
		if len(zone) != len(form) {
			continue
		}
		if at, err := time.Parse(form, zone); err == nil {
			_, seconds := at.Zone()
			return time.Duration(seconds) * time.Second, true
		}
	}
	return 0, false
}
