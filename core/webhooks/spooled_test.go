package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/inbox"
)

func TestWhileTheStoreIsAwayDeliveriesGoToTheSpoolAndComeBackInOrder(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github(), "other": github()}, nil)
	come := make(chan string, 100)
	s.keeper.come = come
	s.keeper.set(errAway)
	var want []string
	send := func(source, id string, status int) {
		t.Helper()
		if w := s.ask(signed(source, id, "{}")); w.Code != status {
			t.Fatal(id, w.Code, w.Body)
		}
		want = append(want, id)
	}
	send("github", "1", http.StatusAccepted)
	send("github", "2", http.StatusAccepted)
	if w := s.ask(signed("github", "1", "{}")); w.Code != http.StatusAccepted {
		t.Error("a repeat that can't be known as one", w.Code)
	}
	s.keeper.set(nil)
	s.away.Store(false)
	s.patience = time.Millisecond
	send("github", "3", http.StatusAccepted) // its order stays
	if w := s.ask(signed("other", "x", "{}")); w.Code != http.StatusOK {
		t.Error("another source has to wait", w.Code)
	}
	<-come
	defer s.runs()()
	for len(s.keeper.events()) < 4 {
		<-come
	}
	if got := s.keeper.events(); !slices.Equal(got, append([]string{"x"}, want...)) {
		t.Error(got)
	}
	if n := s.count("github", Spooled); n != 4 {
		t.Error(n)
	}
	for _, d := range s.keeper.kept[1:] {
		if string(d.Body) != "{}" || d.Source != "github" || d.Type != "push" || d.ID == "" || d.At.IsZero() || len(d.Header) == 0 {
			t.Errorf("%+v", d)
		}
	}
}

func TestADeliveryWaitsForThoseThatCameBeforeIt(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.keeper.set(errAway)
	s.ask(signed("github", "1", "{}"))
	s.keeper.set(nil)
	s.away.Store(false)
	s.patience = time.Minute
	answered := make(chan int)
	go func() { answered <- s.ask(signed("github", "2", "{}")).Code }()
	if err := s.spool.Drain(t.Context(), s.fetch); err != nil {
		t.Error(err)
	}
	if status := <-answered; status != http.StatusOK || !slices.Equal(s.keeper.events(), []string{"1", "2"}) {
		t.Error(status, s.keeper.events())
	}
}

func TestWhenTheSpoolIsEmptyDeliveriesAreKeptAtOnce(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.keeper.set(errAway)
	s.ask(signed("github", "1", "{}"))
	s.keeper.set(nil)
	if err := s.spool.Drain(t.Context(), s.fetch); err != nil || s.away.Load() {
		t.Error(err)
	}
	if w := s.ask(signed("github", "2", "{}")); w.Code != http.StatusOK {
		t.Error(w.Code)
	}
}

func TestWhatCanBeKeptNowhereIsRefusedUntilLater(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.keeper.set(errAway)
	s.spool.Close()
	w := s.ask(signed("github", "1", "{}"))
	if w.Code != 503 || w.Header().Get("Retry-After") != "30" || w.reason != "unavailable" || s.count("github", Unavailable) != 1 {
		t.Error(w.Code, w.Header(), w.reason)
	}
	s.spool = nil
	if w := s.ask(signed("github", "1", "{}")); w.Code != 503 {
		t.Error(w.Code)
	}
	s.keeper.set(nil)
	if w := s.ask(signed("github", "1", "{}")); w.Code != 200 {
		t.Error("it does not recover", w.Code)
	}
}

func TestASourceThatHasAsManyAsItMayIsRefusedAndKeepsNoOtherBack(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github(), "other": github()}, nil)
	full := &inbox.Full{Source: "github", Kept: 10, Most: 10}
	s.keeper.errs = map[string]error{"github": full}
	w := s.ask(signed("github", "1", "{}"))
	if n, _ := s.spool.Len(); w.Code != 503 || w.Header().Get("Retry-After") == "" || s.count("github", Full) != 1 || n != 0 {
		t.Error(w.Code, n)
	}
	s.keeper.set(errAway)
	s.ask(signed("github", "2", "{}"))
	s.ask(signed("other", "3", "{}"))
	s.keeper.set(nil)
	if err := s.spool.Drain(t.Context(), s.fetch); !errors.As(err, new(*inbox.Full)) || !slices.Equal(s.keeper.events(), []string{"3"}) {
		t.Error(err, s.keeper.events())
	}
	s.keeper.errs = nil
	if err := s.spool.Drain(t.Context(), s.fetch); err != nil || !slices.Equal(s.keeper.events(), []string{"3", "2"}) {
		t.Error(err, s.keeper.events())
	}
}

func TestWhatTheInboxNeverTakesIsSetAside(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.keeper.set(errAway)
	s.ask(signed("github", "1", "{}"))
	if err := s.spool.Put(t.Context(), "github", []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	s.keeper.set(fmt.Errorf("no: %w", fault.Invalid))
	if err := s.spool.Drain(t.Context(), s.fetch); err != nil {
		t.Error(err)
	}
	if n, _ := s.spool.Len(); n != 0 {
		t.Error(n)
	}
}

func TestRunEndsWithItsContextWhileTheStoreIsAway(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.keeper.set(errAway)
	s.ask(signed("github", "1", "{}"))
	s.runs()()
	if n, _ := s.spool.Len(); n != 1 {
		t.Error(n)
	}
	s.spool = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func FuzzARecordIsReadAsItWasWritten(f *testing.F) {
	d := inbox.Delivery{ID: "1", Source: "s", EventID: "e", Header: []inbox.Field{{Name: "A", Value: "b"}}, Body: []byte("body\x00"), At: time.Unix(1, 0).UTC()}
	record, err := encodeRecord(d)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add([]byte{recordFormat, 255, 255, 255, 255})
	f.Add([]byte{recordFormat, 2, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, record []byte) {
		d, err := decodeRecord(record)
		if err != nil {
			return
		}
		again, err := encodeRecord(d)
		if err != nil {
			return // a time that JSON can't say
		}
		e, err := decodeRecord(again)
		if err != nil || !reflect.DeepEqual(d.Header, e.Header) || string(d.Body) != string(e.Body) || d.EventID != e.EventID {
			t.Errorf("%v: %+v is not %+v", err, e, d)
		}
	})
}
