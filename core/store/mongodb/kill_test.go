package mongodb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// childOf is the variable that makes this test binary a process of its own, which inserts into the store at the address in it, each of its
// senders from its number there on.
const childOf = "EDGE_TEST_MONGODB_CHILD"

// senders is how many insert at the same time.
const senders = 8

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	if work := os.Getenv(childOf); work != "" {
		fmt.Fprintln(os.Stderr, insertUntilKilled(work))
		os.Exit(1)
	}
}

// insertUntilKilled says a line for every insert that is acknowledged: who sent it, its number, and whether it was there already.
func insertUntilKilled(work string) error {
	address, rest, _ := strings.Cut(work, " ")
	var next [senders]int
	for i, word := range strings.Fields(strings.Trim(rest, "[]")) {
		if _, err := fmt.Sscan(word, &next[i]); err != nil {
			return err
		}
	}
	s, err := Open(Options{URI: address, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	sending, ctx := errgroup.WithContext(context.Background())
	if err := s.Ensure(ctx, inbox()); err != nil {
		return err
	}
	for who, n := range next {
		sending.Go(func() error {
			for ; ; n++ {
				_, err := s.Apply(ctx, store.Insert{Collection: "inbox", Document: store.Document{"id": store.NewID(), "key": keyOf(who, n)}})
				_, again := errors.AsType[*store.Duplicate](err)
				if err != nil && !again {
					return err
				}
				fmt.Println(who, n, again)
			}
		})
	}
	return sending.Wait()
}

func inbox() store.Collection {
	return store.Collection{Name: "inbox", Indexes: []store.Index{{Fields: []string{"key"}, Unique: true}}}
}

func keyOf(who, n int) string { return fmt.Sprintf("%d of %d", n, who) }

// A process that inserts is killed again and again. What it had not acknowledged is sent once more to the next one, as those do who send
// to edge: it may have arrived all the same.
func TestWhatAProcessAcknowledgedOutlivesItAndIsThereOnce(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv("EDGE_SOAK") != "" {
		rounds = 10
	}
	set := shared.Set(t)
	address := mongodbtest.In(t, set.URI(), set.Database(t))
	s := open(t, address)
	if err := s.Ensure(t.Context(), inbox()); err != nil {
		t.Fatal(err)
	}
	var next [senders]int
	again := 0
	for round := range rounds {
		again += killAfter(t, address, &next, 100+50*round)
	}
	there := allKeys(t, s, "inbox")
	acknowledged := 0
	for who, n := range next {
		acknowledged += n
		for i := range n {
			if key := keyOf(who, i); !there[key] {
				t.Errorf("%s was acknowledged and is not there", key)
			}
		}
	}
	if len(there) > acknowledged+senders {
		t.Errorf("%d are there, and %d were sent", len(there), acknowledged+senders)
	}
	t.Logf("%d were acknowledged, %d are there; %d of those that were sent again had arrived before", acknowledged, len(there), again)
}

// killAfter kills a process after so many inserts, and has next be behind what it has acknowledged. It returns how many of those were
// there already.
func killAfter(t *testing.T, address string, next *[senders]int, inserts int) (again int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), fmt.Sprint(childOf, "=", address, " ", *next))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for n := 1; said.Scan(); n++ { // what it said before its end is there to be read after it
		var who, number int
		var before bool
		if _, err := fmt.Sscan(said.Text(), &who, &number, &before); err != nil || number != next[who] {
			t.Fatalf("the process says %q: %v", said.Text(), err)
		}
		if next[who]++; before {
			again++
		}
		if n == inserts {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") || ctx.Err() != nil {
		t.Fatalf("the process was not killed: %v", err)
	}
	return again
}

// allKeys returns the keys of all documents, and fails the test when two have the same.
func allKeys(t *testing.T, s *Store, collection string) map[string]bool {
	t.Helper()
	keys := make(map[string]bool)
	q := store.Query{Collection: collection, Limit: store.MaxFind}
	for {
		found, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			if keys[d.String("key")] {
				t.Errorf("%s is there twice", d.String("key"))
			}
			keys[d.String("key")] = true
		}
		if len(found) < q.Limit {
			return keys
		}
		q.Filter = store.Gt("id", found[len(found)-1].ID())
	}
}
