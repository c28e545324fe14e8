//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// storeWord has a process use a store without a server:
//
//	store insert PLACE WRITERS TIME: inserts copies of a delivery that is there, and says how many a second
//	store fill PLACE N: has N more deliveries be pending
//	store entries PLACE SCHEMAS N: has N notes be in a store that edge has made the collections of
//	store claims EMPTY FULL TIME: takes and settles deliveries of the two in turns, and says what that took
const storeWord = "store"

func useStore(ctx context.Context, args []string) error {
	var answer any
	var err error
	switch {
	case len(args) == 5 && args[1] == "insert":
		answer, err = insertCopies(ctx, args[2], args[3], args[4])
	case len(args) == 4 && args[1] == "fill":
		answer, err = fill(ctx, args[2], args[3])
	case len(args) == 5 && args[1] == "claims":
		answer, err = claims(ctx, args[2], args[3], args[4])
	case len(args) == 5 && args[1] == "entries":
		answer, err = fillEntries(ctx, args[2], args[3], args[4])
	default:
		err = errors.New("insert, fill, entries or claims, for bench's own use")
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(answer))
}

// openStore opens the store at a file or an URI, with a collection of deliveries.
func openStore(ctx context.Context, place string) (store.Store, error) {
	var opened store.Store
	var err error
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if strings.HasPrefix(place, "mongodb") {
		opened, err = mongodb.Open(mongodb.Options{URI: place, Log: log})
	} else {
		opened, err = sqlite.Open(ctx, place, log)
	}
	if err != nil {
		return nil, err
	}
	if err := opened.Ensure(ctx, inbox.Collection()); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// insertCopies is how many copies of a delivery are inserted a second by so many writers, when they have warmed up.
func insertCopies(ctx context.Context, place, writers, span string) (did speed, err error) {
	n, err1 := strconv.Atoi(writers)
	should, err2 := time.ParseDuration(span)
	if err := errors.Join(err1, err2); err != nil {
		return did, err
	}
	s, err := openStore(ctx, place)
	if err != nil {
		return did, err
	}
	defer s.Close()
	found, err := s.Find(ctx, store.Query{Collection: inbox.Collection().Name, Sort: []store.Order{{Field: "id", Descending: true}}, Limit: 1})
	if err != nil {
		return did, err
	}
	if len(found) == 0 {
		return did, errors.New("there is no delivery to copy")
	}
	for _, d := range []time.Duration{warming, should} {
		if did, err = insertFor(ctx, s, found[0], n, d); err != nil {
			return did, err
		}
	}
	return did, nil
}

func insertFor(ctx context.Context, s store.Store, like store.Document, writers int, should time.Duration) (speed, error) {
	before, err := cpuUsed(os.Getpid())
	if err != nil {
		return speed{}, err
	}
	var all sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, writers)
	began := time.Now()
	for i := range writers {
		all.Go(func() {
			for time.Since(began) < should && errs[i] == nil {
				if _, errs[i] = s.Apply(ctx, store.Insert{Collection: inbox.Collection().Name, Document: another(like, time.Now())}); errs[i] == nil {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	after, err := cpuUsed(os.Getpid())
	n := float64(done.Load())
	return speed{n / took, after.since(before).Seconds() / n * 1e6}, errors.Join(append(errs, err)...)
}

// another is a delivery like one that is there, and came at another time.
func another(like store.Document, at time.Time) store.Document {
	d := maps.Clone(like)
	d["id"], d["event"], d["at"] = store.NewID(), newEvent(), at.UTC().Truncate(time.Millisecond)
	return d
}

const handledSource = "github"

// received is an inbox on s, of a source that a plugin handles.
func received(s store.Store) *inbox.Inbox {
	i := inbox.New(inbox.Options{Store: s, Log: slog.New(slog.DiscardHandler)})
	i.Use(map[string]config.Webhook{handledSource: {Plugin: "nothing"}})
	return i
}

// one is a delivery as it is given to an inbox.
func one() inbox.Delivery {
	return inbox.Delivery{
		Source: handledSource, EventID: newEvent(), Type: "push", Method: "POST", Path: "/hooks/github", Body: []byte(webhookText()), Client: "127.0.0.1",
		Header: []inbox.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "X-Github-Event", Value: "push"}, {Name: "User-Agent", Value: "GitHub-Hookshot/044aadd"}},
	}
}

// fill has more deliveries be pending, which came in the hour before now. It writes them into the store, many at once, with event ids in their order, so that a million
// of them are a matter of minutes: taking and settling does not look at event ids.
func fill(ctx context.Context, place, count string) (filled int, err error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, err
	}
	s, err := openStore(ctx, place)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	first, _, err := received(s).Keep(ctx, one())
	if err != nil {
		return 0, err
	}
	like, err := s.Get(ctx, inbox.Collection().Name, first.ID)
	if err != nil {
		return 0, err
	}
	early := first.At.Sub(like.Time("next"))
	for filled = 1; filled < n; {
		var writes []store.Write
		for ; filled < n && len(writes) < store.MaxWrites; filled++ {
			at := first.At.Add(-time.Hour * time.Duration(n-filled) / time.Duration(n))
			d := another(like, at)
			d["event"], d["next"] = d["id"], at.Add(-early)
			writes = append(writes, store.Insert{Collection: inbox.Collection().Name, Document: d})
		}
		if _, err := s.Apply(ctx, writes...); err != nil {
			return filled, err
		}
	}
	return filled, nil
}

// A claiming is what taking and settling a delivery took at each of two stores, the median, in µs.
type claiming struct{ Empty, Full float64 }

// claims takes and settles deliveries that have just been kept at one store, and as many of the oldest at another, where as many were kept, too.
func claims(ctx context.Context, empty, full, span string) (c claiming, err error) {
	should, err := time.ParseDuration(span)
	if err != nil {
		return c, err
	}
	var took [2][]time.Duration
	var boxes [2]*inbox.Inbox
	for n, place := range []string{empty, full} {
		s, err := openStore(ctx, place)
		if err != nil {
			return c, err
		}
		defer s.Close()
		boxes[n] = received(s)
	}
	const turn, idle = 20, 2
	for began := time.Now(); time.Since(began) < should; {
		for n, box := range boxes {
			t, err := takeAndSettle(ctx, box, turn+idle)
			if err != nil {
				return c, err
			}
			took[n] = append(took[n], t[idle:]...) // the first ones find what others have left in the caches
		}
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	return claiming{micros(percentile(took[0], 0.5)), micros(percentile(took[1], 0.5))}, nil
}

func takeAndSettle(ctx context.Context, box *inbox.Inbox, n int) (took []time.Duration, err error) {
	for range n {
		if _, _, err := box.Keep(ctx, one()); err != nil {
			return nil, err
		}
	}
	for range n {
		began := time.Now()
		d, err := box.Take(ctx, handledSource, time.Minute)
		if err == nil {
			err = box.Settle(ctx, d, inbox.Result{State: inbox.Done, Attempt: inbox.Attempt{At: began, Outcome: "ok"}, Try: true})
		}
		if err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
