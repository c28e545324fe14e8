package submissions

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAListIsNoLargerThanMemoryAllowsWhateverWasSent(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		var ids []string
		for i := range 30 {
			sub := sent("a")
			sub.Fields = []Field{{"bomb", strings.Repeat("x", 600<<10)}}
			if i%3 == 0 {
				sub.Reasons = []string{"links"}
			}
			if i == 7 {
				sub.Fields[0].Value = strings.Repeat("x", listBytes+1)
			}
			ids = append(ids, keep(t, s, sub).ID)
		}
		slices.Reverse(ids)
		var got []string
		for f := (Filter{Form: "contact", Limit: 500}); ; f.After = got[len(got)-1] {
			page, err := s.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			size := 0
			for _, sub := range page {
				got, size = append(got, sub.ID), size+sub.size()
			}
			if size > listBytes && len(page) > 1 {
				t.Errorf("a page of %d with %d bytes", len(page), size)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%d of %d, or in another order", len(got), len(ids))
		}
	})
}

func TestSubmissionsAreListedNewestFirstPageByPage(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		var ids []string
		for i := range 7 {
			sub := sent("a")
			if i%2 == 1 {
				sub.Reasons = []string{"links"}
			}
			ids = append(ids, keep(t, s, sub).ID)
		}
		other := keep(t, s, Submission{Form: "notes"}).ID
		slices.Reverse(ids)
		var got []string
		for f := (Filter{Form: "contact", Limit: 2}); ; {
			page, err := s.List(t.Context(), f)
			if err != nil || len(page) > 2 {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, sub := range page {
				got = append(got, sub.ID)
				if sub.Event != nil || sub.Form != "contact" || sub.At.IsZero() {
					t.Errorf("%+v", sub)
				}
			}
			f.After = got[len(got)-1]
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%v, want %v", got, ids)
		}
		counts := map[string]Filter{"8": {}, "3": {State: Spam}, "4": {Form: "contact", State: Pending}, "0": {Since: time.Now().Add(time.Hour)}, "1": {State: Done}}
		for n, f := range counts {
			if found, err := s.List(t.Context(), f); err != nil || len(found) != int(n[0]-'0') {
				t.Errorf("%+v: %d, %v", f, len(found), err)
			}
		}
		if found, err := s.List(t.Context(), Filter{}); err != nil || found[0].ID != other {
			t.Error("not the newest first", err)
		}
		for _, f := range []Filter{{State: "lost"}, {Limit: 501}, {Limit: -1}} {
			if _, err := s.List(t.Context(), f); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

func TestCountsSayWhatWaitsAndWhatIsPaused(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		first := keep(t, s, sent("a"))
		keep(t, s, sent("b"))
		flagged := sent("c")
		flagged.Reasons = []string{"words"}
		keep(t, s, flagged)
		keep(t, s, Submission{Form: "gone", Function: "mail"})
		keep(t, s, Submission{Form: "notes"})
		counts, err := s.Counts(t.Context())
		if err != nil || len(counts) != 4 {
			t.Fatal(counts, err)
		}
		counts[1].Oldest = time.Time{}
		want := []Count{
			{Form: "contact", Pending: 2, Spam: 1, Oldest: first.At}, {Form: "gone", Pending: 1, Paused: true}, {Form: "notes", Done: 1}, {Form: "subscribe"},
		}
		if !slices.Equal(counts, want) {
			t.Errorf("%+v, want %+v", counts, want)
		}
	})
}

func TestPeopleJudgeAndSendAgain(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		watched := spied(kept)
		f := newFunction(says(`{"statusCode":200}`))
		s := on(watched, f)
		runs(t, s)
		flagged := sent("a")
		flagged.Reasons = []string{"links"}
		id := keep(t, s, flagged).ID
		becomes := func(want State, attempts int) Submission {
			t.Helper()
			watched.await(t, string(want), func() bool { return get(t, s, id).State == want })
			sub := get(t, s, id)
			if sub.Attempts != attempts || f.calls("a") != attempts || sub.Ended.IsZero() == (want != Pending) {
				t.Errorf("%d attempts, want %d: %+v", f.calls("a"), attempts, sub)
			}
			return sub
		}
		refuses := func(judge func(context.Context, string) error, why string) {
			t.Helper()
			if err := judge(t.Context(), id); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), why) {
				t.Errorf("%v, want %s", err, why)
			}
		}
		refuses(s.Spam, "spam already")
		refuses(s.Resend, "ham")
		if err := s.Ham(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		becomes(Done, 1)
		refuses(s.Ham, "done, not spam")
		if err := s.Resend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		becomes(Done, 2)
		if err := s.Spam(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if sub := becomes(Spam, 2); !slices.Equal(sub.Reasons, []string{"links", markedSpam}) {
			t.Error(sub.Reasons)
		}
		id = keep(t, s, Submission{Form: "notes"}).ID
		refuses(s.Resend, "no function")
		for _, judge := range []func(context.Context, string) error{s.Spam, s.Ham, s.Resend} {
			if err := judge(t.Context(), "none"); !errors.Is(err, fault.NotFound) {
				t.Error(err)
			}
		}
	})
}

func TestAJudgementDoesNotDisturbADelivery(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		watched, called, answer := spied(kept), make(chan struct{}), make(chan struct{})
		s := on(watched, newFunction(func(context.Context, string, string) (lambda.Result, error) {
			called <- struct{}{}
			<-answer
			return lambda.Result{Payload: []byte(`{}`)}, nil
		}))
		runs(t, s)
		id := keep(t, s, sent("a")).ID
		<-called
		if err := s.Spam(t.Context(), id); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "being delivered") {
			t.Error(err)
		}
		close(answer)
		watched.await(t, "done", func() bool { return get(t, s, id).State == Done })
		if err := s.Spam(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatWasHamOfAFormWithoutFunctionIsKeptOnly(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		id := keep(t, s, Submission{Form: "notes", Reasons: []string{"links"}}).ID
		if err := s.Ham(t.Context(), id); err != nil || get(t, s, id).State != Done {
			t.Error(err, get(t, s, id).State)
		}
		s.Use(map[string]config.Form{"notes": {Function: "mail"}}, functions)
		if err := s.Resend(t.Context(), id); err != nil || get(t, s, id).State != Pending {
			t.Error("its form has a function now", err)
		}
	})
}

func TestWhatWaitsIsSentNowWhenAPersonSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		f := newFunction(func(ctx context.Context, name, event string) (lambda.Result, error) {
			if mended.Load() {
				return says(`{}`)(ctx, name, event)
			}
			return fails(lambda.Failed)(ctx, name, event)
		})
		s := on(storetest.NewMemory(), f)
		runs(t, s)
		id := keep(t, s, sent("a")).ID
		time.Sleep(10 * time.Minute)
		before := f.calls("a")
		mended.Store(true)
		if err := s.Resend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := get(t, s, id); got.State != Done || f.calls("a") != before+1 {
			t.Errorf("%d calls: %+v", f.calls("a"), got)
		}
	})
}
