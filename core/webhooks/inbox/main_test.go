package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(engines.Around(m))
}

var quiet = slog.New(slog.DiscardHandler)

const hold = time.Minute

// sources: two have plugins, one has none and a short memory.
var sources = map[string]config.Webhook{
	"github": {Plugin: "planner", Retention: 60 * 24 * time.Hour},
	"stripe": {Plugin: "planner", Retention: time.Hour, FIFO: "customer"},
	"notes":  {Retention: time.Millisecond, Verify: config.Verify{Scheme: "bearer", Header: "X-Mine"}},
}

// on is an inbox in a store.
func on(s store.Store) *Inbox {
	i := New(Options{Store: s, Log: quiet})
	i.Use(sources)
	return i
}

var began = time.Now().UTC().Truncate(time.Millisecond).Add(-time.Minute)

// sent is a delivery of a source, the n-th of a minute ago.
func sent(source string, n int) Delivery {
	return Delivery{Source: source, EventID: fmt.Sprintf("event %d", n), At: began.Add(time.Duration(n) * time.Millisecond), Body: []byte("{}")}
}

// lined is a delivery in a line.
func lined(key string, n int) Delivery {
	d := sent("stripe", n)
	d.Key = key
	return d
}

// patient is a context that gives a call the time that a busy machine takes.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func keep(t *testing.T, i *Inbox, d Delivery) Delivery {
	t.Helper()
	kept, repeat, err := i.Keep(patient(t), d)
	if err != nil || repeat {
		t.Fatal(repeat, err)
	}
	return kept
}

func get(t *testing.T, i *Inbox, id string) Delivery {
	t.Helper()
	d, err := i.Get(patient(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func take(t *testing.T, i *Inbox, source string) *Taken {
	t.Helper()
	taken, err := i.Take(patient(t), source, hold)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func settle(t *testing.T, i *Inbox, taken *Taken, r Result) {
	t.Helper()
	if err := i.Settle(patient(t), taken, r); err != nil {
		t.Fatal(err)
	}
}

// wantNone wants that nothing of a source is taken.
func wantNone(t *testing.T, i *Inbox, source string) {
	t.Helper()
	if taken, err := i.Take(patient(t), source, hold); !errors.Is(err, fault.NotFound) {
		t.Errorf("%+v was taken: %v", taken, err)
	}
}

// wantEvent wants that the next one to be taken is of an event, and takes it.
func wantEvent(t *testing.T, i *Inbox, source string, n int) *Taken {
	t.Helper()
	taken := take(t, i, source)
	if want := fmt.Sprintf("event %d", n); taken.EventID != want {
		t.Fatalf("%s was taken, want %s", taken.EventID, want)
	}
	return taken
}

// change does something to a document that no method would.
func change(t *testing.T, s store.Store, id string, c store.Change) {
	t.Helper()
	if _, err := s.Apply(patient(t), store.Update{Collection: collection, Filter: store.ID(id), Change: c, Must: 1}); err != nil {
		t.Fatal(err)
	}
}
