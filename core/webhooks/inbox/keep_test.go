package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

func TestWhatIsKeptIsHadAgainByteForByte(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		body := make([]byte, 10<<20) // as large as any may be
		_, _ = rand.NewChaCha8([32]byte{}).Read(body)
		want := Delivery{
			ID: store.NewID(), Source: "github", EventID: "évent", Type: "push", Plugin: "planner", At: began, State: Pending, Method: "POST", Path: "/github?a=b",
			Header: []Field{{"X-Odd", "caf\xe9\t\x01: :"}, {"X-Odd", ""}, {"x-hub-signature-256", "sha256=00"}},
			Body:   body, Client: "192.0.2.1", RequestID: "r", Sync: true, Next: began,
		}
		if kept := keep(t, i, want); !reflect.DeepEqual(kept, want) {
			t.Errorf("kept as %.300v", fmt.Sprintf("%+v", kept))
		}
		if got := get(t, i, want.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("had again as %.300s", fmt.Sprintf("%+v", got))
		}
		taken := take(t, i, "github")
		settle(t, i, taken, Result{State: Done, Attempt: Attempt{Outcome: "ok"}})
		if got := get(t, i, want.ID); !bytes.Equal(got.Body, body) || got.State != Done {
			t.Errorf("after it was handled it is %s with %d bytes", got.State, len(got.Body))
		}
	})
}

func TestCredentialsAreNotKept(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		d := sent("notes", 1)
		for _, name := range []string{"Authorization", "Proxy-Authorization", "COOKIE", "X-Gitlab-Token", "X-Api-Key", "x-mine", "X-Slack-Signature", "Accept"} {
			d.Header = append(d.Header, Field{name, "hush"})
		}
		for _, f := range get(t, i, keep(t, i, d).ID).Header {
			if plain := f.Name == "X-Slack-Signature" || f.Name == "Accept"; plain != (f.Value == "hush") {
				t.Errorf("%s is %q", f.Name, f.Value)
			}
		}
		docs, err := s.Find(t.Context(), store.Query{Collection: collection, Limit: 1})
		if err != nil || strings.Count(fmt.Sprint(docs), "hush") != 2 {
			t.Errorf("in the store is %v, %v", docs, err)
		}
	})
}

func TestOddTextIsKeptOrMadeText(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		odd := "\U0010FFFF\xff\x00\r\n"
		d := Delivery{Source: "github", EventID: odd, Type: odd, Key: odd, Method: odd, Path: odd, Client: odd, RequestID: odd, Header: []Field{{odd, odd}, {"\U0010FFFF", "a"}, {"a:b", "c"}}, Body: []byte(odd)}
		kept := keep(t, i, d)
		if got := get(t, i, kept.ID); string(got.Body) != odd || len(got.Header) != 3 || got.EventID == "" {
			t.Errorf("%+v", got)
		}
		other := d
		other.EventID = "\U0010FFFF\xfe\x00\r\n"
		keep(t, i, other)
		if again, repeat, err := i.Keep(patient(t), d); err != nil || !repeat || again.ID != kept.ID {
			t.Error(again.ID, repeat, err)
		}
	})
}

func TestARepeatGetsTheFirst(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		var fresh, repeats atomic.Int64
		var ids sync.Map
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				kept, repeat, err := i.Keep(patient(t), sent("github", 1))
				if err != nil {
					t.Error(err)
				}
				ids.Store(kept.ID, true)
				if repeat {
					repeats.Add(1)
				} else {
					fresh.Add(1)
				}
			})
		}
		all.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if fresh.Load() != 1 || repeats.Load() != 29 || n != 1 {
			t.Errorf("%d were new, %d repeats, with %d ids", fresh.Load(), repeats.Load(), n)
		}
		keep(t, i, sent("stripe", 1)) // another source's
	})
}

func TestKeepingTheSameAgainAfterALostAnswerIsARepeat(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		d := keep(t, i, sent("github", 1))
		if again, repeat, err := i.Keep(patient(t), d); err != nil || !repeat || again.ID != d.ID {
			t.Error(again, repeat, err)
		}
		d.EventID = "another with the same id"
		if _, _, err := i.Keep(patient(t), d); !errors.Is(err, fault.Conflict) {
			t.Error(err)
		}
	})
}

func TestAnEventIsKnownAfterWhatWasSentIsRemoved(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		d := sent("notes", 1)
		d.Header, d.Type, d.At = []Field{{"a", "b"}}, "note", time.Now().Add(-time.Hour)
		kept := keep(t, i, d)
		long := keep(t, i, sent("github", 1))
		settle(t, i, take(t, i, "github"), Result{State: Done})
		if err := i.sweep(patient(t), true); err != nil {
			t.Fatal(err)
		}
		get(t, i, long.ID)
		if _, err := i.Get(t.Context(), kept.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("what was sent is there: %v", err)
		}
		doc, err := s.Get(t.Context(), collection, kept.ID)
		if err != nil || doc["body"] != nil || doc["header"] != nil || doc.Time("expires").Before(kept.At.Add(leastKnown)) {
			t.Errorf("%v, %v", doc, err)
		}
		if page, err := i.List(patient(t), Filter{Source: "notes"}); err != nil || len(page) != 0 {
			t.Errorf("%v, %v", page, err)
		}
		if again, repeat, err := i.Keep(patient(t), sent("notes", 1)); err != nil || !repeat || again.ID != kept.ID || again.State != Done {
			t.Errorf("%+v, %v, %v", again, repeat, err)
		}
		counts, err := i.Counts(patient(t))
		if err != nil || len(counts) != 3 || counts[1].Source != "notes" || counts[1].Kept != 0 || !counts[1].Last.Equal(kept.At) {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestAFullSourceTakesNoMoreAndStillKnowsRepeats(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		i.Use(map[string]config.Webhook{"github": {Plugin: "planner", MaxKept: 3}, "stripe": {Plugin: "planner", MaxKept: 3}})
		first := keep(t, i, sent("github", 0))
		for n := range 10 {
			if again, repeat, err := i.Keep(patient(t), sent("github", 0)); err != nil || !repeat || again.ID != first.ID {
				t.Fatal(n, repeat, err)
			}
		}
		keep(t, i, sent("github", 1))
		keep(t, i, sent("github", 2))
		_, _, err := i.Keep(patient(t), sent("github", 3))
		full, ok := errors.AsType[*Full](err)
		if !ok || !errors.Is(err, fault.Unavailable) || full.Source != "github" || full.Kept != 3 || full.Most != 3 {
			t.Errorf("%v", err)
		}
		if again, repeat, err := i.Keep(patient(t), sent("github", 0)); err != nil || !repeat || again.ID != first.ID {
			t.Error(repeat, err)
		}
		keep(t, i, sent("stripe", 3))
		if counts, err := i.Counts(patient(t)); err != nil || !counts[0].Full || counts[1].Full {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestAWayToTheStoreThatIsBrokenIsNoFullSource(t *testing.T) {
	s := enginetest.Opened(t, filepath.Join(t.TempDir(), "edge.db"))
	i := on(s)
	keep(t, i, sent("github", 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := i.Keep(patient(t), sent("github", 2))
	if _, full := errors.AsType[*Full](err); full || !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := i.Take(patient(t), "github", hold); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestAStoreThatIsAwayIsUnavailableAndTakesThemAgainWhenItIsBack(t *testing.T) {
	address := engines.Addresses()["mongodb"](t)
	i := on(enginetest.Opened(t, address))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := i.Keep(ctx, sent("github", 1)); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	keep(t, i, sent("github", 1))
}

func TestADeliveryOfAnUnknownSourceWaitsForIt(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		d := sent("gone", 1)
		if kept := keep(t, i, d); kept.State != Kept {
			t.Errorf("nobody would handle it, and it is %s", kept.State)
		}
		d = sent("gone", 2)
		d.Plugin = "old"
		keep(t, i, d)
		i.Use(map[string]config.Webhook{"gone": {Plugin: "new"}})
		if taken := wantEvent(t, i, "gone", 2); taken.Plugin != "new" {
			t.Errorf("it is given to %s", taken.Plugin)
		}
	})
}

func TestWhatIsNoDeliveryIsInvalid(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		for _, d := range []Delivery{{EventID: "a"}, {Source: "github"}, {Source: "\xff", EventID: "a"}} {
			if _, _, err := i.Keep(patient(t), d); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", d, err)
			}
		}
		d := sent("github", 1)
		d.Body = make([]byte, store.MaxDocument)
		if _, _, err := i.Keep(patient(t), d); !errors.Is(err, fault.TooLarge) {
			t.Error(err)
		}
	})
}

func TestWhatIsKeptHereWakesAtOnce(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		i := on(s)
		keep(t, i, sent("github", 1))
		<-i.Woken("github")
		keep(t, i, sent("notes", 1))
		select {
		case <-i.Woken("notes"):
			t.Error("nobody handles it, and it wakes")
		case <-i.Woken("github"):
			t.Error("twice")
		default:
		}
	})
}

func FuzzAHeaderIsHadAgain(f *testing.F) {
	f.Add("A", "b", "C", "d: e")
	f.Add("\U0010FFFF", "\xff", "a b", " ")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		fields := []Field{{name1, value1}, {name2, value2}}
		encoded := encodeHeader(fields)
		if _, _, err := store.Normal(store.Document{"id": "1", "header": encoded}); err != nil {
			t.Fatal(err)
		}
		got := decodeHeader(encoded)
		if strings.ContainsAny(name1+name2, ":\r\n") || strings.ContainsAny(value1+value2, "\r\n") {
			if len(got) != 2 {
				t.Fatalf("%q has become %q", fields, got)
			}
		} else if !reflect.DeepEqual(got, fields) {
			t.Fatalf("%q has become %q", fields, got)
		}
	})
}
