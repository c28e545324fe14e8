package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/lease"
)

// Variables that make this test binary a process of its own: the store that it migrates, the set that it migrates to, and the call in which it is killed.
const (
	childOf   = "EDGE_TEST_MIGRATE_STORE"
	childTo   = "EDGE_TEST_MIGRATE_TO"
	childDies = "EDGE_TEST_MIGRATE_DIES"
)

// A watched store does something around each call that writes.
type watched struct {
	store.Store
	before, after func(writes ...store.Write) error
}

func (w watched) around(call func() error, writes ...store.Write) error {
	if err := w.before(writes...); err != nil {
		return err
	}
	return errors.Join(call(), w.after())
}

func (w watched) Ensure(ctx context.Context, all ...store.Collection) error {
	return w.around(func() error { return w.Store.Ensure(ctx, all...) })
}

func (w watched) Apply(ctx context.Context, writes ...store.Write) (touched []int, err error) {
	err = w.around(func() (e error) { touched, e = w.Store.Apply(ctx, writes...); return e }, writes...)
	return touched, err
}

func (w watched) Claim(ctx context.Context, q store.Query, c store.Change) (doc store.Document, err error) {
	err = w.around(func() (e error) { doc, e = w.Store.Claim(ctx, q, c); return e })
	return doc, err
}

// asChild ends this process with its work, if it is to be another one: it is killed in the n-th call that writes, before it when n is odd, after it
// when n is even.
func asChild() {
	address := os.Getenv(childOf)
	if address == "" {
		return
	}
	dies, _ := strconv.Atoi(os.Getenv(childDies))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := migrateAndDie(ctx, address, os.Getenv(childTo), dies); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func migrateAndDie(ctx context.Context, address, to string, dies int) error {
	set, err := schema.Decode([]byte(to))
	if err != nil {
		return err
	}
	s, err := enginetest.Open(ctx, address)
	if err != nil {
		return err
	}
	defer s.Close()
	var mu sync.Mutex
	calls := 0
	at := func(parity, more int) func(...store.Write) error {
		return func(...store.Write) error {
			mu.Lock()
			defer mu.Unlock()
			if calls += more; calls == dies && dies%2 == parity {
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return nil
		}
	}
	steps, err := Plan(ctx, watched{s, at(1, 1), at(0, 0)}, set)
	if err != nil {
		return err
	}
	return steps.Apply(ctx)
}

// killed runs a process that migrates a store, and reports whether it was killed in a call.
func killed(t *testing.T, address string, to *schema.Set, call int) bool {
	t.Helper()
	child := exec.CommandContext(busy(t), os.Args[0])
	child.Env = append(os.Environ(), childOf+"="+address, childTo+"="+string(schema.Encode(to)), childDies+"="+strconv.Itoa(call))
	out, err := child.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%v\n%s", err, out)
	}
	return true
}

// released has the lease of a process that was killed end at once.
func released(t *testing.T, address string) {
	t.Helper()
	s, err := enginetest.Open(busy(t), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	release(t, s)
}

func release(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Ensure(busy(t), lease.Collection()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(busy(t), store.Delete{Collection: lease.Collection().Name}); err != nil {
		t.Fatal(err)
	}
}

// before and afterwards are sets that differ in all that changes rows.
func before(t *testing.T) *schema.Set {
	return articles(t, article(&schema.Attribute{Name: "x", Kind: schema.Integer, Unique: true}, attr("y", schema.Integer)))
}

func afterwards(t *testing.T) *schema.Set {
	of := article(&schema.Attribute{Name: "x", Kind: schema.String, Unique: true}, attr("y", schema.Float))
	of.Drafts, of.Localized = true, true
	return articles(t, of)
}

// wantAfterwards wants the rows of all entries as the new set has them, and no others.
func wantAfterwards(t *testing.T, s store.Store) {
	t.Helper()
	found := all(t, s, "content-article")
	numbers := map[int64]bool{}
	for _, row := range found {
		i, _ := strconv.Atoi(strings.TrimLeft(row.String("x"), "x"))
		doc := fmt.Sprintf("a%03d", i)
		if row.String(rows.DocumentID) != doc || row["y"] != float64(i) || !strings.HasPrefix(row.ID(), doc+".en") || numbers[row.Int(rows.Number)] {
			t.Fatal(row)
		}
		numbers[row.Int(rows.Number)] = true
	}
	if len(found) != 2*many {
		t.Errorf("there are %d rows, want %d", len(found), 2*many)
	}
}

func TestAMigrationThatIsKilledAnywhereGoesOn(t *testing.T) {
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			s, err := enginetest.Open(busy(t), at)
			if err != nil {
				t.Fatal(err)
			}
			migrated(t, s, before(t))
			keepMany(t, s, before(t), func(i int) store.Document { return store.Document{"x": int64(i), "y": int64(i)} })
			s.Close()
			kills := 0
			for killed(t, at, afterwards(t), kills+1) {
				if kills++; kills > 60 {
					t.Fatal("it does not get on")
				}
				released(t, at)
			}
			if kills < 10 {
				t.Errorf("it was killed %d times", kills)
			}
			s = enginetest.Opened(t, at)
			wantSummary(t, migrated(t, s, afterwards(t)))
			wantAfterwards(t, s)
		})
	}
}

func TestOfSeveralHostsOneMigrates(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		migrated(t, s, before(t))
		keepMany(t, s, before(t), func(i int) store.Document { return store.Document{"x": int64(i), "y": int64(i)} })
		to := afterwards(t)
		errs := make(chan error, 3)
		for range cap(errs) {
			steps, err := Plan(busy(t), s, to)
			if err != nil {
				t.Fatal(err)
			}
			go func() { errs <- steps.Apply(busy(t)) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		wantAfterwards(t, s)
		if kept, err := read(busy(t), s); err != nil || kept.revision != 4 || kept.begun != nil {
			t.Errorf("%+v, %v", kept, err)
		}
	})
}

func TestAnotherSetWaitsForTheOneThatWasBegun(t *testing.T) {
	for name, third := range map[string]func(t *testing.T) *schema.Set{
		"another": func(t *testing.T) *schema.Set {
			return articles(t, article(&schema.Attribute{Name: "x", Kind: schema.Text, Unique: true}, attr("y", schema.String)))
		},
		"the first again": before,
	} {
		t.Run(name, func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, s store.Store) {
				migrated(t, s, before(t))
				keepMany(t, s, before(t), func(i int) store.Document { return store.Document{"x": int64(i), "y": int64(i)} })
				pages := 0
				broken := watched{s, func(writes ...store.Write) error {
					if len(writes) > many-page {
						pages++
					}
					if pages == 2 {
						return fmt.Errorf("the disk is full: %w", fault.Unavailable)
					}
					return nil
				}, func(...store.Write) error { return nil }}
				steps, err := Plan(busy(t), broken, afterwards(t))
				if err != nil {
					t.Fatal(err)
				}
				if err := steps.Apply(busy(t)); !errors.Is(err, fault.Unavailable) {
					t.Fatal(err)
				}
				if n := len(all(t, s, "content-article")); n == many || n == 2*many {
					t.Fatalf("there are %d rows: it stopped too early or too late", n)
				}
				if kept, err := read(busy(t), s); err != nil || kept.begun == nil || !same(kept.now, before(t)) {
					t.Errorf("%+v, %v: new types are in force before their rows are there", kept, err)
				}
				release(t, s)
				wantSummary(t, migrated(t, s, third(t)), "a change of content types that was begun before is finished first, and the new types are compared with what it leaves")
				for _, row := range all(t, s, "content-article") {
					x, y := any("1"), any("1")
					if name != "another" {
						x, y = int64(1), int64(1)
					}
					if row.ID() == "a001" && (row["x"] != x || row["y"] != y) || row[rows.Status] != nil || row[rows.Locale] != nil {
						t.Fatal(row)
					}
				}
				if n := len(all(t, s, "content-article")); n != many {
					t.Errorf("there are %d rows", n)
				}
			})
		})
	}
}
