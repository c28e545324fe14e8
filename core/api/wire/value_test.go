package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTimesAreWrittenAsTheirLayoutSays(t *testing.T) {
	for _, at := range []time.Time{
		{}, when, time.Unix(0, 0), time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(10000, 1, 2, 3, 4, 5, 0, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 1_000_000, time.FixedZone("", 3600)), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 2, 3, 4, 5, 6, 0, time.UTC),
	} {
		if got, want := string(appendTime(nil, at)), at.UTC().Format(`"2006-01-02T15:04:05.000Z"`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Every byte that has to be escaped is, wherever it stands among the eight that are looked at together.
func TestAnEscapeIsFoundWhereverItStands(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for _, r := range []string{"\x00", "\x1f", " ", "!", "\"", "#", "[", "\\", "]", "\x7f", "é", "\U0010ffff"} {
				s := strings.Repeat("x", at) + r + strings.Repeat("y", length-at)
				text := string(appendString(nil, s))
				var back string
				if err := json.Unmarshal([]byte(text), &back); err != nil || back != s {
					t.Errorf("%q is %s: %q, %v", s, text, back, err)
				}
			}
		}
	}
}
