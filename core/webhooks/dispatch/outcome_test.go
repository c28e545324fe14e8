package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/core/webhooks/inbox"
)

func TestAnOutcomeDecidesWhatBecomesOfADelivery(t *testing.T) {
	for name, test := range map[string]struct {
		outcome Outcome
		err     error
		state   inbox.State
		tries   int
		noted   string // outcome and reason of the attempt
	}{
		"ok":          {Outcome{Kind: OK}, nil, inbox.Done, 1, "ok "},
		"skip":        {Outcome{Kind: Skip, Reason: "a draft"}, nil, inbox.Done, 1, "skip a draft"},
		"retry":       {Outcome{Kind: Retry, Reason: "busy"}, nil, inbox.Pending, 1, "retry busy"},
		"fail":        {Outcome{Kind: Fail, Reason: "no such plan"}, nil, inbox.Dead, 1, "fail no such plan"},
		"unknown":     {Outcome{Kind: "perhaps"}, nil, inbox.Pending, 1, `error an outcome that nobody knows: "perhaps"`},
		"an error":    {Outcome{}, errors.New("exploded"), inbox.Pending, 1, "error exploded"},
		"a long one":  {Outcome{}, errors.New(strings.Repeat("ä", 300) + "\xff"), inbox.Pending, 1, "error " + strings.Repeat("ä", 250)},
		"it died":     {Outcome{}, fmt.Errorf("planner: %w", &Died{errGone}), inbox.Pending, 1, "died the handler ended: no such process"},
		"it was down": {Outcome{}, fmt.Errorf("planner: %w", &Down{errGone}), inbox.Pending, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := on(storetest.NewMemory(), says(test.outcome, test.err))
				s.runs(t)
				id := s.keep(t, "a").ID
				synctest.Wait()
				d, noted := s.get(t, id), ""
				for _, a := range d.Attempts {
					noted += a.Outcome + " " + a.Reason
				}
				if d.State != test.state || d.Tries != test.tries || noted != test.noted {
					t.Errorf("%s after %d tries, %q", d.State, d.Tries, noted)
				}
				if dead := s.log.with("level=ERROR", "delivery="+id, "source=github", "edge webhooks redeliver"); (dead == 1) != (test.state == inbox.Dead) {
					t.Errorf("%d lines for a person", dead)
				}
			})
		})
	}
}

func TestAnAttemptHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := on(storetest.NewMemory(), takes(time.Hour, Outcome{Kind: OK}))
		s.runs(t)
		id := s.keep(t, "a").ID
		time.Sleep(10*time.Second + time.Millisecond)
		if d := s.get(t, id); len(d.Attempts) != 1 || d.Attempts[0].Outcome != "timeout" || d.Attempts[0].Took != 10*time.Second || !strings.HasPrefix(d.Error, "no outcome within 10s") {
			t.Errorf("%+v", d)
		}
	})
}

// attempted runs until a delivery is no longer pending, and returns how long after its first attempt each was made.
func attempted(t *testing.T, p *plugin, retries []time.Duration) (at []time.Duration, last inbox.Delivery) {
	t.Helper()
	s := on(storetest.NewMemory(), p)
	source := sources["github"]
	source.Retries = retries
	s.Use(map[string]config.Webhook{"github": source})
	stop := s.runs(t)
	id := s.keep(t, "a").ID
	for start := time.Now(); time.Since(start) < 30*24*time.Hour; time.Sleep(time.Hour) {
		synctest.Wait()
		if last = s.get(t, id); last.State != inbox.Pending {
			break
		}
	}
	stop()
	for i, c := range p.of("a") {
		at = append(at, c.at.Sub(p.of("a")[0].at))
		if c.attempt != i+1 {
			t.Errorf("attempt %d is said to be %d", i+1, c.attempt)
		}
	}
	return at, last
}

func TestAFailureIsTriedAgainAsStandardWebhooksAdvisesOrAsTheSourceSays(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, test := range map[string]struct{ retries, want []time.Duration }{
		"by default": {nil, []time.Duration{5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}},
		"its own":    {[]time.Duration{m, h}, []time.Duration{m, h}},
		"none":       {[]time.Duration{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at, d := attempted(t, says(Outcome{}, errors.New("no")), test.retries)
				if want := fmt.Sprintf("given up after attempt %d: no", len(test.want)+1); d.State != inbox.Dead || d.Error != want || len(at) != len(test.want)+1 {
					t.Fatalf("%d attempts, %s, %q", len(at), d.State, d.Error)
				}
				for i, want := range test.want {
					if got := at[i+1] - at[i]; got < want-want/5 || got > want+want/5+poll {
						t.Errorf("pause %d is %v, and was to be about %v", i, got, want)
					}
				}
			})
		})
	}
}

func TestPausesAreNotTheSameForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := on(storetest.NewMemory(), says(Outcome{}, errors.New("no")))
		s.runs(t)
		next := make(map[time.Time]bool)
		for _, name := range names(20) {
			id := s.keep(t, name).ID
			synctest.Wait()
			next[s.get(t, id).Next] = true
		}
		if len(next) < 10 {
			t.Errorf("20 are due at %d times", len(next))
		}
	})
}

func TestAHandlerSaysWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, d := attempted(t, says(Outcome{Kind: Retry, After: 7 * time.Minute}, nil), []time.Duration{time.Second, time.Second})
		if len(at) != 3 || d.State != inbox.Dead {
			t.Fatalf("%v, %s: it spends attempts", at, d.State)
		}
		for i := range at[1:] {
			if got := at[i+1] - at[i]; got < 7*time.Minute || got > 7*time.Minute+2*poll {
				t.Errorf("%v", got)
			}
		}
	})
}

func TestASourceHasNoMoreUnderWayThanItsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := takes(time.Second, Outcome{Kind: OK})
		s := on(storetest.NewMemory(), p)
		for _, name := range names(100) {
			s.keep(t, name)
		}
		s.runs(t)
		s.keep(t, "other", from("slack"))
		synctest.Wait()
		if n := len(p.of("")); n != 9 || len(p.of("other")) != 1 {
			t.Errorf("%d at once; %d of the other source", n, len(p.of("other")))
		}
		if got := s.Status(); len(got) != 3 || got[1] != (Status{Source: "github", Plugin: "planner", Busy: 8}) {
			t.Errorf("%+v", got)
		}
		more := maps.Clone(sources)
		source := more["github"]
		source.Concurrency = 20
		more["github"] = source
		s.Use(more)
		time.Sleep(2500 * time.Millisecond)
		if p.atOnce() != 20+1 {
			t.Errorf("%d at once after a reload", p.atOnce())
		}
		source.Concurrency = 3
		more["github"] = source
		s.Use(more)
		time.Sleep(time.Minute)
		if s.are(t, inbox.Done) != 101 || s.Status()[1].Busy != 0 {
			t.Errorf("%d done, %+v", s.are(t, inbox.Done), s.Status())
		}
	})
}

func TestAReloadChangesWhoHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := says(Outcome{Kind: OK}, nil)
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		s.keep(t, "a")
		synctest.Wait()
		changed := maps.Clone(sources)
		changed["github"] = config.Webhook{Plugin: "another"}
		s.Use(changed)
		s.keep(t, "b")
		synctest.Wait()
		delete(changed, "github")
		s.Use(changed)
		synctest.Wait()
		s.keep(t, "c")
		time.Sleep(time.Minute)
		if len(s.Status()) != 2 {
			t.Errorf("%+v", s.Status())
		}
		s.Use(sources)
		synctest.Wait()
		var got []string
		for _, c := range p.of("") {
			got = append(got, c.event+" by "+c.plugin)
		}
		if fmt.Sprint(got) != "[a by planner b by another c by planner]" {
			t.Error(got)
		}
		if d := p.of("c")[0].at.Sub(p.of("b")[0].at); d != time.Minute {
			t.Errorf("c is handled after %v: when its source has a plugin again", d)
		}
	})
}

func TestThoseOfAKeyComeOneAfterTheOtherWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := takes(time.Second, Outcome{Kind: OK})
		s := on(storetest.NewMemory(), p)
		for i, name := range names(20) {
			s.keep(t, name, func(d *inbox.Delivery) { d.Key = fmt.Sprint("customer ", i%2) })
			time.Sleep(time.Millisecond)
		}
		start := time.Now()
		s.runs(t)
		time.Sleep(10*time.Second + time.Millisecond)
		if n := s.are(t, inbox.Done); n != 20 || p.atOnce() != 2 {
			t.Errorf("%d done after %v, %d at once", n, time.Since(start), p.atOnce())
		}
		for i, c := range p.of("") {
			if want := fmt.Sprint("event ", i); c.event != want && c.event != fmt.Sprint("event ", i^1) {
				t.Errorf("%s, want %s", c.event, want)
			}
		}
	})
}

func TestWhileAHandlerIsDownNoAttemptIsSpentAndThenAllGoesOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 200
		var back atomic.Bool
		p := &plugin{handle: func(ctx context.Context, d inbox.Delivery, _ int) (Outcome, error) {
			if !back.Load() && d.Plugin == "planner" {
				return Outcome{}, &Down{errGone}
			}
			time.Sleep(50 * time.Millisecond)
			return Outcome{Kind: OK}, nil
		}}
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		for _, name := range names(many) {
			s.keep(t, name)
		}
		s.keep(t, "other", from("slack"))
		time.Sleep(time.Hour)
		if n := len(p.of("")); n < 600 || n > 1000 {
			t.Errorf("%d calls in an hour of a handler that is not there", n)
		}
		if s.are(t, inbox.Done) != 1 || s.get(t, s.keep(t, "another").ID).Tries != 0 {
			t.Error("the other source's waits for it")
		}
		if st := s.Status()[1]; !st.Paused || st.Error != "the handler is not there: no such process" {
			t.Errorf("%+v", st)
		}
		if n := s.log.with("level=ERROR"); n != 1 || s.log.with("level=ERROR", "source=github", "plugin=planner", "no such process") != 1 {
			t.Errorf("%d errors", n)
		}
		called := len(p.of(""))
		back.Store(true)
		time.Sleep(10 * time.Second)
		if s.are(t, inbox.Done) != many+2 || len(p.of(""))-called != many+1 {
			t.Errorf("%d of %d are done in ten seconds, %d calls", s.are(t, inbox.Done), many+2, len(p.of(""))-called)
		}
		if p.atOnce() != 8 || s.log.with("the handler is back", "source=github") != 1 || s.Status()[1].Paused || s.Status()[1].Error != "" {
			t.Errorf("%d at once, %d lines, %+v", p.atOnce(), s.log.with("the handler is back"), s.Status()[1])
		}
		for _, c := range p.of("") {
			if c.attempt != 1 {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// slow is a store that takes its time to say what was claimed.
type slow struct{ store.Store }

func (s *slow) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	doc, err := s.Store.Claim(ctx, q, c)
	time.Sleep(30 * time.Millisecond)
	return doc, err
}

func TestOnesAbsenceIsOnePauseHoweverManyFindHimAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := on(&slow{storetest.NewMemory()}, &plugin{handle: func(context.Context, inbox.Delivery, int) (Outcome, error) {
			time.Sleep(time.Millisecond)
			if time.Since(began) < 200*time.Millisecond {
				return Outcome{}, &Down{errGone}
			}
			return Outcome{Kind: OK}, nil
		}})
		for _, name := range names(8) {
			s.keep(t, name)
		}
		s.runs(t)
		time.Sleep(1500 * time.Millisecond)
		if n := s.are(t, inbox.Done); n != 8 {
			t.Errorf("%d of 8 are done, more than a second after their handler is back", n)
		}
	})
}
