package chain

import (
	"fmt"
	"testing"
	"time"
)

func FuzzStampsAreWhatTheTimePackageWrites(f *testing.F) {
	f.Add(int64(1767323045), int64(678_900_000), int64(0), int64(3600))
	f.Add(int64(0), int64(0), int64(1), int64(0))
	f.Add(int64(-1), int64(999_999_999), int64(-62135596800), int64(-7200))
	f.Add(int64(1)<<40, int64(1), int64(-1)<<40, int64(1))
	f.Fuzz(func(t *testing.T, second, nano, other, offset int64) {
		const longest = 1 << 48 // years of seven digits
		zone := time.FixedZone("", int(offset%86400))
		var s stamp
		for _, seconds := range []int64{second, second, other, second} {
			at := time.Unix(seconds%longest, nano%1e9).In(zone)
			if got, want := string(s.append(nil, at)), string(at.UTC().AppendFormat(nil, time.RFC3339Nano)); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	})
}

func TestStampsOverTheEndOfASecond(t *testing.T) {
	var s stamp
	at := time.Date(2026, 12, 31, 23, 59, 59, 999_999_998, time.UTC)
	for range 4 {
		if got, want := string(s.append([]byte("at "), at)), "at "+at.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		at = at.Add(time.Nanosecond)
	}
}

func TestSecondsHaveSixDecimals(t *testing.T) {
	for _, d := range []time.Duration{0, 999, 1000, 1_234_567_890, time.Second - 1, time.Minute, 1 << 62} {
		want := fmt.Sprintf("%d.%06d", d/time.Second, d%time.Second/time.Microsecond)
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := string(appendSeconds(nil, -time.Second)); got != "0.000000" {
		t.Error(got)
	}
}
