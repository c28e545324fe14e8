package submissions

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAnAnswerDecidesWhatBecomesOfASubmission(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(context.Context, string, string) (lambda.Result, error)
		state  State
		reason string
	}{
		"an answer":                  {says(`{"statusCode":204}`), Done, ""},
		"a redirect":                 {says(`{"statusCode":303}`), Done, ""},
		"JSON":                       {says(`null`), Done, ""},
		"refused":                    {says(`{"statusCode":422,"body":"no address"}`), Dead, "the function answered 422: no address"},
		"too many":                   {says(`{"statusCode":429}`), Pending, "the function answered 429: "},
		"a timeout said":             {says(`{"statusCode":408}`), Pending, "the function answered 408: "},
		"an error said":              {says(`{"statusCode":500,"body":"oh"}`), Pending, "the function answered 500: oh"},
		"nothing that can be read":   {says(`<html>`), Pending, "the function's answer can't be read: the answer is not JSON"},
		string(lambda.Failed):        {fails(lambda.Failed), Pending, "function f: failed: no"},
		string(lambda.TimedOut):      {fails(lambda.TimedOut), Pending, "function f: timed out: no"},
		string(lambda.TooLarge):      {fails(lambda.TooLarge), Dead, "function f: too large: no"},
		string(lambda.Throttled):     {fails(lambda.Throttled), Pending, "function f: throttled: no"},
		string(lambda.Missing):       {fails(lambda.Missing), Pending, "function f: missing: no"},
		string(lambda.Unavailable):   {fails(lambda.Unavailable), Pending, "function f: unavailable: no"},
		"an error that is no lambda": {func(context.Context, string, string) (lambda.Result, error) { return lambda.Result{}, context.Canceled }, Pending, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFunction(test.answer)
				s := on(storetest.NewMemory(), f)
				id := keep(t, s, sent("a")).ID
				runs(t, s)
				synctest.Wait()
				sub := get(t, s, id)
				if sub.State != test.state || sub.Error != test.reason || sub.Attempts != 1 || sub.Ended.IsZero() != (test.state == Pending) || sub.Next.IsZero() == (test.state == Pending) {
					t.Errorf("%+v", sub)
				}
			})
		})
	}
}

func TestWhatIsKeptIsDeliveredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFunction(says(`{}`))
		s := on(storetest.NewMemory(), f)
		runs(t, s)
		synctest.Wait()
		start := time.Now()
		id := keep(t, s, sent("a")).ID
		synctest.Wait()
		if err := s.Resend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if f.calls("a") != 2 || time.Since(start) > 0 {
			t.Errorf("%d calls after %v", f.calls("a"), time.Since(start))
		}
	})
}

// attempted runs until a submission is no longer pending, and returns when its function was called.
func attempted(t *testing.T, answer func(context.Context, string, string) (lambda.Result, error)) (at []time.Duration, last Submission) {
	t.Helper()
	start := time.Now()
	f := newFunction(func(ctx context.Context, name, event string) (lambda.Result, error) {
		at = append(at, time.Since(start))
		return answer(ctx, name, event)
	})
	s := on(storetest.NewMemory(), f)
	id := keep(t, s, sent("a")).ID
	stop := runs(t, s)
	for time.Since(start) < 10*24*time.Hour {
		time.Sleep(time.Hour)
		if last = get(t, s, id); last.State != Pending {
			break
		}
	}
	stop()
	return at, last
}

func TestAFailureIsTriedAgainForThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, sub := attempted(t, says(`{"statusCode":500}`))
		if sub.State != Dead || !strings.HasPrefix(sub.Error, "given up after 72h0m0s: ") || sub.Attempts != len(at) {
			t.Errorf("%+v", sub)
		}
		for i, delay := range schedule {
			if got, least := at[i+1]-at[i], delay-delay/5; got < least || got > delay+delay/5+lastPause+poll {
				t.Errorf("delay %d is %v, and was to be about %v", i, got, delay)
			}
		}
		if end := at[len(at)-1]; end < giveUp || end > giveUp+time.Minute || len(at) < 35 || len(at) > 50 {
			t.Errorf("%d attempts, the last after %v", len(at), end)
		}
	})
}

func TestAFunctionThatIsAwayIsAskedNowAndThenForThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, sub := attempted(t, fails(lambda.Missing))
		if sub.State != Dead || at[len(at)-1] < giveUp {
			t.Errorf("after %v: %+v", at[len(at)-1], sub)
		}
		for i := range at[10:] {
			if pause := at[i+10] - at[i+9]; pause < 20*time.Second || pause > lastPause+2*poll {
				t.Fatalf("%v between two attempts", pause)
			}
		}
	})
}

func TestAFunctionSaysWhenToComeAgain(t *testing.T) {
	later := &lambda.Error{Kind: lambda.Throttled, RetryAfter: 7 * time.Minute}
	for name, answer := range map[string]func(context.Context, string, string) (lambda.Result, error){
		"seconds": says(`{"statusCode":503,"headers":{"retry-after":"420"}}`),
		"a date": func(context.Context, string, string) (lambda.Result, error) {
			at := time.Now().Add(7 * time.Minute).UTC().Format(http.TimeFormat)
			return lambda.Result{Payload: fmt.Appendf(nil, `{"statusCode":429,"headers":{"retry-after":%q}}`, at)}, nil
		},
		"throttled": func(context.Context, string, string) (lambda.Result, error) { return lambda.Result{}, later },
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			f := newFunction(answer)
			s := on(storetest.NewMemory(), f)
			keep(t, s, sent("a"))
			runs(t, s)
			time.Sleep(7*time.Minute - time.Second)
			if n := f.calls("a"); n != 1 {
				t.Errorf("%s: %d calls after %v", name, n, time.Since(start))
			}
			time.Sleep(2 * poll)
			if n := f.calls("a"); n != 2 {
				t.Errorf("%s: %d calls after %v", name, n, time.Since(start))
			}
		})
	}
}

// keepAll keeps many in one write.
func keepAll(t *testing.T, s *Submissions, events []string) {
	t.Helper()
	var writes []store.Write
	for _, event := range events {
		writes = append(writes, store.Insert{Collection: collection, Document: encode(s.begun(sent(event)))})
	}
	if err := s.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
}

func TestAnHourWithoutLambdaLosesNothingAndIsNoStorm(t *testing.T) {
	for kind, many := range map[lambda.Kind]int{lambda.Unavailable: 1000, lambda.Throttled: 100, lambda.Missing: 100} {
		synctest.Test(t, func(t *testing.T) {
			var back atomic.Bool
			var vain atomic.Int64
			kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "edge.db"), quiet) // its clock is the test's
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { kept.Close() })
			f := newFunction(nil)
			f.answer = func(ctx context.Context, name, event string) (lambda.Result, error) {
				if !back.Load() {
					vain.Add(1)
					return fails(kind)(ctx, name, event)
				}
				time.Sleep(50 * time.Millisecond)
				return lambda.Result{Payload: []byte(`{}`)}, nil
			}
			s := on(kept, f)
			events := names(many)
			keepAll(t, s, events[60:])
			runs(t, s)
			for _, name := range events[:60] {
				keep(t, s, sent(name))
				time.Sleep(time.Minute)
			}
			if n := vain.Load(); n < 60 || n > 200 {
				t.Errorf("%s: %d calls in an hour while it was away", kind, n)
			}
			vain.Store(0)
			called := len(f.all())
			back.Store(true)
			time.Sleep(time.Minute)
			if done := inState(t, kept, Done); done != many {
				t.Errorf("%s: %d of %d are delivered a minute later", kind, done, many)
			}
			if again := len(f.all()) - called; again != many {
				t.Errorf("%s: %d calls for %d submissions", kind, again, many)
			}
		})
	}
}

func TestWhenAFunctionWorksAgainNothingWaitsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "edge.db"), quiet) // its clock is the test's
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { kept.Close() })
		var mended atomic.Bool
		f := newFunction(func(ctx context.Context, name, event string) (lambda.Result, error) {
			if mended.Load() {
				return says(`{}`)(ctx, name, event)
			}
			return fails(lambda.Failed)(ctx, name, event)
		})
		s := on(kept, f)
		const many = 30
		keepAll(t, s, names(many))
		runs(t, s)
		time.Sleep(3 * time.Hour) // by now each is tried every hour or two
		mended.Store(true)
		keep(t, s, sent("another"))
		time.Sleep(time.Minute)
		if done := inState(t, kept, Done); done != many+1 {
			t.Errorf("%d of %d are delivered a minute later", done, many+1)
		}
	})
}

func TestOneFormDoesNotWaitForAnothersFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		f := newFunction(func(ctx context.Context, name, event string) (lambda.Result, error) {
			if name == "mail" {
				<-ctx.Done() // never answers
				return lambda.Result{}, &lambda.Error{Kind: lambda.TimedOut}
			}
			return lambda.Result{Payload: []byte(`{}`)}, nil
		})
		s := on(memory, f)
		runs(t, s)
		for _, name := range names(100) {
			keep(t, s, sent(name))
		}
		synctest.Wait()
		if n := len(f.all()); n != 10 {
			t.Errorf("%d calls at once of a function that takes 10 besides those of visitors", n)
		}
		keep(t, s, Submission{Form: "subscribe", Function: "list", Event: []byte("other")})
		synctest.Wait()
		if f.calls("other") != 1 {
			t.Error("it waits")
		}
	})
}

func TestFormsThatShareAFunctionTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFunction(func(context.Context, string, string) (lambda.Result, error) {
			time.Sleep(time.Second)
			return lambda.Result{Payload: []byte(`{}`)}, nil
		})
		s := New(Options{Store: storetest.NewMemory(), Invoke: f, Log: quiet})
		s.Use(map[string]config.Form{"contact": {Function: "mail"}, "subscribe": {Function: "mail"}}, map[string]config.Function{"mail": {Concurrency: 3}}) // two for deliveries
		runs(t, s)
		for _, name := range names(100) {
			keep(t, s, sent(name))
		}
		synctest.Wait()
		keep(t, s, Submission{Form: "subscribe", Function: "mail", Event: []byte("other")})
		time.Sleep(3 * time.Second)
		if f.calls("other") != 1 {
			t.Errorf("it waits for another form's: %v", f.all())
		}
		if n := len(f.all()); n > 8 {
			t.Errorf("%d calls in three seconds, two at once of one second each", n)
		}
		s.Use(s.settings.Load().forms, map[string]config.Function{"mail": {Concurrency: 26}})
		time.Sleep(6 * time.Second)
		if n := len(f.all()); n != 101 {
			t.Errorf("%d calls: the function takes more at once now", n)
		}
		for i, event := range f.all()[:6] { // before many went at once
			var n int
			if _, err := fmt.Sscanf(event, "event %d", &n); err == nil && n > i+1 {
				t.Errorf("not the oldest first: %v", f.all()[:6])
			}
		}
	})
}

func TestWhatOneSubmissionBreaksOthersDoNotWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		f := newFunction(func(ctx context.Context, name, event string) (lambda.Result, error) {
			if strings.HasPrefix(event, "poison") {
				return fails(lambda.Failed)(ctx, name, event)
			}
			return lambda.Result{Payload: []byte(`{}`)}, nil
		})
		s := on(memory, f)
		for i := range 50 {
			keep(t, s, sent(fmt.Sprint("poison ", i)))
		}
		runs(t, s)
		time.Sleep(10 * time.Minute)
		keep(t, s, sent("good"))
		time.Sleep(failedPause + poll)
		if n := inState(t, memory, Done); n != 1 {
			t.Errorf("it waits for those that have failed: %d calls, %d of it, %v", len(f.all()), f.calls("good"), s.lines["contact"].breaker)
		}
	})
}

func TestAVisitorWhoIsTurnedAwayHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFunction(func(_ context.Context, _, event string) (lambda.Result, error) {
			if strings.HasPrefix(event, "event") {
				return lambda.Result{Payload: []byte(`{"statusCode":429,"headers":{"retry-after":"3600"}}`)}, nil
			}
			return lambda.Result{Payload: []byte(`{}`)}, nil
		})
		s := on(storetest.NewMemory(), f)
		runs(t, s)
		keepAll(t, s, names(40))
		synctest.Wait()
		began := time.Now()
		for range 12 { // a minute
			keepAll(t, s, names(7))
			time.Sleep(5 * time.Second)
		}
		keep(t, s, sent("good"))
		for f.calls("good") == 0 {
			time.Sleep(time.Second)
		}
		if took := time.Since(began) - time.Minute; took > 5*time.Second {
			t.Errorf("it waited %v for others, of whom the function wanted no more", took)
		}
	})
}

func TestSubmissionsOfAFormThatIsGoneWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFunction(fails(lambda.Failed))
		s := on(storetest.NewMemory(), f)
		runs(t, s)
		s.Use(map[string]config.Form{"notes": {}}, functions)
		id := keep(t, s, sent("a")).ID
		time.Sleep(100 * 24 * time.Hour)
		counts, err := s.Counts(t.Context())
		if err != nil || f.calls("a") != 0 || !counts[0].Paused || counts[0].Pending != 1 {
			t.Errorf("%+v, %v", counts, err)
		}
		s.Use(forms, functions)
		synctest.Wait()
		if sub := get(t, s, id); f.calls("a") != 1 || sub.State != Pending {
			t.Errorf("its schedule begins with the first attempt: %+v", sub)
		}
	})
}

func TestWhatHasEndedIsRemovedAfterItsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		f := newFunction(func(_ context.Context, _, event string) (lambda.Result, error) {
			return lambda.Result{Payload: []byte(event)}, nil
		})
		s := on(memory, f)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		runs(t, s)
		flagged, long := sent(`{}`), sent(`{"statusCode":400}`)
		flagged.Reasons = []string{"links"}
		long.Form, long.Function = "subscribe", "list" // 60 days
		ids := []string{
			keep(t, s, sent(`{}`)).ID, keep(t, s, flagged).ID, keep(t, s, sent(`{"statusCode":400}`)).ID, keep(t, s, long).ID, keep(t, s, sent(`{"statusCode":500}`)).ID,
		}
		go func() { _ = memory.Run(ctx) }()
		there := func() (all string) {
			for _, id := range ids {
				if sub, err := s.Get(ctx, id); err == nil {
					all += string(sub.State) + " "
				}
			}
			return all
		}
		time.Sleep(time.Hour - time.Minute)
		if got := there(); got != "done spam dead dead pending " {
			t.Error(got)
		}
		time.Sleep(2 * time.Minute)
		if got := there(); got != "dead dead pending " {
			t.Error(got)
		}
	})
	configured := New(Options{}).settings.Load()
	d := &delivery{line: &line{Submissions: New(Options{}), form: "contact"}}
	if kept := d.dead(outcome{}).Set["expires"]; kept != store.Now(defaultRetention) || configured.retention("a") != defaultRetention {
		t.Error(kept)
	}
	d.Use(forms, functions)
	if kept := d.dead(outcome{}).Set["expires"]; kept != store.Now(leastDead) {
		t.Error("dead are looked at by somebody: ", kept)
	}
}

func TestTheEndWaitsForWhatIsUnderWayButNotForLong(t *testing.T) {
	for name, takes := range map[string]time.Duration{"short": 5 * time.Second, "long": 24 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			memory := storetest.NewMemory()
			f := newFunction(func(ctx context.Context, _, _ string) (lambda.Result, error) {
				select {
				case <-ctx.Done():
					return lambda.Result{}, &lambda.Error{Kind: lambda.TimedOut, Err: ctx.Err()}
				case <-time.After(takes):
					return lambda.Result{Payload: []byte(`{}`)}, nil
				}
			})
			s := on(memory, f)
			stop := runs(t, s)
			id := keep(t, s, sent("a")).ID
			synctest.Wait()
			start := time.Now()
			stop()
			sub := get(t, s, id)
			if name == "short" && (time.Since(start) != takes || sub.State != Done) {
				t.Errorf("after %v: %+v", time.Since(start), sub)
			}
			if name == "long" && (time.Since(start) != drain || sub.State != Pending || sub.Next.After(time.Now())) {
				t.Errorf("after %v: %+v", time.Since(start), sub)
			}
			keep(t, s, sent("b"))
			synctest.Wait()
			if f.calls("b") > 0 {
				t.Error("it goes on")
			}
		})
	}
}

func TestTheStoreMayBeAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		memory.SetUnavailable(true)
		f := newFunction(func(context.Context, string, string) (lambda.Result, error) {
			memory.SetUnavailable(true)
			return lambda.Result{Payload: []byte(`{}`)}, nil
		})
		s := on(memory, f)
		s.poll = 20 * time.Millisecond // it looks for what is due before what came of it is written down
		runs(t, s)
		time.Sleep(time.Minute)
		memory.SetUnavailable(false)
		time.Sleep(time.Minute)
		keep(t, s, sent("a"))
		time.Sleep(10 * time.Minute) // far longer than the claim
		memory.SetUnavailable(false)
		time.Sleep(time.Minute)
		if f.calls("a") != 1 || inState(t, memory, Done) != 1 {
			t.Errorf("%d calls, %d done: what came of it was kept in mind", f.calls("a"), inState(t, memory, Done))
		}
	})
}

func TestIdlingReadsNowAndThenAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watched := spied(storetest.NewMemory())
		s := on(watched, newFunction(says(`{}`)))
		runs(t, s)
		synctest.Wait()
		claims := watched.times("claim")
		time.Sleep(time.Hour)
		if n := watched.times("claim") + watched.times("apply") - claims; n != 0 {
			t.Errorf("%d writes", n)
		}
		if n := watched.times("find"); n < 2*600 || n > 2*1000 {
			t.Errorf("%d reads in an hour for two forms", n)
		}
	})
}
