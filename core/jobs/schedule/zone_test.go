package schedule

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"
)

// Where there is no zoneinfo this can be seen to work; here, only that what makes it work is still imported.
func TestTimeZonesAreInTheBinary(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "zone.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range file.Imports {
		if i.Path.Value == `"time/tzdata"` {
			return
		}
	}
	t.Error("zone.go does not import time/tzdata")
}

func TestEachSuggestedZoneIsOne(t *testing.T) {
	for _, name := range strings.Fields(zones) {
		if _, err := loadZone(name); err != nil {
			t.Error(err)
		}
	}
}

// Go's own bounds of a zone end a day early in leap years: a clock's follow one another without a hole.
func TestSegmentsFollowOneAnother(t *testing.T) {
	for _, zone := range []string{"Europe/Madrid", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"} {
		c := parsed(t, "@daily", zone).clock
		for at := time.Date(2039, 12, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2042; at = at.Add(6 * time.Hour) {
			if s := c.segment(at.Unix()); at.Unix() < s.from || at.Unix() >= s.to {
				t.Fatalf("%s at %s: %+v", zone, at, s)
			}
		}
	}
}
