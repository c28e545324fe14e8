package schedule

import (
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestShiftsSayWhatWillHappen(t *testing.T) {
	const spring, autumn = "on 2027-03-28 the clock goes from 02:00 to 03:00, and ", "on 2027-10-31 the clock goes from 03:00 to 02:00, and "
	for _, c := range []struct {
		expression, zone string
		year             int
		want             []string
	}{
		{"30 2 * * *", "Europe/Madrid", 2027, []string{
			spring + "what is due at 02:30 is due at 03:00",
			autumn + "what is due at 02:30 is due at the first of the two (00:30 UTC)",
		}},
		{"30 */15 2 * * *", "Europe/Madrid", 2027, []string{
			spring + "what is due from 02:00:30 to 02:45:30 is due once, at 03:00",
			autumn + "what is due from 02:00:30 to 02:45:30 is due at the first of each two (from 00:00:30 UTC)",
		}},
		{"0 2 * 3 *", "Europe/Madrid", 2027, []string{spring + "what is due at 02:00 is due at 03:00"}},
		{"2027-03-28T02:10:00", "Europe/Madrid", 2027, []string{spring + "what is due at 02:10 is due at 03:00"}},
		{"2027-03-28T02:10:00Z", "Europe/Madrid", 2027, nil},
		{"0 0 * * *", "America/Santiago", 2026, []string{"on 2026-09-06 the clock goes from 00:00 to 01:00, and what is due at 00:00 is due at 01:00"}},
		{"0 23 * * *", "America/Santiago", 2026, []string{"on 2026-04-05 the clock goes from 00:00 to 23:00, and what is due at 23:00 is due at the first of the two (02:00 UTC)"}},
		{"15 2 * * *", "Australia/Lord_Howe", 2027, []string{"on 2027-10-03 the clock goes from 02:00 to 02:30, and what is due at 02:15 is due at 02:30"}},
		{"0 9 * * *", "Pacific/Apia", 2011, []string{"on 2011-12-30 the clock goes from 00:00 to 2011-12-31 00:00, and what is due at 09:00 is due at 2011-12-31 00:00"}},
		{"0 3 * * *", "Europe/Madrid", 2027, nil},
		{"*/5 * * * *", "Europe/Madrid", 2027, nil},
		{"@every 1h", "Europe/Madrid", 2027, nil},
		{"30 2 * * *", "Asia/Kolkata", 2027, nil},
	} {
		s := parsed(t, c.expression, c.zone)
		var got []string
		for _, shift := range s.Shifts(c.year) {
			got = append(got, shift.String())
			if next, ok := s.Next(shift.Due.Add(-time.Second)); !ok || !next.Equal(shift.Due) {
				t.Errorf("%s in %s: a shift says %s, and Next %s", c.expression, c.zone, shift.Due, next)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s in %s: got %q, want %q", c.expression, c.zone, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s in %s:\ngot  %s\nwant %s", c.expression, c.zone, got[i], c.want[i])
			}
		}
	}
}

func TestShiftsOutsideOfStartAndEndAreNone(t *testing.T) {
	s, err := Parse(config.Job{Schedule: "30 2 * * *", Timezone: "Europe/Madrid", Start: "2027-04-01", End: "2027-10-01"})
	if err != nil {
		t.Fatal(err)
	}
	if shifts := s.Shifts(2027); len(shifts) != 0 {
		t.Error(shifts)
	}
}
