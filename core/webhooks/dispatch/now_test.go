package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// asks keeps a delivery of slack and wants its answer within a second.
func (s *stand) asks(t *testing.T, event string) (kept inbox.Delivery, answer *Answer, err error) {
	t.Helper()
	kept = s.keep(t, event, from("slack"))
	answer, err = s.Now(t.Context(), kept, time.Second)
	return kept, answer, err
}

var hello = Outcome{Kind: OK, Answer: &Answer{Status: 200, Body: []byte("hello")}}

func TestASourceThatWaitsGetsTheHandlersAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		outcome Outcome
		err     error
		answer  bool
		want    error
	}{
		"an answer":         {hello, nil, true, nil},
		"none":              {Outcome{Kind: OK}, nil, false, nil},
		"skipped":           {Outcome{Kind: Skip, Answer: hello.Answer}, nil, true, nil},
		"refused with one":  {Outcome{Kind: Fail, Answer: hello.Answer}, nil, true, nil},
		"refused":           {Outcome{Kind: Fail}, nil, false, fault.Unavailable},
		"to be tried again": {Outcome{Kind: Retry, Answer: hello.Answer}, nil, false, ErrLater},
		"an error":          {Outcome{}, errGone, false, ErrLater},
		"down":              {Outcome{}, &Down{errGone}, false, ErrLater},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := on(storetest.NewMemory(), says(test.outcome, test.err))
				s.runs(t)
				synctest.Wait()
				start := time.Now()
				_, answer, err := s.asks(t, "a")
				if (answer != nil) != test.answer || !errors.Is(err, test.want) || time.Since(start) > 0 {
					t.Errorf("%v, %v after %v", answer, err, time.Since(start))
				}
				time.Sleep(2 * unasked)
				if s.open() != 0 && test.err == nil {
					t.Errorf("%d questions are left", s.open())
				}
			})
		})
	}
}

func TestAnAnswerThatComesTooLateGoesOnByItselfAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := takes(3*time.Second, hello)
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		synctest.Wait()
		start := time.Now()
		kept, _, err := s.asks(t, "a")
		if !errors.Is(err, ErrLater) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Minute)
		if d := s.get(t, kept.ID); d.State != inbox.Done || len(p.of("a")) != 1 {
			t.Errorf("%d calls, %+v", len(p.of("a")), d)
		}
	})
}

func TestASourceThatWentAwayDoesNotEndTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := takes(3*time.Second, hello)
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		synctest.Wait()
		kept := s.keep(t, "a", from("slack"))
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer leave()
		if _, err := s.Now(ctx, kept, time.Second); !errors.Is(err, ErrLater) {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		if d := s.get(t, kept.ID); d.State != inbox.Done || d.Tries != 1 {
			t.Errorf("%+v", d)
		}
	})
}

func TestASourceThatWaitsWaitsForAPlaceToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := takes(700*time.Millisecond, hello)
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		synctest.Wait()
		var all sync.WaitGroup
		var answered, later atomic.Int64
		for _, name := range names(6) { // two at once
			all.Go(func() {
				if _, answer, err := s.asks(t, name); err == nil && answer != nil {
					answered.Add(1)
				} else if errors.Is(err, ErrLater) {
					later.Add(1)
				}
			})
		}
		all.Wait()
		if answered.Load() != 2 || later.Load() != 4 {
			t.Errorf("%d answers, %d later", answered.Load(), later.Load())
		}
		time.Sleep(time.Minute)
		if s.are(t, inbox.Done) != 6 || len(p.of("")) != 6 || p.atOnce() != 2 {
			t.Errorf("%d calls, %d at once", len(p.of("")), p.atOnce())
		}
	})
}

func TestTheQueueAndWhoAsksNeverHandleTheSameTwiceAndTheAnswerIsNotLost(t *testing.T) {
	test := func(t *testing.T, kept store.Store, many int) {
		p := says(hello, nil)
		s := on(kept, p)
		s.runs(t)
		for first := s.keep(t, "first", from("slack")); ; { // until it runs
			if _, err := s.Now(t.Context(), first, time.Second); err == nil {
				break
			}
		}
		for _, name := range names(many) {
			if _, answer, err := s.asks(t, name); err != nil || answer == nil {
				t.Fatal(name, answer, err)
			}
		}
		if n := len(p.of("")); n != many+1 {
			t.Errorf("%d calls", n)
		}
	}
	t.Run("memory", func(t *testing.T) { test(t, storetest.NewMemory(), 200) })
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, enginetest.Opened(t, address(t)), 50)
		})
	}
}

func TestAnAnswerThatTheQueueGotFirstIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := says(hello, nil)
		s := on(storetest.NewMemory(), p)
		s.runs(t)
		synctest.Wait()
		kept := s.keep(t, "a", from("slack"))
		synctest.Wait() // it is handled
		if answer, err := s.Now(t.Context(), kept, time.Second); err != nil || answer == nil || len(p.of("a")) != 1 {
			t.Error(answer, err)
		}
		kept = s.keep(t, "b", from("slack"))
		synctest.Wait()
		time.Sleep(2 * unasked)
		if s.open() != 0 {
			t.Error("nobody asked")
		}
		if _, err := s.Now(t.Context(), kept, time.Second); !errors.Is(err, ErrLater) {
			t.Error(err)
		}
	})
}

func TestNothingIsAskedOfWhoDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := on(storetest.NewMemory(), says(hello, nil))
		for _, when := range []string{"before", "after"} {
			if kept, _, err := s.asks(t, when); !errors.Is(err, ErrLater) || s.get(t, kept.ID).State != inbox.Pending {
				t.Error(when, err)
			}
			if when == "before" {
				s.runs(t)()
			}
		}
		stop := s.runs(t)
		synctest.Wait()
		stop()
		if n := s.are(t, inbox.Done); n != 2 {
			t.Errorf("%d", n)
		}
		s.runs(t)
		for _, d := range []inbox.Delivery{{ID: "x", Source: "unknown", State: inbox.Pending}, {ID: "x", Source: "slack", State: inbox.Done}} {
			if _, err := s.Now(t.Context(), d, time.Second); !errors.Is(err, ErrLater) {
				t.Error(err)
			}
		}
		time.Sleep(2 * unasked)
		if s.open() != 0 {
			t.Error(s.open())
		}
	})
}
