package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A watch is alarms whose minutes pass when the test says so.
type watch struct {
	*alarms
	now     time.Time
	there   []matter
	refused error
	mails   []string
}

func newWatch() *watch {
	w := &watch{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.alarms = newAlarms(func() []matter { return w.there }, func(_ context.Context, subject, text string) error {
		if w.refused == nil {
			w.mails = append(w.mails, subject+"\n"+text)
		}
		return w.refused
	}, slog.New(slog.DiscardHandler))
	return w
}

// pass lets minutes pass, and returns the mails that came in them.
func (w *watch) pass(minutes int, there ...matter) []string {
	w.there, w.mails = there, nil
	for range minutes {
		w.now = w.now.Add(time.Minute)
		w.look(context.Background(), w.now)
	}
	return w.mails
}

func TestAMatterIsToldOnce(t *testing.T) {
	w := newWatch()
	store := matter{"store", "the store is not ready: x"}
	if got := w.pass(2, store); len(got) != 0 {
		t.Errorf("told at once: %q", got)
	}
	if got := w.pass(60, store); len(got) != 1 || !strings.HasPrefix(got[0], "store needs somebody\n- the store is not ready: x (since 2026-01-01T00:01:00Z)\n") {
		t.Errorf("%q", got)
	}
	if got := w.pass(60, matter{"store", "the store is not ready: y"}); len(got) != 0 {
		t.Errorf("told again: %q", got)
	}
	if got := w.pass(60); len(got) != 1 || !strings.HasPrefix(got[0], "all is well again") {
		t.Errorf("when it was over: %q", got)
	}
}

func TestWhatIsSoonOverIsNotTold(t *testing.T) {
	w := newWatch()
	for range 10 {
		if got := append(w.pass(1, matter{"store", "x"}), w.pass(20)...); len(got) != 0 {
			t.Fatalf("%q", got)
		}
	}
}

func TestManyMattersAreOneMail(t *testing.T) {
	w := newWatch()
	got := w.pass(30, matter{"a", "first"}, matter{"b", "second"})
	if len(got) != 1 || !strings.HasPrefix(got[0], "2 things need somebody\n- first (") || !strings.Contains(got[0], "\n- second (") {
		t.Errorf("%q", got)
	}
	flapping := 0
	for range 10 {
		flapping += len(w.pass(5, matter{"a", "first"})) + len(w.pass(5, matter{"a", "first"}, matter{"b", "second"}))
	}
	if flapping != 0 {
		t.Errorf("%d mails of what came and went", flapping)
	}
}

func TestAMailThatDidNotLeaveIsTriedAgain(t *testing.T) {
	w := newWatch()
	w.refused = errors.New("no route")
	w.pass(30, matter{"a", "first"})
	w.refused = nil
	if got := w.pass(11, matter{"a", "first"}); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
