package submissions

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

// full has everything that a visitor's submission can have.
func full() Submission {
	return Submission{
		ID: store.NewID(), Form: "contact", Function: "mail", At: time.Date(2026, 5, 1, 12, 0, 0, 5e6, time.UTC), Reasons: []string{"links"},
		Fields: []Field{{"name", "Ann"}, {"text", "hé\n"}, {"name", ""}}, Files: []File{{"cv", "cv.pdf", "application/pdf", 12}},
		Client: "192.0.2.1", Page: "https://example.com/contact", RequestID: "r1", Key: "k", Digest: "d", Event: []byte(`{"version":"2.0"}`),
	}
}

func TestWhatIsKeptComesBackAsItWas(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		sub := keep(t, s, full())
		if got := get(t, s, sub.ID); !reflect.DeepEqual(got, sub) {
			t.Errorf("\n%+v, want\n%+v", got, sub)
		}
		want := full()
		want.ID, want.State, want.Ended = sub.ID, Spam, want.At
		if !reflect.DeepEqual(sub, want) {
			t.Errorf("\n%+v, want\n%+v", sub, want)
		}
		pending := keep(t, s, sent("a"))
		if got := get(t, s, pending.ID); !reflect.DeepEqual(got, pending) || got.State != Pending || got.Next != got.At || time.Since(got.At) > time.Minute {
			t.Errorf("\n%+v, want\n%+v", got, pending)
		}
		if note := keep(t, s, Submission{Form: "notes"}); note.State != Done || note.Ended.IsZero() || note.Error != "" {
			t.Errorf("nobody gets it: %+v", note)
		}
	})
}

func TestTheSameKeyIsKeptOnce(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		first := sent("a")
		first.Key, first.Digest = "key", "one"
		first = keep(t, s, first)
		again := sent("b")
		again.Key, again.Digest = "key", "one"
		got, repeat, err := s.Keep(t.Context(), again)
		if err != nil || !repeat || !reflect.DeepEqual(got, first) {
			t.Errorf("%+v, %v, %v", got, repeat, err)
		}
		again.Digest = "two"
		if _, repeat, err = s.Keep(t.Context(), again); !errors.Is(err, fault.Conflict) || repeat {
			t.Error(repeat, err)
		}
		again.Form = "subscribe"
		keep(t, s, again)
		keep(t, s, sent("without a key"))
		keep(t, s, sent("without a key"))
	})
}

func TestManyAtOnceWithOneKeyAreKeptOnce(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		ids := make(chan string)
		for range 20 {
			go func() {
				sub := sent("a")
				sub.Key = "key"
				got, _, err := s.Keep(t.Context(), sub)
				if err != nil {
					t.Error(err)
				}
				ids <- got.ID
			}()
		}
		first := <-ids
		for range 19 {
			if id := <-ids; id != first {
				t.Error("two of one key")
			}
		}
	})
}

func TestWhatCannotBeKeptSaysSo(t *testing.T) {
	memory := storetest.NewMemory()
	s := on(memory, nil)
	large, text, id := sent("a"), sent("a"), keep(t, s, sent("a"))
	large.Event = make([]byte, store.MaxDocument-growth)
	text.Fields = []Field{{"a", "\xff"}}
	for name, test := range map[string]struct {
		sub  Submission
		code fault.Code
	}{
		"no form": {Submission{}, fault.Invalid}, "a long key": {Submission{Form: "a", Key: string(make([]byte, 513))}, fault.Invalid},
		"too large": {large, fault.TooLarge}, "no text": {text, fault.Invalid}, "the same id": {Submission{ID: id.ID, Form: "contact"}, fault.Conflict},
	} {
		if _, _, err := s.Keep(t.Context(), test.sub); fault.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	memory.SetUnavailable(true)
	if _, _, err := s.Keep(t.Context(), sent("a")); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	memory.SetUnavailable(false)
	keep(t, s, sent("a"))
}

func TestTheLargestThatIsKeptCanBeDeliveredAndDie(t *testing.T) {
	kept := spied(storetest.NewMemory())
	s := on(kept, newFunction(says(`{"statusCode":400,"body":"`+strings.Repeat("no", 5000)+`"}`)))
	sub := s.begun(sent(""))
	sub.Event = make([]byte, store.MaxDocument-growth-store.Size(encode(sub)))
	keep(t, s, sub)
	runs(t, s)
	kept.await(t, "it is dead", func() bool { return inState(t, kept, Dead) == 1 })
	sub.Event = append(sub.Event, 0)
	if _, _, err := s.Keep(t.Context(), sub); !errors.Is(err, fault.TooLarge) {
		t.Error(err)
	}
}

func TestAFormTakesNoMoreThanItMayKeep(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		s := on(kept, nil)
		few := map[string]config.Form{"notes": {MaxKept: 3}, "contact": {MaxKept: 3}}
		s.Use(few, functions)
		for range 3 {
			keep(t, s, Submission{Form: "notes"})
		}
		other := New(Options{Store: kept, Log: quiet}) // another host, which has counted nothing yet
		other.Use(few, functions)
		for _, full := range []*Submissions{s, other} {
			if _, _, err := full.Keep(t.Context(), Submission{Form: "notes"}); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "max_kept") {
				t.Error(err)
			}
		}
		keep(t, s, Submission{Form: "contact"})
		counts, err := s.Counts(t.Context())
		if err != nil || len(counts) != 2 || counts[0].Full || !counts[1].Full {
			t.Errorf("%+v %v", counts, err)
		}
	})
}
