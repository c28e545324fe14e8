package input

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	day   = regexp.MustCompile(`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`)
	clock = regexp.MustCompile(`^(2[0-3]|[01][0-9]):([0-5][0-9]):([0-5][0-9])(\.[0-9]{1,3})?$`)
)

// parseDate reads a date. Strapi takes a time as well, and cuts it off.
func parseDate(v any) (kept any, wrong string) {
	text, _ := v.(string)
	found := day.FindString(text)
	if found == "" {
		return nil, "Invalid format, expected yyyy-MM-dd"
	}
	if at, err := time.Parse(time.DateOnly, found); err != nil || at.Year() < 1 {
		return nil, "Invalid date"
	}
	return found, ""
}

// parseTime reads a time of day, and fills up its milliseconds.
func parseTime(v any) (kept any, wrong string) {
	text, ok := v.(string)
	if !ok {
		return nil, "Expected a string, got a " + javaScriptType(v)
	}
	if !clock.MatchString(text) {
		return nil, "Invalid time format, expected HH:mm:ss.SSS"
	}
	seconds, parts, _ := strings.Cut(text, ".")
	return seconds + "." + (parts + "000")[:3], ""
}

func javaScriptType(v any) string {
	switch v.(type) {
	case json.Number:
		return "number"
	case bool:
		return "boolean"
	}
	return "object"
}

// layouts of ISO 8601 that are taken beside RFC 3339. What has no zone is in UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700",
	time.DateTime, "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00", "20060102T150405Z0700", "20060102", "2006-01",
}

// parseDateTime reads an instant: in a form of ISO 8601, or in milliseconds since 1970.
func parseDateTime(v any) (kept any, wrong string) {
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	if len(text) <= 64 {
		for _, layout := range layouts {
			if at, err := time.Parse(layout, text); err == nil && lasts(at) {
				return at.UTC().Truncate(time.Millisecond), ""
			}
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && lasts(time.UnixMilli(ms)) {
		return time.UnixMilli(ms).UTC(), ""
	}
	return nil, "Invalid format, expected a timestamp or an ISO date"
}

// lasts accepts a time that every store can keep.
func lasts(at time.Time) bool { y := at.UTC().Year(); return y >= 1 && y <= 9999 }
