package schedule

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // for hosts without zoneinfo (a container, a minimal image); 450 KiB of the binary
)

// zones are the names of time zones, one a line: those of Go's own copy of the tz database. They only serve to suggest one.
//
//go:embed zones.txt
var zones string

// loadZone finds a time zone by its name in the tz database: the host's if it has one, which is kept up to date, else the binary's own.
func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	// The host's folder has more in it: right/ counts leap seconds, localtime is whatever this host has.
	if first := name[0]; first >= 'A' && first <= 'Z' && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	near := nearestZone(name)
	if near == "" {
		return nil, fmt.Errorf("there is no time zone %s: write one such as Europe/Madrid, or UTC", quote(name))
	}
	return nil, fmt.Errorf("there is no time zone %s; did you mean %s?", quote(name), near)
}

// nearestZone returns the zone whose name, or whose place in it, is most like a text, or "".
func nearestZone(text string) string {
	names := strings.Fields(zones)
	text = strings.ReplaceAll(strings.TrimSpace(text), " ", "_")
	if near := nearest(text, names); near != "" {
		return near
	}
	place := text[strings.LastIndexByte(text, '/')+1:]
	for _, name := range names {
		if area, of, ok := strings.Cut(name, "/"); ok && area != "Etc" && nearest(place, []string{of}) != "" {
			return name
		}
	}
	return ""
}
