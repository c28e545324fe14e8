package schedule

import (
	"strconv"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/onehost/edge/core/config"
)

func BenchmarkNext(b *testing.B) {
	for _, expression := range []string{"0 3 * * *", "*/5 * * * *", "30 9 1 * *", "0 0 29 2 *", "@every 6h"} {
		s := parsed(b, expression, "Europe/Madrid")
		from := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
		b.Run(expression, func(b *testing.B) {
			b.ReportAllocs()
			for at := from; b.Loop(); {
				at, _ = s.Next(at)
				if at.Year() > 2035 {
					at = from
				}
			}
		})
		other, err := cron.ParseStandard("CRON_TZ=Europe/Madrid " + expression)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(expression+" by cron", func(b *testing.B) {
			b.ReportAllocs()
			for at := from; b.Loop(); {
				at = other.Next(at)
				if at.Year() > 2035 {
					at = from
				}
			}
		})
	}
}

func BenchmarkBetweenOverAYearOfSeconds(b *testing.B) {
	s := parsed(b, "* * * * * *", "Europe/Madrid")
	until := time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if due, more := s.Between(until.AddDate(-1, 0, 0), until, 10); len(due) != 10 || !more {
			b.Fatal(due, more)
		}
	}
}

func BenchmarkParseAllOfTenThousand(b *testing.B) {
	jobs := map[string]config.Job{}
	for i := range 10_000 {
		jobs[strconv.Itoa(i)] = config.Job{Schedule: "0 3 * * *", Timezone: "Europe/Madrid"}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAll(jobs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJitter(b *testing.B) {
	due := time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		Jitter("reconcile", due, time.Minute)
	}
}
